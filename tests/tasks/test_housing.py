"""Mirrors src/geotether/tasks/housing.py."""

import pytest

from geotether.tasks.housing import housing_task

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


def test_an_unknown_layout_is_answered_with_the_known_ones(tmp_path):
    (tmp_path / "cal_housing.data").write_text("1,2,3\n4,5,6\n")
    with pytest.raises(ValueError, match=r"is not nine numbers a row: .*known layouts: StatLib"):
        housing_task(tmp_path / "cal_housing.data")
    (tmp_path / "housing.csv").write_text("lon,lat,price\n1,2,3\n4,5,6\n")
    with pytest.raises(ValueError, match=r"has the columns lon, lat, price; known layouts: StatLib"):
        housing_task(tmp_path / "housing.csv")
    with pytest.raises(FileNotFoundError, match="no file"):
        housing_task(tmp_path / "none.data")
