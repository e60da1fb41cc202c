"""Mirrors src/geotether/tasks/label_tables.py."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.tasks.label_tables import coordbench_task, housing_task, mosaiks_task, temperature_task

STATIONS = """"Lon","Lat","Elev","Name","meanT","meanP"
-70.9,76.5,62,"QAANAAQ",-10.2,12.1
36.8,-1.3,1795,"NAIROBI",18.4,85.0
151.2,-33.9,39,"SYDNEY",18.3,
"""


def test_stations_are_read_by_the_names_of_their_columns(tmp_path):
    (tmp_path / "stationDataAll.csv").write_text(STATIONS)
    task = temperature_task(tmp_path / "stationDataAll.csv")
    assert (task.label, task.kind) == ("air temperature (°C)", "regression")
    assert task.lonlat.tolist() == [[-70.9, 76.5], [36.8, -1.3], [151.2, -33.9]]
    assert task.target.tolist() == [-10.2, 18.4, 18.3]
    rain = temperature_task(tmp_path / "stationDataAll.csv", label="meanP")
    assert (rain.label, rain.num_missing) == ("meanP", 1)
    swapped = "\n".join(",".join([row.split(",")[i] for i in (1, 0, 4)]) for row in STATIONS.strip().split("\n"))
    (tmp_path / "latfirst.csv").write_text(swapped)
    assert temperature_task(tmp_path / "latfirst.csv").lonlat.tolist() == task.lonlat.tolist()


STATLIB = """-122.23,37.88,41,880.0,129.0,322.0,126.0,8.3252,452600.0
-122.22,37.86,21,7099.0,1106.0,2401.0,1138.0,8.3014,358500.0
"""
KAGGLE = """longitude,latitude,housing_median_age,total_rooms,total_bedrooms,population,households,median_income,\
median_house_value,ocean_proximity
-122.23,37.88,41.0,880.0,129.0,322.0,126.0,8.3252,452600.0,NEAR BAY
-122.22,37.86,21.0,7099.0,,2401.0,1138.0,8.3014,358500.0,NEAR BAY
"""
SKLEARN = """MedInc,HouseAge,AveRooms,AveBedrms,Population,AveOccup,Latitude,Longitude,MedHouseVal
8.3252,41.0,6.98,1.02,322.0,2.55,37.88,-122.23,4.526
8.3014,21.0,6.23,0.97,2401.0,2.1,37.86,-122.22,3.585
"""


@pytest.mark.parametrize(
    ("name", "text", "unit", "scale"),
    [
        ("cal_housing.data", STATLIB, "USD", 1),
        ("housing.csv", KAGGLE, "USD", 1),
        ("sklearn.csv", SKLEARN, "100,000 USD", 1e5),
    ],
)
def test_every_published_layout_holds_the_same_houses(tmp_path, name, text, unit, scale):
    (tmp_path / name).write_text(text)
    task = housing_task(tmp_path / name)
    assert task.label == f"house value ({unit})"
    assert task.lonlat.tolist() == [[-122.23, 37.88], [-122.22, 37.86]]
    assert (task.target * scale).tolist() == pytest.approx([452600, 358500])


def mosaiks_csv(folder, name, label, values, places=True):
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
    task = mosaiks_task(mosaiks_csv(tmp_path, name, column, [0.5, -999, 7.5]))
    assert (task.label, task.kind, task.transform) == (spoken, "regression", transform)
    assert task.lonlat.tolist() == [[-100, 40], [-99, 41], [-98, 42]]
    np.testing.assert_array_equal(task.target, [0.5, np.nan, 7.5])
    assert task.num_missing == 1


def test_places_may_come_from_another_table_by_id(tmp_path, caplog):
    bare = mosaiks_csv(tmp_path, "income", "income", [50_000, 60_000, 70_000, 80_000], places=False)
    with pytest.raises(ValueError, match="has no lon and lat; give places"):
        mosaiks_task(bare)
    task = mosaiks_task(bare, places=mosaiks_csv(tmp_path, "elevation", "elevation", [1, 2, 3]))
    assert task.lonlat.tolist() == [[-100, 40], [-99, 41], [-98, 42]]
    assert task.target.tolist() == [50_000, 60_000, 70_000]
    assert "1 of 4 rows have an ID that" in caplog.text
    (tmp_path / "noid.csv").write_text("lon,lat,income\n1,2,3\n")
    with pytest.raises(ValueError, match="by their column ID"):
        mosaiks_task(bare, places=tmp_path / "noid.csv")
    (tmp_path / "others.csv").write_text("ID,lon,lat,income\na,1,2,3\n")
    with pytest.raises(ValueError, match=r"no ID of .* is in"):
        mosaiks_task(bare, places=tmp_path / "others.csv")


MS = 1_577_836_800_000  # 2020-01-01


def coordbench_table(path, **labels):
    columns = {
        "lon": [0.0, 10.0, 20.0, 30.0],
        "lat": [0.0, 1.0, 2.0, 3.0],
        "timestamp": [MS, None, MS, MS],
        "timestamp_end": pa.array([None] * 4, pa.int64()),
        "split": ["train", "val", "trainval", "test"],
        "id": ["a", "b", "c", "d"],
        **labels,
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_split_and_time_are_the_tables_own(tmp_path):
    task = coordbench_task(coordbench_table(tmp_path / "data.parquet", asset_index=[0.1, None, 0.3, 0.4]))
    assert (task.name, task.kind) == ("asset_index", "regression")
    assert task.split.tolist() == ["train", "validation", "train", "test"]
    assert task.time.astype(str).tolist() == ["2020-01-01T00:00:00", "NaT", *["2020-01-01T00:00:00"] * 2]
    np.testing.assert_array_equal(task.target, [0.1, np.nan, 0.3, 0.4])


def test_whole_numbers_of_few_kinds_and_text_are_classes(tmp_path):
    crops = coordbench_task(coordbench_table(tmp_path / "a.parquet", label=[3, 1, 2, 3]))
    assert (crops.kind, crops.target.tolist()) == ("classification", [3, 1, 2, 3])
    sea = coordbench_task(coordbench_table(tmp_path / "b.parquet", country=[4, 0, 7, 4]), missing=[0])
    assert (sea.kind, sea.target.tolist(), sea.num_missing) == ("classification", [4, None, 7, 4], 1)
    assert coordbench_task(tmp_path / "b.parquet", kind="regression").kind == "regression"
    assert coordbench_task(coordbench_table(tmp_path / "c.parquet", biome=list("aabc"))).kind == "classification"


def test_empty_split_and_time_are_none(tmp_path):
    columns = {"lon": [0.0, 1.0], "lat": [0.0, 1.0], "timestamp": [None, None], "split": [None, None], "y": [1.5, 2.5]}
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    task = coordbench_task(tmp_path / "data.parquet")
    assert task.split is None
    assert task.time is None


@pytest.mark.parametrize(
    ("build", "text", "options", "said"),
    [
        (temperature_task, "lon,lat,height\n1,2,3\n4,5,6\n", {}, "'meanT', only lon, lat, height; .*stationDataAll"),
        (housing_task, "lon,lat,price\n1,2,3\n4,5,6\n", {}, "lon, lat, price; .*StatLib"),
        (mosaiks_task, "ID,lon,lat,a,b\n1,2,3,4,5\n2,3,4,5,6\n", {}, "only ID, lon, lat, a, b; known layout"),
        (mosaiks_task, "ID,lon,lat,a,b\n1,2,3,4,5\n2,3,4,5,6\n", {"label": "c"}, "'c'"),
        (coordbench_task, "lon,lat,a,b\n1,2,3,4\n2,3,4,5\n", {}, "labels a, b; .*lon, lat, timestamp"),
        (coordbench_task, "lon,lat,split,b\n1,2,train,4\n2,3,test,5\n", {"label": "split"}, "no 'split'"),
    ],
)
def test_an_error_about_an_unknown_layout_lists_the_known_ones(tmp_path, build, text, options, said):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"a\.csv .*{said}"):
        build(tmp_path / "a.csv", **options)
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        build(tmp_path / "none.csv")


def test_houses_without_a_header_have_nine_numbers(tmp_path):
    (tmp_path / "cal_housing.data").write_text("1,2,3\n4,5,6\n")
    with pytest.raises(ValueError, match=r"cal_housing\.data.*nine numbers per row"):
        housing_task(tmp_path / "cal_housing.data")


def test_a_label_is_chosen_by_name(tmp_path):
    path = coordbench_table(tmp_path / "data.parquet", water=[0.1, 0.2, 0.3, 0.4], trees=[0.5, 0.6, 0.7, 0.8])
    assert coordbench_task(path, label="trees").target.tolist() == [0.5, 0.6, 0.7, 0.8]
    (tmp_path / "a.csv").write_text("ID,lon,lat,a,b\n1,2,3,4,5\n2,3,4,5,6\n")
    assert mosaiks_task(tmp_path / "a.csv", label="b").target.tolist() == [5, 6]
