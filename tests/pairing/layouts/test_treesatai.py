"""Mirrors treesatai.py."""

import json

import numpy as np
import pytest

from geotether.pairing.layouts.treesatai import GENERA, SERIES, read_treesatai

SAMPLES = ["Abies_alba_1_1005_WEFL_NLF", "Fagus_sylvatica_6_154201_BI_NLF", "Quercus_robur_2_77_BI_NLF"]
DATES = ["20200110", "20200120", "20200301"]


def series(level, cloud):
    """Three dates: S2 is level + date + band, and VV, VH level + date + 0.5 band; the pixels differ about that."""
    pixels = np.linspace(-1, 1, 36, dtype=np.float32).reshape(6, 6)
    date = np.arange(3, dtype=np.float32)[:, None, None, None]
    s2 = level + date + np.arange(10, dtype=np.float32)[:, None, None] + pixels
    s1 = level + date + 0.5 * np.arange(2, dtype=np.float32)[:, None, None] + pixels
    masks = np.zeros((3, 2, 6, 6), np.float32)
    masks[:, 1] = np.array(cloud)[:, None, None]
    radar = [f"S1A_IW_GRDH_1SDV_{day}T170841_{day}T170906_030639_0382D5_360A".encode() for day in DATES]
    optical = [f"S2A_MSIL2A_{day}T102421_N0213_R065_T32UNC_{day}T115419".encode() for day in DATES]
    return {
        "sen_1_asc_data": s1,
        "sen_1_asc_products": radar,
        "sen_1_des_data": s1[:2] + 100,
        "sen_1_des_products": radar[:2],
        "sen_2_data": s2,
        "sen_2_masks": masks,
        "sen_2_products": optical,
    }


@pytest.fixture
def data(tmp_path, write_tif, write_h5):
    for number, name in enumerate(SAMPLES):
        pixels = np.full((4, 15, 15), 10 * number, np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None]
        write_tif(tmp_path / "aerial" / f"{name}.tif", pixels, x=600_000 + 60 * number, gsd_m=4, crs="EPSG:25832")
        write_h5(tmp_path / "sentinel-ts" / f"{name}_{2018 + number}.h5", **series(100 * number, [0, 80, 50]))
    labels = {
        f"{SAMPLES[0]}.tif": [["Abies", 0.07], ["Picea", 0.93]],
        f"{SAMPLES[1]}.tif": [["Fagus", 0.5], ["Quercus", 0.4], ["Acer", 0.0701]],
        f"{SAMPLES[2]}.tif": [["Quercus", 0.05], ["Tilia", 0.01]],
    }
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "TreeSatBA_v9_60m_multi_labels.json").write_text(json.dumps(labels))
    (tmp_path / "split").mkdir()
    for part, name in zip(("train", "val", "test"), SAMPLES, strict=True):
        (tmp_path / "split" / f"{part}_filenames.lst").write_text(f"{name}.tif\n")
    return tmp_path


def test_samples_are_read_as_written(data):
    from rasterio.warp import transform

    table = read_treesatai(data)
    assert table.id.tolist() == SAMPLES
    assert table.split.tolist() == ["train", "validation", "test"]
    assert table.time.astype("datetime64[Y]").astype(str).tolist() == ["2018", "2019", "2020"]
    aerial = table.modality("aerial")
    assert (aerial.shape, aerial.values.dtype, aerial.bands) == ((4, 15, 15), np.uint8, ("NIR", "G", "B", "R"))
    assert aerial.values[2, :, 7, 7].tolist() == [20, 21, 22, 23]
    (lon,), (lat,) = transform("EPSG:25832", "EPSG:4326", [600_060 + 30], [5_000_000 - 30])
    np.testing.assert_allclose(table.lonlat[1], [lon, lat], atol=1e-9)
    shapes = {name: table.modality(name).shape for name in SERIES}
    assert shapes == {"s1_asc": (12, 2), "s1_des": (12, 2), "s2": (12, 10)}
    january, march = table.modality("s2").values[1, 0], table.modality("s2").values[1, 2]
    np.testing.assert_allclose(january, 100 + np.arange(10), atol=1e-4)  # 80 % of the second date is cloud
    np.testing.assert_allclose(march, 102 + np.arange(10), atol=1e-4)
    np.testing.assert_allclose(table.modality("s1_asc").values[1, 0], [100.5, 101], atol=1e-4)  # of two dates
    np.testing.assert_allclose(table.modality("s1_des").values[1, 0], [200.5, 201], atol=1e-4)
    assert np.isnan(table.modality("s2").values[:, [1, *range(3, 12)]]).all()
    clear = read_treesatai(data, max_cloud=None, modalities=["s2"]).modality("s2")
    np.testing.assert_allclose(clear.values[1, 0], 100.5 + np.arange(10), atol=1e-4)


