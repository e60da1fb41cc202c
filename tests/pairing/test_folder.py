import numpy as np
import pandas as pd
import pytest
from PIL import Image

from geotether.pairing.open import open_paired

rasterio = pytest.importorskip("rasterio")


@pytest.fixture
def folder(write_geotiff, tmp_path):
    """Three fields; the second lacks radar. S1 as one file a band, S2 as one file, weather as CSV, height as npy."""
    rng = np.random.default_rng(0)
    seen = {"VV": {}, "VH": {}, "s2": {}}
    for id in ("f2", "f9", "f10"):
        for band in ("VV", "VH"):
            if id != "f9":
                seen[band][id] = rng.standard_normal((1, 4, 5)).astype(np.float32)
                write_geotiff(tmp_path / "s1" / f"{id}_{band}.tif", seen[band][id])
        seen["s2"][id] = rng.integers(0, 9999, (3, 4, 5), dtype=np.uint16)
        write_geotiff(tmp_path / "s2" / id / f"S2_{id}.tif", seen["s2"][id])
        (tmp_path / "weather").mkdir(exist_ok=True)
        steps = 2 if id == "f2" else 3
        pd.DataFrame({"t": range(steps), "rain": [0.5] * steps}).to_csv(tmp_path / f"weather/{id}.csv", index=False)
        np.save(tmp_path / f"weather/{id}.npy", np.arange(4))
    index = pd.DataFrame({"field": ["f10", "f2", "f9"], "crop": ["maize", "rye", "maize"], "lon": 5.0, "lat": 52.0})
    index.to_csv(tmp_path / "index.csv", index=False)
    index.to_parquet(tmp_path / "index.parquet")
    return tmp_path, seen


MODALITIES = {
    "s1": {"kind": "chip", "files": ["s1/{field}_VV.tif", "s1/{field}_VH.tif"], "bands": ["VV", "VH"]},
    "s2": {"kind": "chip", "files": "s2/{field}/S2_{field}.tif"},
    "weather": {"kind": "series", "files": "weather/{field}.csv"},
    "site": {"kind": "vector", "files": "weather/{field}.npy"},
}


@pytest.mark.parametrize("index", ["index.csv", "index.parquet", None])
def test_files_of_several_sensors(folder, index):
    path, seen = folder
    spec = {"path": str(path), "modalities": MODALITIES, "id": "field", "index": index}
    if index:
        spec |= {"targets": {"crop": {"kind": "classes"}}, "lon": "lon", "lat": "lat"}
    table = open_paired(spec)
    assert table.id.tolist() == (["f10", "f2", "f9"] if index else ["f2", "f9", "f10"])
    for row, id in enumerate(table.id.tolist()):
        np.testing.assert_array_equal(table.modality("s2").values[row], seen["s2"][id])
        if id == "f9":
            assert not table.modality("s1").present[row]
        else:
            np.testing.assert_array_equal(table.modality("s1").values[row, 1], seen["VH"][id][0])
    assert table.modality("s1").present.sum() == 2
    assert table.modality("s2").values.dtype == np.uint16
    weather = table.modality("weather").values[table.id.tolist().index("f2")]
    np.testing.assert_array_equal(weather, [[0, 0.5], [1, 0.5], [np.nan] * 2])
    assert table.modality("site").shape == (4,)
    if index:
        assert table.target("crop").names == ("maize", "rye")


def test_a_table_beside_its_files(folder):
    path, seen = folder
    table = open_paired({"path": "index.csv", "modalities": MODALITIES, "rows": {"crop": "rye"}}, path)
    np.testing.assert_array_equal(table.modality("s2").values[0], seen["s2"]["f2"])


def test_words_of_the_path_become_columns(tmp_path):
    for split, crop, id in (("train", "oak", "3"), ("val", "ash", "12"), ("train", "ash", "5")):
        for band in ("a", "b"):
            (tmp_path / split / crop).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 4), int(id), np.uint8)).save(tmp_path / split / crop / f"{band}_{id}.png")
    spec = {
        "path": str(tmp_path),
        "modalities": {
            "a": {"kind": "chip", "files": "{split}/{crop}/a_{id}.png"},
            "b": {"kind": "chip", "files": "{split}/{crop}/b_{id}.png"},
        },
        "targets": {"crop": {"kind": "classes"}},
        "split": "split",
        "id": "id",
    }
    table = open_paired(spec)
    assert table.id.tolist() == table.modality("a").values[:, 0, 0, 0].astype(str).tolist()
    assert sorted(zip(table.id.tolist(), table.split.tolist(), table.target("crop").values.tolist(), strict=True)) == [
        ("12", "validation", 0),
        ("3", "train", 1),
        ("5", "train", 0),
    ]


