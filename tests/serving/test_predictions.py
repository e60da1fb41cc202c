"""Mirrors src/geotether/serving/predictions.py and routes/points.py."""

import threading
import time

import numpy as np
import pytest

pytest.importorskip("fastapi")
from geotether.benchmark.bootstrap import score
from geotether.prediction.candidates import BASELINES, CANDIDATES, Candidate, ridge
from geotether.prediction.predictor import fit_predictor
from geotether.regions import Grid
from geotether.searching.candidates import land_candidates
from geotether.serving import predictions
from geotether.serving.colours import hex_colours
from geotether.serving.predictions import Predictions, make_map
from geotether.tasks.task import Task

LONLAT = land_candidates(400).lonlat.round(4)
RNG = np.random.default_rng(0)
WARMTH = (30 - 0.5 * np.abs(LONLAT[:, 1]) + RNG.normal(0, 1, len(LONLAT))).round(3)
ZONE = np.array(["cold", "mild", "hot"])[np.digitize(WARMTH, (8, 20))]


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Leave only the quickest candidate and baseline."""
    with pytest.MonkeyPatch.context() as patch:
        for names, kept in ((CANDIDATES, ("ridge",)), (BASELINES, ("inverse distance",))):
            for name in set(names) - set(kept):
                patch.delitem(names, name)
        yield


@pytest.fixture(scope="module")
def table(client):
    columns = (*LONLAT.T.tolist(), range(len(WARMTH)), WARMTH, ZONE, (WARMTH > 10).astype(int))
    lines = ["lon,lat,site,warmth,zone,code", *(",".join(map(str, row)) for row in zip(*columns, strict=True))]
    return client.post("/points", files={"file": ("towns.csv", "\n".join(lines).encode())}).json()["id"]


def finished(client, job):
    for _ in range(600):
        found = client.get(f"/predict/{job}").json()
        if found["state"] in ("done", "failed"):
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def made(client, **wanted):
    sent = client.post("/predict", json=wanted)
    assert sent.status_code == 202, sent.text
    return finished(client, sent.json()["job"])


def test_numbers_are_those_of_the_predictor(client, served, table):
    found = made(client, points=table, label="warmth", unit="C")
    assert found["error"] is None
    task = Task("warmth", "regression", LONLAT, WARMTH, unit="C")
    want = fit_predictor(served.encoder(), task, name="small")
    assert found["score"] == {"metric": "R2"} | {part: getattr(want.score, part) for part in ("mean", "low", "high")}
    assert found["baselines"]["inverse distance"]["mean"] == want.baselines["inverse distance"].mean
    assert found["beats_baselines"] == want.beats_baselines
    assert found["covered"]["mean"] == score([want.covered()]).mean
    assert found["words"][0].startswith(f"With {len(LONLAT)} labels")
    planet, rows = served.planet(), np.flatnonzero(served.planet().land)
    direct = want.predict(planet.lonlat[rows])
    layer = {band: served.predictions.layer(found["job"], band) for band in predictions.BANDS}
    np.testing.assert_allclose(layer["value"].values[rows, 0], direct.value, atol=0.05)
    np.testing.assert_allclose(layer["uncertainty"].values[rows, 0], direct.upper - direct.lower, rtol=0.05)
    assert ((layer["outside"].values[rows, 0] == 0) == direct.inside).mean() > 0.99
    assert np.isnan(layer["value"].values[~planet.near_land]).all()
    weight = np.cos(np.radians(planet.lonlat[rows, 1]))
    assert found["inside_share"] == pytest.approx((weight * direct.inside).sum() / weight.sum(), abs=0.01)
    assert f"{100 * found['inside_share']:.1f} % of the mapped area" in " ".join(found["words"])
    assert [one["id"] for one in found["layers"]] == list(predictions.BANDS)
    for one in found["layers"]:
        tile = client.get(one["tiles"].format(z=0, x=0, y=0))
        assert (tile.status_code, tile.headers["content-type"]) == (200, "image/png")
    legend = found["layers"][0]["legend"]
    assert legend["unit"] == "C"
    shown = client.get(f"/points/{table}", params={"column": "warmth", "job": found["job"]}).json()
    assert shown["legend"]["stops"] == legend["stops"]
    at = np.abs(WARMTH - legend["stops"][4][0]).argmin()
    (colour,) = hex_colours(layer["value"].colours(WARMTH[at, None, None]))
    assert shown["features"][at]["properties"]["colour"] == colour
    other = client.get(f"/points/{table}", params={"column": "zone", "job": found["job"]})
    assert other.status_code == 422


def test_places_at_sea_beside_the_land_show_the_land(served):
    planet = served.planet()
    shown = predictions.shown_places(planet)
    np.testing.assert_array_equal(shown[planet.land], np.flatnonzero(planet.land))
    np.testing.assert_array_equal(shown >= 0, planet.near_land | planet.land)
    moved = np.flatnonzero((shown >= 0) & (shown != np.arange(len(planet))))
    assert planet.land[shown[moved]].all()
    apart = np.abs(planet.lonlat[moved] - planet.lonlat[shown[moved]])
    assert (np.minimum(apart, [360, 180] - apart) <= planet.grid.step + 1e-9).all()
    alone = planet.lonlat[(shown == np.arange(len(planet))) & ~planet.land]
    assert len(alone)
    east = (alone[:, None] - planet.lonlat[planet.land] + [180, 0]) % [360, 1e9] - [180, 0]
    assert np.abs(east).max(axis=2).min() > planet.grid.step + 1e-9


def test_the_land_beside_180_degrees_is_that_of_the_other_side():
    class Small:
        grid = Grid("EPSG:4326", -180.0, 90.0, 60.0, 3, 6)
        land, near_land = np.arange(18) == 6, np.arange(18) < 12

        def __len__(self):
            return 18

    expected = np.array([[6, 6, 2, 3, 4, 6], [6, 6, 8, 9, 10, 6], [-1] * 6])
    np.testing.assert_array_equal(predictions.shown_places(Small()).reshape(3, 6), expected)


def test_classes_have_the_colours_of_their_points(client, served, table):
    found = made(client, points=table, label="zone", level=0.8)
    assert (found["score"]["metric"], found["covered"]["stated"]) == ("accuracy", 0.8)
    legend = found["layers"][0]["legend"]["classes"]
    assert legend == client.get(f"/points/{table}", params={"column": "zone"}).json()["legend"]["classes"]
    layer, planet = served.predictions.layer(found["job"], "value"), served.planet()
    rows = np.flatnonzero(planet.land)
    codes = layer.values[rows, 0].astype(int)
    names = np.array([one["name"] for one in legend])
    warm = 30 - 0.5 * np.abs(planet.lonlat[rows, 1])
    assert (names[codes] == np.array(["cold", "mild", "hot"])[np.digitize(warm, (8, 20))]).mean() > 0.7
    assert hex_colours(layer.colours(layer.values[rows[:5]])) == [legend[code]["colour"] for code in codes[:5]]


def test_a_column_of_codes_is_noted(client, table):
    found = made(client, points=table, label="code", kind="classification")
    assert found["notes"] == []
    shown = client.get(f"/points/{table}", params={"column": "code", "job": found["job"]}).json()
    assert [one["name"] for one in shown["legend"]["classes"]] == ["0", "1"]
    assert {one["properties"]["colour"] for one in shown["features"]} == {
        one["colour"] for one in shown["legend"]["classes"]
    }
    found = made(client, points=table, label="code")
    assert any("add kind classification" in note for note in found["notes"])
    assert (found["label"], found["points"], found["model"]) == ("code", table, "small")


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"label": "site"}, 422, "looks like an id"),
        ({"label": "zone", "kind": "regression"}, 422, "is text"),
        ({"label": "worm"}, 404, "warmth"),
        ({"points": "nothing"}, 404, "send the file again"),
        ({"model": "large"}, 404, "small"),
        ({"kind": "multilabel"}, 422, "kind"),
        ({"level": 1.0}, 422, "level"),
        ({"file": "/etc/passwd"}, 422, "file"),
    ],
)
def test_what_cannot_be_mapped_is_refused_at_once(client, table, changed, status, said):
    sent = client.post("/predict", json={"points": table, "label": "warmth"} | changed)
    assert sent.status_code == status
    assert said in sent.json()["detail"]["error"]


def test_a_map_that_fails_says_why(client):
    near = ["lon,lat,warmth", *(f"{1e-5 * at},1,{value}" for at, value in enumerate(RNG.normal(size=40)))]
    table = client.post("/points", files={"file": ("near.csv", "\n".join(near).encode())}).json()["id"]
    found = made(client, points=table, label="warmth")
    assert (found["state"], found["layers"], found["score"]) == ("failed", [], None)
    assert "blocks" in found["error"]


@pytest.fixture
def job(served):
    """Make further jobs."""
    task = Task("warmth", "regression", LONLAT, WARMTH)
    return lambda: predictions.Job(served.planet(), task, 0.9, "table", "small", [])


def test_maps_wait_for_one_another_and_too_many_are_refused(job, monkeypatch):
    begun, go, done = threading.Event(), threading.Event(), []

    def wait(one, closing):
        begun.set()
        assert go.wait(10)
        done.append(one)

    monkeypatch.setattr(predictions, "make_map", wait)
    closing = threading.Event()
    jobs = Predictions(closing)
    first, *others = (job() for _ in range(predictions.MOST_WAITING + 1))
    jobs.add(first)
    assert begun.wait(10)
    for one in others:
        jobs.add(one)
    assert jobs.ahead(others[1]) == 2
    with pytest.raises(predictions.Problem) as caught:
        jobs.add(job())
    assert (caught.value.status_code, "Retry-After" in caught.value.headers) == (429, True)
    jobs.stop(others[0].id)
    with pytest.raises(predictions.Problem, match="any more"):
        jobs.get(others[0].id)
    go.set()
    while len(done) < len(others):
        time.sleep(0.01)
    assert done == [first, *others[1:]]
    closing.set()


def test_work_ends_when_it_is_not_wanted_or_takes_too_long(job, monkeypatch):
    stopped = job()
    stopped.stopped.set()
    closing = threading.Event()
    closing.set()
    for one, event in ((stopped, None), (job(), closing)):
        make_map(one, event)
        assert (one.state, one.found) == ("failed", {})
    later, fits = job(), []

    def fit(rows, target):
        fits.append(target)
        later.stopped.set()
        return ridge(rows, target)

    with monkeypatch.context() as patch:
        for name in ("ridge", "another"):
            patch.setitem(CANDIDATES, name, Candidate(fit))
        make_map(later)
    assert (later.state, len(fits)) == ("failed", 1)
    monkeypatch.setattr(predictions, "SECONDS", 0.0)
    slow = job()
    make_map(slow)
    assert "fewer labels" in slow.error


def test_a_map_is_forgotten_when_it_is_deleted(client, table):
    found = made(client, points=table, label="warmth")
    assert client.delete(f"/predict/{found['job']}").status_code == 204
    assert client.get(f"/predict/{found['job']}").status_code == 404
    assert client.get(found["layers"][0]["tiles"].format(z=0, x=0, y=0)).status_code == 404
    assert client.delete("/predict/none").status_code == 404