def test_shares_become_labels_above_the_threshold(data):
    table = read_treesatai(data, modalities=["s2"])
    label = table.target("genera")
    assert label.names == GENERA
    found = [[name for name, value in zip(GENERA, row, strict=True) if value == 1] for row in label.values]
    assert found == [["Picea"], ["Acer", "Fagus", "Quercus"], []]  # 0.07 is not above 0.07
    assert label.known.tolist() == [True, True, False]
    assert [GENERA[code] for code in table.target("main_genus").values] == ["Picea", "Fagus", "Quercus"]
    low = read_treesatai(data, modalities=["s2"], threshold=0.0).target("genera")
    assert low.values.sum(axis=1).tolist() == [2, 3, 2]


def test_dates_are_sorted_and_filled_up(data, write_h5):
    table = read_treesatai(data, series="dates", max_cloud=None)
    shapes = {name: table.modality(name).shape for name in SERIES}
    assert shapes == {"s1_asc": (151, 2), "s1_des": (257, 2), "s2": (146, 10)}
    short = read_treesatai(data, series="dates", steps=4, modalities=["s2", "s1_des"])
    np.testing.assert_allclose(short.modality("s2").values[0, :, 0], [0, np.nan, 2, np.nan], atol=1e-4)
    np.testing.assert_allclose(short.modality("s1_des").values[0, :, 0], [100, 101, np.nan, np.nan], atol=1e-4)
    with pytest.raises(ValueError, match="s2 has 3 dates, more than steps=2"):
        read_treesatai(data, series="dates", steps=2, modalities=["s2"])
    turned = {name: values[::-1] for name, values in series(0, [0, 80, 50]).items()}
    write_h5(data / "sentinel-ts" / f"{SAMPLES[0]}_2018.h5", **turned)
    again = read_treesatai(data, series="dates", steps=4, modalities=["s2"]).modality("s2")
    np.testing.assert_array_equal(again.values, short.modality("s2").values)


def test_the_older_archive_has_single_images(tmp_path, write_tif):
    for kind, bands in (("aerial", 4), ("s1", 3), ("s2", 12)):
        pixels = np.arange(bands, dtype=np.float32)[:, None, None] + np.zeros((6, 6), np.float32)
        write_tif(
            tmp_path / kind / "60m" / f"{SAMPLES[0]}.tif", pixels.astype(np.uint8 if kind == "aerial" else np.float32)
        )
    (tmp_path / "train_filenames.lst").write_text(f"{SAMPLES[0]}.tif\n")
    table = read_treesatai(tmp_path, modalities=["aerial", "s1_image", "s2_image"], aerial_size=3)
    shapes = {name: sensor.shape for name, sensor in table.modalities.items()}
    assert shapes == {"aerial": (4, 3, 3), "s1_image": (3, 6, 6), "s2_image": (12, 6, 6)}
    assert table.modality("s2_image").bands[:5] == ("B02", "B03", "B04", "B08", "B05")
    assert table.targets == {}
    assert table.time is None


def test_places_come_from_outlines_if_aerial_images_are_missing(data):
    places = read_treesatai(data).lonlat
    features = []
    for number, name in enumerate(SAMPLES):
        west, north = 600_000 + 60 * number, 5_000_000
        ring = [[west, north], [west + 60, north], [west + 60, north - 60], [west, north - 60], [west, north]]
        geometry = {"type": "MultiPolygon", "coordinates": [[ring]]}
        features.append({"type": "Feature", "properties": {"IMG_ID": name, "YEAR": 2018}, "geometry": geometry})
        (data / "aerial" / f"{name}.tif").unlink()
    assert read_treesatai(data, modalities=["s2"]).lonlat is None
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25832"}}
    (data / "geojson").mkdir()
    document = {"type": "FeatureCollection", "crs": crs, "features": features}
    (data / "geojson" / "bb_60m.GeoJSON").write_text(json.dumps(document))
    np.testing.assert_allclose(read_treesatai(data, modalities=["s2"]).lonlat, places, atol=1e-9)
    (data / "geojson" / "bb_60m.GeoJSON").write_text(json.dumps({"features": features}))
    with pytest.raises(ValueError, match="bb_60m"):
        read_treesatai(data, modalities=["s2"])


