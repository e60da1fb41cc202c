"""Mirrors src/geotether/featurizing/guess.py."""

import gzip
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.featurizing.guess import guess_source
from geotether.files.formats import FORMATS

PACKED = [(one, f"{ending}.gz") for one in FORMATS if one.packed for ending in one.endings]
SOURCES = {"csv": "columns", "geojson": "columns", "layer": "columns", "array": "vectors"}


@pytest.mark.parametrize(("known", "ending"), [(one, end) for one in FORMATS for end in one.endings] + PACKED)
def test_every_ending_of_every_format_is_known(tmp_path, known, ending):
    """All that the package reads, except what only its content tells."""
    (tmp_path / f"A{ending.upper()}").write_bytes(gzip.compress(b"") if ending.endswith(".gz") else b"")
    if known.name in ("parquet", "image") or ending == ".zip":
        return
    rows = "columns" if "geojson" in ending else "texts"
    want = SOURCES.get(known.name, rows if known.name == "json lines" else "raster")
    assert guess_source(tmp_path / f"A{ending.upper()}") == want


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


def test_a_geometry_is_not_an_image(tmp_path):
    from geotether.files.geometry import with_geometry

    table = with_geometry(pa.table({"mass": [1.0]}), np.array([[5.0, 52.0]]))
    pq.write_table(table, tmp_path / "a.parquet")
    assert guess_source(tmp_path / "a.parquet") == "columns"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"not an archive"])
def test_a_damaged_archive_is_named(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.zip is damaged or cannot be read"):
        guess_source(tmp_path / "a.zip")


def test_gbif_downloads(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("meta.xml", "<archive/>")
    assert guess_source(tmp_path / "a.zip") == "darwin_core"
    (tmp_path / "simple.csv").write_text("gbifID\tspecies\tdecimalLatitude\tdecimalLongitude\n1\twren\t52\t5\n")
    assert guess_source(tmp_path / "simple.csv") == "darwin_core"
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "unpacked" / "meta.xml").touch()
    assert guess_source(tmp_path / "unpacked") == "darwin_core"
    (tmp_path / "occurrence.txt").touch()
    assert guess_source(tmp_path / "occurrence.txt") == "darwin_core"
    with zipfile.ZipFile(tmp_path / "shapes.zip", "w") as archive:
        archive.writestr("towns.shp", "")
    assert guess_source(tmp_path / "shapes.zip") == "columns"


def test_folders(tmp_path):
    for name in ("photos/2024/a.JPG", "s2/images/a.tif", "s2/index.csv", "cube.zarr/x", "cube3/zarr.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [guess_source(tmp_path / name) for name in ("photos", "s2", "cube.zarr", "cube3")]
    assert found == ["images", "sentinel2", "raster", "raster"]


def test_if_no_source_is_inferred_the_sources_are_listed(tmp_path):
    (tmp_path / "a.docx").touch()
    with pytest.raises(ValueError, match=r"files ending in '\.docx'; .* columns, .*vectors"):
        guess_source(tmp_path / "a.docx")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="a source for this folder"):
        guess_source(tmp_path / "empty")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("readme", "")
    with pytest.raises(ValueError, match="cannot infer"):
        guess_source(tmp_path / "b.zip")
    (tmp_path / "d.parquet").write_text("no Parquet")
    with pytest.raises(ValueError, match="not a Parquet file"):
        guess_source(tmp_path / "d.parquet")
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        guess_source(tmp_path / "gone")
