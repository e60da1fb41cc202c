"""Mirrors src/geotether/cli/data.py: what a user types, and what comes back."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from geotether.cli.data import known_datasets

TOWNS = b"name,lon,lat\nWageningen,5.66,51.97\n"


@pytest.fixture(autouse=True)
def data_folder(monkeypatch, tmp_path):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "GEOTETHER_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GEOTETHER_DATA", str(tmp_path / "data"))


@pytest.fixture
def registry(tmp_path):
    """A registry of one data set on a server that says no sizes."""
    pytest.importorskip("pooch", reason="the extra `data` is not installed")

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(TOWNS)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    entry = {"name": "towns", "title": "Towns", "homepage": "https://towns.example", "licence": "CC0"}
    entry |= {"citation": "Nobody (2024)", "builder": {"source": "columns"}, "data": "towns.csv"}
    entry["files"] = [{"name": "towns.csv", "address": f"http://127.0.0.1:{server.server_port}/towns.csv"}]
    path = tmp_path / "towns.yaml"
    path.write_text(yaml.safe_dump([entry]))
    yield path
    server.shutdown()
    server.server_close()


def test_list_and_info(geotether, tmp_path):
    status, said, _ = geotether("data", "list")
    assert status == 0
    assert "resolve-ecoregions" in said
    assert "149 MB" in said
    assert "CC BY 4.0" in said
    status, said, _ = geotether("data", "info", "resolve-ecoregions")
    assert status == 0
    assert "Dinerstein" in said
    assert "be36d6209e443038d02e309f0447c6e7f2a62f5fe60c605ffe90d064952f2a60" in said
    assert f"{{builder: biomes, file: {tmp_path / 'data' / 'resolve-ecoregions' / 'Ecoregions2017'}" in said
    status, _, errors = geotether("data", "info", "resolve")
    assert status == 1
    assert "Did you mean 'resolve-ecoregions'" in errors


def test_get_asks_for_consent_and_gives_the_next_step(geotether, registry, tmp_path, monkeypatch):
    status, _, errors = geotether("data", "get", "towns", "--registry", registry)
    assert status == 1
    assert "an unknown number of bytes" in errors
    assert "add --yes" in errors
    status, said, errors = geotether("data", "get", "towns", "--registry", registry, "--yes", "--to", tmp_path / "to")
    assert status == 0, errors
    path = tmp_path / "to" / "towns" / "towns.csv"
    assert path.read_bytes() == TOWNS
    assert said.splitlines()[0] == str(path)
    assert f"geotether table build {path} --source columns --out towns.parquet" in said
    assert "Cite: Nobody (2024)" in said
    assert "trusted on first use" in errors


@pytest.mark.parametrize("answer", ["y\n", "n\n"])
def test_consent_can_be_given_on_a_terminal(geotether, registry, tmp_path, monkeypatch, answer):
    import io

    typed = io.StringIO(answer)
    typed.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", typed)
    status, _, _ = geotether("data", "get", "towns", "--registry", registry)
    assert (status == 0) == (answer == "y\n") == (tmp_path / "data" / "towns" / "towns.csv").exists()


def test_data_that_must_be_downloaded_by_hand(geotether, tmp_path):
    status, _, errors = geotether("data", "get", "gadm")
    assert status == 1
    assert "non-commercial" in errors
    assert f"Put it at {tmp_path / 'data' / 'gadm' / 'gadm_410-levels.zip'}" in errors


def test_a_data_set_with_an_unknown_task(registry):
    entry = yaml.safe_load(registry.read_text())[0]
    registry.write_text(yaml.safe_dump([{**entry, "builder": {"task": "biome"}}]))
    with pytest.raises(ValueError, match="data set towns: there is no task 'biome'; known: countries"):
        known_datasets(registry)
