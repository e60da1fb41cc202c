"""Mirrors sen12ms.py."""

import numpy as np
import pytest

from geotether.pairing.layouts.sen12ms import IGBP, SIMPLE, igbp_shares, land_cover_targets, read_sen12ms

# Season, scene, patch, and the codes of the first band of its land cover.
PATCHES = [
    ("ROIs1158_spring", 1, 30, [1] * 32 + [12] * 32),
    ("ROIs1158_spring", 1, 31, [2] * 4 + [4] * 4 + [10] * 56),
    ("ROIs1868_summer", 15, 7, [17] * 64),
    ("ROIs2017_winter", 112, 202, [0] * 60 + [14, 14, 14, 12]),
]


@pytest.fixture
def data(tmp_path, write_tif):
    for number, (season, scene, patch, codes) in enumerate(PATCHES):
        for sensor, pixels in {
            "s1": np.stack([np.full((8, 8), -9.5 - number), np.full((8, 8), -16.25)]).astype(np.float32),
            "s2": (np.arange(13)[:, None, None] * 10 + number + np.zeros((13, 8, 8))).astype(np.uint16),
            "lc": np.stack([np.array(codes, np.uint8).reshape(8, 8), *np.zeros((3, 8, 8), np.uint8)]),
        }.items():
            name = f"{season}_{sensor}_{scene}_p{patch}.tif"
            write_tif(tmp_path / season / f"{sensor}_{scene}" / name, pixels, x=500_000 + 80 * number)
    return tmp_path


def test_patches_are_read_as_written(data):
    table = read_sen12ms(data)
    assert table.id.tolist() == [
        "ROIs1158_spring_1_p30",
        "ROIs1158_spring_1_p31",
        "ROIs1868_summer_15_p7",
        "ROIs2017_winter_112_p202",
    ]
    assert table.group.tolist()[:3] == ["ROIs1158_spring_1", "ROIs1158_spring_1", "ROIs1868_summer_15"]
    assert table.split is None
    s1, s2 = table.modality("s1"), table.modality("s2")
    assert (s1.shape, s1.values.dtype, s2.shape, s2.values.dtype) == ((2, 8, 8), np.float32, (13, 8, 8), np.uint16)
    np.testing.assert_array_equal(s1.values[:, :, 3, 3], [[-9.5 - row, -16.25] for row in range(4)])
    np.testing.assert_array_equal(s2.values[:, :, 0, 0], np.arange(13) * 10 + np.arange(4)[:, None])
    assert (np.diff(table.lonlat[:, 0]) > 0).all()
    np.testing.assert_allclose(table.lonlat[0], [9.0, 45.15], atol=0.01)  # x 500 km is the middle of zone 32


def test_land_cover_becomes_labels_and_a_main_class(data):
    table = read_sen12ms(data)
    names = table.target("land_cover").names
    assert names == tuple(SIMPLE)
    found = [
        [name for name, value in zip(names, row, strict=True) if value] for row in table.target("land_cover").values
    ]
    # In the last patch 60 of 64 pixels have no class: of the four others all are crops (12 or 14).
    assert found == [["Forest", "Croplands"], ["Forest", "Grassland"], ["Water"], ["Croplands"]]
    main = table.target("main_land_cover")
    assert [main.names[code] for code in main.values] == ["Forest", "Grassland", "Water", "Croplands"]
    full = read_sen12ms(data, scheme="igbp", threshold=0.2)
    assert full.target("land_cover").counts["Deciduous Broadleaf Forests"] == 0  # 4 of 64 pixels
    assert full.target("land_cover").counts["Grasslands"] == 1
    assert [full.target("main_land_cover").names[code] for code in full.target("main_land_cover").values][3] == IGBP[13]


def test_the_simplified_classes_are_those_of_the_authors():
    """Their dataset.py sums the 17 shares as written here."""
    lc = np.random.default_rng(0).dirichlet(np.ones(17), 50).astype(np.float32)
    sums = [[row[0:5].sum(), row[5:7].sum(), row[7:9].sum(), row[9], row[10], row[11] + row[13]] for row in lc]
    theirs = np.concatenate([np.array(sums), lc[:, 12:13], lc[:, 14:17]], axis=1)
    ours = land_cover_targets(lc, "simplified", 0.1)
    np.testing.assert_array_equal(ours["land_cover"].values, theirs >= 0.1)
    np.testing.assert_array_equal(ours["main_land_cover"].values, theirs.argmax(axis=1))


