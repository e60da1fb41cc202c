"""Mirrors src/geotether/featurizing/guess.py."""

import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.featurizing.guess import guess_source


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("a.csv", "columns"), ("a.TSV", "columns"), ("a.geojson", "columns"), ("a.gpkg", "columns"),
        ("a.shp", "columns"), ("a.geoparquet", "columns"), ("a.jsonl", "texts"), ("a.tif", "raster"),
        ("a.nc", "raster"), ("a.npy", "vectors"), ("occurrence.txt", "darwin_core"),
    ],
)  # fmt: skip
def test_by_ending(tmp_path, name, source):
    (tmp_path / name).touch()
    assert guess_source(tmp_path / name) == source


@pytest.mark.parametrize(
    ("columns", "source"),
    [
        ({"mass": [1.0]}, "columns"),
        ({"embedding": [[1.0, 2.0]]}, "vectors"),
        ({"Vector": [[1.0, 2.0]], "name": ["a"]}, "vectors"),
        ({"vector": [[1.0]], "other": [[1.0]]}, "columns"),
        ({"bands": [[1.0]]}, "columns"),
        ({"jpeg": [b"\xff\xd8"]}, "image_column"),
    ],
)
def test_parquet_by_its_columns(tmp_path, columns, source):
    pq.write_table(pa.table({"lon": [1.0], "lat": [1.0], **columns}), tmp_path / "a.parquet")
    assert guess_source(tmp_path / "a.parquet") == source


def test_a_geometry_is_no_image(tmp_path):
    from geotether.files.geometry import with_geometry

    table = with_geometry(pa.table({"mass": [1.0]}), np.array([[5.0, 52.0]]))
    pq.write_table(table, tmp_path / "a.parquet")
    assert guess_source(tmp_path / "a.parquet") == "columns"


def test_gbif_downloads(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("meta.xml", "<archive/>")
    assert guess_source(tmp_path / "a.zip") == "darwin_core"
    (tmp_path / "simple.csv").write_text("gbifID\tspecies\tdecimalLatitude\tdecimalLongitude\n1\twren\t52\t5\n")
    assert guess_source(tmp_path / "simple.csv") == "darwin_core"
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "unpacked" / "meta.xml").touch()
    assert guess_source(tmp_path / "unpacked") == "darwin_core"


def test_folders(tmp_path):
    for name in ("photos/2024/a.JPG", "s2/images/a.tif", "s2/index.csv", "cube.zarr/x", "cube3/zarr.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [guess_source(tmp_path / name) for name in ("photos", "s2", "cube.zarr", "cube3")]
    assert found == ["images", "sentinel2", "raster", "raster"]


def test_what_cannot_be_told_lists_the_sources(tmp_path):
    (tmp_path / "a.docx").touch()
    with pytest.raises(ValueError, match=r"files ending in '\.docx' cannot be told; name it .* columns, .*vectors"):
        guess_source(tmp_path / "a.docx")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="this folder cannot be told"):
        guess_source(tmp_path / "empty")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("readme", "")
    (tmp_path / "c.zip").write_text("no zip")
    for name in ("b.zip", "c.zip"):
        with pytest.raises(ValueError, match="cannot be told"):
            guess_source(tmp_path / name)
    (tmp_path / "d.parquet").write_text("no Parquet")
    with pytest.raises(ValueError, match="not a Parquet file"):
        guess_source(tmp_path / "d.parquet")
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        guess_source(tmp_path / "gone")