def change(**options):
    return {"x": {"kind": "chip", **options}}


@pytest.mark.parametrize(
    "spec, error, message",
    [
        ({"modalities": change(files="s3/{field}.tif")}, FileNotFoundError, "no file for any of 3 rows.*s3/f10.tif"),
        ({"modalities": change(files="s2/{feld}.tif")}, ValueError, "no column 'feld'. Did you mean 'field'"),
        ({"modalities": change(files="s2/a.tif")}, ValueError, "s2/a.tif"),
        ({"modalities": change(files="s2/{field.tif")}, ValueError, "files 's2/{field.tif'"),
        ({"modalities": change(files="s2/{field:05d}.tif")}, ValueError, "cannot be filled in"),
        ({"modalities": change(files="weather/{field}.csv")}, ValueError, r"f10\.csv has shape|f2\.csv has shape"),
        ({"modalities": change(files=["s1/{field}_VV.tif", "s2/{field}.tif"])}, FileNotFoundError, "all its bands"),
        ({"index": "index.xlsx"}, ValueError, "index 'index.xlsx'"),
        ({"index": "other.csv"}, FileNotFoundError, "There is no file .*other.csv"),
        ({"index": None, "modalities": change(columns="crop")}, ValueError, "modality 'x' has no files"),
        ({"index": None, "modalities": change(files="{field}.jpg")}, FileNotFoundError, "No file in .*field"),
        (
            {"index": None, "modalities": {**change(files="{a}.tif"), "y": {"kind": "chip", "files": "{b}.tif"}}},
            ValueError,
            "'{b}.tif' and '{a}.tif' .*index",
        ),
    ],
)
def test_wrong_specifications(folder, spec, error, message):
    with pytest.raises(error, match=message):
        open_paired({"path": str(folder[0]), "modalities": MODALITIES, "index": "index.csv", **spec})


def test_chips_that_differ_in_size(folder, write_geotiff):
    path, _ = folder
    write_geotiff(path / "s2" / "f2" / "S2_f2.tif", np.zeros((3, 8, 8), np.uint16))
    spec = {"path": str(path), "modalities": {"s2": MODALITIES["s2"]}, "index": "index.csv"}
    with pytest.raises(ValueError, match=r"S2_f2\.tif has shape \(3, 8, 8\) and .* has \(3, 4, 5\). Give size"):
        open_paired(spec)
    resized = {"s2": {**MODALITIES["s2"], "size": 4}}
    assert open_paired({**spec, "modalities": resized}).modality("s2").shape == (3, 4, 4)
    write_geotiff(path / "s1" / "f2_VH.tif", np.zeros((1, 2, 2), np.float32))
    with pytest.raises(ValueError, match=r"f2_VH\.tif has size \(2, 2\) and .*f2_VV\.tif has \(4, 5\); give size"):
        open_paired({**spec, "modalities": {"s1": MODALITIES["s1"]}})


@pytest.mark.parametrize(
    ("cell", "message"),
    [("../secret", r"secret\.npy is outside .*data"), ("/etc/passwd", "/etc/passwd.npy is outside"), ("a/b", None)],
)
def test_cells_name_files_within_the_folder_also_on_windows(tmp_path, cell, message):
    for name in ("data/a/b.npy", "secret.npy", "images/a/b.npy"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / name, np.arange(3))
    (tmp_path / "data" / "index.csv").write_text(f"at\n{cell}\na{chr(92)}b\n")
    for files in ("{at}.npy", "../images/{at}.npy"):
        spec = {"path": str(tmp_path / "data"), "modalities": {"v": {"kind": "vector", "files": files}}}
        if message and files.startswith("{"):
            with pytest.raises(ValueError, match=message):
                open_paired({**spec, "index": "index.csv"})
        elif not message:
            assert open_paired({**spec, "index": "index.csv"}).modality("v").present.all()


def test_empty_cells_are_missing_modalities(folder):
    path, _ = folder
    (path / "index.csv").write_text("field,crop\nf2,rye\n,maize\n")
    table = open_paired({"path": str(path), "modalities": {"s2": MODALITIES["s2"]}, "index": "index.csv"})
    assert table.modality("s2").present.tolist() == [True, False]
