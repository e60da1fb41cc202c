"""What all features share (src/geotether/features/featurizer.py): state, independence of rows, and checked options."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pytest

from geotether.features.catalogue import make_features
from geotether.features.featurizer import Featurizer

RNG = np.random.default_rng(0)
TOWNS = ["Wageningen", "Groningen", "Tongeren", "rain", "北京 Beijing", "南京 Nanjing", "南宁 Nanning", "海南"] * 9
NUMBERS = RNG.normal(10, [1, 5, 0.1], (72, 3))
CONTENT = {
    "columns": pa.table({"mass": np.exp(NUMBERS[:, 0]), "diet": pa.array([None, "seeds", "fish"] * 24),
                         "seen": pa.array(np.arange(72).astype("datetime64[M]").astype("datetime64[ms]"))}),
    "texts": TOWNS,
    "images": list(RNG.integers(0, 256, (6, 40, 40, 3), dtype=np.uint8)),
    "vectors": NUMBERS.astype(np.float32),
}  # fmt: skip
ALL = [
    ("columns", {}),
    ("columns", {"dim": 3}),
    ("columns", {"hash_buckets": 3, "max_levels": 1, "missing": "fill"}),
    ("ngrams", {"dim": 4, "ngram_range": [1, 3]}),
    ("vectors", {}),
    ("vectors", {"standardise": True, "normalise": True, "dim": 2}),
    ("convolution", {"num_filters": 4, "patch_size": 2, "seed": 5, "bias": 0.25}),
    ("sentences", {"batch": 100}),
    ("backbone", {"model": "test_resnet", "batch": 4}),
    ("backbone", {"model": "test_vit", "batch": 4}),
    ("ssl4eo", {"model": "resnet18", "batch": 2}),
]


@pytest.fixture
def made(request):
    """Make features by name, with the small models in place of published ones."""

    def make(name, options):
        if name == "sentences":
            options = options | {"model": str(request.getfixturevalue("sentence_model"))}
        if name == "backbone":
            folder = request.getfixturevalue("small")[0]
            options = options | {"weights": str(folder / f"{options['model'].removeprefix('test_')}.safetensors")}
        if name == "ssl4eo":
            options = options | {"weights": str(request.getfixturevalue("published")[0])}
        return make_features(name, options)

    return make


@pytest.mark.parametrize(("name", "options"), ALL, ids=str)
def test_restored_features_are_the_same_bit_for_bit_also_for_single_rows(made, name, options):
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        features = made(name, options)
        assert isinstance(features, Featurizer)
        content = CONTENT[features.takes]
        if name == "ssl4eo":
            content = [np.repeat(image, 5, axis=-1)[..., :13] / np.float32(255) for image in content[:3]]
        whole = features.fit(content).transform(content)
        assert whole.dtype == np.float32
        assert whole.shape == (len(content), len(features.names()))
        values, arrays = features.fitted()
        again = make_features(name, json.loads(json.dumps(features.settings())))
        again = pickle.loads(pickle.dumps(again.restore(json.loads(json.dumps(values)), arrays)))
        assert again.names() == features.names()
        np.testing.assert_array_equal(again.transform(content), whole)
        for start, stop in () if name == "sentences" else ((0, 1), (1, 3), (len(content) - 1, len(content))):
            few = content.slice(start, stop - start) if isinstance(content, pa.Table) else content[start:stop]
            np.testing.assert_array_equal(again.transform(few), whole[start:stop])
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("name", "content"),
    [("columns", CONTENT["columns"]), ("ngrams", TOWNS), ("vectors", CONTENT["vectors"]), ("sentences", TOWNS),
     ("convolution", np.zeros((3, 8, 8, 3), np.uint8))],
)  # fmt: skip
def test_features_need_a_fit(made, name, content):
    with pytest.raises(ValueError, match="call fit"):
        made(name, {}).transform(content)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("columns", {"max_levels": 0}, "max_levels"),
        ("columns", {"min_count": 0}, "min_count"),
        ("columns", {"hash_buckets": -1}, "hash_buckets"),
        ("columns", {"clip": 0.0}, "clip"),
        ("columns", {"missing": "drop"}, "'drop'"),
        ("columns", {"dim": 0}, "dim"),
        ("columns", {"infer": False}, "declare columns"),
        ("columns", {"numeric": [1]}, r"\[1\]"),
        ("ngrams", {"dim": 0}, "dim"),
        ("ngrams", {"ngram_range": (4, 2)}, r"\(4, 2\)"),
        ("ngrams", {"ngram_range": [1, 2, 3]}, r"\[1, 2, 3\]"),
        ("vectors", {"dim": 0}, "dim"),
        ("convolution", {"num_filters": 0}, "num_filters"),
        ("convolution", {"ridge": 0.0}, "ridge"),
        ("convolution", {"scale": 0}, "scale"),
        ("sentences", {"batch": 0}, "batch"),
        ("sentences", {"max_length": 0}, "max_length"),
        ("sentences", {"model": ""}, "model"),
        ("backbone", {"model": "resnet51"}, "'resnet51'"),
        ("backbone", {"model": "test_resnet", "pool": "max"}, "'max'"),
        ("backbone", {"model": "test_resnet", "batch": 0}, "batch"),
        ("ssl4eo", {"model": "swin"}, "'swin'"),
        ("ssl4eo", {"batch": 0}, "batch"),
        ("vectors", {"dims": 3}, "Did you mean 'dim'"),
    ],
)
@pytest.mark.usefixtures("torchvision_imports")
def test_options_out_of_range_are_named(name, options, said):
    with pytest.raises(ValueError, match=said):
        make_features(name, options)
