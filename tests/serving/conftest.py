"""A server of a small model, without a socket."""

import pytest


@pytest.fixture(scope="session")
def served(trained):
    """What a server of the small model `trained` serves, with a grid of 5 degrees."""
    from geotether.serving.served import Served

    found = Served({"small": trained}, resolution=5.0)
    found.planet()
    return found


@pytest.fixture(scope="session")
def client(served):
    """Ask the server of `served`."""
    from fastapi.testclient import TestClient

    from geotether.serving.app import app_of

    with TestClient(app_of(served), base_url="http://127.0.0.1") as asking:
        yield asking
