"""Mirrors src/geotether/sources/grids/geotiff.py."""

import numpy as np
import pytest

from geotether.sources.grids.cells import decode
from geotether.sources.grids.geotiff import GdalRaster

rasterio = pytest.importorskip("rasterio")
NAN = np.nan


CELLS = np.arange(2 * 6 * 8, dtype=np.int16).reshape(2, 6, 8)


@pytest.mark.parametrize(
    "driver, options", [("GTiff", {}), ("GTiff", {"tiled": True, "blockxsize": 16, "blockysize": 16}), ("COG", {})]
)
def test_reads_pieces_of_every_layout(tmp_path, driver, options, write_geotiff):
    raster = GdalRaster(write_geotiff(tmp_path / "a.tif", CELLS, driver=driver, **options))
    np.testing.assert_array_equal(raster.read(1, 2, 3, 4), np.moveaxis(CELLS[:, 1:4, 2:6], 0, -1))
    assert raster.dtype == np.int16
    assert raster.missing is None
    assert raster.names == ["band 1", "band 2"]


def test_a_vrt_is_read_and_names_the_files_behind_it(tmp_path, write_geotiff):
    from rasterio.shutil import copy

    source = write_geotiff(tmp_path / "a.tif", CELLS)
    copy(source, tmp_path / "a.vrt", driver="VRT")
    raster = GdalRaster(tmp_path / "a.vrt")
    np.testing.assert_array_equal(raster.read(0, 0, 6, 8), np.moveaxis(CELLS, 0, -1))
    assert {file.name for file in raster.files()} == {"a.tif", "a.vrt"}


def test_bands_by_number_and_name_in_the_order_asked(tmp_path, write_geotiff):
    path = write_geotiff(tmp_path / "a.tif", CELLS, names=("ndvi", "slope"))
    raster = GdalRaster(path, bands=["slope", 1])
    assert raster.names == ["slope", "ndvi"]
    np.testing.assert_array_equal(raster.read(0, 0, 1, 1), [[[48, 0]]])
    for band in (0, 3, "height", "1"):
        with pytest.raises(ValueError, match=rf"{band!r}; .* 1 \(ndvi\), 2 \(slope\)"):
            GdalRaster(path, bands=[band])
    with pytest.raises(ValueError, match="bands"):
        GdalRaster(path, bands=[])
    assert GdalRaster(write_geotiff(tmp_path / "b.tif", CELLS, names=("x", "x"))).names == ["band 1", "band 2"]


def test_no_data_by_number_nan_mask_and_alpha(tmp_path, write_geotiff):
    whole = GdalRaster(write_geotiff(tmp_path / "whole.tif", CELLS, nodata=3))
    assert whole.dtype == np.int16
    assert np.argwhere(np.isnan(decode(whole, whole.read(0, 0, 6, 8)))).tolist() == [[0, 3, 0]]
    broken = CELLS.astype(np.float32)
    broken[1, 0, 0] = NAN
    with_nan = GdalRaster(write_geotiff(tmp_path / "nan.tif", broken, nodata=-3.4028230607370965e38))
    assert np.argwhere(np.isnan(with_nan.read(0, 0, 6, 8))).tolist() == [[0, 0, 1]]
    masked = write_geotiff(tmp_path / "mask.tif", CELLS)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(masked, "r+") as file:
        file.write_mask(CELLS[0] != 5)
    raster = GdalRaster(masked)
    assert raster.dtype == np.float32
    assert np.argwhere(np.isnan(raster.read(0, 0, 6, 8))).tolist() == [[0, 5, 0], [0, 5, 1]]


def test_each_band_has_its_scale_and_offset(tmp_path, write_geotiff):
    path = write_geotiff(tmp_path / "a.tif", CELLS, nodata=0, scales=(0.5, 2.0), offsets=(100.0, -1.0))
    raster = GdalRaster(path, bands=[2, 1])
    found = decode(raster, raster.read(0, 0, 1, 2))
    np.testing.assert_array_equal(found, [[[95.0, NAN], [97.0, 100.5]]])


def test_a_file_that_is_not_a_raster_or_has_no_place_is_an_error(tmp_path, write_geotiff):
    with pytest.raises(FileNotFoundError, match=r"none\.tif"):
        GdalRaster(tmp_path / "none.tif")
    (tmp_path / "text.tif").write_text("not a raster")
    with pytest.raises(ValueError, match=r"text\.tif"):
        GdalRaster(tmp_path / "text.tif")
    with pytest.raises(ValueError, match="no CRS, and its bounds"):
        GdalRaster(write_geotiff(tmp_path / "a.tif", CELLS, (10, 0, 5e5, 0, -10, 5e6), crs=None))
    for place in ((10, 0, 0, 0, -10, 95), (10, 0, 300, 0, -10, 60)):  # latitude 95, longitude 380
        with pytest.raises(ValueError, match="are not degrees; give it"):
            GdalRaster(write_geotiff(tmp_path / "a.tif", CELLS, place, crs=None))
    with pytest.raises(ValueError, match="complex"):
        GdalRaster(write_geotiff(tmp_path / "c.tif", CELLS.astype(np.complex64)))
    with pytest.raises(ValueError, match="no geotransform"):
        GdalRaster(write_geotiff(tmp_path / "bare.tif", CELLS, crs=None))


def test_a_raster_without_a_crs_is_in_the_one_given_or_in_degrees_with_a_warning(tmp_path, write_geotiff, caplog):
    path = write_geotiff(tmp_path / "a.tif", CELLS, (10, 0, 500_000, 0, -10, 5_000_000), crs=None)
    lonlat = GdalRaster(path, crs="EPSG:32632").grid.lonlat(np.array([0.0]), np.array([0.0]))
    np.testing.assert_allclose(lonlat, [[9.0, 45.153]], atol=1e-3)
    assert caplog.text == ""
    small = GdalRaster(write_geotiff(tmp_path / "b.tif", CELLS, (0.5, 0, 0, 0, -0.5, 80), crs=None))
    assert small.grid.bounds() == (0, 77, 4, 80)
    assert "b.tif has no CRS; its bounds (0.0, 77.0, 4.0, 80.0)" in caplog.text
    with pytest.raises(ValueError, match=r"c\.tif states its own CRS"):
        GdalRaster(write_geotiff(tmp_path / "c.tif", CELLS), crs="EPSG:32632")


def test_a_crs_without_relation_to_the_earth_is_named_by_every_reader(tmp_path, write_geotiff):
    from geotether.pairing.layouts.chips import chip_places
    from geotether.sources.grids.rasters import raster_values
    from geotether.sources.pictures.pixels import ImageError, read_photo

    path = write_geotiff(tmp_path / "local.tif", CELLS, crs='LOCAL_CS["Site grid",UNIT["metre",1]]')
    place = np.array([[0.0, 0.0]])
    for read in (GdalRaster, chip_places, lambda file: raster_values(file, place)):
        with pytest.raises(ValueError, match=r"local\.tif: .*Site grid"):
            read(path)
    with pytest.raises(ImageError, match="Site grid"):
        read_photo(path.read_bytes(), needs_place=True)
    photo = read_photo(path.read_bytes())  # as with an index, which gives the place
    np.testing.assert_array_equal(photo.pixels, np.moveaxis(CELLS, 0, -1))
    assert "Site grid" in photo.no_place
