"""Mirrors src/geotether/sources/grids/gridded.py."""

import sys

import numpy as np
import pytest

from geotether.sources.grids.cells import Cells, decode
from geotether.sources.grids.gridded import GriddedRaster

xarray = pytest.importorskip("xarray")
pyproj = pytest.importorskip("pyproj")
LON, LAT = np.arange(-179.0, 180, 2), np.arange(89.0, -90, -2)
RNG = np.random.default_rng(0)
PLACES = np.stack([RNG.uniform(-180, 360, 300), RNG.uniform(-90, 90, 300)], axis=1)
FORMATS = ("a.nc3.nc", "a.nc", "v2.zarr", "v3.zarr")


def surface(lon, lat):
    """A known value for every place, the same on both sides of the antimeridian."""
    lon, lat = np.radians(lon), np.radians(lat)
    return 10 + 5 * np.cos(lat) * np.cos(lon) + 3 * np.sin(lat) + np.cos(lat) * np.sin(lon)


def save(folder, name, dataset, encoding=None):
    path = folder / name
    if name.endswith(".zarr"):
        dataset.to_zarr(path, zarr_format=int(name[1]), consolidated=False, encoding=encoding)
    elif "nc3" in name:
        dataset.to_netcdf(path, engine="scipy", format="NETCDF3_64BIT", encoding=encoding)
    else:
        dataset.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    return path


def climate(lon=LON, lat=LAT, months=3):
    month = np.arange("2020-06", "2020-12", dtype="datetime64[M]")[:months].astype("datetime64[ns]")
    field = surface(*np.meshgrid(lon, lat))[None] + np.arange(months)[:, None, None]
    attributes = {"lon": {"units": "degrees_east"}, "lat": {"units": "degrees_north"}}
    return xarray.Dataset(
        {"t2m": (("time", "lat", "lon"), field), "height": (("lat", "lon"), 100 * field[0])},
        {"time": month, "lat": ("lat", lat, attributes["lat"]), "lon": ("lon", lon, attributes["lon"])},
    )


def values(raster, lonlat):
    cells = Cells(raster)
    row, column, inside = cells.find(*raster.grid.cells(lonlat))
    found = decode(raster, cells.take(row, column))
    return found if inside is None else np.where(inside[:, None], found, np.nan)


def nearest_middle(lonlat):
    lon = (lonlat[:, 0] + 180) % 360
    return np.floor(lon / 2) * 2 - 179, np.clip(np.floor(lonlat[:, 1] / 2) * 2 + 1, -89, 89)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("turned", ["north first", "south first", "0 to 360"])
def test_every_format_and_order_of_axes_gives_the_cell_that_holds_the_place(tmp_path, name, turned):
    lon = LON + 180 if turned == "0 to 360" else LON
    data = climate(lon, LAT[::-1] if turned == "south first" else LAT)
    packed = {"t2m": {"dtype": "int16", "scale_factor": 0.001, "add_offset": 12.0, "_FillValue": -32768}}
    raster = GriddedRaster(save(tmp_path, name, data, packed), variable="t2m")
    assert raster.names == ["t2m time=2020-06-01", "t2m time=2020-07-01", "t2m time=2020-08-01"]
    assert raster.grid.wraps
    assert raster.grid.flips == (turned == "south first", False)
    want = surface(*nearest_middle(PLACES))[:, None] + np.arange(3)
    np.testing.assert_allclose(values(raster, PLACES), want, atol=6e-4)  # half a step of the packing


def test_all_variables_on_the_grid_are_bands_and_may_be_chosen(tmp_path):
    path = save(tmp_path, "v3.zarr", climate())
    raster = GriddedRaster(path, select={"time": "2020-07"})
    assert set(raster.names) == {"t2m time=2020-07-01", "height"}
    assert GriddedRaster(path, variable="t2m", select={"time": ["2020-08-01", "2020-06-01"]}).names == [
        "t2m time=2020-08-01", "t2m time=2020-06-01",
    ]  # fmt: skip
    one = GriddedRaster(path, bands=["height", "t2m time=2020-07-01"])
    assert one.names == ["height", "t2m time=2020-07-01"]
    middle = np.stack(np.meshgrid(LON[:5], LAT[:5]), -1).reshape(-1, 2)
    field = surface(*middle.T)
    np.testing.assert_allclose(values(one, middle), np.stack([100 * field, field + 1], 1))


