"""Blocks and a model to export."""

import numpy as np
import pytest

from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder


@pytest.fixture
def blocks_of():
    """Cut an array (bands, rows, columns) into blocks."""

    def cut(values: np.ndarray, side: int):
        for top in range(0, values.shape[1], side):
            for left in range(0, values.shape[2], side):
                rows = slice(top, min(top + side, values.shape[1]))
                columns = slice(left, min(left + side, values.shape[2]))
                yield rows, columns, values[:, rows, columns]

    return cut


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The folder of a small model of 8 numbers per place."""
    parts = {"positional": {"name": "spherical_harmonics", "l_max": 4}, "network": {"name": "mlp", "hidden_dim": 16}}
    folder = tmp_path_factory.mktemp("models") / "small"
    Encoder(build_location_encoder({**parts, "embed_dim": 8}, seed=0)).save(folder)
    return folder
