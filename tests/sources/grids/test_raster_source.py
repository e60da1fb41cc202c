"""Mirrors src/geotether/sources/grids/raster_source.py."""

import pickle

import numpy as np
import pyarrow as pa
import pytest

from geotether.geodesy.azimuthal import ground_squares
from geotether.geodesy.distance import great_circle_km
from geotether.sources.grids import cells as cells_module
from geotether.sources.grids.raster_source import RasterSource
from geotether.sources.grids.rasters import raster_values

rasterio = pytest.importorskip("rasterio")
pytest.importorskip("pyproj")
NAN = np.nan


@pytest.fixture
def world(write_geotiff, tmp_path):
    """Two bands: longitude and latitude of each cell's middle."""
    lon, lat = np.meshgrid(np.arange(-179.5, 180), np.arange(89.5, -90, -1))
    return write_geotiff(tmp_path / "world.tif", np.stack([lon, lat]).astype(np.float32), names=("lon", "lat"))


@pytest.fixture
def places(tmp_path):
    path = tmp_path / "places.csv"
    path.write_text("site,lon,lat\na,5.6,52.2\nb,400,0\nc,179.9,-16.5\nd,,\ne,0,91\nf,-180,-90\n")
    return path


def prepared(source, folder):
    folder.mkdir(exist_ok=True)
    source.prepare(folder)
    return source


def test_values_are_those_of_raster_values_and_rejected_rows_carry_their_number(world, places, tmp_path):
    source = prepared(RasterSource(world, places=places, id="site", time="2020-07-01"), tmp_path / "job")
    found = source.read(0, 6)
    assert len(source) == 6
    assert found.row.tolist() == [0, 2, 5]
    assert found.id.tolist() == ["a", "c", "f"]
    assert found.time.tolist() == [np.datetime64("2020-07-01", "ms").item()] * 3
    assert [(r.row, r.id, r.reason) for r in found.rejected] == [
        (1, "b", "longitude outside [-180, 360]"),
        (3, "d", "longitude or latitude missing"),
        (4, "e", "latitude outside [-90, 90], possible as a longitude"),
    ]
    for number, name in enumerate(("lon", "lat"), 1):
        np.testing.assert_array_equal(found.content[name], raster_values(world, found.lonlat, band=number))
    part = source.read(2, 4)
    assert part.row.tolist() == [2]
    assert part.rejected[0].row == 3
    assert len(source.read(1, 2)) == 0
    assert source.read(1, 2).content.column_names == ["lon", "lat"]


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize(
    "options", [{"pixels": 5}, {"km": 400.0, "size": 8}, {"km": 400.0, "size": 8, "resampling": "bilinear"}], ids=str
)
def test_windows_are_the_same_in_any_runs_and_processes_with_and_without_a_copy(
    world, tmp_path, monkeypatch, copied, options
):
    whole = prepared(RasterSource(world, take="window", sample=60, seed=1, **options), tmp_path / "one").read(0, 60)
    monkeypatch.setattr(cells_module, "COPY_BYTES", 2**32 if copied else 0)
    source = prepared(RasterSource(world, take="window", sample=60, seed=1, **options), tmp_path / "two")
    assert len(list((tmp_path / "two").glob("cells-*.npy"))) == copied
    assert whole.content.dtype == np.float32
    parts = [pickle.loads(pickle.dumps(source)).read(start, start + 7) for start in range(0, 60, 7)]
    np.testing.assert_array_equal(np.concatenate([part.content for part in parts]), whole.content)
    np.testing.assert_array_equal(np.concatenate([part.lonlat for part in parts]), whole.lonlat)
    np.testing.assert_array_equal(np.concatenate([part.row for part in parts]), np.arange(60))
    places = [tuple(place) for place in source.read(0, 60).lonlat]
    assert len(set(places)) == 60


def test_a_second_prepare_in_the_same_folder_makes_nothing_again(world, tmp_path):
    first = prepared(RasterSource(world, take="window", pixels=3, sample=40), tmp_path / "job")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "job").iterdir()}
    again = prepared(RasterSource(world, take="window", pixels=3, sample=40), tmp_path / "job")
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "job").iterdir()} == before
    np.testing.assert_array_equal(again.read(0, 40).lonlat, first.read(0, 40).lonlat)


@pytest.mark.parametrize("place", [(0.3, 0.2), (12.0, 60.0), (30.0, 89.9), (179.99, -17.0), (0.0, -90.0)])
def test_windows_in_km_have_their_size_on_the_ground_everywhere(world, tmp_path, place):
    """The raster says where each pixel came from, so the corners' distances can be measured."""
    (tmp_path / "p.csv").write_text(f"lon,lat\n{place[0]},{place[1]}\n")
    source = prepared(RasterSource(world, take="window", km=3000, size=31, places=tmp_path / "p.csv"), tmp_path / "job")
    image = source.read(0, 1).content[0].astype(np.float64)
    assert np.median(great_circle_km(image, ground_squares(np.array([place]), 3000, 31)[0])) < 70  # half a cell
    corners = image[[0, 0, -1, -1], [0, -1, -1, 0]]
    sides = great_circle_km(corners, np.roll(corners, -1, axis=0))
    np.testing.assert_allclose(sides, 3000 * 30 / 31, atol=170)


