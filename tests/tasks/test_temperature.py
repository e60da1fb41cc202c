"""Mirrors src/geotether/tasks/temperature.py."""

import pytest

from geotether.tasks.temperature import temperature_task

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


def test_an_unknown_layout_is_answered_with_the_known_one(tmp_path):
    (tmp_path / "a.csv").write_text("lon,lat,height\n1,2,3\n4,5,6\n")
    with pytest.raises(ValueError, match=r"no column 'meanT', only lon, lat, height; known layout: stationDataAll"):
        temperature_task(tmp_path / "a.csv")
    with pytest.raises(FileNotFoundError, match="no file"):
        temperature_task(tmp_path / "none.csv")
