"""A server of a small model, without a socket."""

import io

import numpy as np
import pytest
from PIL import Image


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


@pytest.fixture(scope="session")
def chip() -> bytes:
    """A picture of the size of the training's, PNG."""
    rng, file = np.random.default_rng(0), io.BytesIO()
    Image.fromarray(rng.integers(60, 120, (8, 8, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()
