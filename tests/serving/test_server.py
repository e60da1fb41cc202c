"""Mirrors src/geotether/serving/server.py."""

import http.client
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

import geotether
from geotether.serving.limits import Limits
from geotether.serving.server import is_loopback, listening, models_of, points_of


def test_the_command_serves_until_it_is_stopped(folder, tmp_path):
    command = [sys.executable, "-m", "geotether", "serve", f"mine={folder}", "--port", "0", "--resolution", "10"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        address = next(found[0] for line in process.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        with urllib.request.urlopen(f"{address}/similar?lon=5&lat=50&top=1") as answer:
            assert b'"model=mine"' not in answer.read()
        one_client_leaves_slots_to_others(int(address.rpartition(":")[2]))
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert "Stopped." in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def one_client_leaves_slots_to_others(port):
    """Hold all slots of a client by requests whose bodies do not arrive; another one is answered."""

    def asking(source, method="GET", path="/similar?lon=5&lat=50&top=1"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10, source_address=(source, 0))
        connection.putrequest(method, path)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", "9" if method == "POST" else "0")
        connection.endheaders()
        return connection

    if sys.platform != "linux":  # others have one address of loopback
        return
    most = Limits().at_once_each
    with ExitStack() as stack:
        held = [stack.enter_context(closing(asking("127.0.0.2", "POST", "/encode"))) for _ in range(most)]
        end = time.monotonic() + 10
        while (answer := asked(asking("127.0.0.2"))).status != 429:
            assert time.monotonic() < end
        assert int(answer.headers["Retry-After"]) >= 1
        assert asked(asking("127.0.0.1")).status == 200
        held[0].send(b'{"lon":1}')
        assert held[0].getresponse().status == 422
        assert asked(asking("127.0.0.2")).status == 200


def asked(connection):
    with closing(connection):
        answer = connection.getresponse()
        answer.read()
        return answer


def test_ports_that_cannot_be_used_are_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"--port {port + 1}"):
            listening("127.0.0.1", port)
    with pytest.raises(OSError, match=r"cannot listen on no\.such"):
        listening("no.such.host.invalid", 0)
    with pytest.raises(OSError, match="port 70000"):
        listening("127.0.0.1", 70000)


def test_models_and_points_are_named(folder, trained, tmp_path):
    assert list(models_of(str(folder))) == [folder.parent.name]
    assert list(models_of({"mine": trained, "other": folder})) == ["mine", "other"]
    assert list(models_of([f"a={folder}", f"b={folder}"])) == ["a", "b"]
    with pytest.raises(ValueError, match="Two models are called"):
        models_of([folder, folder])
    with pytest.raises(FileNotFoundError, match="Did you mean 'world'"):
        models_of(["wrld"])
    with pytest.raises(ValueError, match="cannot be served"):
        models_of([lambda lon, lat: lon])
    for folder_name in ("a", "b"):
        (tmp_path / folder_name).mkdir()
        (tmp_path / folder_name / "sites.csv").write_text("lon,lat\n1,2\n")
    files = [tmp_path / "a" / "sites.csv", tmp_path / "b" / "sites.csv"]
    assert points_of(files) == {"sites": files[0], "sites-2": files[1]}
    with pytest.raises(FileNotFoundError, match=r"missing\.csv"):
        points_of([Path("missing.csv")])


@pytest.mark.parametrize("wrong", [{"resolution": 0.01}, {"resolution": float("nan")}, {"limits": {"rate": 0}}])
def test_wrong_options_are_errors(wrong):
    with pytest.raises(ValueError, match=r"resolution|rate"):
        geotether.serve("world", port=0, **wrong | ({"limits": Limits(**wrong["limits"])} if "limits" in wrong else {}))


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)],
)
def test_loopback_is_told_from_other_addresses(host, local):
    assert is_loopback(host) is local


def test_a_missing_extra_names_its_command(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "uvicorn" else object())
    with pytest.raises(ImportError, match=r"uvicorn: pip install 'geotether\[serve\]'"):
        geotether.serve("world")


def test_small_answers_are_not_held_back():
    """asyncio sets TCP_NODELAY on connections only if the listening socket names the protocol."""
    with listening("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
