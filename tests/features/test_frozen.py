"""Mirrors src/geotether/features/frozen.py; networks are tested with the backbones."""

import numpy as np
import pytest
import torch

from geotether.features.frozen import cached_file, in_equal_batches, read_weights, weights_digest


def test_batches_have_equal_sizes_and_rows_their_positions():
    sizes = []

    def run(pixels):
        sizes.append(len(pixels))
        return pixels.flatten(1).sum(1, keepdim=True)

    inputs = (torch.full((2, 3), float(row)) for row in range(7))
    got = in_equal_batches(run, inputs, 7, 3, "cpu", 1)
    np.testing.assert_array_equal(got[:, 0], 6.0 * np.arange(7))
    assert sizes == [3, 3, 3]
    assert in_equal_batches(run, iter(()), 0, 3, "cpu", 4).shape == (0, 4)


def test_code_in_a_file_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    torch.save({"weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(ValueError, match="contains more than tensors"):
        read_weights(tmp_path / "trap.pth")
    assert not (tmp_path / "sprung").exists()


def test_a_downloaded_file_is_in_the_cache_of_torch(tmp_path, monkeypatch):
    """Fetched only when that is allowed; here from a file on disk."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    torch.save({"weight": torch.ones(2)}, tmp_path / "w.pth")
    url = (tmp_path / "w.pth").as_uri()
    with pytest.raises(FileNotFoundError, match="not on this machine"):
        cached_file("", url, "model", download=False)
    fetched = cached_file("", url, "model", download=True)
    assert fetched == tmp_path / "hub" / "checkpoints" / "w.pth"
    assert weights_digest(fetched) == weights_digest(tmp_path / "w.pth")
    assert cached_file("", url, "model", download=False) == fetched
