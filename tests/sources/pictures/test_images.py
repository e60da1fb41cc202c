"""Mirrors src/geotether/sources/pictures/images.py: folders of photographs as cameras, MP-16 and Im2GPS leave them."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from geotether.sources.pictures.images import ImagesSource

SOURCE = ImagesSource
MP16_HEADER = "IMG_ID,AUTHOR,LAT,LON,S3_Label,S16_Label,S365_Label,Prob_indoor,Prob_natural,Prob_urban"


def photograph(path, seed=0, gps=None, taken=None, shape=(16, 24, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if gps:
        lon, lat = gps
        exif[0x8825] = {1: "N" if lat >= 0 else "S", 2: (abs(lat), 0.0, 0.0), 3: "E" if lon >= 0 else "W",
                        4: (abs(lon), 0.0, 0.0)}  # fmt: skip
    if taken:
        exif[0x8769] = {0x9003: taken, 0x9011: "+00:00"}
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)
    return pixels


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    photograph(folder / "b" / "two.JPG", 1, gps=(-122.4, 37.8), taken="2021:07:15 10:30:00")
    photograph(folder / "a.png", 2, gps=(5.66, 51.97))
    photograph(folder / "B.webp", 3, gps=(179.99, -89.0))
    photograph(folder / "nowhere.jpg", 4)
    (folder / "torn.jpg").write_bytes((folder / "b" / "two.JPG").read_bytes()[:300])
    (folder / "page.jpg").write_text("<html>not found</html>")
    (folder / "empty.jpeg").touch()
    (folder / "notes.txt").write_text("no image")
    (folder / "._a.png").write_bytes(b"a resource fork")
    photograph(folder / ".cache" / "hidden.jpg", gps=(1, 1))
    return folder


def test_a_folder_of_photographs(tmp_path, photos, opened):
    source = opened(photos)
    assert source.kind == "images"
    assert len(source) == 7
    found = source.read(0, 7)
    assert found.id.tolist() == ["B.webp", "a.png", "b/two.JPG"]  # in the order of their paths
    assert found.row.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.lonlat, [[179.99, -89.0], [5.66, 51.97], [-122.4, 37.8]], atol=1e-9)
    nat = np.datetime64("NaT")
    np.testing.assert_array_equal(found.time, np.array([nat, nat, "2021-07-15T10:30"], "datetime64[ms]"))
    np.testing.assert_array_equal(found.content[1], np.asarray(Image.open(photos / "a.png")))
    assert {one.id: one.reason for one in found.rejected} == {
        "empty.jpeg": "the file is empty",
        "nowhere.jpg": "no GPS position in its EXIF",
        "page.jpg": "not an image of a known format",
        "torn.jpg": "damaged or cut short JPEG",
    }
    assert [one.row for one in found.rejected] == [3, 4, 5, 6]


def test_any_run_of_rows_is_the_same(opened, photos):
    source = opened(photos)
    whole = source.read(0, 7)
    for row in range(7):
        one = source.read(row, row + 1)
        assert len(one) + len(one.rejected) == 1
        if len(one):
            np.testing.assert_array_equal(one.content[0], whole.content[row])
    assert len(source.read(3, 3)) == len(source.read(7, 9)) == 0


def test_the_fingerprint_follows_the_files(tmp_path, photos):
    first = ImagesSource(photos).fingerprint()
    assert ImagesSource(photos).fingerprint() == first
    assert ImagesSource(photos, size=8).fingerprint() != first
    os.utime(photos / "a.png", (1, 1))
    second = ImagesSource(photos).fingerprint()
    assert second != first
    (photos / "a.png").rename(photos / "c.png")
    assert ImagesSource(photos).fingerprint() != second


def test_a_changed_folder_is_listed_again_and_an_unchanged_one_is_not(tmp_path, photos, opened):
    source = opened(photos)
    (listing,) = (tmp_path / "job").iterdir()
    before = listing.stat().st_mtime_ns
    opened(photos)
    assert listing.stat().st_mtime_ns == before
    photograph(photos / "new.png", gps=(1, 2))
    assert len(opened(photos)) == len(source) + 1


@pytest.fixture
def mp16(tmp_path):
    """MP-16: photographs in nested folders of hashes, a CSV beside them; one download failed."""
    rows = [
        ("4b/4a/11999300293.jpg", "30141@N00", 42.45, -71.2, 1),
        ("34/8d/9055806529.jpg", "11@N01", -33.86, 151.2, 2),
        ("00/00/gone.jpg", "12@N01", 10.0, 10.0, 0),
        ("ff/01/1.jpg", "13@N01", 95.0, 10.0, 0),
        ("ff/02/2.jpg", "14@N01", "", 10.0, 0),
        ("ff/03/3.jpg", "15@N01", "north", 10.0, 0),
    ]
    for number, (name, *_) in enumerate(rows):
        if "gone" not in name:
            photograph(tmp_path / "images" / name, number, gps=(1, 1))
    lines = [f"{name},{author},{lat},{lon},{label},3,7,0.1,0.2,0.7" for name, author, lat, lon, label in rows]
    (tmp_path / "mp16_places365.csv").write_text("\n".join([MP16_HEADER, *lines]))
    return tmp_path


def test_the_layout_of_mp16(tmp_path, mp16, opened):
    index, labels = mp16 / "mp16_places365.csv", ["S3_Label", "AUTHOR"]
    source = opened("images", index=index, labels=labels, size=12)
    found = source.read(0, 6)
    assert len(source) == 6
    assert found.row.tolist() == [0, 1]  # the order of the index
    np.testing.assert_array_equal(found.lonlat, [[-71.2, 42.45], [151.2, -33.86]])  # not that of the EXIF
    assert found.id.tolist() == ["4b/4a/11999300293.jpg", "34/8d/9055806529.jpg"]
    assert found.labels["S3_Label"].tolist() == [1, 2]
    assert found.labels["AUTHOR"].tolist() == ["30141@N00", "11@N01"]
    assert [image.shape for image in found.content] == [(12, 12, 3)] * 2
    assert [(one.row, one.reason) for one in found.rejected] == [
        (2, "there is no such file"),
        (3, "latitude outside [-90, 90], possible as a longitude"),
        (4, "longitude or latitude missing"),
        (5, "LAT is not a number"),
    ]
    one = source.read(1, 2)
    assert one.labels["S3_Label"].tolist() == [2]
    before = source.fingerprint()
    (mp16 / "images" / "4b" / "4a" / "11999300293.jpg").unlink()
    assert source.fingerprint() != before


def test_an_index_with_columns_of_other_names(tmp_path, opened):
    photograph(tmp_path / "im2gps" / "x.jpg")
    photograph(tmp_path / "im2gps" / "y.jpg", taken="2020:01:01 00:00:00")
    table = pa.table(
        {
            "picture": ["x.jpg", "y.jpg", None, "x.jpg"],
            "where_x": [1.0, 2.0, 3.0, 4.0],
            "where_y": pa.array([10, 20, 30, 40]),
            "key": [7, 8, 9, 10],
            "when": ["2021-07-15T10:30:00+02:00", None, "2021-07-15", "yesterday"],
        }
    )
    pq.write_table(table, tmp_path / "im2gps" / "index.parquet")
    names = {"lon": "where_x", "lat": "where_y", "file": "picture", "id": "key", "time": "when"}
    for path, options in ((tmp_path / "im2gps", {"index": "index.parquet"}), (tmp_path / "im2gps/index.parquet", {})):
        found = opened(path, **names | options).read(0, 4)
        assert found.id.tolist() == ["7", "8"]
        np.testing.assert_array_equal(found.lonlat, [[1, 10], [2, 20]])
        np.testing.assert_array_equal(found.time, np.array(["2021-07-15T08:30", "NaT"], "datetime64[ms]"))
        assert [one.id for one in found.rejected] == ["9", "10"]
        assert "when" in found.rejected[1].reason


def test_an_index_names_files_in_the_folder_only(tmp_path, opened):
    photograph(tmp_path / "secret.png")
    photograph(tmp_path / "images" / "a.png")
    lines = ["file,lon,lat", "a.png,1,1", "../secret.png,1,1", f"{tmp_path}/secret.png,1,1", "../images/a.png,1,1"]
    (tmp_path / "index.csv").write_text("\n".join(lines))
    found = opened(tmp_path / "images", index=tmp_path / "index.csv").read(0, 4)
    assert found.row.tolist() == [0, 3]
    assert [one.row for one in found.rejected] == [1, 2]


def test_images_in_formats_that_are_not_read_are_counted(tmp_path, photos, opened, caplog):
    for name in ("IMG_1.HEIC", "b/IMG_2.heic", "raw/x.DNG", ".cache/y.heic"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_bytes(b"heic")
    assert len(opened(photos)) == 7
    assert "Left out: 2 .heic, 1 .dng (" in caplog.text
    (tmp_path / "phone").mkdir()
    (tmp_path / "phone" / "IMG_3.heic").write_bytes(b"heic")
    with pytest.raises(ValueError, match=r"no images .*Left out: 1 \.heic \("):
        opened(tmp_path / "phone")


def test_paths_of_windows_are_read_and_paths_that_lead_nowhere_are_named(tmp_path, opened):
    pixels = [photograph(tmp_path / "a" / f"{name}.png", seed) for seed, name in enumerate("xy")]
    index = tmp_path / "index.csv"
    index.write_text("file,lon,lat\r\na\\x.png,1,1\r\na\\y.png,2,2\r\na\\z.png,3,3\r\n")
    source = opened("index.csv")
    found = source.read(0, 3)
    for image, want in zip(found.content, pixels, strict=True):
        np.testing.assert_array_equal(image, want)
    assert found.id.tolist() == ["a/x.png", "a/y.png"]
    assert [(one.id, one.reason) for one in found.rejected] == [("a/z.png", "there is no such file")]
    before = source.fingerprint()
    (tmp_path / "a" / "x.png").unlink()
    assert source.fingerprint() != before
    index.write_text("file;lon;lat\nb/x.png;5,5;1\nb/y.png;2;2\n")
    with pytest.raises(ValueError, match=r"index\.csv: none of the first 2 images .*'file' exists, such as .*b/x\.png"):
        opened("index.csv")


def test_an_index_may_have_decimal_commas_years_and_a_short_line(tmp_path, opened):
    photograph(tmp_path / "x.png")
    (tmp_path / "index.csv").write_text(
        "file;lon;lat;when;cls\nx.png;5,5;52,25;2001;NA\nx.png;1\nx.png;-0,5;1;2002;b\n"
    )
    found = opened("index.csv", time="when", labels="cls").read(0, 3)
    assert found.lonlat.tolist() == [[5.5, 52.25], [-0.5, 1.0]]
    assert found.time.astype("datetime64[Y]").astype(int).tolist() == [31, 32]
    assert found.labels["cls"].tolist() == ["NA", "b"]
    assert ["2 values" in one.reason for one in found.rejected] == [True]


def test_geotiffs_lie_where_they_say(opened, tmp_path, write_geotiff):
    bands = np.arange(4 * 6 * 5, dtype=np.uint16).reshape(4, 6, 5)
    write_geotiff(tmp_path / "a.tif", bands, (0.2, 0, 10, 0, -0.2, 1))
    found = opened(tmp_path).read(0, 1)
    np.testing.assert_array_equal(found.content[0], np.moveaxis(bands, 0, -1))
    np.testing.assert_allclose(found.lonlat, [[10.5, 0.4]], atol=1e-9)


def test_small_files_are_rejected(opened, photos):
    found = opened(photos, min_bytes=10**6).read(0, 7)
    assert {one.reason for one in found.rejected} == {"the file is smaller than 1000000 bytes", "the file is empty"}
    assert len(found) == 0


@pytest.mark.parametrize(
    "options, error, said",
    [
        ({"index": "none.csv"}, FileNotFoundError, r"none\.csv"),
        ({"index": "b"}, FileNotFoundError, "no index b"),
        ({"index": "a.png"}, ValueError, r"a\.png ends in '\.png'"),
        ({"lon": "x", "labels": ["a"]}, ValueError, "lon, labels .*index=FILE"),
        ({"min_bytes": -1}, ValueError, "min_bytes .*-1"),
        ({"mode": "rgb"}, ValueError, "mode .*'rgb'"),
    ],
)
def test_wrong_options_are_named(photos, options, error, said):
    with pytest.raises(error, match=said):
        ImagesSource(photos, **options)


@pytest.mark.parametrize(
    "content, options, said",
    [
        ("file,lon,lat\na.png,1,2\n", {"file": "photo"}, r"'photo'.*'file', 'lon', 'lat'"),
        ("file,lon,lat\na.png,1,2\n", {"time": "when"}, "'when'"),
        ("picture,lon,lat\na.png,1,2\n", {}, "file=.*'picture', 'lon', 'lat'"),
        ("file,lon,lat\ntr\xe4d.png,1,2\n", {}, "(?i)utf-8"),
    ],
)
def test_wrong_indexes_are_named(tmp_path, content, options, said, opened):
    (tmp_path / "index.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=said):
        opened(tmp_path / "index.csv", **options)


def test_wrong_folders_are_named(tmp_path, photos, opened):
    with pytest.raises(FileNotFoundError, match=r"no folder .*none"):
        ImagesSource(tmp_path / "none")
    (tmp_path / "bare").mkdir()
    with pytest.raises(ValueError, match=r"no images \(.jpg, .jpeg"):
        opened(tmp_path / "bare")
    with pytest.raises(ValueError, match=r"a\.png is neither a folder"):
        ImagesSource(photos / "a.png")
    with pytest.raises(ValueError, match=r"a\.png is a file"):
        ImagesSource(photos / "a.png", index=photos / "a.png")
    with pytest.raises(ValueError, match="call prepare"):
        len(ImagesSource(photos))
