"""Mirrors src/geotether/peers/checkpoint_layouts.py."""

import pytest
import torch

from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.loading import load
from geotether.peers.checkpoint_layouts import open_checkpoint


def test_an_error_about_an_unknown_layout_lists_the_known_ones(saved):
    path = saved({"encoder.weight": torch.ones(2, 2), "encoder.bias": torch.ones(2)}, "satclip.ckpt")
    with pytest.raises(
        ValueError,
        match=r"contains 2 arrays \(encoder\.bias, encoder\.weight, \.\.\.\) in an unknown layout. Known: "
        r"SatCLIP \(nnet\.layers.*\); GeoCLIP \(LocEnc0.*f\(lon, lat\).*\.parquet.*docs/peers\.md",
    ):
        open_checkpoint(path)


def test_a_file_without_arrays_is_named(saved):
    with pytest.raises(ValueError, match="contains no arrays in an unknown layout"):
        open_checkpoint(saved({"epoch": 3}))


def test_an_error_about_a_file_of_a_model_folder_names_the_folder(tmp_path):
    parts = {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": 4}
    Encoder(build_location_encoder(parts, seed=0)).save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"a geotether model; give its folder, .*model\."):
        load(tmp_path / "model" / "model.safetensors")


def test_the_name_of_the_file_does_not_matter(saved, satclip, geoclip):
    for content, name, layout in (
        (satclip(10, capacity=8, embed_dim=4), "geoclip.pth", "SatCLIP"),
        (geoclip(features=4, capsule_dim=4, embed_dim=4), "satclip.ckpt", "GeoCLIP"),
    ):
        assert open_checkpoint(saved(content, name))[2]["layout"] == layout