def test_further_axes_of_any_order_and_size_become_bands(tmp_path):
    field = np.arange(2 * 3 * 4 * 5.0).reshape(3, 2, 5, 4)
    data = xarray.Dataset(
        {"wind": (("latitude", "level", "longitude", "member"), field)},
        {"latitude": [50.0, 51, 52], "longitude": [0.0, 1, 2, 3, 4], "level": [850, 500], "member": list("abcd")},
    )
    raster = GriddedRaster(save(tmp_path, "a.nc3.nc", data))
    assert len(raster.names) == 8
    assert raster.names[5] == "wind level=500 member=b"
    np.testing.assert_array_equal(raster.read(1, 2, 1, 1)[0, 0], field[1, :, 2].ravel())
    chosen = GriddedRaster(raster.path, select={"level": 500, "member": ["d", "a"]})
    np.testing.assert_array_equal(chosen.read(0, 0, 3, 5), field[:, 1][:, :, [3, 0]])


@pytest.mark.parametrize("how", ["grid mapping", "option", "km"])
def test_projected_grids_are_asked_in_their_own_metres(tmp_path, how):
    crs = pyproj.CRS("EPSG:3413")
    x, y = np.arange(-950_000.0, 1e6, 100_000), np.arange(950_000.0, -1e6, -100_000)
    to = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    lon, lat = to.transform(*np.meshgrid(x, y))
    unit = ("km", 1000.0) if how == "km" else ("m", 1.0)
    axes = {
        name: (name, axis / unit[1], {"standard_name": f"projection_{name}_coordinate", "units": unit[0]})
        for name, axis in (("x", x), ("y", y))
    }
    data = xarray.Dataset({"ice": (("y", "x"), surface(lon, lat))}, axes)
    if how != "option":
        data["polar"] = ((), 0, crs.to_cf())
        data["ice"].attrs["grid_mapping"] = "polar"
    path = save(tmp_path, "v2.zarr" if how == "km" else "a.nc3.nc", data)
    raster = GriddedRaster(path, crs="EPSG:3413" if how == "option" else None)
    middles = np.stack([lon.ravel(), lat.ravel()], axis=1)
    np.testing.assert_allclose(values(raster, middles)[:, 0], surface(lon, lat).ravel())
    if how == "option":
        with pytest.raises(ValueError, match=r"no CRS for 'x' and 'y'"):
            GriddedRaster(path)


ROTATED = {"grid_mapping_name": "rotated_latitude_longitude", "grid_north_pole_latitude": 39.25,
           "grid_north_pole_longitude": -162.0, "north_pole_grid_longitude": 0.0}  # fmt: skip


def rotated(axes=("rlon", "rlat"), attributes=True, mapping=True, curved=False, **variable):
    """A rotated grid of CORDEX over Europe, of whose description parts may be lost; and its true places."""
    x, y = np.arange(-20.0, 15.0, 1.0), np.arange(-15.0, 15.0, 1.0)
    to = pyproj.Transformer.from_crs(pyproj.CRS.from_cf(ROTATED), "OGC:CRS84", always_xy=True)
    lon, lat = to.transform(*np.meshgrid(x, y))
    stated = [{"units": "degrees", "standard_name": f"grid_{name}"} for name in ("longitude", "latitude")]
    data = xarray.Dataset(
        {"t": (axes[::-1], surface(lon, lat), {"grid_mapping": "pole"} | variable)},
        {
            name: (name, centers, said if attributes else {})
            for name, centers, said in zip(axes, (x, y), stated, strict=True)
        },
    )
    if mapping is not False:
        data["pole"] = ((), 0, ROTATED if mapping is True else mapping)
    if curved:
        data["t"].attrs["coordinates"] = "lon2 lat2"
        data["lon2"] = (axes[::-1], lon, {"units": "degrees_east"})
        data["lat2"] = (axes[::-1], lat, {"units": "degrees_north"})
    return data, np.stack([lon.ravel(), lat.ravel()], axis=1)


