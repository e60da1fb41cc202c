"""Mirrors src/geotether/sources/pictures/image_column.py."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from geotether.files.geometry import with_geometry
from geotether.sources.pictures import image_column
from geotether.sources.pictures.image_column import ImageColumnSource

SOURCE = ImageColumnSource


def encoded(seed, kind="PNG", side=8) -> tuple[np.ndarray, bytes]:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    Image.fromarray(pixels).save(file, kind, **options)
    return pixels, file.getvalue()


@pytest.fixture
def chips(tmp_path):
    """50 chips, some of them useless, in row groups of seven; a second column of bytes holds no images."""
    images = [encoded(row, ("PNG", "WEBP", "TIFF")[row % 3]) for row in range(50)]
    data = [one for _, one in images]
    lat = np.linspace(-90, 90, 50)
    data[4], data[5], data[6], lat[7] = None, b"", images[0][1][:40], 91.0
    table = pa.table(
        {
            "chip": np.arange(50),
            "lon": np.linspace(-180, 180, 50),
            "lat": lat,
            "jpeg": pa.array(data, pa.binary()),
            "hash": pa.array([b"1234567890abcdef"] * 50, pa.binary(16)),
            "seen": pa.array(np.arange(50) * 86_400_000, pa.timestamp("ms", "UTC")),
            "land": ["sea" if row % 2 else None for row in range(50)],
            "height": np.arange(50) / 2,
        }
    )
    pq.write_table(table, tmp_path / "chips.parquet", row_group_size=7)
    return tmp_path / "chips.parquet", [pixels for pixels, _ in images]


def test_rows_come_with_what_belongs_to_them(tmp_path, chips, opened):
    path, pixels = chips
    source = opened(path, id="chip", time="seen", labels=["land", "height"])
    assert len(source) == 50
    found = source.read(0, 50)
    rows = [0, 1, 2, 3, *range(8, 50)]
    assert found.row.tolist() == rows
    assert found.id.tolist() == [str(row) for row in rows]
    for row, image in zip(rows, found.content, strict=True):
        np.testing.assert_array_equal(image, pixels[row])
    np.testing.assert_array_equal(found.lonlat[:, 0], np.linspace(-180, 180, 50)[rows])
    np.testing.assert_array_equal(found.time, np.datetime64("1970-01-01", "D") + np.array(rows))
    assert found.labels["land"].tolist() == ["sea" if row % 2 else "" for row in rows]
    np.testing.assert_array_equal(found.labels["height"], np.array(rows) / 2)
    assert [(one.row, one.reason, one.id) for one in found.rejected] == [
        (4, "no image (empty cell)", "4"),
        (5, "no image (empty cell)", "5"),
        (6, "damaged or cut short PNG", "6"),
        (7, "latitude outside [-90, 90]", "7"),
    ]


@pytest.mark.parametrize("start, stop", [(0, 1), (6, 8), (7, 14), (13, 15), (20, 41), (48, 60), (9, 9)])
def test_any_run_of_rows_across_row_groups(tmp_path, chips, start, stop, opened):
    path, pixels = chips
    source = opened(path)
    found = source.read(start, stop)
    want = [row for row in range(start, min(stop, 50)) if row not in (4, 5, 6, 7)]
    assert found.row.tolist() == want
    assert len(found.id) == 0
    assert found.time is None
    for row, image in zip(want, found.content, strict=True):
        np.testing.assert_array_equal(image, pixels[row])


def test_large_row_groups_are_copied_once_into_small_ones(tmp_path, chips, monkeypatch, opened):
    path, pixels = chips
    whole = tmp_path / "whole.parquet"
    pq.write_table(pq.read_table(path), whole)  # one row group
    monkeypatch.setattr(image_column, "GROUP_BYTES", 4000)
    source = opened(whole, labels="land")
    (copy,) = (tmp_path / "job").iterdir()
    metadata = pq.read_metadata(copy)
    assert metadata.num_row_groups > 5
    assert max(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)) < 4000
    assert "hash" not in pq.read_schema(copy).names
    before = copy.stat().st_mtime_ns
    again = opened(whole, labels="land")
    assert copy.stat().st_mtime_ns == before
    for one in (source, again):
        found = one.read(0, 50)
        assert found.row.tolist() == [0, 1, 2, 3, *range(8, 50)]
        np.testing.assert_array_equal(found.content[-1], pixels[49])
    assert source.read(30, 33).labels["land"].tolist() == ["", "sea", ""]


def test_the_structs_of_hugging_face_in_several_shards(tmp_path, opened):
    (tmp_path / "data").mkdir()
    images = [encoded(row) for row in range(6)]
    for shard in range(2):
        rows = range(3 * shard, 3 * shard + 3)
        table = pa.table(
            {
                "image": [{"bytes": images[row][1] if row != 4 else None, "path": f"{row}.png"} for row in rows],
                "longitude": [float(row) for row in rows],
                "latitude": [0.0 for _ in rows],
            }
        )
        pq.write_table(table, tmp_path / "data" / f"train-0000{shard}-of-00002.parquet")
    source = opened(tmp_path / "data")
    found = source.read(1, 6)
    assert found.row.tolist() == [1, 2, 3, 5]
    np.testing.assert_array_equal(found.content[2], images[3][0])
    np.testing.assert_array_equal(found.lonlat[:, 0], [1, 2, 3, 5])
    assert [one.reason for one in found.rejected] == ["no image (empty cell)"]


def test_a_geometry_gives_the_place(tmp_path, opened):
    lonlat = np.array([[5.66, 51.97], [180.0, -90.0]])
    table = with_geometry(pa.table({"image": [encoded(0)[1], encoded(1)[1]]}), lonlat)
    pq.write_table(table, tmp_path / "geo.parquet")
    np.testing.assert_array_equal(opened(tmp_path / "geo.parquet").read(0, 2).lonlat, lonlat)


def test_sizes_and_modes(tmp_path, chips, opened):
    found = opened(chips[0], size=5, mode="L").read(0, 4)
    assert [image.shape for image in found.content] == [(5, 5, 1)] * 4
    found = opened(chips[0], max_pixels=10).read(0, 3)
    assert [one.row for one in found.rejected] == [0, 1, 2]
    assert all("10 pixels" in one.reason for one in found.rejected)


def test_the_fingerprint_follows_file_and_options(tmp_path, chips):
    path, _ = chips
    first = ImageColumnSource(path).fingerprint()
    assert ImageColumnSource(path, column="jpeg").fingerprint() == first
    assert ImageColumnSource(path, mode="L").fingerprint() != first
    pq.write_table(pq.read_table(path).slice(1), path)
    assert ImageColumnSource(path).fingerprint() != first


@pytest.mark.parametrize(
    "options, said",
    [
        ({"column": "png"}, r"'png'.*'jpeg'"),
        ({"column": "lat"}, "'lat' .*double"),
        ({"id": "name"}, "'name'"),
        ({"labels": ["name"]}, "'name'"),
        ({"lon": "east", "lat": "lat"}, "'east'"),
        ({"size": 0}, "size .*got 0"),
    ],
)
def test_wrong_options_are_named(chips, options, said):
    with pytest.raises(ValueError, match=said):
        ImageColumnSource(chips[0], **options)


def test_wrong_files_are_named(tmp_path, chips, opened):
    path, _ = chips
    table = pq.read_table(path)
    (tmp_path / "bare").mkdir()
    (tmp_path / "text.parquet").write_text("text")
    pq.write_table(table.drop_columns(["jpeg"]), tmp_path / "none.parquet")
    pq.write_table(table.append_column("png", table["jpeg"]), tmp_path / "two.parquet")
    pq.write_table(table.drop_columns(["lat"]), tmp_path / "c.parquet")
    (tmp_path / "shards").mkdir()
    pq.write_table(table, tmp_path / "shards" / "0.parquet")
    pq.write_table(table.drop_columns(["land"]), tmp_path / "shards" / "1.parquet")
    for name, said in [
        ("bare", "no Parquet files in"),
        ("text.parquet", r"text\.parquet is damaged"),
        ("none.parquet", r"no column of image bytes.*chip \(int64"),
        ("two.parquet", "several columns of image bytes: jpeg, png"),
        ("c.parquet", "no column for lat"),
        ("shards", r"1\.parquet and .*0\.parquet have different columns: land"),
    ]:
        with pytest.raises(ValueError, match=said):
            ImageColumnSource(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"gone\.parquet"):
        ImageColumnSource(tmp_path / "gone.parquet")
    pq.write_table(table.slice(0, 0), tmp_path / "d.parquet")
    with pytest.raises(ValueError, match="has no rows"):
        opened(tmp_path / "d.parquet", column="jpeg")
    with pytest.raises(ValueError, match="call prepare"):
        len(ImageColumnSource(path))


def test_integer_labels_with_gaps_have_one_type_in_every_run(tmp_path, opened):
    table = pa.table({"image": [encoded(0)[1]] * 4, "lon": [0.0] * 4, "lat": [0.0] * 4, "n": [1, 2, None, 4]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    source = opened(tmp_path / "a.parquet", labels="n")
    np.testing.assert_array_equal(source.read(0, 2).labels["n"], np.array([1.0, 2.0]))
    assert {source.read(start, start + 2).labels["n"].dtype for start in (0, 2)} == {np.dtype(float)}
