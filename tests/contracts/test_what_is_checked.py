"""Rows of docs/what-is-checked.md about files of points, each on a small input."""

import gzip
import json
import logging

import numpy as np
import pyarrow.parquet as pq
import pytest

from geotether.featurizing import build_table

PLACES = [(round(4 + 0.1 * row, 2), round(48 + 0.15 * row, 2)) for row in range(40)]
SQUARE = [[179, -17], [-179, -17], [-179, -16], [179, -16], [179, -17]]
LINES = [{"lon": lon, "lat": lat, "v": row / 7} for row, (lon, lat) in enumerate(PLACES)]
EPOCHS = {"seconds": 1_600_000_000, "milliseconds": 1_600_000_000_000}


def rows(*more, head="lon,lat,v", third=lambda row: row / 7, sep=","):
    """Return delimited text with 40 good rows and more lines."""
    lines = [sep.join(map(str, (*place, third(row)))) for row, place in enumerate(PLACES)]
    return "\n".join([head.replace(",", sep), *lines, *more]) + "\n"


def features(*more):
    good = [({"type": "Point", "coordinates": place}, {"v": row / 7}) for row, place in enumerate(PLACES)]
    found = [{"type": "Feature", "geometry": one, "properties": about} for one, about in [*good, *more]]
    return json.dumps({"type": "FeatureCollection", "features": found})


def build(folder, name, content, **options):
    """Build a table of a file; return it with its rejected rows: number to reason."""
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    spec = {"path": str(folder / name), "tolerance": 0.5, "split": None, "source": "columns", **options}
    table = build_table(spec, folder / "out.parquet", progress="none")
    rejected = pq.read_table(folder / "out.rejected.parquet").to_pylist()
    return table, {one["row"]: one["reason"] for one in rejected}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("5,95,1", "latitude"), ("365,50,1", "longitude"), ("inf,50,1", "missing"), (",50,1", "missing"),
        ("abc,50,1", "lon"), ("-9999,-9999,1", "missing"), ("5", "1 values"), ("5,50,1,2", "4 values"),
    ],
)  # fmt: skip
def test_a_bad_row_is_rejected_with_its_reason(tmp_path, line, reason):
    table, rejected = build(tmp_path, "a.csv", rows(line))
    assert len(table) == 40
    assert list(rejected) == [40]
    assert reason in rejected[40]


@pytest.mark.parametrize(
    ("line", "place"),
    [("190,50,1", (-170, 50)), ("5°30'E,50°15'N,1", (5.5, 50.25)), ('"5,5","50,25",1', None), ("0,0,1", (0, 0))],
)
def test_a_place_in_another_form_is_read(tmp_path, line, place):
    table, rejected = build(tmp_path, "a.csv", rows(line))
    if place is None:  # a decimal comma among decimal points
        assert list(rejected) == [40]
    else:
        np.testing.assert_allclose(table.lonlat[40], place)


@pytest.mark.parametrize(
    ("lines", "doubt"),
    [(["0,0,1", "0,0,2"], "2 of 42 rows"), ([f"{lat},{-80 - lat / 9},1" for lat in range(40)], "50%")],
)
def test_doubtful_places_are_warned_of(tmp_path, caplog, lines, doubt):
    caplog.set_level(logging.WARNING, logger="geotether")
    build(tmp_path, "a.csv", rows(*lines))
    assert doubt in caplog.text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "sep=;\n" + rows(sep=";")),
        ("a.csv", "\ufeff" + rows()),
        ("a.csv", rows().replace("\n", "\r\n")),
        ("a.txt", rows(sep="|")),
        ("a.csv.gz", gzip.compress(rows().encode())),
        ("a.jsonl", "\n".join(map(json.dumps, LINES))),
        ("a.jsonl", "\n".join([*map(json.dumps, LINES), "{broken"])),
    ],
    ids=["sep=", "byte order mark", "CRLF", "bars", "gz", "JSON lines", "broken line"],
)
def test_other_forms_of_text_files(tmp_path, name, content):
    table, rejected = build(tmp_path, name, content)
    np.testing.assert_allclose(table.lonlat, PLACES)
    assert len(rejected) == ("broken" in str(content))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (rows(head="lon,longitude,lat", third=lambda row: 48), "'lon' and 'longitude'"),
        (rows(head="east,north,v"), "'east', 'north', 'v'"),
        (rows('5,50,"open'), "line 42"),
        (rows(head="lon,lat,lat", third=lambda row: 48), "'lat'"),
        (rows(head="lon,lat,v").encode() + b"5,50,K\xf6ln\n", "a.csv"),
        ("", "a.csv"),
        ("lon,lat,v\n", "a.csv"),
        ("x,y,v\n" + "".join(f"4{row}0000,5{row}00000,{row / 7}\n" for row in range(10, 50)), "latitude|longitude"),
    ],
    ids=["two longitudes", "no coordinates", "open quote", "name twice", "latin-1", "empty", "no rows", "metres"],
)
def test_a_file_is_refused(tmp_path, content, named):
    with pytest.raises(ValueError, match=named):
        build(tmp_path, "a.csv", content, tolerance=0.05)
    assert not (tmp_path / "out.parquet").exists()