@pytest.mark.parametrize("curved", [False, True])
def test_rotated_grids_are_read_by_their_mapping_or_by_the_option(tmp_path, curved):
    data, places = rotated(curved=curved)
    bare, _ = rotated(mapping=False, curved=curved)
    crs = pyproj.CRS.from_cf(ROTATED).to_wkt()
    for raster in (
        GriddedRaster(save(tmp_path, "a.nc", data), variable="t"),
        GriddedRaster(save(tmp_path, "v3.zarr", bare), crs=crs, variable="t"),
    ):
        np.testing.assert_allclose(values(raster, places)[:, 0], surface(*places.T), atol=1e-9)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mapping": False}, "'pole' is not in the file"),
        ({"mapping": False, "grid_mapping": ""}, "grid_longitude|grid_latitude"),
        ({"mapping": False, "grid_mapping": "", "attributes": False}, "'rlat'"),
        ({"mapping": {"grid_mapping_name": "no_such_projection"}}, "'pole' cannot be read"),
        ({"mapping": {}}, "'pole' cannot be read"),
        ({"mapping": {"grid_mapping_name": "rotated_latitude_longitude"}}, "'pole' cannot be read"),
        (
            {"mapping": {"grid_mapping_name": "transverse_mercator", "longitude_of_central_meridian": 9.0}},
            "'pole' cannot",
        ),
        ({"mapping": False, "axes": ("lon", "lat"), "attributes": False}, "'pole' is not in the file"),
        ({"mapping": False, "grid_mapping": "", "axes": ("x", "y"), "attributes": False}, "no CRS for 'x' and 'y'"),
        (
            {"mapping": False, "grid_mapping": "", "axes": ("lon", "lat"), "attributes": False, "curved": True},
            "km from",
        ),
    ],
)
def test_a_rotated_grid_without_its_mapping_is_an_error(tmp_path, options, said):
    with pytest.raises(ValueError, match=rf"a\.nc.*({said})"):
        GriddedRaster(save(tmp_path, "a.nc", rotated(**options)[0]), variable="t")


def test_a_wrong_crs_contradicts_the_coordinates_of_the_file(tmp_path):
    path = save(tmp_path, "a.nc", rotated(mapping=False, curved=True)[0])
    with pytest.raises(ValueError, match="km from where the axes"):
        GriddedRaster(path, variable="t", crs="EPSG:4326")


def test_units_of_axes_fit_the_crs(tmp_path):
    cf = {"grid_mapping_name": "geostationary", "perspective_point_height": 35_786_023.0, "sweep_angle_axis": "x",
          "longitude_of_projection_origin": -75.0, "latitude_of_projection_origin": 0.0,
          "semi_major_axis": 6_378_137.0, "semi_minor_axis": 6_356_752.31414}  # fmt: skip
    angles = np.linspace(-0.1, 0.1, 21)
    to = pyproj.Transformer.from_crs(pyproj.CRS.from_cf(cf), "OGC:CRS84", always_xy=True)
    lon, lat = to.transform(*np.meshgrid(angles * 35_786_023.0, angles * 35_786_023.0))
    data = xarray.Dataset(
        {"t": (("y", "x"), surface(lon, lat), {"grid_mapping": "goes"}), "goes": ((), 0, cf)},
        {name: (name, angles, {"units": "rad", "standard_name": f"projection_{name}_coordinate"}) for name in "xy"},
    )
    raster = GriddedRaster(save(tmp_path, "a.nc", data))
    np.testing.assert_allclose(values(raster, np.stack([lon, lat], -1).reshape(-1, 2))[:, 0], surface(lon, lat).ravel())
    data["x"].attrs["units"] = "furlong"
    with pytest.raises(ValueError, match="'x' is in 'furlong'"):
        GriddedRaster(save(tmp_path, "b.nc", data))
    with pytest.raises(ValueError, match=r"'(lat|lon)' is in 'degrees_"):
        GriddedRaster(save(tmp_path, "c.nc", climate()), crs="EPSG:32632", variable="height")


def test_longitudes_may_go_on_from_355_to_0(tmp_path):
    lon = np.array([350.0, 355, 0, 5, 10])
    raster = GriddedRaster(save(tmp_path, "a.nc", climate(lon=lon, lat=LAT[:3], months=1)), variable="t2m")
    assert raster.grid.bounds() == (347.5, 84, 372.5, 90)
    places = np.stack([np.array([-10.0, -5.0, 0.0, 5.0, 370.0]), np.full(5, 87.0)], axis=1)
    np.testing.assert_allclose(values(raster, places)[:, 0], surface(lon, 87.0))


def test_gaussian_latitudes_take_the_nearest_row(tmp_path):
    lat = np.degrees(np.arcsin(np.polynomial.legendre.leggauss(32)[0]))
    raster = GriddedRaster(save(tmp_path, "a.nc3.nc", climate(lat=lat)), variable="height")
    found = values(raster, PLACES)[:, 0]
    row = np.abs(lat - PLACES[:, 1:]).argmin(axis=1)
    np.testing.assert_allclose(found, 100 * surface(nearest_middle(PLACES)[0], lat[row]))