def test_shares_leave_out_pixels_without_a_class():
    shares = igbp_shares(np.array([[0, 255], [1, 17]], dtype=np.uint8))
    assert shares[0] == shares[16] == 0.5
    assert np.isnan(igbp_shares(np.zeros((2, 2), np.uint8))).all()
    with pytest.raises(ValueError, match="land cover 18 "):
        igbp_shares(np.array([[18]]))
    share = np.zeros((1, 17), np.float32)
    share[0, :2] = 0.1, 0.9
    assert land_cover_targets(share, "igbp", 0.1)["land_cover"].values[0, 0] == 1  # 0.1 in float32 counts


def test_the_split_of_patch_lists(data):
    (data / "splits").mkdir()
    (data / "splits" / "train_list.txt").write_text(
        "ROIs1158_spring_s2_1_p30.tif\nROIs1158_spring_s2_1_p31.tif\nROIs2017_winter_s2_112_p202.tif\n"
    )
    (data / "splits" / "val_list.txt").write_text("ROIs2017_winter_s2_112_p202.tif\n")
    (data / "test_list.txt").write_text("ROIs1868_summer_s1_15_p7.tif\n\n")
    table = read_sen12ms(data)
    assert table.split.tolist() == ["train", "train", "test", "validation"]
    assert read_sen12ms(data, split="val").id.tolist() == ["ROIs2017_winter_112_p202"]
    assert read_sen12ms(data, seasons=["summer"]).id.tolist() == ["ROIs1868_summer_15_p7"]
    with pytest.raises(ValueError, match="no part of the split 'buffer'; known: test, train, validation"):
        read_sen12ms(data, split="buffer")
    (data / "test_list.txt").write_text("ROIs1868_summer_15.tif\n")
    with pytest.raises(ValueError, match=r"ROIs1868_summer_15.* not a patch"):
        read_sen12ms(data)


def test_the_split_of_scene_lists(data):
    (data / "SEN12MS_holdOutScenes.txt").write_text("ROIs1868_summer/s1_15\n")
    (data / "ValidationScenes.txt").write_text("ROIs2017_winter/s2_112\n")
    assert read_sen12ms(data).split.tolist() == ["train", "train", "test", "validation"]
    (data / "ValidationScenes.txt").write_text("ROIs2017_winter s2_112\n")
    with pytest.raises(ValueError, match=r"s2_112.* not a scene"):
        read_sen12ms(data)


def test_missing_files(data):
    (data / "ROIs1868_summer" / "s1_15" / "ROIs1868_summer_s1_15_p7.tif").unlink()
    (data / "ROIs1158_spring" / "lc_1" / "ROIs1158_spring_lc_1_p30.tif").unlink()
    (data / "ROIs1158_spring" / "s2_1" / "ROIs1158_spring_s2_1_p31.tif").unlink()
    with pytest.raises(FileNotFoundError, match=r"3 of 12 .*\(s1: 1 of 4 rows, s2: 1 of 4 rows, lc: 1 of 4 rows\)"):
        read_sen12ms(data)
    table = read_sen12ms(data, tolerate_missing=True)  # without lists a patch counts if any sensor saw it
    assert table.modality("s1").present.tolist() == [True, True, False, True]
    assert np.isnan(table.modality("s1").values[2]).all()
    assert table.modality("s2").present.tolist() == [True, False, True, True]
    assert table.target("main_land_cover").known.tolist() == [False, True, True, True]
    assert len(read_sen12ms(data, modalities=["s2"], tolerate_missing=True)) == 3


def test_a_radar_patch_of_only_nan_is_missing(data, write_tif):
    """ROIs1868_summer_s1_146_p202 of the published set holds NaN."""
    file = data / "ROIs1868_summer" / "s1_15" / "ROIs1868_summer_s1_15_p7.tif"
    write_tif(file, np.full((2, 8, 8), np.nan, np.float32))
    assert read_sen12ms(data).modality("s1").present.tolist() == [True, True, False, True]
