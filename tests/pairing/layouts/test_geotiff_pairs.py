"""Mirrors geotiff_pairs.py and the reading of chips.py."""

import numpy as np
import pytest

from geotether.pairing.layouts.chips import chip_places, read_chip
from geotether.pairing.layouts.geotiff_pairs import read_geotiff_pairs


@pytest.fixture
def data(tmp_path, write_tif):
    """Scenes a and b_2 of 10 x 14 pixels; pixels are numbered from the upper left."""
    pixels = np.arange(140, dtype=np.float64).reshape(1, 10, 14)
    for number, scene in enumerate(("a", "b_2")):
        x = 400_000 + 10_000 * number
        write_tif(tmp_path / f"{scene}_S1RTC.tif", np.concatenate([pixels, -pixels]) / 8, x=x)
        write_tif(tmp_path / f"{scene}_S2L2A.tif", np.concatenate([pixels] * 3).astype(np.int16) + number, x=x)
    return tmp_path


def test_whole_images(data):
    table = read_geotiff_pairs(data, bands={"s1": ["VV", "VH"]})
    assert table.id.tolist() == ["a", "b_2"]
    s1, s2 = table.modality("s1"), table.modality("s2")
    assert (s1.shape, s1.values.dtype, s1.bands) == ((2, 10, 14), np.float32, ("VV", "VH"))
    assert (s2.shape, s2.values.dtype, s2.bands) == ((3, 10, 14), np.int16, ())
    assert s1.values[0, 1, 1, 0] == -14 / 8
    assert s2.values[1, 2, 9, 13] == 140
    assert table.group is None
    assert table.targets == {}


def test_tiles_lie_where_they_were_cut(data):
    from rasterio.warp import transform

    table = read_geotiff_pairs(data, tile=4)
    assert len(table) == 2 * 2 * 3
    assert table.id.tolist()[:4] == ["a_0_0", "a_0_4", "a_0_8", "a_4_0"]
    assert table.group.tolist() == ["a"] * 6 + ["b_2"] * 6
    whole = np.arange(140).reshape(10, 14)
    np.testing.assert_array_equal(table.modality("s2").values[3, 0], whole[4:8, 0:4])
    np.testing.assert_array_equal(table.modality("s2").values[8, 1], whole[0:4, 8:12] + 1)
    (lon,), (lat,) = transform("EPSG:32632", "EPSG:4326", [400_000 + 20], [5_000_000 - 60])
    np.testing.assert_allclose(table.lonlat[3], [lon, lat], atol=1e-9)
    drawn = read_geotiff_pairs(data, tile=4, limit=5, seed=3)
    assert len(drawn) == 5
    assert set(drawn.id) < set(table.id)
    small = read_geotiff_pairs(data, tile=4, size=2)
    np.testing.assert_allclose(small.modality("s1").values[0, 0, 0, 0], whole[:2, :2].mean() / 8)


def test_other_names_and_folders(tmp_path, write_tif):
    for scene in ("x1", "x2"):
        for kind in ("radar", "optical"):
            write_tif(tmp_path / scene / kind / f"{kind}_{scene}.tif", np.ones((1, 4, 4), np.uint8))
    write_tif(tmp_path / "x3" / "radar" / "radar_x4.tif", np.ones((1, 4, 4), np.uint8))
    files = {"radar": "{id}/radar/radar_{id}.tif", "optical": "{id}/optical/optical_{id}.tif"}
    assert read_geotiff_pairs(tmp_path, files=files).id.tolist() == ["x1", "x2"]


def test_images_without_a_place(data, write_tif):
    for kind, bands in (("S1RTC", 2), ("S2L2A", 3)):
        write_tif(data / f"a_{kind}.tif", np.ones((bands, 10, 14), np.float64 if bands == 2 else np.int16), crs=None)
    with pytest.raises(ValueError, match=r"1 of 2 images .*such as a"):
        read_geotiff_pairs(data)
    for kind, bands in (("S1RTC", 2), ("S2L2A", 3)):
        write_tif(data / f"b_2_{kind}.tif", np.ones((bands, 10, 14), np.float64 if bands == 2 else np.int16), crs=None)
    table = read_geotiff_pairs(data)
    assert table.lonlat is None


