"""Every operation of the OpenAPI document, with valid and invalid requests: documented statuses and no 5xx.

`GEOTETHER_FUZZ=5000 pytest tests/serving/test_fuzz.py -rP` sends that many and prints the statuses.
"""

import io
import os
import re
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
pytest.importorskip("fastapi", reason="the extra serve is not installed")

EXAMPLES = int(os.environ.get("GEOTETHER_FUZZ", 150))
SLOW = {"POST /points": 3, "POST /predict": 3}  # examples of each kind, unless there are many: a process or a job each
CHECKED = ["not_a_server_error", "status_code_conformance", "content_type_conformance"]


def png(side):
    """Return a picture of the size of the training's (8), or of another."""
    out = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), 200, dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def csv(rows):
    """Return labelled points."""
    lines = [f"{9 * at % 360 - 180},{at % 120 - 60},{at / 7},{'ab'[at % 2]}" for at in range(rows)]
    return "\n".join(["lon,lat,warmth,side", *lines]).encode()


@pytest.fixture
def server(served):
    """The application, without limits on the number of requests, and a client of it."""
    from fastapi.testclient import TestClient

    from geotether.serving.app import app_of
    from geotether.serving.served import Served

    limits = replace(served.limits, rate=1e9, burst=10**9)
    app = app_of(Served(served.models, limits=limits, resolution=served.resolution), hosts=None)
    with TestClient(app) as client:
        yield app, client


@pytest.fixture
def known(server):
    """Values of parameters and fields that lead further than random ones; None leaves the parameter out."""
    _, client = server
    table = client.post("/points", files={"file": ("warm.csv", csv(200))}).json()["id"]
    job = client.post("/predict", json={"points": table, "label": "warmth"}).json()["job"]
    image = client.post("/search", files={"image": ("chip.png", png(8))}).json()["layer"]["tiles"]
    while client.get(f"/predict/{job}").json()["state"] in ("waiting", "running"):
        time.sleep(0.05)
    return {
        "model": [None, "small"],
        "within": [None, "Africa", "-20 -35 55 38"],
        "modality": [None, "town", "chip", "climate"],
        "layer": ["similarity", "rgb", "clusters", "coverage", "prediction"],
        "band": ["value", "uncertainty", "outside"],
        "name": ["land", "borders", "labels"],
        "z": [0, 1, 8],
        "x": [0, 1],
        "y": [0, 1],
        "text": [None, "walrus fjord", "bison"],
        "lon": [None, 5.66, 180],
        "lat": [None, 51.97, -90],
        "columns": [None, None, '{"warmth": 12}', '{"warmth": "hot"}', "[1]"],
        "image": [None, None, png(8), png(3), re.search(r"image=(\w+)", image)[1]],
        "file": [csv(40), csv(0)],
        "points": [table, "none"],
        "table": [table, "none"],
        "job": [job, job, "none"],
        "label": ["warmth", "side", "none"],
        "column": ["warmth", "side"],
        "kind": [None],
        "unit": [None],
    }


# Threads of the server draw random numbers while requests are made up.
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")
def test_statuses_are_documented_and_none_is_a_fault_of_the_server(server, known):
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st
    from schemathesis import GenerationMode
    from schemathesis.checks import CHECKS, load_all_checks

    load_all_checks()
    checks = CHECKS.get_by_names(CHECKED)
    schema = schemathesis.openapi.from_asgi("/openapi.json", server[0])
    usual = st.none() | st.fixed_dictionaries({name: st.sampled_from(values) for name, values in known.items()})
    operations = [found.ok() for found in schema.get_all_operations()]
    asked = [(one, mode) for one in operations if takes_input(one) for mode in GenerationMode]
    statuses = Counter()
    each = -(-EXAMPLES // len(asked))
    quiet = settings(
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )

    def check(case, values):
        if values and case.operation.method != "delete":
            put(values, case)
        response = case.call()
        statuses[f"{case.operation.label} {response.status_code}"] += 1
        case.validate_response(response, checks=checks)

    for operation in operations:
        if not takes_input(operation):
            check(operation.Case(), None)
    for operation, mode in asked:
        count = each if EXAMPLES > 1000 else min(each, SLOW.get(operation.label, each))
        settings(quiet, max_examples=count)(given(operation.as_strategy(generation_mode=mode), usual)(check))()
    print(sum(statuses.values()), "examples", *sorted(f"\n{count:6} {name}" for name, count in statuses.items()))  # noqa: T201


def put(known, case):
    """Give known values to parameters and fields of a request, and drop other parameters of its query."""
    for values in (case.path_parameters, case.query, case.body):
        for name in list(values) if isinstance(values, dict) else ():
            if known.get(name) is not None:
                values[name] = known[name]
            elif name in known or values is case.query:
                del values[name]


def takes_input(operation):
    """Whether an operation has parameters or a body, which can be wrong."""
    return any((operation.path_parameters, operation.query, operation.headers, operation.body))
