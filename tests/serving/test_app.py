"""Mirrors src/geotether/serving/app.py; also the requests that docs/serve.md shows."""

import argparse
import re
import shlex
import time
from pathlib import Path

import numpy as np
import pytest

JSON = {"Content-Type": "application/json"}
PAGE = Path(__file__).parents[2] / "docs" / "serve.md"
# What the page asks of `world`, and what the small model knows.
SMALL = {'"bio01": 27, "bio12": 2500': '"warmth": 27', "desert+oasis": "walrus+fjord", '"dim": 64': '"dim": 8'}


def test_health_and_unknown_addresses(client):
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.headers["x-content-type-options"] == "nosniff"
    missing = client.get("/nothing")
    assert missing.status_code == 404
    assert set(missing.json()["detail"]) == {"error"}
    assert client.get("/Model").json()["detail"]["error"].endswith("Did you mean '/model'?")
    assert "unsafe-inline" not in missing.headers["content-security-policy"]


def test_every_address_refuses_unknown_parameters_and_suggests_known_ones(client):
    filled = {"layer": "rgb", "name": "land", "table": "t", "job": "j", "z": "0", "x": "0", "y": "0"}
    document = client.get("/openapi.json").json()
    forms = [schema for name, schema in document["components"]["schemas"].items() if name.startswith("Body_")]
    assert [schema["additionalProperties"] for schema in forms] == [False] * 2  # an image or columns, a table
    for path, operations in document["paths"].items():
        for method in operations:
            answer = client.request(method, path.format(**filled), params={"mdel": "small"}, headers=JSON, content="{}")
            if answer.status_code != 415:  # forms
                assert (answer.status_code, answer.json()["detail"]["field"]) == (422, "mdel"), (method, path)
    refused = [
        client.get("/similar", params={"lng": 8, "lat": 50}),
        client.get("/similar", params={"lon": 8, "lat": 50, "min_distance": 3}),
        client.post("/encode", json={"lng": [8], "lat": [50]}),
        client.get("/search", params={"q": "desert"}),
    ]
    for answer, known in zip(refused, ("'lon'", "'min_distance_km'", "'lon'", "'text'"), strict=True):
        assert answer.status_code == 422
        assert answer.json()["detail"]["error"].endswith(f"Did you mean {known}?")


@pytest.mark.parametrize(
    ("method", "address", "sent", "status", "parts"),
    [
        ("GET", "/similar?lon=5,66&lat=51", {}, 422, ["lon ", "'5,66'", "decimal point, such as 5.66"]),
        ("GET", "/similar?lon=9&lat=105", {}, 422, ["lat ", "at most 90", "105", "may be swapped"]),
        ("GET", "/similar?lon=9", {}, 422, ["lat is missing."]),
        ("GET", "/encode", {}, 405, ["GET", "use POST."]),
        ("PUT", "/search", {}, 405, ["PUT", "use GET or POST."]),
        ("POST", "/encode", {"json": {"lon": [1], "lat": [1, 2]}}, 422, ["There must be one latitude"]),
        ("POST", "/encode", {"json": {"lon": [1], "lat": ["b"]}}, 422, ["lat[0] must be a number, got 'b'."]),
        ("POST", "/encode", {"json": [1, 2]}, 422, ["The body must be a mapping"]),
    ],
)
def test_refusals_say_what_to_send_instead(client, method, address, sent, status, parts):
    answer = client.request(method, address, **sent)
    assert answer.status_code == status
    assert [part for part in parts if part not in answer.json()["detail"]["error"]] == []


def test_every_request_of_the_documentation_is_answered(client, chip):
    rng = np.random.default_rng(0)
    rows = [
        f"{lon},{lat},{lat / 9 + 3}" for lon, lat in zip(rng.uniform(-9, 40, 90), rng.uniform(0, 60, 90), strict=True)
    ]
    files = {"chip.png": chip, "sites.csv": "\n".join(["lon,lat,yield", *rows]).encode()}
    found = {}
    for line in re.findall(r"^curl .*?[^\\]$", PAGE.read_text(), re.M | re.S):
        for printed, known in SMALL.items() | found.items():
            line = line.replace(printed, known)
        answer = asked(client, shlex.split(line.replace("\\\n", " ")), files)
        assert answer.status_code in (200, 202), (line, answer.text)
        if answer.headers["content-type"] == "application/json":
            found |= {
                name: answer.json()[key] for name, key in {"ID": "id", "JOB": "job"}.items() if key in answer.json()
            }
    assert set(found) == {"ID", "JOB"}
    end = time.monotonic() + 60
    while (job := client.get(f"/predict/{found['JOB']}").json())["state"] in ("waiting", "running"):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert job["state"] == "done", job["error"]
    metrics = client.get("/metrics").text
    assert 'geotether_requests_total{address="/predict/{job}",method="GET",status="200"}' in metrics
    assert f'geotether_places{{model="small"}} {36 * 72:.1f}' in metrics


def asked(client, command, files):
    """Send what a curl command sends."""
    curl = argparse.ArgumentParser()
    for option in ("-s", "--json", "-o", "url"):
        curl.add_argument(option, action="store_true") if option == "-s" else curl.add_argument(option)
    curl.add_argument("-F", action="append", default=[])
    curl.add_argument("-H", action="append", default=[])
    given = curl.parse_args(command[1:])
    address = given.url.removeprefix("http://127.0.0.1:8000")
    headers = dict(one.split(": ", 1) for one in given.H)
    if given.json:
        return client.post(address, content=given.json, headers={"Content-Type": "application/json", **headers})
    if given.F:
        name, value = given.F[0].split("=", 1)
        return client.post(address, files={name: (value[1:], files[value[1:]]) if value[0] == "@" else (None, value)})
    return client.get(address, headers=headers)