def test_inputs_that_do_not_fit_are_named(data, write_tif):
    for options, message in [
        ({"files": {"s1": "a_S1RTC.tif"}}, "has no {id}"),
        ({"bands": {"s3": ["VV"]}}, "'s3', but files has only s1, s2"),
        ({"bands": {"s1": ["VV"]}}, "bands of s1: 1 names for 2 bands"),
        ({"tile": 11}, "None of 2 scenes .* 11 x 11"),
        ({"tile": 0}, "tile must be"),
        ({"size": -1}, "size must be"),
    ]:
        with pytest.raises(ValueError, match=message):
            read_geotiff_pairs(data, **options)
    with pytest.raises(FileNotFoundError, match="no files named"):
        read_geotiff_pairs(data, files={"s1": "{id}_S1GRD.tif"})
    file = data / "b_2_S2L2A.tif"
    write_tif(file, np.ones((4, 10, 14), np.int16))
    with pytest.raises(ValueError, match=r"b_2_S2L2A\.tif has 4 bands, not 3"):
        read_geotiff_pairs(data)
    write_tif(file, np.ones((3, 20, 28), np.int16))
    with pytest.raises(ValueError, match="Scene b_2: s1 and s2 have different grids"):
        read_geotiff_pairs(data, tile=4)
    with pytest.raises(ValueError, match=r"s2 has shape \(3, 20, 28\).*earlier rows have \(3, 10, 14\).*size="):
        read_geotiff_pairs(data)
    assert read_geotiff_pairs(data, size=7).modality("s2").shape == (3, 7, 7)
    write_tif(file, np.ones((3, 10, 14), np.float32))
    with pytest.raises(ValueError, match=r"s2 .*float32.*int16"):
        read_geotiff_pairs(data)


def test_missing_pixels_of_a_file_are_nan(tmp_path, write_tif):
    pixels = np.array([[[1.0, -9999.0], [3.0, np.nan]]], np.float32)
    chip = read_chip(write_tif(tmp_path / "a.tif", pixels, nodata=-9999.0), None, 1)
    np.testing.assert_array_equal(chip, [[[1, np.nan], [3, np.nan]]])


@pytest.mark.parametrize(
    "crs, x, y, expected",
    [
        ("EPSG:4326", 179.0, 1.0, (-179.0 + 360 - 360, -1.0)),  # two degrees a pixel, across the antimeridian
        ("EPSG:3031", -20.0, 20.0, (0.0, -90.0)),  # polar stereographic, centred on the South Pole
    ],
)
def test_places_at_the_edges_of_the_map(tmp_path, write_tif, crs, x, y, expected):
    gsd_m = 2.0 if crs == "EPSG:4326" else 20.0
    path = write_tif(tmp_path / "a.tif", np.ones((1, 2, 2), np.uint8), x=x, y=y, gsd_m=gsd_m, crs=crs)
    lon, lat = chip_places(path)[0]
    assert lat == pytest.approx(expected[1], abs=1e-6)
    if abs(lat) < 89:
        assert (lon - expected[0]) % 360 == pytest.approx(0, abs=1e-9)


def test_real_pairs_give_the_chips_that_were_cut_from_them(shared_data):
    folder = shared_data / "paired"
    table = read_geotiff_pairs(folder / "format_samples" / "sentinel1_sentinel2_pairs", tile=16)
    assert len(table) == 2 * 14 * 14
    with np.load(folder / "s1s2_landcover_chips_16px.npz") as chips:
        for scene in ("38D_378R_2_3", "433D_629L_3_1"):
            of = np.flatnonzero(chips["tile"] == scene)
            at = {name: row for row, name in enumerate(table.id)}
            ours = [at[f"{scene}_{16 * chips['row'][row]}_{16 * chips['col'][row]}"] for row in of]
            np.testing.assert_array_equal(table.modality("s2").values[ours], chips["s2"][of])
            np.testing.assert_array_equal(table.modality("s1").values[ours], chips["s1"][of])
            np.testing.assert_allclose(table.lonlat[ours, 0], chips["lon"][of], atol=1e-5)
            np.testing.assert_allclose(table.lonlat[ours, 1], chips["lat"][of], atol=1e-5)
