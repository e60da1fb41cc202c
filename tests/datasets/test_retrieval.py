"""Mirrors src/geotether/datasets/retrieval.py: what a user asks for, and what lies in the folder afterwards."""

import hashlib
import io
import logging
import subprocess
import zipfile
from pathlib import Path

import pytest

from geotether.datasets import data_folder, get_dataset
from geotether.files.disk import writing

TOWNS = b"name,lon,lat\nWageningen,5.66,51.97\nSydney,151.21,-33.87\n"
SHA256 = hashlib.sha256(TOWNS).hexdigest()
OTHER = TOWNS.replace(b"Sydney", b"Perth!")
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
QUICK = {"timeout": (2.0, 2.0)}


def get(registry, agree=None, **options):
    return get_dataset("towns", registry=registry, agree=agree, **{**QUICK, **options})


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def zipped(**files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/"), text)
    return content.getvalue()


def test_a_file_with_a_known_hash(site, registry, tmp_path):
    mine = registry({"name": "towns.csv", "address": site.put("t", TOWNS), "bytes": len(TOWNS), "sha256": SHA256})
    path = get(mine)
    assert path == tmp_path / "data" / "towns" / "towns.csv"
    assert path.read_bytes() == TOWNS
    assert names(path.parent) == ["SHA256SUMS", "towns.csv"]
    assert subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=path.parent, capture_output=True).returncode == 0
    asked = len(site.asked)
    assert get(mine) == path
    assert len(site.asked) == asked, "what is there and right is not fetched again"


def test_wrong_bytes_are_deleted_and_both_hashes_named(site, registry, tmp_path):
    mine = registry({"name": "towns.csv", "address": site.put("t", OTHER), "sha256": SHA256})
    with pytest.raises(ValueError, match="They were deleted") as error:
        get(mine)
    assert SHA256 in str(error.value)
    assert hashlib.sha256(OTHER).hexdigest() in str(error.value)
    assert "the publisher has replaced the file" in str(error.value)
    assert f"put it at {tmp_path / 'data' / 'towns' / 'towns.csv'}" in str(error.value)
    assert names(tmp_path / "data") == []


def test_a_broken_connection_is_retried(site, registry, tmp_path):
    address = site.put("t", TOWNS, faults=["drop:20", "status:503", None])
    mine = registry({"name": "towns.csv", "address": address, "sha256": SHA256})
    assert get(mine).read_bytes() == TOWNS
    assert len(site.gets("t")) == 3
    (tmp_path / "data" / "towns" / "towns.csv").unlink()
    site.faults["t"] = ["drop:20"]
    with pytest.raises(ConnectionError, match="did not arrive"):
        get(mine)
    assert names(tmp_path / "data") == ["towns/SHA256SUMS"]


def test_a_downloaded_web_page_is_refused(site, registry, tmp_path):
    page = site.put("login", b"<html>who are you?</html>", Content_Type="text/html; charset=utf-8")
    mine = registry({"name": "towns.csv", "address": site.put("t", TOWNS, faults=[f"redirect:{page}"])})
    with pytest.raises(PermissionError, match=r"web page \(http.*/login\)"):
        get(mine)
    assert len(site.gets("t")) == 1
    assert names(tmp_path / "data") == []


def test_without_a_hash_the_first_use_is_trusted_and_the_next_checked(site, registry, caplog):
    caplog.set_level(logging.INFO, "geotether")
    mine = registry({"name": "towns.csv", "address": site.put("t", TOWNS)})
    path = get(mine)
    assert f"SHA-256 {SHA256}, trusted on first use" in caplog.text
    assert (path.parent / "SHA256SUMS").read_text() == f"{SHA256}  towns.csv\n"
    path.unlink()
    site.files["t"] = OTHER
    with pytest.raises(ValueError, match="other bytes than expected"):
        get(mine)
    assert get(mine, renew=True).read_bytes() == OTHER
    assert (path.parent / "SHA256SUMS").read_text() == f"{hashlib.sha256(OTHER).hexdigest()}  towns.csv\n"
    path.write_bytes(TOWNS)
    with pytest.raises(ValueError, match=f"SHA-256 {SHA256}, but it was first seen with"):
        get(mine)


