"""Mirrors src/geotether/datasets/download.py, against a server that drops, lies and changes its mind."""

import numpy as np
import pytest

from geotether.datasets.download import Downloader, asked_size

CONTENT = np.random.default_rng(0).integers(0, 256, 700_000, dtype=np.uint8).tobytes()
OTHER = CONTENT[:300_000][::-1] + CONTENT[300_000:]
QUICK = {"waits": (0.0, 0.0, 0.0), "timeout": (2.0, 2.0)}


def fetch(tmp_path, address, **options):
    out = tmp_path / "out"
    Downloader(tmp_path / "file.bin", **{**QUICK, **options})(address, str(out), None)
    return out.read_bytes()


def left_over(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir() if "part" in path.name)


def test_a_file_arrives_whole_and_nothing_else_is_left(site, tmp_path):
    assert fetch(tmp_path, site.put("file.bin", CONTENT)) == CONTENT
    assert left_over(tmp_path) == []


def test_a_connection_that_drops_again_and_again_is_continued(site, tmp_path):
    address = site.put("file.bin", CONTENT, tag='"one"', faults=["drop:100000"] * 4 + [None])
    assert fetch(tmp_path, address) == CONTENT
    starts = [headers.get("Range") for headers in site.gets("file.bin")]
    assert starts == [None, "bytes=100000-", "bytes=200000-", "bytes=300000-", "bytes=400000-"]
    assert all(headers["If-Range"] == '"one"' for headers in site.gets("file.bin")[1:])


def test_what_arrived_serves_the_next_run(site, tmp_path):
    address = site.put("file.bin", CONTENT, tag='"one"', faults=["drop:300000", "status:503"])
    with pytest.raises(ConnectionError, match=r"did not arrive: .*503.*300,000 bytes are kept"):
        fetch(tmp_path, address)
    site.faults["file.bin"] = []
    assert fetch(tmp_path, address) == CONTENT
    assert site.gets("file.bin")[-1]["Range"] == "bytes=300000-"


def test_a_file_that_changes_meanwhile_is_begun_anew(site, tmp_path):
    def change():
        site.files["file.bin"], site.tags["file.bin"] = OTHER, '"two"'

    address = site.put("file.bin", CONTENT, tag='"one"', faults=["drop:300000", change])
    assert fetch(tmp_path, address) == OTHER


def test_a_change_is_seen_though_the_server_ignores_if_range(site, tmp_path):
    def change():
        site.files["file.bin"], site.tags["file.bin"] = OTHER, '"two"'
        return "ignore if-range"

    address = site.put("file.bin", CONTENT, tag='"one"', faults=["drop:300000", change])
    assert fetch(tmp_path, address) == OTHER


def test_without_a_version_and_a_hash_nothing_is_pieced_together(site, tmp_path):
    address = site.put("file.bin", CONTENT, faults=["drop:300000", None])
    assert fetch(tmp_path, address) == CONTENT
    assert all("Range" not in headers for headers in site.gets("file.bin"))


def test_without_a_version_a_known_hash_allows_to_continue(site, tmp_path):
    address = site.put("file.bin", CONTENT, faults=["drop:300000", None])
    assert fetch(tmp_path, address, verified=True) == CONTENT
    assert site.gets("file.bin")[-1]["Range"] == "bytes=300000-"


def test_the_date_of_a_file_serves_as_its_version(site, tmp_path):
    date = "Mon, 01 Jan 2024 00:00:00 GMT"
    address = site.put("file.bin", CONTENT, tag='W/"weak"', faults=["drop:300000", None], Last_Modified=date)
    fetch(tmp_path, address)
    assert site.gets("file.bin")[-1]["If-Range"] == date


@pytest.mark.parametrize("fault", ["drop:300000", "other part"])
def test_a_server_that_cannot_continue(site, tmp_path, fault):
    site.ranges = fault == "other part"
    address = site.put("file.bin", CONTENT, tag='"one"', faults=["drop:300000", fault, None])
    assert fetch(tmp_path, address) == CONTENT


def test_a_server_that_never_gets_to_the_end_is_given_up(site, tmp_path):
    site.ranges = False
    address = site.put("file.bin", CONTENT, tag='"one"', faults=["drop:300000"])
    with pytest.raises(ConnectionError, match="did not arrive: the connection broke"):
        fetch(tmp_path, address)
    assert len(site.gets("file.bin")) == 1 + len(QUICK["waits"])


def test_a_promise_of_more_than_there_is(site, tmp_path):
    address = site.put("file.bin", CONTENT, tag='"one"', faults=["long:1000"])
    with pytest.raises(ConnectionError, match="did not arrive"):
        fetch(tmp_path, address)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="701,000 bytes, but 700,000 are known to be right"):
        fetch(tmp_path, address, size=len(CONTENT))


