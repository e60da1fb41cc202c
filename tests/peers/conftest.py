"""Checkpoints in the exact layouts of the published ones, small where size does not matter."""

import collections
import itertools
from pathlib import Path

import pytest
import torch


def satclip_state(legendre_polys: int, capacity: int, layers: int, embed_dim: int) -> "collections.OrderedDict":
    """The state dict of SatCLIP's Lightning module: the same location network under two names, and an image encoder."""
    generator = torch.Generator().manual_seed(legendre_polys)

    def uniform(*shape: int, bound: float) -> torch.Tensor:
        return (2 * torch.rand(*shape, generator=generator, dtype=torch.float64) - 1) * bound

    widths = [legendre_polys**2] + [capacity] * layers
    network = {}
    for number, (wide, out) in enumerate(itertools.pairwise(widths)):
        # Wider than Sitzmann's start, as training leaves them.
        bound = 3 / wide if number == 0 else 2 * (6 / wide) ** 0.5
        network[f"layers.{number}.weight"] = uniform(out, wide, bound=bound)
        network[f"layers.{number}.bias"] = uniform(out, bound=bound)
    network["last_layer.weight"] = uniform(embed_dim, capacity, bound=(6 / capacity) ** 0.5)
    network["last_layer.bias"] = uniform(embed_dim, bound=(6 / capacity) ** 0.5)
    state = collections.OrderedDict(
        {"model.logit_scale": torch.tensor(2.66), "model.visual.fc.weight": torch.ones(2, 2)}
    )
    for name in ("nnet", "location.nnet"):
        state.update({f"model.{name}.{key}": value for key, value in network.items()})
    return state


def satclip_content(legendre_polys=10, capacity=512, layers=2, embed_dim=256) -> dict:
    return {
        "epoch": 499,
        "global_step": 5000,
        "pytorch-lightning_version": "2.0.0",
        "state_dict": satclip_state(legendre_polys, capacity, layers, embed_dim),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"current": {"ready": 500}}}},
        "callbacks": {
            "ModelCheckpoint{'monitor': 'val_loss'}": {"best_model_score": torch.tensor(1.5), "kth_value": None}
        },
        "optimizer_states": [
            {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
        ],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {
            "embed_dim": embed_dim,
            "image_resolution": 256,
            "vision_layers": "moco_vit16",
            "vision_width": 768,
            "in_channels": 13,
            "le_type": "sphericalharmonics",
            "pe_type": "siren",
            "frequency_num": 16,
            "max_radius": 0.01,
            "min_radius": 1e-5,
            "legendre_polys": legendre_polys,
            "harmonics_calculation": "analytic",
            "num_hidden_layers": layers,
            "capacity": capacity,
            "eval_downstream": False,
            "air_temp_data_path": None,
        },
    }


def geoclip_state(features=256, capsule_dim=1024, embed_dim=512, sigmas=(1, 16, 256)) -> dict[str, torch.Tensor]:
    """The state dict of GeoCLIP's LocationEncoder, float32, with the names of its sequences."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for c, sigma in enumerate(sigmas):
        state[f"LocEnc{c}.capsule.0.b"] = sigma * torch.randn(features, 2, generator=generator)
        widths = [2 * features] + [capsule_dim] * 3
        for number, (wide, out) in enumerate(itertools.pairwise(widths)):
            source = f"LocEnc{c}.capsule.{2 * number + 1}"
            state[f"{source}.weight"] = torch.randn(out, wide, generator=generator) * (2 / wide) ** 0.5
            state[f"{source}.bias"] = torch.randn(out, generator=generator) * 0.1
        state[f"LocEnc{c}.head.0.weight"] = torch.randn(embed_dim, capsule_dim, generator=generator) / capsule_dim**0.5
        state[f"LocEnc{c}.head.0.bias"] = torch.randn(embed_dim, generator=generator) * 0.1
    return state


@pytest.fixture
def satclip():
    return satclip_content


@pytest.fixture
def geoclip():
    return geoclip_state


@pytest.fixture
def saved(tmp_path):
    """Save with torch under a name that says nothing."""

    def save(content, name: str = "downloaded.bin") -> Path:
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture(autouse=True)
def one_thread():
    """Products of a few rows gain nothing from threads and wait for them on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
