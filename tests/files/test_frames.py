"""Mirrors src/geotether/files/frames.py: numbers of places come back in the kind of frame that the places are in."""

import numpy as np
import pyarrow as pa
import pytest

from geotether.files.frames import frame_like, lonlat_of

LONLAT = np.array([[5.66, 51.97], [-74.01, 40.71], [179.0, -33.87], [0.0, 80.0]])
WANTED = (LONLAT * [1, 2]).astype(np.float32)


def encoded(places):
    """What an encoder does: two numbers per place, its longitude and twice its latitude."""
    return frame_like(places, (lonlat_of(places) * [1, 2]).astype(np.float32))


@pytest.mark.parametrize("crs", ["OGC:CRS84", "EPSG:4326", "EPSG:3395"])
def test_a_geodataframe_keeps_its_index_geometry_and_crs(crs):
    geopandas = pytest.importorskip("geopandas")
    points = geopandas.points_from_xy(*LONLAT.T)
    frame = geopandas.GeoDataFrame({"town": list("abcd")}, index=[7, 7, 1, 0], geometry=points, crs="OGC:CRS84")
    frame = frame.to_crs(crs).rename_geometry("place")
    for places, name in ((frame, "place"), (frame.geometry, "place"), (frame.geometry.rename(None), "geometry")):
        found = encoded(places)
        assert isinstance(found, geopandas.GeoDataFrame)
        assert ([*found.columns], found.geometry.name, found.crs) == ([name, "e0", "e1"], name, frame.crs)
        assert found.index.equals(frame.index)
        assert found.geometry.geom_equals(frame.geometry).all()
        np.testing.assert_allclose(found[["e0", "e1"]], WANTED, rtol=1e-6)
    assert encoded(frame.iloc[:0]).shape == (0, 3)


def test_a_pandas_frame_keeps_its_index():
    pd = pytest.importorskip("pandas")
    index = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["site", "plot"])
    frame = pd.DataFrame(
        {"latitude": LONLAT[:, 1], "longitude": LONLAT[:, 0], "lonlat": [1, "x", b"y", []]}, index=index
    )
    found = encoded(frame)
    pd.testing.assert_frame_equal(found, pd.DataFrame(WANTED, index=index, columns=["e0", "e1"]))
    assert frame.join(found).columns.tolist() == ["latitude", "longitude", "lonlat", "e0", "e1"]
    assert encoded(frame.iloc[:0]).shape == (0, 2)


def test_other_tables_stay_what_they_are():
    table = pa.table({"lon": LONLAT[:, 0], "lat": LONLAT[:, 1], "town": list("abcd")})
    found = encoded(table)
    assert found.equals(pa.table({"e0": WANTED[:, 0], "e1": WANTED[:, 1]}))
    polars = pytest.importorskip("polars")
    found = encoded(polars.from_arrow(table))
    assert isinstance(found, polars.DataFrame)
    np.testing.assert_array_equal(found.to_numpy(), WANTED)


@pytest.mark.parametrize("places", [LONLAT, LONLAT.tolist()])
def test_arrays_stay_arrays(places):
    np.testing.assert_array_equal(encoded(places), WANTED)


@pytest.fixture
def grid():
    xarray = pytest.importorskip("xarray")
    axes = {"time": [0], "lon": [10.0, 200.0, 350.0], "lat": [60.0, -60.0], "height": 2.0}
    return xarray.DataArray(np.zeros((1, 3, 2)), coords=axes, dims=["time", "lon", "lat"])


def test_a_grid_of_xarray_keeps_its_axes(grid):
    found = encoded(grid)
    assert (found.dims, found.shape) == (("lon", "lat", "embedding"), (3, 2, 2))
    assert {*found.coords} == {"lon", "lat", "height", "embedding"}
    assert found.sel(lon=200, lat=-60).to_numpy().tolist() == [200, -120]
    dataset = grid.rename(lon="x_", lat="y_").to_dataset(name="warmth")
    dataset["x_"].attrs["standard_name"], dataset["y_"].attrs["units"] = "longitude", "degrees_north"
    found = encoded(dataset)
    assert (found.dims, found.sel(x_=200, y_=-60).to_numpy().tolist()) == (("y_", "x_", "embedding"), [200, -120])
    assert found.sel(embedding="e1", x_=10, y_=60) == 120
    assert {*found.to_dataset("embedding").data_vars} == {"e0", "e1"}


def test_points_and_curved_grids_of_xarray_keep_their_dimensions():
    xarray = pytest.importorskip("xarray")
    station = xarray.Dataset(
        {"lon": ("station", LONLAT[:, 0]), "lat": ("station", LONLAT[:, 1])}, {"station": range(4)}
    )
    for places in (station, station.set_coords(["lon", "lat"])):
        found = encoded(places)
        assert (found.dims, {*found.coords}) == (("station", "embedding"), {"station", "lon", "lat", "embedding"})
        np.testing.assert_array_equal(found, WANTED)
    square = {
        "lon": (("row", "column"), LONLAT[:, 0].reshape(2, 2)),
        "lat": (("row", "column"), LONLAT[:, 1].reshape(2, 2)),
    }
    found = encoded(xarray.DataArray(np.zeros((2, 2)), coords=square, dims=("row", "column")))
    assert found.dims == ("row", "column", "embedding")
    np.testing.assert_array_equal(found.to_numpy().reshape(4, 2), WANTED)


def test_x_and_y_of_a_crs_are_converted():
    xarray = pytest.importorskip("xarray")
    pyproj = pytest.importorskip("pyproj")
    about = {"spatial_ref": ((), 0, {"crs_wkt": pyproj.CRS("EPSG:28992").to_wkt()})}
    grid = xarray.DataArray(
        np.zeros((1, 2)), coords={"y": [463000.0], "x": [155000.0, 156000.0], **about}, dims=["y", "x"]
    )
    found = encoded(grid)
    np.testing.assert_allclose(found.sel(x=155000, y=463000), [5.38720621, 2 * 52.15517440], atol=1e-5)
    assert {*found.coords} == {"x", "y", "spatial_ref", "embedding"}
    with pytest.raises(ValueError, match=r"no coordinates of longitude and latitude.*Coordinates: y, x"):
        encoded(grid.drop_vars("spatial_ref"))
