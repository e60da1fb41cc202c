"""Mirrors src/geotether/prediction/layers.py."""

import numpy as np
import pytest

from geotether.prediction.layers import pixel_values, write_layers
from geotether.regions import Region, grid_of, region_of

rasterio = pytest.importorskip("rasterio")


@pytest.fixture(params=["170 -30 -170 -10", "Madagascar"])
def region(request):
    return region_of(request.param)


def test_numbers_are_those_of_the_predictor(of_numbers, region, tmp_path):
    grid = grid_of(region, "1" if region.name != "Madagascar" else "100km")
    written = write_layers(of_numbers, region, grid, tmp_path / "map.tif", tags={"label": "yield"})
    rows, columns = slice(0, grid.rows), slice(0, grid.columns)
    inside = grid.inside(region, rows, columns)
    with rasterio.open(tmp_path / "map.tif") as file:
        bands, tags = file.read(), file.tags()
        assert file.descriptions == ("prediction", "lower", "upper", "dissimilarity", "inside")
        assert file.units[:3] == ("t/ha",) * 3
    np.testing.assert_array_equal(np.isfinite(bands[0]), inside)
    want = of_numbers.predict(grid.lonlat(rows, columns)[inside])
    for band, values in zip(bands, (want.value, want.lower, want.upper, want.dissimilarity, want.inside), strict=True):
        np.testing.assert_allclose(band[inside], values, rtol=1e-4, atol=1e-4)
    assert tags["label"] == "yield"
    assert written.mapped.pixels == inside.sum()
    assert written.mapped.area_km2 == pytest.approx(region.area_km2, rel=0.15)


def test_classes_have_colours_names_and_probabilities(of_classes, region, tmp_path):
    grid = grid_of(region, 1)
    written = write_layers(of_classes, region, grid, tmp_path / "map.tif")
    rows, columns = slice(0, grid.rows), slice(0, grid.columns)
    inside = grid.inside(region, rows, columns)
    want = of_classes.predict(grid.lonlat(rows, columns)[inside])
    with rasterio.open(written.raster) as file:
        classes = file.read(1)
        assert len({file.colormap(1)[value] for value in (1, 2, 3)}) == 3
    np.testing.assert_array_equal(classes[inside], want.value + 1)
    assert (classes[~inside] == 255).all()
    with rasterio.open(written.details) as file:
        assert file.descriptions[4:] == ("p low", "p mid", "p top")
        np.testing.assert_allclose(file.read()[4:, inside].T, want.probabilities, atol=1e-4)
    names = (tmp_path / "map.tif.aux.xml").read_text()
    assert [part.split("<")[0] for part in names.split("<Category>")[1:]] == ["", "low", "mid", "top"]


def test_the_sea_has_no_data_if_asked(of_numbers, tmp_path):
    region, land = region_of("0 -10 20 10"), Region("land", region_of("10 -10 20 10").shape)
    grid = grid_of(region, 1)
    write_layers(of_numbers, region, grid, tmp_path / "map.tif", land)
    with rasterio.open(tmp_path / "map.tif") as file:
        known = np.isfinite(file.read(1))
    assert not known[:, :10].any()
    assert known[:, 10:].all()


def test_a_region_between_pixel_centres_is_an_error(of_numbers, tmp_path):
    region = region_of("0.01 0.01 0.02 0.02")
    with pytest.raises(ValueError, match="finer --resolution"):
        write_layers(of_numbers, region, grid_of(region, 1), tmp_path / "map.tif")
    assert not list(tmp_path.iterdir())


def test_what_does_not_fit_the_disk_is_refused_before_the_work(of_numbers, tmp_path, monkeypatch):
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
    region = region_of("Africa")
    with pytest.raises(
        OSError, match=r"7,\d\d\d x 8,\d\d\d pixels with 5 bands takes up to \d.* GB, and 1\.0 MB are free"
    ):
        write_layers(of_numbers, region, grid_of(region, 0.01), tmp_path / "map.tif")


def test_whole_numbers_keep_their_value():
    assert pixel_values(np.array([0.0, 14.0])).tolist() == [0, 14]
    assert pixel_values(np.array([-1, 3])).tolist() == [1, 2]
    assert pixel_values(np.array([1, 300])).tolist() == [1, 2]