DATES = {
    "2020/08/27": "2020-08-27", "20200827": "2020-08-27", "1998": "1998-01-01", "2020-08": "2020-08-01",
    "2020-08-27T23:00:00-05:00": "2020-08-28T04:00", "2020-08-27/2020-09-01": "2020-08-27",
}  # fmt: skip


@pytest.mark.parametrize("written", DATES)
def test_accepted_dates(tmp_path, written):
    table, _ = build(tmp_path, "a.tsv", rows(head="lon,lat,v,seen", third=lambda r: f"{r / 7}\t{written}", sep="\t"),
                     time="seen")  # fmt: skip
    assert table.time[0] == np.datetime64(DATES[written])


@pytest.mark.parametrize("written", ["27/08/2020", "2020/08", "spring", "2020-02-30", *map(str, EPOCHS.values())])
def test_other_dates_are_rejected(tmp_path, written):
    _, rejected = build(tmp_path, "a.csv", rows(f"5,50,1,{written}", head="lon,lat,v,seen",
                        third=lambda r: f"{r / 7},2020-01-{r % 28 + 1:02d}"), time="seen")  # fmt: skip
    assert list(rejected) == [40]
    assert "seen" in rejected[40]
    for unit, value in EPOCHS.items():
        assert (f" {unit} " in rejected[40]) == (written == str(value))


@pytest.mark.parametrize(
    ("written", "values", "warned"),
    [
        (lambda row: f'"{60 + row},565.5"', lambda row: 60565.5 + 1000 * row, ""),
        (lambda row: r"\N" if row % 2 else row / 8, lambda row: np.nan if row % 2 else row / 8, ""),
        (lambda row: "abc" if row == 7 else row / 8, lambda row: np.nan if row == 7 else row / 8, "'abc' (row 7)"),
    ],
    ids=["thousands", "marks of missing numbers", "one text"],
)
def test_labels_written_as_numbers(tmp_path, caplog, written, values, warned):
    caplog.set_level(logging.WARNING, logger="geotether")
    text = rows(head="lon,lat,v,y", third=lambda row: f"{row / 7},{written(row)}")
    table, _ = build(tmp_path, "a.csv", text, labels=["y"])
    np.testing.assert_array_equal(table.target("y").values.ravel(), [values(row) for row in range(40)])
    assert warned in caplog.text


@pytest.mark.parametrize(
    ("geometry", "reason"),
    [
        (None, "no geometry"),
        ({"type": "Polygon", "coordinates": []}, "empty"),
        ({"type": "Polygon", "coordinates": [SQUARE]}, None),
        ({"type": "LineString", "coordinates": [[5, 50], [6, 51]]}, None),
    ],
    ids=["null", "empty", "across 180", "line"],
)
def test_geometries(tmp_path, geometry, reason):
    table, rejected = build(tmp_path, "a.geojson", features((geometry, {"v": 1})))
    assert [reason in text for text in rejected.values()] == [True] * bool(reason)
    if geometry and geometry.get("coordinates") == [SQUARE]:
        assert abs(table.lonlat[40, 0]) > 179


def test_too_few_blocks_for_the_default_split_is_a_warning_and_for_a_given_one_an_error(tmp_path, caplog):
    caplog.set_level(logging.WARNING, logger="geotether")
    (tmp_path / "a.csv").write_text(rows())
    spec = {"path": str(tmp_path / "a.csv"), "source": "columns"}
    assert build_table(spec, tmp_path / "out.parquet", progress="none").split is None
    assert "500 km" in caplog.text
    given = {"block_km": 500, "shares": {"train": 0.9, "validation": 0.1}}
    with pytest.raises(ValueError, match="500 km"):
        build_table({**spec, "split": given}, tmp_path / "given.parquet", progress="none")
