"""Mirrors src/geotether/datasets/download.py, against a server that lies."""

import gzip
import shutil

import numpy as np
import pytest

from geotether.datasets.download import Downloader, UnexpectedSizeError, asked_size

CONTENT = np.random.default_rng(0).integers(0, 256, 700_000, dtype=np.uint8).tobytes()


def fetch(tmp_path, address, name="file.bin", **options):
    out = tmp_path / "out"
    Downloader(name, timeout=(2.0, 2.0), **options)(address, str(out), None)
    return out.read_bytes()


def test_a_file_arrives_and_the_report_ends_with_its_size(site, tmp_path):
    told = []
    address = site.put("file.bin", CONTENT)
    assert fetch(tmp_path, address, report=lambda done, total: told.append((done, total))) == CONTENT
    assert told[-1] == (700_000, 700_000)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("short:1000", {"size": 700_000}),
        ("unsaid", {"size": 800_000}),
        ("unsaid", {"size": 500_000}),
        ("unsaid", {"limit": 100_000}),
        (None, {"limit": 100_000}),
        (None, {"size": 600_000}),
    ],
)
def test_another_size_than_known_or_agreed_to(site, tmp_path, fault, options):
    with pytest.raises(UnexpectedSizeError):
        fetch(tmp_path, site.put("file.bin", CONTENT, faults=[fault]), **options)


def test_http_compression_is_undone_unless_the_file_itself_is_compressed(site, tmp_path):
    packed = gzip.compress(CONTENT)
    address = site.put("file.bin", packed, Content_Encoding="gzip")
    assert fetch(tmp_path, address, size=len(CONTENT)) == CONTENT
    assert fetch(tmp_path, address, name="file.sql.gz") == packed


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("status:401", "PermissionError"),
        ("status:403", "PermissionError"),
        ("status:404", "FileNotFoundError"),
        ("status:418", "HTTPError"),
        ("status:500", "HTTPError"),
        ("long:1000", "ConnectionError"),
        ("drop:1000", "ConnectionError"),
    ],
)
def test_meanings_of_answers_to_the_prompt(site, tmp_path, fault, kind):
    with pytest.raises(OSError) as error:
        fetch(tmp_path, site.put("file.bin", CONTENT, faults=[fault]))
    assert type(error.value).__name__ == kind


def test_redirects_are_followed_and_circles_end(site, tmp_path):
    from requests.exceptions import TooManyRedirects

    there = site.put("moved.bin", CONTENT)
    assert fetch(tmp_path, site.put("file.bin", b"", faults=[f"redirect:{there}"])) == CONTENT
    circle = f"{site.address}/circle"
    site.put("circle", b"", faults=[f"redirect:{circle}"])
    with pytest.raises(TooManyRedirects):
        fetch(tmp_path, circle)


def test_a_disk_that_is_too_small_is_an_error(site, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(OSError, match="needs 700,000 bytes, but only 1,000 are free"):
        fetch(tmp_path, site.put("file.bin", CONTENT))


def test_the_size_that_the_server_reports(site):
    address = site.put("file.bin", CONTENT)
    assert asked_size(address) == len(CONTENT)
    assert site.gets("file.bin") == []
    for nobody in (f"{site.address}/nothing", "http://127.0.0.1:1/file"):
        with pytest.raises(ConnectionError, match=nobody):
            asked_size(nobody)
    site.heads = False
    assert asked_size(address) is None


def test_proxies_come_from_the_environment(site, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    address = site.put("file.bin", CONTENT)
    with pytest.raises(OSError, match=r"[Pp]roxy"):
        fetch(tmp_path, address)
    with pytest.raises(ConnectionError):
        asked_size(address)
