"""Mirrors src/geotether/encoders/graph.py."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from geotether.encoders import NETWORKS, POSITIONAL, LocationEncoder, build_location_encoder
from geotether.encoders.graph import FACTS_FILE, check_places, write_graph

# What a program without torch and geotether does with a file.
RUN = """
import sys
import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options)
places = np.load(sys.argv[2])
(whole,) = session.run(["embedding"], {"lonlat": places})
for rows in (places[:0], places[:1]):
    (part,) = session.run(None, {"lonlat": rows})
    assert part.shape == (len(rows), whole.shape[1]) and np.allclose(part, whole[: len(rows)], atol=1e-5)
np.save(sys.argv[3], whole)
print(session.get_modelmeta().custom_metadata_map)
assert not {"torch", "geotether"} & set(sys.modules)
"""
BAD = [(np.nan, 0), (0, np.nan), (0, 90.1), (360.1, 0), (-180.1, 0), (0, -np.inf)]


@pytest.fixture
def run_onnx(tmp_path):
    """Run an ONNX file in a process without torch; returns the vectors and the metadata."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed, so ONNX is not run")

    def run(path, places):
        np.save(tmp_path / "places.npy", places)
        command = [sys.executable, "-c", RUN, path, tmp_path / "places.npy", tmp_path / "vectors.npy"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return np.load(tmp_path / "vectors.npy"), done.stdout

    return run


class Joined(LocationEncoder):
    """Several encoders side by side, so that one graph has all of them."""

    def __init__(self, encoders):
        nn.Module.__init__(self)
        self.encoders, self.projection = nn.ModuleList(encoders), None
        self.full_dim = self.handout_dim = sum(encoder.handout_dim for encoder in encoders)

    def handout(self, lonlat, dim=None):
        return torch.cat([encoder.handout(lonlat) for encoder in self.encoders], 1)


def test_every_encoding_and_network_is_exported(run_onnx, tmp_path):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed, so nothing is exported to ONNX")
    encoders = []
    sizes = {"spherical_harmonics": {"l_max": 2}, "satclip_harmonics": {"legendre_polys": 3}}
    pairs = [(name, "linear") for name in POSITIONAL] + [("cartesian", name) for name in NETWORKS if name != "linear"]
    for positional, network in pairs:
        width = {"linear": {}, "capsules": {"num_capsules": 3, "capsule_dim": 8}}.get(network, {"hidden_dim": 8})
        parts = {"positional": {"name": positional, **sizes.get(positional, {})}, "network": {"name": network, **width}}
        encoders.append(build_location_encoder({**parts, "embed_dim": 4}, seed=0))
    encoders[0].network.double()  # SatCLIP's weights are
    joined = Joined(encoders).eval()
    assert write_graph(joined, tmp_path / "all.onnx") < 1e-4
    places = check_places(3000)
    got, _ = run_onnx(tmp_path / "all.onnx", places.numpy())
    np.testing.assert_allclose(got, joined.handout(places).detach(), atol=1e-4)


def test_an_encoder_with_a_context_is_exported(make_context_encoder, run_onnx, tmp_path):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed, so nothing is exported to ONNX")
    parts = {"positional": {"name": "spherical_harmonics", "l_max": 2}, "network_degree": 1, "dim": 20}
    encoder, places = make_context_encoder(**parts), check_places(20_000)
    want = encoder.handout(places, 12).detach().numpy()
    facts = {"model": "planet", "licence": "CC BY 4.0"}
    for kind in ("onnx", "pt2"):
        write_graph(encoder, tmp_path / f"planet.{kind}", dim=12, facts=facts)
        assert b"/test_graph.py" not in (tmp_path / f"planet.{kind}").read_bytes()
        assert b"/graph.py" not in (tmp_path / f"planet.{kind}").read_bytes()
    with_bad = np.concatenate((places.numpy(), BAD))
    got, said = run_onnx(tmp_path / "planet.onnx", with_bad)
    extra = {FACTS_FILE: ""}
    program = torch.export.load(tmp_path / "planet.pt2", extra_files=extra).module()
    for vectors in (got, program(torch.from_numpy(with_bad)).detach().numpy()):
        np.testing.assert_allclose(vectors[: len(places)], want, atol=1e-4)
        assert np.isnan(vectors[len(places) :]).all()
    known = json.loads(extra[FACTS_FILE])
    assert known == json.loads(said.replace("'", '"'))
    assert known["model"] == "planet"
    assert known["dim"] == "12"
    assert "longitude first" in known["input"]


class Branching(nn.Module):
    """An encoding whose course depends on values, as a plug-in may have it."""

    out_dim = 2

    def forward(self, lonlat, dtype=torch.float64):
        return (lonlat if lonlat.sum() > 0 else -lonlat).to(dtype)


def test_what_cannot_be_exported_is_refused_and_nothing_is_written(monkeypatch, tmp_path):
    encoder = LocationEncoder(Branching(), NETWORKS["linear"](2, 4))
    with pytest.raises(ValueError, match="cannot be exported"):
        write_graph(encoder, tmp_path / "branching.pt2")
    with pytest.raises(ValueError, match=r"\.onnx or \.pt2"):
        write_graph(encoder, tmp_path / "model.tflite")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'geotether\[onnx\]'"):
        write_graph(encoder, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