def test_integers_stay_as_they_are_and_holes_are_filled(tmp_path, places, write_geotiff):
    grid = np.full((180, 360), 200, np.uint8)
    grid[95:, :] = 0
    path = write_geotiff(tmp_path / "a.tif", grid, nodata=0)
    (tmp_path / "p.csv").write_text("lon,lat\n0.5,-3.5\n0.5,-4.5\n0.5,-5.5\n0.5,-40\n")
    options = {"take": "window", "pixels": 3, "places": tmp_path / "p.csv"}
    found = prepared(RasterSource(path, **options), tmp_path / "job").read(0, 4)
    assert found.content.dtype == np.uint8
    assert (found.content == 200).all()
    assert [(r.row, r.reason) for r in found.rejected] == [
        (2, "more than 50% outside the raster or without data"),
        (3, "outside the raster, or no data there"),
    ]
    zero = prepared(RasterSource(path, **options, fill=7, max_missing=1), tmp_path / "job").read(0, 4)
    assert zero.content[1:, ..., 0].tolist() == [[[200] * 3, [200] * 3, [7] * 3], [[200] * 3, [7] * 3, [7] * 3]]
    assert [r.row for r in zero.rejected] == [3]


def test_a_band_without_data_is_null_in_columns_and_refused_in_images(tmp_path, places, write_geotiff):
    stack = np.ones((3, 180, 360), np.float32)
    stack[0] = NAN
    path = write_geotiff(tmp_path / "a.tif", stack, nodata=NAN)
    found = prepared(RasterSource(path, places=places), tmp_path / "job").read(0, 1)
    assert found.content.to_pylist() == [{"band 1": None, "band 2": 1.0, "band 3": 1.0}]
    image = prepared(RasterSource(path, take="window", pixels=3, places=places), tmp_path / "job").read(0, 1)
    assert image.rejected[0].reason == "a band has no data in the window"


def test_statistics_of_windows_and_circles(tmp_path, write_geotiff):
    classes = np.zeros((180, 360), np.uint8)
    classes[:90], classes[90:, 180:], classes[0] = 1, 2, 9
    path = write_geotiff(tmp_path / "a.tif", classes, nodata=9)
    (tmp_path / "p.csv").write_text("lon,lat\n0,0\n50,45\n0,89.99\n")
    options = {"take": "statistics", "places": tmp_path / "p.csv", "statistics": ["mean", "missing"], "classes": [1, 2]}
    found = prepared(RasterSource(path, **options, pixels=4), tmp_path / "job").read(0, 3)
    assert found.content.to_pylist() == [
        {"band 1 mean": 1.0, "band 1 missing": 0.0, "band 1 share of 1": 0.5, "band 1 share of 2": 0.25},
        {"band 1 mean": 1.0, "band 1 missing": 0.0, "band 1 share of 1": 1.0, "band 1 share of 2": 0.0},
    ]
    assert [r.row for r in found.rejected] == [2]
    circle = prepared(RasterSource(path, **options, km=1000), tmp_path / "job").read(0, 3)
    np.testing.assert_allclose(circle.content["band 1 share of 1"], [0.5, 1, 1], atol=0.03)
    np.testing.assert_allclose(circle.content["band 1 share of 2"], [0.25, 0, 0], atol=0.03)
    # Around the pole the cap of one degree without data is a circle in the circle.
    assert circle.content["band 1 missing"][2].as_py() == pytest.approx((111.2 / 500) ** 2, abs=0.02)
    plain = RasterSource(path, take="statistics", pixels=4, places=tmp_path / "p.csv")
    names = [f"band 1 {name}" for name in ("mean", "std", "min", "max")]
    assert prepared(plain, tmp_path / "job").read(0, 1).content.column_names == names
    nothing = prepared(RasterSource(path, **options, pixels=4), tmp_path / "job").read(2, 3).content
    assert isinstance(nothing, pa.Table)
    assert nothing.num_columns == 4


def test_the_fingerprint_follows_files_and_options(world, places, tmp_path):
    first = RasterSource(world, places=places).fingerprint()
    assert first == RasterSource(world, places=places).fingerprint()
    assert first != RasterSource(world, places=places, bands=[1]).fingerprint()
    places.write_text("lon,lat\n1,1\n")
    second = RasterSource(world, places=places).fingerprint()
    assert second != first
    with rasterio.open(world, "r+") as file:
        file.write(np.zeros((180, 360), np.float32), 1)
    assert RasterSource(world, places=places).fingerprint() != second


