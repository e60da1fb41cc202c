"""Blocks and a model to export."""

import numpy as np
import pytest


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
