"""Mirrors src/geotether/tasks/table.py."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.tasks.table import read_labelled, table_task

CSV = """site,x_deg,y_deg,yield,crop,part,year,land
a,5.5,52.0,3.1,rye,fit,2019,Europe
b,6.5,52.5,-999,oat,fit,2019,Europe
c,-70.0,-30.0,4.2,rye,held,2020,South America
d,180.0,-17.0,5.0,,fit,2021,Oceania
"""


def write(path, text=CSV):
    path.write_text(text)
    return path


def test_a_csv_and_a_short_specification_make_a_task(tmp_path):
    path = write(tmp_path / "fields.csv")
    task = table_task(
        path, "yield", name="grain", unit="t/ha", lon="x_deg", lat="y_deg", time="year", split="part",
        continent="land", rename_split={"fit": "train", "held": "test"}, missing=[-999],
    )  # fmt: skip
    assert (task.name, task.kind, task.unit) == ("grain", "regression", "t/ha")
    assert task.lonlat.tolist() == [[5.5, 52.0], [6.5, 52.5], [-70.0, -30.0], [180.0, -17.0]]
    np.testing.assert_array_equal(task.target, [3.1, np.nan, 4.2, 5.0])
    assert task.num_missing == 1
    assert task.split.tolist() == ["train", "train", "test", "train"]
    assert task.time.astype("datetime64[Y]").astype(str).tolist() == ["2019", "2019", "2020", "2021"]
    assert task.continent.tolist() == ["Europe", "Europe", "South America", "Oceania"]
    crops = table_task(path, "crop", lon="x_deg", lat="y_deg")
    assert (crops.kind, crops.target.tolist()) == ("classification", ["rye", "oat", "rye", None])


def test_several_labels_make_a_multilabel_task(tmp_path):
    lists = [["owl"], ["elk", "owl"], []]
    columns = {"lon": [0.0, 1.0, 2.0], "lat": [0.0, 1.0, 2.0], "seen": lists, "owl": [1, 1, 0], "elk": [0, 1, 0]}
    pq.write_table(pa.table(columns), tmp_path / "seen.parquet")
    task = table_task(tmp_path / "seen.parquet", "seen")
    assert (task.name, task.kind, tuple(task.label_names)) == ("seen", "multilabel", ("elk", "owl"))
    other = table_task(tmp_path / "seen.parquet", ["elk", "owl"])
    assert (other.name, other.kind) == ("seen", "multilabel")
    np.testing.assert_array_equal(other.target, task.target)
    with pytest.raises(ValueError, match="several label columns need kind: multilabel"):
        table_task(tmp_path / "seen.parquet", ["elk", "owl"], kind="regression")


def test_rows_without_coordinates_are_left_out_with_a_warning(tmp_path, caplog):
    path = write(tmp_path / "gaps.csv", "lon,lat,y\n1,2,3\n,2,4\n5,6,7\n")
    columns, lonlat, rows = read_labelled(path)
    assert rows.tolist() == [0, 2]
    assert lonlat.tolist() == [[1, 2], [5, 6]]
    assert columns["y"].to_pylist() == [3, 7]
    assert "1 of 3 rows have no coordinates" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "yeild"}, r"no label column 'yeild'; there are site, x_deg, .*Did you mean 'yield'"),
        ({"label": "yield", "split": "prt"}, r"no split column 'prt'; .*Did you mean 'part'"),
        ({"label": "yield", "time": "yr"}, "no time column 'yr'"),
        ({"label": "yield", "continent": "lnd"}, "no continent column 'lnd'; .*Did you mean 'land'"),
        ({"label": "yield", "lon": "x"}, r"no column 'x' for lon. Columns found: 'site', 'x_deg'"),
        ({"label": "yield", "lat": None}, "lon and lat are named together; got lon='x_deg' and lat=None"),
        ({"label": "yield", "lon": None, "lat": None}, "there is no column for lon"),
        ({"label": "yield", "rename_split": {"a": "train"}}, "rename_split needs split"),
        ({"label": "year", "missing": [2019, 2020, 2021]}, "all 4 labels are missing"),
        ({"label": "yield", "lon": "crop"}, r"crop is not a number"),
    ],
)
def test_wrong_words_are_explained(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        table_task(write(tmp_path / "fields.csv"), **{"lon": "x_deg", "lat": "y_deg", **options})


def test_rows_are_those_of_the_file_in_every_message(tmp_path, caplog):
    lines = [f"{n},2,{n * 1.5},2020-01-{n % 28 + 1:02d}" for n in range(40)]
    for row, line, options, said in (
        (8, "8,2,n.b.,2020-01-01", {}, "'n.b.' (row 8)"),
        (8, "8,2,inf,2020-01-01", {}, "of row 8 is inf"),
        (9, "8,2,3,spring", {"time": "day"}, "'spring' in row 9"),
    ):
        changed = [*lines[:row], line, *lines[row + 1 :]]
        changed[3] = ",,1,2020-01-01"  # a row without a place, which is left out
        path = write(tmp_path / "t.csv", "\n".join(["lon,lat,y,day", *changed]))
        if row == 8 and "n.b." in line:
            assert table_task(path, "y", **options).kind == "regression"
            assert said in caplog.text
        else:
            with pytest.raises(ValueError, match=f"t.csv: .*{said}"):
                table_task(path, "y", **options)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("lon,lat,y\n1,2,3\n2,2,3\n", ValueError, r"the label is constant \(3.0\)"),
        ("lon,lat,y\n1,2,\n2,2,\n", ValueError, "all 2 labels are missing"),
        ("lon,lat,y\n1,2,low\n2,2,7\n", TypeError, "a regression needs numbers, but the label is text such as 'low'"),
        ("lon,lat,y\n", ValueError, "it has no rows"),
        ("lon,lat,y\n1,95,2\n2,2,7\n", ValueError, "row 0 is"),
    ],
)
def test_wrong_labels_are_named(tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        table_task(write(tmp_path / "t.csv", text), "y", kind="regression")


def test_wrong_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*none.csv"):
        table_task(tmp_path / "none.csv", "y")
    with pytest.raises(ValueError, match=r"ends in '.xls'"):
        table_task(tmp_path / "none.xls", "y")
    write(tmp_path / "bad.parquet", "no parquet")
    with pytest.raises(ValueError, match=r"bad.parquet is damaged or is not a parquet file"):
        table_task(tmp_path / "bad.parquet", "y")
