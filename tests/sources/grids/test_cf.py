"""Mirrors src/geotether/sources/grids/cf.py: missing data, ranges, packing and groups, against xarray and by hand."""

import warnings

import numpy as np
import pytest

from geotether.sources.grids.gridded import GriddedRaster

xarray = pytest.importorskip("xarray")
h5py = pytest.importorskip("h5py")
zarr = pytest.importorskip("zarr")
NAN = np.nan
LON, LAT = np.arange(-2.0, 2.0), np.arange(2.0)
FILL = 9.969209968386869e36


def write(folder, kind, cells, lon=LON, **attributes):
    """Write cells as stored, with nothing but these attributes, as programs other than xarray do."""
    cells = np.repeat(cells, 3 - len(cells), axis=0)
    axes = {"lat": (LAT[: len(cells)], "degrees_north"), "lon": (lon[: cells.shape[1]], "degrees_east")}
    path = folder / f"{kind}.{'nc' if kind == 'nc' else 'zarr'}"
    if kind == "nc":
        with h5py.File(path, "w") as file:
            for name, (centers, unit) in axes.items():
                file[name] = centers
                file[name].make_scale(name)
                file[name].attrs["units"] = unit
            file["v"] = cells
            file["v"].attrs.update(attributes)
            for number, name in enumerate(axes):
                file["v"].dims[number].attach_scale(file[name])
        return path
    store = zarr.open_group(path, mode="w", zarr_format=int(kind[1]))
    plain = {key: np.asarray(value).tolist() for key, value in attributes.items()}
    for name, data, dims, said in (
        *((name, centers, [name], {"units": unit}) for name, (centers, unit) in axes.items()),
        ("v", cells, ["lat", "lon"], plain),
    ):
        dimensions = {"dimension_names": dims} if kind == "v3" else {}
        array = store.create_array(name, shape=data.shape, dtype=data.dtype, **dimensions)  # its fill value is 0
        array[...] = data
        array.attrs.update(said | ({"_ARRAY_DIMENSIONS": dims} if kind == "v2" else {}))
    return path


def read(path, **options):
    raster = GriddedRaster(path, **options)
    return raster.read(0, 0, raster.grid.height, raster.grid.width)[..., 0]


@pytest.mark.parametrize("kind", ["nc", "v2", "v3"])
@pytest.mark.parametrize(
    ("cells", "attributes", "want"),
    [
        (np.int16([[0, 1, -5, 7]]), {}, [0, 1, -5, 7]),
        (np.float32([[0, 0.5, NAN, 7]]), {}, [0, 0.5, NAN, 7]),
        (np.int16([[0, 1, -5, 7]]), {"_FillValue": np.int16(0)}, [NAN, 1, -5, 7]),
        (np.int16([[0, 1, -5, 7]]), {"missing_value": np.int16([-5, 7])}, [0, 1, NAN, NAN]),
        (np.int16([[0, 1, -5, 7]]), {"missing_value": "-5"}, [0, 1, NAN, 7]),
        (np.float32([[0, 0.1, -9999.9, 7]]), {"missing_value": -9999.9}, [0, np.float32(0.1), NAN, 7]),  # a double
        (np.int16([[0, 1, -5, 7]]), {"valid_min": np.int16(0)}, [0, 1, NAN, 7]),
        (np.int16([[0, 1, -5, 7]]), {"valid_max": np.int16(6), "_FillValue": np.int16(1)}, [0, NAN, -5, NAN]),
        (np.float64([[0, 1, -5, 7]]), {"valid_range": np.float64([0, 6])}, [0, 1, NAN, NAN]),
        (np.int16([[0, 10, -5, 70]]), {"scale_factor": 0.1, "add_offset": 273.15}, [273.15, 274.15, 272.65, 280.15]),
        (np.int16([[0, 10, -5, 70]]), {"scale_factor": 0.1, "valid_range": np.int16([0, 50])}, [0, 1, NAN, NAN]),
        (np.int16([[0, 10, -5, 70]]), {"scale_factor": 0.1, "valid_range": np.float32([0, 5.0])}, [0, 1, NAN, NAN]),
        (np.int16([[0, 10, -5, 70]]), {"scale_factor": 0.1, "_FillValue": np.int16(-5)}, [0, 1, NAN, 7]),
        (np.int8([[0, 10, -1, -3]]), {"_Unsigned": "true"}, [0, 10, 255, 253]),
        (np.int8([[0, 10, -1, -3]]), {"_Unsigned": "true", "_FillValue": np.int8(-1)}, [0, 10, NAN, 253]),
        (np.int8([[0, 10, -1, -3]]), {"_Unsigned": "true", "valid_range": np.int8([0, -2])}, [0, 10, NAN, 253]),
        (np.array([[0, 2**31 - 2, 3, 4]], "i4"), {"_FillValue": np.int32(3)}, [0, 2**31 - 2, NAN, 4]),
        (np.array([[True, False, True, True]]), {}, [1, 0, 1, 1]),
    ],
)
def test_attributes_say_what_is_missing_and_packed(tmp_path, kind, cells, attributes, want):
    found = read(write(tmp_path, kind, cells, **attributes))[0]
    np.testing.assert_allclose(found, want, rtol=1e-12 if found.dtype != np.float32 else 1e-6)


