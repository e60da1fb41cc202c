"""Mirrors src/geotether/serving/routes/searches.py."""

import io
import json
import threading

import numpy as np
import pytest
from PIL import Image

from geotether.geodesy.distance import great_circle_km
from geotether.serving.limits import Limits


def test_similar_places_are_those_of_the_search(client, served, trained):
    answer = client.get("/similar", params={"lon": -60, "lat": -15, "top": 5, "min_distance_km": 0})
    assert answer.status_code == 200
    found = answer.json()
    planet = served.planet()
    vectors = trained.encode(planet.lonlat)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query = trained.encode(lon=[-60], lat=[-15])[0]
    similarity = np.where(planet.land, vectors @ (query / np.linalg.norm(query)), -2)
    assert [one["similarity"] for one in found["answers"]] == pytest.approx(np.sort(similarity)[::-1][:5], abs=2e-3)
    assert found["query"]["country"] == "Brazil"
    first = found["answers"][0]
    km = float(great_circle_km(np.array([-60.0, -15.0]), np.array([first["lon"], first["lat"]])))
    assert first["km"] == pytest.approx(km, abs=0.1)
    assert set(first["alike"]) == {"town", "chip", "climate"}
    assert {one["modality"] for one in first["nearest"]} == {"town", "chip", "climate"}
    assert found["layer"]["tiles"].startswith("/tiles/similarity/{z}/{x}/{y}.png?lon=-60.0&lat=-15.0&model=small&v=")


def test_texts_images_columns_and_regions(client, chip):
    inside = client.get("/search", params={"text": "kangaroo reef", "within": "100 -45 160 0", "top": 3})
    assert {one["country"] for one in inside.json()["answers"]} <= {"Australia", "Indonesia", "Papua New Guinea"}
    assert inside.json()["query"]["modality"] == "town"
    picture = client.post("/search", files={"image": ("chip.png", chip)}, params={"top": 2})
    query = picture.json()["query"]
    assert (query["said"], query["modality"], query["lon"], query["outside"]) == ("the image", "chip", None, None)
    assert "image=" in picture.json()["layer"]["tiles"]
    columns = {"columns": (None, json.dumps({"warmth": 29, "side": "south"}))}
    warm = client.post("/search", files=columns, params={"top": 4, "min_distance_km": 0})
    assert all(-45 < one["lat"] < 15 for one in warm.json()["answers"])
    assert warm.json()["answers"][0]["km"] is None


def test_no_answer_has_a_reason(client):
    given = {"lon": 5, "lat": 50, "within": "0 45 10 55"}
    found, near = (client.get("/similar", params=given | {"min_distance_km": km}).json() for km in (5000, 0))
    assert (found["answers"], len(found["query"]["notes"])) == ([], 1)
    assert (len(near["answers"]) > 0, near["query"]["notes"]) == (True, [])


def test_the_number_of_answers_is_limited(client, served, monkeypatch):
    monkeypatch.setattr(served, "limits", Limits(top=3))
    found = [client.get("/similar", params={"lon": 5, "lat": 50, "top": top}) for top in (3, 4)]
    assert [one.status_code for one in found] == [200, 422]
    assert found[1].json()["detail"]["field"] == "top"


def huge() -> bytes:
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("given", "status", "field"),
    [
        ({"lon": 5}, 422, "lat"),
        ({"lon": "NaN", "lat": 1}, 422, "lon"),
        ({"lon": "inf", "lat": 1}, 422, "lon"),
        ({"lon": 400, "lat": 1}, 422, "lon"),
        ({"lon": 5, "lat": 95}, 422, "lat"),
        ({"lon": 5, "lat": 5, "top": 10**9}, 422, "top"),
        ({"lon": 5, "lat": 5, "top": 0}, 422, "top"),
        ({"lon": 5, "lat": 5, "min_distance_km": -1}, 422, "min_distance_km"),
        ({"lon": 5, "lat": 5, "within": "Frence"}, 422, "within"),
        ({"lon": 5, "lat": 5, "within": "/etc/passwd"}, 422, "within"),
        ({"lon": 5, "lat": 5, "within": "secret.geojson"}, 422, "within"),
        ({"lon": 5, "lat": 5, "within": "\0"}, 422, "within"),
        ({"lon": 5, "lat": 5, "within": "100 -50 101 -49"}, 422, "within"),  # no land
        ({"lon": 5, "lat": 5, "model": "worlds"}, 404, "model"),
        ({"text": ""}, 422, "text"),
        ({"text": "\0\0"}, 422, "text"),
        ({"text": "a" * 50_000}, 422, "text"),
        ({"text": "reef", "modality": "chip"}, 422, "modality"),
        ({"lon": 5, "lat": 5, "min_distance": 3}, 422, "min_distance"),
        ({"lng": 5, "lat": 5}, 422, "lng"),
        ({"lon": [5, 8], "lat": 5}, 422, "lon"),
    ],
)
def test_wrong_parameters_are_named(client, given, status, field):
    answer = client.get("/search" if "text" in given else "/similar", params=given)
    assert answer.status_code == status
    detail = answer.json()["detail"]
    assert detail["field"] == field
    assert "/" not in detail["error"].replace(str(given.get("within")), "")


def test_images_that_wait_too_long_are_sent_again(client, chip, monkeypatch):
    monkeypatch.setattr("geotether.serving.questions._WAIT_SECONDS", 0.01)
    monkeypatch.setattr("geotether.serving.questions._decoding", threading.Semaphore(0))
    answer = client.post("/search", files={"image": chip})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")


@pytest.mark.parametrize(
    ("sent", "status", "field"),
    [
        ({"files": {"image": b"not an image"}}, 415, "image"),
        ({"files": {"image": b"\x89PNG\r\n\x1a\n but damaged"}}, 422, "image"),
        ({"files": {"image": huge()}}, 422, "image"),
        ({"files": {"other": b"1"}}, 422, "other"),
        ({"files": {"image": b"1"}, "data": {"top": 3}}, 422, "top"),
        ({"files": {"image": b"1"}, "params": {"modalty": "chip"}}, 422, "modalty"),
        ({"files": {"columns": (None, "[1]")}}, 422, "columns"),
        ({"files": {"columns": (None, "[" * 50_000)}}, 422, "columns"),
        ({"files": {"columns": (None, '{"warmth": NaN}')}}, 422, "columns"),
        ({"files": {"columns": (None, '{"warmth": 1e400}')}}, 422, "columns"),
        ({"files": {"columns": (None, '{"warmth": [1]}')}}, 422, "columns"),
        ({"files": {"columns": (None, '{"height": 1}')}}, 422, "columns"),
        ({"files": {"columns": (None, "{}")}}, 422, "columns"),
        ({"json": {"columns": {}}}, 415, "Content-Type"),
        ({"content": b"--", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 422, "image"),
    ],
)
def test_wrong_bodies_are_named(client, sent, status, field):
    answer = client.post("/search", **sent)
    assert (answer.status_code, answer.json()["detail"].get("field")) == (status, field), answer.text
    assert "max_pixels" not in answer.text