def test_netcdf_and_zarr_give_the_same_rows_as_geotiff(world, places, tmp_path):
    xarray = pytest.importorskip("xarray")
    with rasterio.open(world) as file:
        lon, lat = file.read()
    axes = {"lat": ("lat", lat[:, 0], {"units": "degrees_north"}), "lon": ("lon", lon[0], {"units": "degrees_east"})}
    data = xarray.Dataset({"lon_of": (("lat", "lon"), lon), "lat_of": (("lat", "lon"), lat)}, axes)
    data.to_netcdf(tmp_path / "a.nc", engine="scipy")
    data.isel(lat=slice(None, None, -1)).to_zarr(tmp_path / "a.zarr", zarr_format=3, consolidated=False)
    options = {"take": "window", "km": 500, "size": 6, "places": places}
    want = prepared(RasterSource(world, **options), tmp_path / "job").read(0, 6)
    for name in ("a.nc", "a.zarr"):
        source = prepared(RasterSource(tmp_path / name, **options, variable=["lon_of", "lat_of"]), tmp_path / "job")
        got = pickle.loads(pickle.dumps(source)).read(0, 6)
        np.testing.assert_allclose(got.content, want.content, atol=1e-4)
        assert got.row.tolist() == want.row.tolist()


WRONG = [
    ({}, "Give either places: FILE.*got neither"),
    ({"places": "p", "sample": 3}, "got both"),
    (
        {"sample": 3, "take": "windows"},
        "take is one of value, window, statistics; got 'windows'. Did you mean 'window'?",
    ),
    ({"sample": 0}, "sample must be 1 or more"),
    ({"sample": 3, "id": "site"}, "id names a column of places"),
    ({"sample": 3, "time": "day"}, "time must be a date such as '2020-07-01'"),
    ({"sample": 3, "latitudes": [50, -50]}, r"latitudes are \[south, north\]"),
    ({"places": "p", "land": "l"}, "land applies to sampled"),
    ({"places": "p", "seed": 3}, "seed applies to sampled"),
    ({"sample": 3, "take": "window"}, "size of the window, such as pixels: 32 or km: 30"),
    ({"sample": 3, "take": "window", "pixels": 3, "km": 3}, "either pixels or km; got pixels: 3 and km: 3"),
    ({"sample": 3, "take": "window", "km": 3}, "km: 3 needs size"),
    ({"sample": 3, "take": "window", "size": 3, "pixels": 3}, "size: 3 needs km"),
    ({"sample": 3, "take": "window", "pixels": 0}, "pixels must be 1 or more"),
    ({"sample": 3, "take": "window", "km": -1, "size": 3}, "km must be above 0"),
    ({"sample": 3, "take": "window", "pixels": 181}, "181 x 181 cells is larger than .*180 rows and 360 columns"),
    ({"sample": 3, "pixels": 3}, "pixels has no effect on take: value"),
    ({"sample": 3, "fill": 3}, "fill has no effect on take: value"),
    ({"sample": 3, "take": "window", "pixels": 3, "classes": [1]}, "classes has no effect on take: window"),
    ({"sample": 3, "take": "window", "pixels": 3, "fill": "median"}, "fill is 'mean', 'nearest' or a number"),
    ({"sample": 3, "take": "window", "pixels": 3, "max_missing": 50}, "max_missing is a share from 0 to 1"),
    ({"sample": 3, "take": "window", "pixels": 3, "resampling": "bilinear"}, "resampling: bilinear has no effect here"),
    ({"sample": 3, "resampling": "average"}, "resampling: average has no effect here"),
    ({"sample": 3, "resampling": "cubic"}, "resampling is one of nearest, bilinear, average"),
    ({"sample": 3, "take": "statistics", "pixels": 3, "statistics": ["mode"]}, "statistics is one of mean, std"),
    ({"sample": 3, "take": "statistics", "pixels": 3, "statistics": []}, "statistics needs one of"),
    ({"sample": 3, "bands": [3]}, r"no band 3; it has 2: 1 \(lon\), 2 \(lat\)"),
    ({"sample": 3, "variable": "t2m"}, "variable is for NetCDF and Zarr"),
]


@pytest.mark.parametrize("options, words", WRONG, ids=[words[:30] for _, words in WRONG])
def test_every_wrong_option_is_refused_with_what_to_type(world, options, words):
    with pytest.raises(ValueError, match=words):
        RasterSource(world, **options)


def test_files_that_are_missing_and_windows_that_do_not_fit_are_refused(world, tmp_path, write_geotiff):
    with pytest.raises(FileNotFoundError, match="There is no raster"):
        RasterSource(tmp_path / "none.tif", sample=3)
    for name in ("places", "land", "mask"):
        options = {"places": None, "sample": None if name == "places" else 3, name: tmp_path / "none.csv"}
        with pytest.raises(FileNotFoundError, match=f"none.csv, named as {name}"):
            RasterSource(world, **options)
    small = write_geotiff(tmp_path / "small.tif", np.ones((10, 10), np.uint8), (0.1, 0, 5, 0, -0.1, 50))
    with pytest.raises(ValueError, match="A window of 500 km is larger than"):
        RasterSource(small, take="window", km=500, size=8, sample=3)
    (tmp_path / "p.csv").write_text("lon,lat\n-100,40\n")
    with pytest.raises(ValueError, match="None of the 1 places"):
        RasterSource(small, places=tmp_path / "p.csv").prepare(tmp_path)
    with pytest.raises(ValueError, match=r"prepare\(folder\) draws"):
        len(RasterSource(small, sample=3))
