"""Mirrors lfmc.py."""

import json

import numpy as np
import pytest

from geotether.pairing.layouts.lfmc import MODALITIES, read_lfmc

STEPS = ["(t-3)", "(t-2)", "(t-1)", "(t)"]
BANDS = [band for bands in MODALITIES.values() for band in bands]


def row(number):
    """Band b of lag l of row r is 100 r + b + 0.1 l, but what does not change with time."""
    values = {
        "percent(t)": 80.5 + number,
        "date": f"2016-0{number + 1}-15",
        "site": ["Lower Sage", "Vernon"][number % 2],
    }
    for place, band in enumerate(BANDS):
        for lag, step in enumerate(reversed(STEPS)):
            values[f"{band}{step}"] = 110 if band == "forest_cover" else 100 * number + place + 0.1 * lag
    return {**values, "latitude": 40.0 + number, "longitude": -110.5}


def write_csv(path, rows, index):
    names = list(rows[0])
    lines = [",".join(["", *names])]
    lines += [",".join([str(key), *(str(one[name]) for name in names)]) for key, one in zip(index, rows, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def table_csv(tmp_path):
    return write_csv(tmp_path / "training_features.csv", [row(0), row(1), row(2)], [4, 9, 11])


def test_the_table_is_read_as_written(table_csv):
    table = read_lfmc(table_csv, modalities=["s1", "optical", "indices", "ratios", "site", "land_cover"])
    assert table.id.tolist() == ["4", "9", "11"]
    assert table.group.tolist() == ["Lower Sage", "Vernon", "Lower Sage"]
    assert table.time.astype("datetime64[D]").astype(str).tolist() == ["2016-01-15", "2016-02-15", "2016-03-15"]
    np.testing.assert_array_equal(table.lonlat, [[-110.5, 40], [-110.5, 41], [-110.5, 42]])
    target = table.target("lfmc")
    assert (target.kind, target.values.tolist()) == ("numbers", [80.5, 81.5, 82.5])
    s1 = table.modality("s1")
    assert (s1.shape, s1.bands) == ((4, 2), ("vv", "vh"))
    np.testing.assert_allclose(s1.values[1], [[100.3, 101.3], [100.2, 101.2], [100.1, 101.1], [100, 101]], rtol=1e-6)
    assert table.modality("optical").shape == (4, 5)
    np.testing.assert_allclose(
        table.modality("optical").values[0, 3], [2, 3, 4, 5, 6]
    )  # red, green, blue, swir, nir at t
    site = table.modality("site")
    assert (site.kind, site.bands) == ("vector", MODALITIES["site"])
    np.testing.assert_allclose(site.values[2], 200 + np.array([BANDS.index(band) for band in site.bands]))
    cover = table.modality("land_cover")
    assert cover.shape == (23,)
    assert cover.bands[int(cover.values[0].argmax())] == "globcover_110"
    assert cover.values.sum() == 3
    assert table.modality("ratios").shape == (4, 16)


def test_months_rows_and_doubles(tmp_path):
    path = write_csv(tmp_path / "f.csv", [row(0), row(1), row(2)], [4, 9, 4])
    table = read_lfmc(path, months=2)
    assert table.id.tolist() == ["9", "4"]
    assert table.target("lfmc").values.tolist() == [81.5, 82.5]  # the last of the doubles
    assert table.origin.made["doubles_left_out"] == 1
    assert table.modality("s1").shape == (2, 2)
    np.testing.assert_allclose(table.modality("s1").values[0, :, 0], [100.1, 100], rtol=1e-6)
    assert len(read_lfmc(path, limit=1)) == 1


def test_the_folder_of_features_gives_the_same(tmp_path, table_csv):
    folder = tmp_path / "su-sar-moisture-content"
    for number in range(3):
        at = folder / f"main_{number}" / f"feature_{number:04d}.geojson"
        at.parent.mkdir(parents=True)
        properties = {name: value for name, value in row(number).items() if name not in ("latitude", "longitude")}
        geometry = {"type": "Point", "coordinates": [-110.5, 40.0 + number]}
        at.write_text(json.dumps({"type": "Feature", "properties": properties, "geometry": geometry}))
    ours, theirs = read_lfmc(folder), read_lfmc(table_csv)
    assert ours.id.tolist() == ["0000", "0001", "0002"]
    for name in ours.modalities:
        np.testing.assert_array_equal(ours.modality(name).values, theirs.modality(name).values)
    np.testing.assert_array_equal(ours.lonlat, theirs.lonlat)
    assert ours.group.tolist() == theirs.group.tolist()
    (folder / "main_0" / "feature_0000.geojson").write_text("{}")
    with pytest.raises(ValueError, match=r"feature_0000\.geojson is not a GeoJSON"):
        read_lfmc(folder)


def test_parquet_and_gaps(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [row(0), row(1)]
    rows[1]["vv(t-1)"] = rows[0]["percent(t)"] = None
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "lfmc.parquet")
    table = read_lfmc(tmp_path / "lfmc.parquet")
    assert table.id.tolist() == ["0", "1"]
    assert np.isnan(table.modality("s1").values[1, 2, 0])
    assert table.target("lfmc").known.tolist() == [False, True]


@pytest.mark.parametrize(
    "change, options, message",
    [
        ({"forest_cover(t)": 15}, {"modalities": ["land_cover"]}, "forest_cover 15 is not a class"),
        ({"vv(t)": "low"}, {}, r"column 'vv\(t\)' holds string, not numbers: 2 of 2 cells are 'low' .row 0"),
        ({"date": "2016-02-30"}, {}, r"date, row 0: '2016-02-30' is not a date"),
        ({}, {"months": 5}, "months must be 1 to 4, got 5"),
        ({}, {"modalities": ["s2"]}, "no modality 's2'; known: s1, optical"),
    ],
)
def test_errors_name_the_cause(tmp_path, change, options, message):
    path = write_csv(tmp_path / "f.csv", [{**row(0), **change}, {**row(1), **change}], [0, 1])
    with pytest.raises(ValueError, match=message):
        read_lfmc(path, **options)


def test_columns_that_are_not_there(tmp_path):
    rows = [{name: value for name, value in row(number).items() if name != "vh(t-2)"} for number in range(2)]
    with pytest.raises(ValueError, match=r"There is no column 'vh\(t-2\)'; there are percent\(t\), date"):
        read_lfmc(write_csv(tmp_path / "f.csv", rows, [0, 1]))
    rows = [{"percent": 1.0, "vv": 2.0}]
    with pytest.raises(ValueError, match=r"found lags \[\]"):
        read_lfmc(write_csv(tmp_path / "f.csv", rows, [0]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="has no files feature_"):
        read_lfmc(tmp_path / "empty")