def test_missing_files(data):
    (data / "aerial" / f"{SAMPLES[1]}.tif").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 12 files are missing \(aerial: 1 of 3 rows\)"):
        read_treesatai(data)
    with pytest.raises(ValueError, match=f"1 of 3 images .*such as {SAMPLES[1]}.*bb_60m"):
        read_treesatai(data, tolerate_missing=True)
    (data / "sentinel-ts" / f"{SAMPLES[1]}_2019.h5").unlink()
    table = read_treesatai(data, tolerate_missing=True)
    assert table.id.tolist() == [SAMPLES[0], SAMPLES[2]]
    with pytest.raises(FileNotFoundError, match="No row has s1_image: leave it out"):
        read_treesatai(data, modalities=["s1_image", "aerial"], tolerate_missing=True)


def test_errors_in_the_files_are_named(data, write_h5, write_tif):
    file = data / "sentinel-ts" / f"{SAMPLES[0]}_2018.h5"
    good = series(0, [0, 0, 0])
    for change, message in [
        ({"sen_2_data": good["sen_2_data"][:, :9]}, r"sen-2-data .*shape \(3, 9, 6, 6\), not .*\(dates, 10 bands"),
        ({"sen_2_products": good["sen_2_products"][:2]}, "sen-2 has 3 dates but 2 names"),
        ({"sen_2_products": [b"spring"] * 3}, r"part 2 .*'spring'"),
        ({"sen_2_masks": good["sen_2_masks"][:, :1]}, r"sen-2-masks has shape \(3, 1, 6, 6\)"),
    ]:
        write_h5(file, **{**good, **change})
        with pytest.raises(ValueError, match=message):
            read_treesatai(data, modalities=["s2"])
    write_h5(file, **{name: values for name, values in good.items() if name != "sen_2_masks"})
    with pytest.raises(ValueError, match="no data set 'sen-2-masks'; set max_cloud: null"):
        read_treesatai(data, modalities=["s2"])
    write_h5(file, sen_1_asc_data=good["sen_1_asc_data"])
    with pytest.raises(ValueError, match="no data set 'sen-2-data'"):
        read_treesatai(data, modalities=["s2"])
    file.write_bytes(b"no")
    with pytest.raises(ValueError, match=r"h5 is not"):
        read_treesatai(data, modalities=["s2"])
    write_tif(data / "aerial" / f"{SAMPLES[0]}.tif", np.zeros((3, 15, 15), np.uint8))
    with pytest.raises(ValueError, match="has 3 bands, not 4"):
        read_treesatai(data, modalities=["aerial"])
    labels = data / "labels" / "TreeSatBA_v9_60m_multi_labels.json"
    labels.write_text(json.dumps({f"{name}.tif": [["Salix", 1.0]] for name in SAMPLES}))
    with pytest.raises(ValueError, match=f"{SAMPLES[1]}: There is no genus 'Salix'"):
        read_treesatai(data, modalities=["s2"], split="val")
    labels.write_text("{}")
    with pytest.raises(ValueError, match="has no labels for Fagus"):
        read_treesatai(data, modalities=["s2"], split="val")


def test_a_real_sample(shared_data):
    h5py = pytest.importorskip("h5py")
    folder = shared_data / "paired" / "format_samples" / "treesatai"
    table = read_treesatai(folder)
    assert table.id.tolist() == ["Abies_alba_1_1005_WEFL_NLF"]
    np.testing.assert_allclose(table.lonlat[0], [9.958, 52.085], atol=1e-3)  # Lower Saxony
    aerial = table.modality("aerial").values[0]
    assert (aerial.shape, aerial.dtype) == ((4, 304, 304), np.uint8)
    assert aerial[0].mean() > aerial[1:].mean(axis=(1, 2)).max()  # leaves shine brightest in the near infrared
    with h5py.File(folder / "Abies_alba_1_1005_WEFL_NLF.h5") as file:
        s2, cloud = file["sen-2-data"][:], file["sen-2-masks"][:, 1].mean(axis=(1, 2))
        months = np.array([int(name[15:17]) for name in file["sen-2-products"][:]])
        july = np.median(s2[(months == 7) & (cloud <= 50)].mean(axis=(2, 3)), axis=0)
    np.testing.assert_allclose(table.modality("s2").values[0, 6], july, rtol=1e-5)
    assert not np.isnan(table.modality("s1_asc").values).any()
    dates = read_treesatai(folder, series="dates", max_cloud=None)
    assert (~np.isnan(dates.modality("s1_des").values[0, :, 0])).sum() == 86