def test_a_promise_of_less_than_there_is(site, tmp_path):
    address = site.put("file.bin", CONTENT, faults=["short:1000"])
    with pytest.raises(ValueError, match="offers 699,000 bytes, but 700,000 are known"):
        fetch(tmp_path, address, size=len(CONTENT))
    assert left_over(tmp_path) == []


def test_a_length_that_is_not_said(site, tmp_path):
    address = site.put("file.bin", CONTENT, faults=["unsaid"])
    assert fetch(tmp_path, address) == CONTENT
    with pytest.raises(ValueError, match="700,000 bytes came, but 800,000 are known"):
        fetch(tmp_path, address, size=800_000)
    with pytest.raises(ValueError, match=r"offers .* bytes, but 500,000 are known"):
        fetch(tmp_path, address, size=500_000)
    with pytest.raises(ValueError, match="more than the 100,000 bytes that may come unasked"):
        fetch(tmp_path, address, limit=100_000)


def test_compression_on_the_way_is_undone_unless_the_file_itself_is_compressed(site, tmp_path):
    import gzip

    packed = gzip.compress(CONTENT)
    address = site.put("file.bin", packed, Content_Encoding="gzip")
    assert fetch(tmp_path, address, size=len(CONTENT)) == CONTENT
    out = tmp_path / "raw"
    Downloader(tmp_path / "file.sql.gz", **QUICK)(address, str(out), None)
    assert out.read_bytes() == packed


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (401, PermissionError, "wants a login"),
        (403, PermissionError, "refused with status 403"),
        (404, FileNotFoundError, "not there any more"),
        (418, ValueError, "answered with status 418"),
        (500, ConnectionError, "status 500"),
        (429, ConnectionError, "status 429"),
    ],
)
def test_what_a_status_means(site, tmp_path, status, kind, message):
    address = site.put("file.bin", CONTENT, faults=[f"status:{status}"])
    with pytest.raises(kind, match=message):
        fetch(tmp_path, address)
    assert len(site.gets("file.bin")) == (4 if kind is ConnectionError else 1)


def test_a_login_page_is_no_file(site, tmp_path):
    page = site.put("login", b"<html>who are you?</html>", Content_Type="text/html; charset=utf-8")
    address = site.put("file.bin", CONTENT, faults=[f"redirect:{page}"])
    with pytest.raises(PermissionError, match=r"web page \(http.*/login\)"):
        fetch(tmp_path, address)


def test_redirects_are_followed_and_circles_end(site, tmp_path):
    there = site.put("moved.bin", CONTENT)
    assert fetch(tmp_path, site.put("file.bin", b"", faults=[f"redirect:{there}"])) == CONTENT
    circle = f"{site.address}/circle"
    site.put("circle", b"", faults=[f"redirect:{circle}"])
    with pytest.raises(ValueError, match=r"cannot be fetched: .*redirects"):
        fetch(tmp_path, circle)


def test_through_a_proxy(site, proxy, tmp_path, monkeypatch):
    address, seen = proxy(site.address)
    monkeypatch.setenv("HTTP_PROXY", address)
    monkeypatch.setenv("http_proxy", address)
    site.put("file.bin", CONTENT)
    assert fetch(tmp_path, "http://data.example/file.bin") == CONTENT
    assert seen == ["http://data.example/file.bin"]
    assert asked_size("http://data.example/file.bin") == len(CONTENT)


def test_a_proxy_that_is_not_there(site, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(ConnectionError, match="proxy did not let it through"):
        fetch(tmp_path, site.put("file.bin", CONTENT))


def test_nobody_listens(tmp_path):
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:1 cannot be reached .*refused"):
        fetch(tmp_path, "http://127.0.0.1:1/file.bin")
    with pytest.raises(ConnectionError, match=r"no nowhere\.invalid, or this machine is offline"):
        fetch(tmp_path, "http://nowhere.invalid/file.bin")


def test_two_at_once_do_not_mix(site, tmp_path):
    address = site.put("file.bin", CONTENT)
    fcntl = pytest.importorskip("fcntl")
    with (tmp_path / "file.bin.part.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(FileExistsError, match="Another process is fetching"):
            fetch(tmp_path, address)


def test_the_report_ends_with_the_size(site, tmp_path):
    told = []
    fetch(tmp_path, site.put("file.bin", CONTENT), report=lambda done, total: told.append((done, total)))
    assert told[-1] == (700_000, 700_000)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_disk_that_is_too_small(site, tmp_path, monkeypatch):
    import shutil

    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match="needs 700,000 more bytes, but only 1,000 are free"):
        fetch(tmp_path, site.put("file.bin", CONTENT))


def test_the_size_that_a_server_tells(site):
    address = site.put("file.bin", CONTENT)
    assert asked_size(address) == len(CONTENT)
    assert site.gets("file.bin") == []
    for nobody in (f"{site.address}/nothing", "http://127.0.0.1:1/file"):
        with pytest.raises(ConnectionError, match=nobody):
            asked_size(nobody)
    site.heads = False
    assert asked_size(address) is None