def test_a_failed_renewal_keeps_the_old_file(site, registry):
    path = get(mine := registry({"name": "towns.csv", "address": site.put("t", TOWNS)}))
    site.faults["t"] = ["status:404"]
    with pytest.raises(FileNotFoundError, match="not there any more"):
        get(mine, renew=True)
    assert path.read_bytes() == TOWNS


def test_a_changed_file_is_not_overwritten(site, registry):
    mine = registry({"name": "towns.csv", "address": site.put("t", TOWNS), "bytes": len(TOWNS), "sha256": SHA256})
    path = get(mine)
    path.write_bytes(OTHER)
    with pytest.raises(ValueError, match=f"but the registry has {SHA256}"):
        get(mine)
    path.write_bytes(b"cut")
    with pytest.raises(ValueError, match="has 3 bytes, but should have"):
        get(mine)
    assert path.read_bytes() == b"cut"


def test_the_next_url_is_tried(site, registry, caplog):
    caplog.set_level(logging.INFO, "geotether")
    gone, good = f"{site.address}/gone", site.put("t", TOWNS)
    wrong = site.put("w", OTHER)
    assert get(registry({"name": "towns.csv", "address": [gone, wrong, good], "sha256": SHA256})).read_bytes() == TOWNS
    assert [f"{address} " in caplog.text for address in (gone, wrong)] == [True, True]


def test_offline_the_error_says_where_to_put_the_file_and_it_is_verified_there(registry, tmp_path, caplog):
    caplog.set_level(logging.INFO, "geotether")
    addresses = ["http://127.0.0.1:1/towns.csv", "http://nowhere.invalid/towns.csv"]
    mine = registry({"name": "towns.csv", "address": addresses, "sha256": SHA256})
    place = tmp_path / "data" / "towns" / "towns.csv"
    with pytest.raises(ConnectionError, match=r"refused.*offline") as error:
        get(mine)
    assert [str(error.value).count(address) for address in addresses] == [1, 1]
    assert all(address not in caplog.text for address in addresses)  # told once, in the error
    assert f"put it at {place}; the command then verifies it" in str(error.value)
    place.write_bytes(OTHER)
    with pytest.raises(ValueError, match="but the registry has"):
        get(mine)
    place.write_bytes(TOWNS)
    assert get(mine) == place


def test_by_hand(site, registry, tmp_path, caplog):
    caplog.set_level(logging.INFO, "geotether")
    mine = registry({"name": "towns.zip", "unpack": "towns"}, data="towns/towns.csv", how_to="Ask the mayor.")
    place = tmp_path / "data" / "towns" / "towns.zip"
    with pytest.raises(FileNotFoundError, match=f"Ask the mayor. Put it at {place}"):
        get(mine)
    place.parent.mkdir(parents=True)
    place.write_bytes(zipped(**{"towns.csv": TOWNS}))
    assert get(mine).read_bytes() == TOWNS
    assert "was there: SHA-256" in caplog.text
    place.unlink()
    (place.parent / "SHA256SUMS").unlink()
    assert get(mine).read_bytes() == TOWNS, "who puts the unpacked data there by hand is believed"


def test_an_archive_is_unpacked_and_may_be_deleted(site, registry):
    archive = zipped(**{"maps__towns.csv": TOWNS, "read me.txt": b"."})
    mine = registry(
        {"name": "towns.zip", "address": site.put("t", archive), "unpack": "all"}, data="all/maps/towns.csv"
    )
    path = get(mine)
    assert path.read_bytes() == TOWNS
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"contains no all/maps/towns\.csv; its publisher may have changed it"):
        get(mine)
    get(mine, renew=True)
    (path.parents[2] / "towns.zip").unlink()
    asked = len(site.asked)
    assert get(mine) == path
    assert len(site.asked) == asked


