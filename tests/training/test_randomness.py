"""Mirrors src/geotether/training/randomness.py."""

import torch

from geotether.training.randomness import derived_seed, seed_step


def test_seeds_do_not_collide():
    seeds = {
        derived_seed(seed, step, purpose)
        for seed in range(20)
        for step in range(100)
        for purpose in ("jitter", "dropout")
    }
    assert len(seeds) == 20 * 100 * 2
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_dropout_depends_on_seed_and_step_alone():
    def dropped(seed: int, step: int) -> torch.Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.rand(17)  # whatever came before
            seed_step(seed, step)
            return torch.nn.functional.dropout(torch.ones(64), 0.5)

    assert torch.equal(dropped(0, 5), dropped(0, 5))
    assert not torch.equal(dropped(0, 5), dropped(0, 6))
    assert not torch.equal(dropped(0, 5), dropped(1, 5))
