"""Mirrors src/geotether/tasks/mosaiks.py."""

import numpy as np
import pytest

from geotether.tasks.mosaiks import mosaiks_task


def write(folder, name, label, values, places=True):
    """As the published tables are laid out: a row number without a name, the cell's ID, the place, the label."""
    path = folder / f"outcomes_sampled_{name}_CONTUS_16_640_UAR_100000_0.csv"
    spots = [(f"{100 + i},{2000 + i}", -100.0 + i, 40.0 + i) for i in range(len(values))]
    rows = [
        f'{i},"{spot}",{lon},{lat},{value}' if places else f'{i},"{spot}",{value}'
        for i, ((spot, lon, lat), value) in enumerate(zip(spots, values, strict=True))
    ]
    path.write_text("\n".join([f'"",ID,lon,lat,{label}' if places else f'"",ID,{label}', *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("name", "column", "spoken", "transform"),
    [
        ("population", "population", "population (log(1 + people/km²))", "log1p"),
        ("nightlights", "y", "nightlights (log(1 + nW/cm²/sr))", "log1p"),
        ("roads", "length", "roads (m)", None),
        ("treecover", "treecover", "treecover (%)", None),
        ("housing", "price_per_sqft", "housing (log(1 + USD/sqft))", "log1p"),
        ("B08303", "Val", "B08303", None),
    ],
)
def test_every_table_names_its_label_unit_and_transform(tmp_path, name, column, spoken, transform):
    task = mosaiks_task(write(tmp_path, name, column, [0.5, -999, 7.5]))
    assert (task.label, task.kind, task.transform) == (spoken, "regression", transform)
    assert task.lonlat.tolist() == [[-100, 40], [-99, 41], [-98, 42]]
    np.testing.assert_array_equal(task.target, [0.5, np.nan, 7.5])
    assert task.num_missing == 1


def test_places_may_come_from_another_table_by_id(tmp_path, caplog):
    bare = write(tmp_path, "income", "income", [50_000, 60_000, 70_000, 80_000], places=False)
    with pytest.raises(ValueError, match="has no lon and lat; give places"):
        mosaiks_task(bare)
    task = mosaiks_task(bare, places=write(tmp_path, "elevation", "elevation", [1, 2, 3]))
    assert task.lonlat.tolist() == [[-100, 40], [-99, 41], [-98, 42]]
    assert task.target.tolist() == [50_000, 60_000, 70_000]
    assert "1 of 4 rows have an ID that" in caplog.text
    (tmp_path / "noid.csv").write_text("lon,lat,income\n1,2,3\n")
    with pytest.raises(ValueError, match="by their column ID, which one of them lacks"):
        mosaiks_task(bare, places=tmp_path / "noid.csv")
    (tmp_path / "others.csv").write_text("ID,lon,lat,income\na,1,2,3\n")
    with pytest.raises(ValueError, match=r"no ID of .* is in"):
        mosaiks_task(bare, places=tmp_path / "others.csv")


def test_an_unknown_layout_is_answered_with_the_known_one(tmp_path):
    (tmp_path / "a.csv").write_text("ID,lon,lat,a,b\n1,2,3,4,5\n2,3,4,5,6\n")
    with pytest.raises(
        ValueError, match=r"no one column that must be the label, only ID, lon, lat, a, b; known layout"
    ):
        mosaiks_task(tmp_path / "a.csv")
    assert mosaiks_task(tmp_path / "a.csv", label="b").target.tolist() == [5, 6]
    with pytest.raises(ValueError, match="no column 'c'"):
        mosaiks_task(tmp_path / "a.csv", label="c")
    with pytest.raises(FileNotFoundError, match="no file"):
        mosaiks_task(tmp_path / "none.csv")