def test_a_table_without_a_header_gets_one(site, registry):
    lines = b'1\t"Ams"terdam\t\\N\n2\tParis\tFR\n'
    table = {"from": "all/t.txt", "to": "towns.csv", "delimiter": "\t", "quoted": False, "missing": r"\N"}
    table["columns"] = ["id", "name", "country"]
    one = {"name": "t.zip", "address": site.put("t", zipped(**{"t.txt": lines})), "unpack": "all", "table": table}
    assert get(registry(one)).read_text() == 'id,name,country\n1,"""Ams""terdam",\n2,Paris,FR\n'
    table["columns"] = ["id", "name"]
    with pytest.raises(ValueError, match="line 1 has 3 values, but there are 2 columns"):
        get(registry({**one, "table": {**table, "to": "other.csv"}}))


def test_tiles(site, registry):
    for x in range(2):
        for y in range(2):
            site.put(f"1/{x}/{y}.png", f"{x}{y}".encode())
    tiles = {"name": "t/{z}/{x}/{y}.png", "address": site.address + "/{z}/{x}/{y}.png", "zoom": 1}
    folder = get(registry(tiles, data="t"))
    assert names(folder) == ["1/0/0.png", "1/0/1.png", "1/1/0.png", "1/1/1.png"]
    assert (folder / "1" / "0" / "1.png").read_bytes() == b"01"
    (folder / "1" / "1" / "0.png").unlink()
    before = len(site.asked)
    get(registry(tiles, data="t"))
    assert [path for _, path, _ in site.asked[before:] if "png" in path] == ["1/1/0.png"] * 2


def test_large_downloads_are_agreed_to(site, registry, tmp_path):
    asked = []

    def agree(question):
        asked.append(question)
        return len(asked) > 1

    mine = registry({"name": "towns.csv", "address": site.put("t", TOWNS)})
    with pytest.raises(ValueError, match=r"towns is 0\.0 GB in a file, to be written to .* add --yes"):
        get(mine, agree, unasked_bytes=10)
    assert site.gets("t") == []
    assert get(mine, agree, unasked_bytes=10).read_bytes() == TOWNS
    assert len(asked) == 2
    known = registry({"name": "towns.csv", "address": site.put("t", TOWNS), "bytes": 2 * 10**9})
    with pytest.raises(ValueError, match=r"towns is 2\.0 GB in a file"):
        get(known, folder=tmp_path / "elsewhere")


def test_an_unknown_size_counts_as_large(site, registry):
    site.heads = False
    mine = registry({"name": "towns.csv", "address": site.put("t", TOWNS)})
    with pytest.raises(ValueError, match="an unknown number of bytes"):
        get(mine)
    assert get(mine, lambda question: True).read_bytes() == TOWNS


def test_a_download_of_another_size_needs_consent(site, registry):
    mine = registry({"name": "towns.csv", "address": site.put("t", TOWNS)})

    def grow():
        site.files["t"] = TOWNS * 100

    site.faults["t"] = [grow]
    with pytest.raises(OSError, match="more than the 1,000 bytes"):
        get(mine, unasked_bytes=1000)


def test_the_folder_of_downloaded_data(tmp_path, monkeypatch):
    assert data_folder("~/maps") == Path.home() / "maps"
    assert data_folder() == tmp_path / "data"
    monkeypatch.delenv("GEOTETHER_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert data_folder().name == "geotether"


def test_without_the_extra(site, registry, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"pip install 'geotether\[data\]'"):
        get(registry({"name": "towns.csv", "address": site.put("t", TOWNS)}))


def test_two_processes_never_fetch_the_same(site, registry, tmp_path):
    (tmp_path / "data" / "towns").mkdir(parents=True)
    with writing(tmp_path / "data" / "towns", folder=True), pytest.raises(OSError, match="Another process"):
        get(registry({"name": "towns.csv", "address": site.put("t", TOWNS)}))


def test_a_full_disk_during_writing_is_reported(site, registry, monkeypatch):
    from geotether.datasets.download import Downloader

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Downloader, "__call__", full)
    with pytest.raises(OSError, match=r"The disk of .*towns is full"):
        get(registry({"name": "towns.csv", "address": site.put("t", TOWNS)}))