@pytest.mark.parametrize(
    "attributes",
    [{}, {"_FillValue": np.int16(7)}, {"missing_value": np.int16(7), "scale_factor": 0.25, "add_offset": 3.0}],
)
@pytest.mark.parametrize("kind", ["nc", "v3"])
def test_cells_are_those_of_xarray(tmp_path, kind, attributes):
    path = write(tmp_path, kind, np.random.default_rng(0).integers(0, 9, (2, 4)).astype(np.int16), **attributes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = xarray.open_dataset(path, engine="h5netcdf" if kind == "nc" else "zarr")["v"].to_numpy()
    np.testing.assert_array_equal(read(path), want)


def test_cells_that_netcdf_never_wrote_are_missing(tmp_path):
    np.testing.assert_array_equal(read(write(tmp_path, "nc", np.float32([[0, FILL, 2, 3]])))[0], [0, NAN, 2, 3])
    np.testing.assert_array_equal(read(write(tmp_path, "nc", np.int8([[0, -127, 2, 3]])))[0], [0, -127, 2, 3])
    for kind in ("nc", "v2"):
        path = write(tmp_path, kind, np.float32([[0, 1, -99, 4]]), _FillValue=np.float32(-99))
        np.testing.assert_array_equal(read(path)[0], [0, 1, NAN, 4])
    kept = read(write(tmp_path, "nc", np.int16([[0, -32767, 2, 3]]), _FillValue=np.int16(2)))[0]
    np.testing.assert_array_equal(kept, [0, -32767, NAN, 3])


def test_zarr_2_marks_missing_data_by_any_fill_value_but_its_default(tmp_path):
    data = xarray.Dataset({"v": (("lat", "lon"), np.array([[0, 1, NAN, 3]]))}, {"lat": LAT[:1] + 1, "lon": LON})
    data = xarray.concat([data, data.assign_coords(lat=[2.0])], "lat")
    data.to_zarr(
        tmp_path / "v2.zarr", zarr_format=2, consolidated=False, encoding={"v": {"dtype": "i2", "_FillValue": -9}}
    )
    np.testing.assert_array_equal(read(tmp_path / "v2.zarr")[0], [0, 1, NAN, 3])


@pytest.mark.parametrize("kind", ["nc", "v2", "v3"])
def test_a_zero_on_an_axis_is_a_place(tmp_path, kind):
    raster = GriddedRaster(write(tmp_path, kind, np.ones((2, 4), np.int16)))
    assert raster.grid.lonlat(np.array([0.5]), np.array([2.5])).tolist() == [[0.0, 0.0]]


def test_an_attribute_that_is_not_a_number_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nc\.nc: 'v': .*scale_factor is 'ten'"):
        GriddedRaster(write(tmp_path, "nc", np.ones((2, 4), np.int16), scale_factor="ten"))


def grouped(path, groups):
    """Write the same grid into groups, each with other values; coordinates in the root if it is among them."""
    axes = {"lat": ("lat", LAT, {"units": "degrees_north"}), "lon": ("lon", LON, {"units": "degrees_east"})}
    for number, (group, names) in enumerate(groups.items()):
        data = {name: (("lat", "lon"), np.full((2, 4), 10.0 * number + at)) for at, name in enumerate(names)}
        own = {} if "" in groups and group else axes
        if path.suffix == ".zarr":
            xarray.Dataset(data, own).to_zarr(path, group=group or None, mode="a", consolidated=False)
        else:
            xarray.Dataset(data, own).to_netcdf(path, group=group or None, mode="a", engine="h5netcdf")
    return path


@pytest.mark.parametrize("name", ["a.nc", "a.zarr"])
def test_variables_of_groups(tmp_path, name):
    path = grouped(tmp_path / name, {"Soil_Moisture": ["sm", "flag"]})
    assert sorted(GriddedRaster(path).names) == ["flag", "sm"]  # the only group with grids
    for variable in ("Soil_Moisture/flag", "/Soil_Moisture/flag", "flag"):
        assert read(path, variable=variable).tolist() == [[1.0] * 4] * 2
    two = grouped(tmp_path / f"two{path.suffix}", {"am": ["sm"], "pm": ["sm"]})
    with pytest.raises(ValueError, match=r"several groups; name one with variable: am/sm, pm/sm"):
        GriddedRaster(two)
    with pytest.raises(ValueError, match=r"'sm' in several groups; known: am/sm, pm/sm"):
        GriddedRaster(two, variable="sm")
    with pytest.raises(ValueError, match=r"no variable 'am/t'.*known: am/sm, pm/sm"):
        GriddedRaster(two, variable="am/t")
    assert read(two, variable="pm/sm").tolist() == [[10.0] * 4] * 2
    with pytest.raises(ValueError, match="different axes"):
        GriddedRaster(two, variable=["am/sm", "pm/sm"])


def test_a_group_uses_the_coordinates_of_the_root(tmp_path):
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        for name, centers, unit in (("lat", LAT, "degrees_north"), ("lon", LON, "degrees_east")):
            file[name] = centers
            file[name].make_scale(name)
            file[name].attrs["units"] = unit
        cells = file.create_group("data").create_group("v1").create_dataset("sm", data=np.arange(8.0).reshape(2, 4))
        cells.dims[0].attach_scale(file["lat"])
        cells.dims[1].attach_scale(file["lon"])
    np.testing.assert_array_equal(read(path), np.arange(8.0).reshape(2, 4))
    assert GriddedRaster(path, variable="data/v1/sm").grid.bounds() == (-2.5, -0.5, 1.5, 1.5)


def test_hdf_5_without_named_dimensions_says_what_it_lacks(tmp_path):
    with h5py.File(tmp_path / "a.nc", "w") as file:
        group = file.create_group("Soil_Moisture")
        for name in ("soil_moisture", "latitude", "longitude"):
            group[name] = np.ones((3, 4))
    with pytest.raises(
        ValueError, match=r"a\.nc .*latitude, longitude have two or more dimensions.*'Soil_Moisture/soil_moisture'"
    ):
        GriddedRaster(tmp_path / "a.nc")
