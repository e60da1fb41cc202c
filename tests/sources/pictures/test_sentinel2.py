"""Mirrors src/geotether/sources/pictures/sentinel2.py: the layout of S2-100K."""

import numpy as np
import pytest

from geotether.sources.pictures.sentinel2 import BANDS, Sentinel2Source, reflectance

rasterio = pytest.importorskip("rasterio")
SOURCE = Sentinel2Source


@pytest.fixture
def s2(tmp_path, write_geotiff):
    root = tmp_path / "s2100k"
    (root / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    patches = [rng.integers(0, 12_000, (32, 32, 12), dtype=np.uint16) for _ in range(3)]
    wide, empty = rng.integers(0, 9, (64, 64, 13), dtype=np.uint16), np.zeros((32, 32, 12), np.uint16)
    for number, patch in {**dict(enumerate(patches)), 5: wide, 6: empty}.items():
        path, corner = root / "images" / f"patch_{number}.tif", (10, 0, 5e5, 0, -10, 5e6)
        write_geotiff(path, np.moveaxis(patch, -1, 0), corner, "EPSG:32631")
    (root / "images" / "patch_3.tif").write_bytes(b"II*\0" + bytes(500))
    (root / "images" / "patch_7.tif").write_bytes(b"II*\0" + bytes(20_000))
    lines = [f"patch_{number}.tif,{10.0 * number},{-5.0 * number}" for number in range(8)]
    (root / "index.csv").write_text("\n".join(["fn,lon,lat", *lines]))
    return root, patches


def as_satclip_feeds(path):
    """microsoft/satclip, s2geo_dataset.py and transforms.py, before the random crops."""
    with rasterio.open(path) as file:
        image = file.read().astype(np.float32) / 10000.0
    empty = np.zeros((1, *image.shape[1:]), dtype=image.dtype)
    return np.moveaxis(np.concatenate([image[:10], empty, image[10:]], axis=0), 0, -1)


def test_rows_are_as_satclip_feeds_them(tmp_path, s2, opened):
    root, _ = s2
    source = opened(root)
    assert len(source) == 8
    found = source.read(0, 8)
    assert found.row.tolist() == [0, 1, 2]
    assert found.id.tolist() == ["patch_0.tif", "patch_1.tif", "patch_2.tif"]
    np.testing.assert_array_equal(found.lonlat, [[0, 0], [10, -5], [20, -10]])
    for name, image in zip(found.id, found.content, strict=True):
        assert image.dtype == np.float32
        np.testing.assert_array_equal(image, as_satclip_feeds(root / "images" / name))
    assert not found.content[0][..., BANDS.index("B10")].any()
    assert [(one.row, one.reason) for one in found.rejected] == [
        (3, "the file is smaller than 10000 bytes"),
        (4, "there is no such file"),
        (5, "13 bands, not the 12 of level 2A"),
        (6, "all pixels are zero (no data)"),
        (7, "damaged or cut short TIFF"),
    ]
    np.testing.assert_array_equal(source.read(2, 4).content[0], found.content[2])


def test_the_limit_of_size_and_the_fingerprint(tmp_path, s2, opened):
    root, _ = s2
    source = opened(root, min_bytes=0)
    assert source.read(3, 4).rejected[0].reason == "damaged or cut short TIFF"
    assert source.fingerprint() != Sentinel2Source(root).fingerprint()


def test_reflectance_puts_the_bands_in_their_order():
    numbered = np.broadcast_to(np.arange(1, 13, dtype=np.uint16) * 100, (2, 2, 12))
    np.testing.assert_allclose(
        reflectance(numbered)[0, 0], [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.10, 0, 0.11, 0.12]
    )
    assert len(BANDS) == 13


def test_wrong_folders_are_named(tmp_path, s2):
    with pytest.raises(FileNotFoundError, match=r"none .*index\.csv"):
        Sentinel2Source(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"index\.csv is missing"):
        Sentinel2Source(tmp_path)
    (tmp_path / "index.csv").write_text("fn,lon,lat\n")
    with pytest.raises(FileNotFoundError, match="images is missing"):
        Sentinel2Source(tmp_path)
    (s2[0] / "index.csv").write_text("name,lon,lat\n")
    with pytest.raises(ValueError, match="no column 'fn'"):
        Sentinel2Source(s2[0])
