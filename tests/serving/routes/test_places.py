"""Mirrors src/geotether/serving/routes/places.py."""

import numpy as np
import pyarrow as pa
import pytest


def test_embeddings_are_those_of_the_model_in_json_and_arrow(client, trained):
    lon, lat = [5.66, 180.0, -180], [51.97, -90.0, 90]
    want = trained.encode(lon=lon, lat=lat)
    got = client.post("/encode", json={"lon": lon, "lat": lat}).json()
    assert got["dim"] == trained.dim
    np.testing.assert_allclose(got["embeddings"], want, atol=1e-7)
    arrow = client.post(
        "/encode", json={"lon": lon, "lat": lat}, headers={"Accept": "application/vnd.apache.arrow.stream"}
    )
    table = pa.ipc.open_stream(arrow.content).read_all()
    np.testing.assert_array_equal(np.stack(table["embedding"].to_numpy()), want)
    assert client.post("/encode", json={"lon": [], "lat": []}).json()["embeddings"] == []


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"json": {"lon": [1], "lat": [1, 2]}}, 422),
        ({"json": {"lon": [1], "lat": [91]}}, 422),
        ({"json": {"lon": ["1"], "lat": [9]}}, 422),
        ({"json": {"lon": [1], "lat": [9], "dim": 10**9}}, 422),
        ({"json": {"lon": [1], "lat": [9], "dim": 10_000}}, 422),
        ({"json": [1, 2]}, 422),
        ({"json": {"lon": [0] * 10_001, "lat": [0] * 10_001}}, 422),
        ({"content": '{"lon": [NaN], "lat": [1]}', "headers": {"Content-Type": "application/json"}}, 422),
        ({"content": "{", "headers": {"Content-Type": "application/json"}}, 400),
        ({"content": "[" * 100_000, "headers": {"Content-Type": "application/json"}}, 400),
        ({"content": "lon=1", "headers": {"Content-Type": "text/plain"}}, 415),
    ],
)
def test_wrong_bodies_are_refused(client, sent, status):
    answer = client.post("/encode", **sent)
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]["error"]


def test_point_tells_coverage(client, trained):
    known = trained.coverage(lon=[-60], lat=[-15])
    got = client.get("/point", params={"lon": 300, "lat": -15}).json()
    assert (got["lon"], got["country"], got["outside"]) == (-60, "Brazil", bool(known.outside[0]))
    assert got["km"] == {name: pytest.approx(km[0], abs=0.1) for name, km in known.km.items()}