def test_only_pieces_are_read(tmp_path):
    raster = GriddedRaster(save(tmp_path, "v3.zarr", climate(), {"t2m": {"chunks": (1, 20, 40)}}), variable="t2m")
    assert raster.tile == (20, 40)
    assert raster.read(20, 40, 20, 40).shape == (20, 40, 3)
    assert len(raster.files()) > 20


def test_an_error_about_unreadable_columns_lists_the_columns(tmp_path, monkeypatch):
    path = save(tmp_path, "a.nc3.nc", climate())
    with pytest.raises(ValueError, match=r"no variable 'rain' on a grid; known: (t2m, height|height, t2m)"):
        GriddedRaster(path, variable="rain")
    with pytest.raises(ValueError, match=r"'time' has no '1999'; known: 2020-06-01, 2020-07-01, 2020-08-01"):
        GriddedRaster(path, variable="t2m", select={"time": "1999"})
    with pytest.raises(ValueError, match=r"t2m have no other dimension 'level'; known: time"):
        GriddedRaster(path, variable="t2m", select={"level": 3})
    with pytest.raises(ValueError, match=r"no band 9; it has 4: 1 \((t2m time=2020-06-01|height)\)"):
        GriddedRaster(path, bands=[9])
    with pytest.raises(FileNotFoundError, match="There is no raster"):
        GriddedRaster(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("no grid at all")
    with pytest.raises(ValueError, match="damaged or not NetCDF"):
        GriddedRaster(tmp_path / "text.nc")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises((ValueError, FileNotFoundError), match=r"empty\.zarr"):
        GriddedRaster(tmp_path / "empty.zarr")
    swath = xarray.Dataset(
        {"t": (("i", "j"), np.zeros((3, 4)))},
        {"lon": (("i", "j"), np.ones((3, 4))), "lat": (("i", "j"), np.ones((3, 4)))},
    )
    with pytest.raises(ValueError, match="lon, lat have two or more dimensions: warp it"):
        GriddedRaster(save(tmp_path, "swath.nc3.nc", swath))
    words = xarray.Dataset({"t": (("lat", "lon"), np.full((2, 2), "a"))}, {"lat": [1.0, 2], "lon": [1.0, 2]})
    with pytest.raises(ValueError, match="not numbers"):
        GriddedRaster(save(tmp_path, "v2.zarr", words))
    back = xarray.Dataset({"t": (("lat", "lon"), np.zeros((3, 2)))}, {"lat": [1.0, 3, 2], "lon": [1.0, 2]})
    with pytest.raises(ValueError, match="'lat' needs two or more values"):
        GriddedRaster(save(tmp_path, "back.nc3.nc", back))
    metres = xarray.Dataset({"t": (("lat", "lon"), np.zeros((2, 2)))}, {"lat": [1e5, 2e5], "lon": [1e5, 2e5]})
    with pytest.raises(ValueError, match="reach 200000 and 200000"):
        GriddedRaster(save(tmp_path, "metres.nc3.nc", metres))
    (tmp_path / "four.nc").write_bytes(b"\x89HDF\r\n\x1a\n and more")
    with pytest.raises(ValueError, match="damaged or not NetCDF"):
        GriddedRaster(tmp_path / "four.nc")
    with monkeypatch.context() as bare:
        bare.setattr("geotether.sources.grids.cf.find_spec", lambda name: None)
        with pytest.raises(ImportError, match="pip install h5py"):
            GriddedRaster(tmp_path / "four.nc")
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match=r"pip install 'geotether\[geo\]'"):
        GriddedRaster(path)


def test_too_many_bands_require_a_choice(tmp_path):
    data = xarray.Dataset(
        {"t": (("hour", "lat", "lon"), np.zeros((2500, 2, 2)))},
        {"hour": np.arange(2500), "lat": [1.0, 2], "lon": [1.0, 2]},
    )
    path = save(tmp_path, "a.nc3.nc", data)
    with pytest.raises(ValueError, match=r"2500 bands; choose some of them with select, for example select: \{hour"):
        GriddedRaster(path)
    assert len(GriddedRaster(path, select={"hour": [7, 8]}).names) == 2
