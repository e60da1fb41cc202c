"""Every operation of the OpenAPI document, with valid and invalid requests: documented statuses and no 5xx.

`GEOTETHER_FUZZ=5000 pytest tests/serving/test_fuzz.py -rP` sends that many and prints the statuses.
"""

import os
from collections import Counter
from dataclasses import replace

import pytest

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
pytest.importorskip("fastapi", reason="the extra serve is not installed")

EXAMPLES = int(os.environ.get("GEOTETHER_FUZZ", 300))
CHECKED = ["not_a_server_error", "status_code_conformance", "content_type_conformance"]


# Values of parameters that lead further than random ones, None to leave the parameter out.
KNOWN = {
    "model": [None, "small"],
    "within": [None, "Africa", "-20 -35 55 38"],
    "modality": [None, "town", "chip", "climate"],
    "layer": ["similarity", "rgb", "clusters", "coverage", "prediction"],
    "name": ["land", "borders", "labels"],
    "z": [0, 1, 8],
    "x": [0, 1],
    "y": [0, 1],
    "text": [None, "walrus fjord"],
    "lon": [None, 5.66, 180],
    "lat": [None, 51.97, -90],
}


@pytest.fixture
def schema(served):
    """The document of a server that refuses no client for its number of requests."""
    from geotether.serving.app import app_of
    from geotether.serving.served import Served

    limits = replace(served.limits, rate=1e9, burst=10**9)
    app = app_of(Served(served.models, limits=limits, resolution=served.resolution), hosts=None)
    return schemathesis.openapi.from_asgi("/openapi.json", app)


def test_statuses_are_documented_and_none_is_a_fault_of_the_server(schema):
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st
    from schemathesis import GenerationMode
    from schemathesis.checks import CHECKS, load_all_checks

    load_all_checks()
    checks = CHECKS.get_by_names(CHECKED)
    usual = st.none() | st.fixed_dictionaries({name: st.sampled_from(values) for name, values in KNOWN.items()})
    operations = [found.ok() for found in schema.get_all_operations()]
    asked = [(one, mode) for one in operations if takes_input(one) for mode in GenerationMode]
    statuses = Counter()
    quiet = settings(
        max_examples=-(-EXAMPLES // max(len(asked), 1)),
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )

    def check(case, known):
        for values in (case.path_parameters, case.query):
            for name in set(values or ()) & set(known or ()):
                if known[name] is None:
                    del values[name]
                else:
                    values[name] = known[name]
        response = case.call()
        statuses[f"{case.operation.label} {response.status_code}"] += 1
        case.validate_response(response, checks=checks)

    for operation in operations:
        if not takes_input(operation):
            check(operation.Case(), None)
    for operation, mode in asked:
        quiet(given(operation.as_strategy(generation_mode=mode), usual)(check))()
    print(sum(statuses.values()), "examples", *sorted(f"\n{count:6} {name}" for name, count in statuses.items()))  # noqa: T201


def takes_input(operation):
    """Whether an operation has parameters or a body, which can be wrong."""
    return any((operation.path_parameters, operation.query, operation.headers, operation.body))
