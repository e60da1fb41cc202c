"""Mirrors src/geotether/peers/weights_file.py."""

import argparse
import contextlib
import json
import os
import pathlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from geotether.peers.weights_file import read_weights

ARRAYS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2, dtype=torch.float64)}


class Malicious:
    """Unpickling this would run a command that leaves a mark."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


class Foreign:
    """An object whose class only its author has."""


@pytest.mark.parametrize("nest", [None, "state_dict", "model_state_dict", "model"])
def test_torch_files_are_read(saved, nest):
    weights = read_weights(saved(ARRAYS if nest is None else {nest: ARRAYS, "epoch": 3}))
    assert weights.tensors.keys() == ARRAYS.keys()
    assert all(torch.equal(weights.tensors[name], ARRAYS[name]) for name in ARRAYS)
    assert weights.settings == {}
    assert len(weights.sha256) == 64


def test_safetensors_are_read_with_their_settings(tmp_path):
    path = tmp_path / "anything"
    save_file(ARRAYS, path, metadata={"hyper_parameters": json.dumps({"legendre_polys": 10, "odd": [1]})})
    weights = read_weights(path)
    assert torch.equal(weights.tensors["a.weight"], ARRAYS["a.weight"])
    assert weights.settings == {"legendre_polys": 10}


def test_a_malicious_pickle_is_refused_and_never_runs(saved, tmp_path):
    mark = tmp_path / "mark"
    path = saved({"state_dict": ARRAYS, "extra": Malicious(mark)})
    with pytest.raises(ValueError, match=rf"carries the object {os.name}\.system, which would run code.*refused"):
        read_weights(path)
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists()  # so the file would have done it


def test_the_refusal_says_how_to_convert(saved, tmp_path):
    path = saved({"state_dict": ARRAYS, "hyper_parameters": {"x": Foreign()}}, "their.ckpt")
    with pytest.raises(ValueError, match=r"the object \S*Foreign") as refused:
        read_weights(path)
    snippet = "\n".join(line[4:] for line in str(refused.value).splitlines() if line.startswith("    "))
    assert "their.safetensors instead; docs/peers.md" in str(refused.value)
    snippet = snippet.replace("'their.", f"'{tmp_path}/their.")
    exec(snippet, {})
    assert torch.equal(read_weights(tmp_path / "their.safetensors").tensors["a.weight"], ARRAYS["a.weight"])


def test_harmless_containers_of_settings_are_read_without_their_classes(saved):
    settings = argparse.Namespace(legendre_polys=10, le_type="sphericalharmonics", folder=pathlib.PurePosixPath("x"))
    more = {"rate": np.float64(0.5), "shape": np.dtype("float32")}
    weights = read_weights(saved({"state_dict": ARRAYS, "hyper_parameters": settings, "more": more}))
    assert weights.settings == {"legendre_polys": 10, "le_type": "sphericalharmonics"}


def test_one_array_is_checked(saved):
    path = saved(ARRAYS | {"nan": torch.tensor([1.0, float("nan")]), "whole": torch.arange(2)})
    weights = read_weights(path)
    assert torch.equal(weights.array("a.weight", None, 3), ARRAYS["a.weight"])
    for name, shape, message in (
        ("b", (2,), "no array 'b'"),
        ("a.weight", (2,), r"'a\.weight' has shape \(2, 3\); expected \(2\)"),
        ("a.weight", (None, 4), r"expected \(any, 4\)"),
        ("nan", (2,), "'nan' contains a number that is not finite"),
        ("whole", (2,), "'whole' contains a number that is not finite"),
    ):
        with pytest.raises(ValueError, match=message):
            weights.array(name, *shape)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "neither a PyTorch file nor safetensors"),
        (b"hello, this is a text file", "neither a PyTorch file nor safetensors"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer.*git lfs pull"),
        (b"<!DOCTYPE html><html>", "web page: download the raw file"),
        (b"PK\x03\x04 and then nothing", "truncated or damaged"),
        (b"\xff\x00\x00\x00\x00\x00\x00\x00{", "damaged or not a safetensors file"),
    ],
)
def test_other_files_are_named(tmp_path, content, message):
    path = tmp_path / "file.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_weights(path)


def test_an_object_that_is_not_a_state_dict_is_named(saved):
    with pytest.raises(ValueError, match="contains a Tensor, not arrays by name"):
        read_weights(saved(torch.ones(3)))


def test_torch_before_2_6_is_refused(saved, monkeypatch):
    path = saved(ARRAYS)
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    with pytest.raises(ImportError, match=r"needs torch 2\.6 or newer; this is 2\.5\.1"):
        read_weights(path)


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_every_damaged_file_is_named(tmp_path, damaged, form):
    path, refused = tmp_path / "w.ckpt", 0
    if form == "safetensors":
        save_file(ARRAYS, path, metadata={"hyper_parameters": '{"legendre_polys": 10}'})
    else:
        content = {"state_dict": ARRAYS, "hyper_parameters": argparse.Namespace(legendre_polys=10)}
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    for content in damaged(path.read_bytes(), 150, head=600):
        path.write_bytes(content)
        with contextlib.suppress(ValueError):
            read_weights(path)
            continue
        with pytest.raises(ValueError, match=str(path)):
            read_weights(path)
        refused += 1
    assert refused > 20
