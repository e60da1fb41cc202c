"""Mirrors src/geotether/featurizing/build.py: the same features for new rows."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from geotether.featurizing.build import apply_transform, build_table
from geotether.featurizing.transform import load_transform, transform_path

SPEC = {"source": "toy", "times": True, "ids": "rows", "encode_time": ["year"], "features": {"width": 5}}


@pytest.fixture
def table(places, tmp_path):
    return build_table({**SPEC, "path": str(places)}, tmp_path / "t.parquet", workers=1, progress="none")


def apply(places, tmp_path, **options):
    spec = {"path": str(places), **options}
    return apply_transform(tmp_path / "t.parquet", spec, tmp_path / "new.parquet", workers=1, progress="none")


def test_the_same_row_gets_the_same_features_bit_for_bit(table, places, tmp_path):
    np.save(places, np.concatenate([np.load(places)[:300], [[5.66, 51.97]] * 20]))  # other rows beside the same ones
    new = apply(places, tmp_path)
    assert len(new) == 320
    assert new.features[:300].tobytes() == table.features[:300].tobytes()
    assert new.dim == table.dim
    assert new.id[5] == "row 5"  # the source's options are those of the table
    assert new.split is None
    assert new.origin.made["features"] == table.origin.made["features"]
    assert transform_path(tmp_path / "new.parquet").read_bytes() == transform_path(tmp_path / "t.parquet").read_bytes()


def test_other_options_are_accepted(table, places, tmp_path):
    new = apply(places, tmp_path, ids="none", rows=100, split={"block_km": 2000})
    assert len(new) == 100
    assert set(new.split.tolist()) == {"train", "validation"}
    assert not new.id[0].startswith("row")


def test_the_file_says_what_was_fitted(table, tmp_path):
    with safe_open(transform_path(tmp_path / "t.parquet"), framework="numpy") as file:
        note = json.loads(file.metadata()["geotether"])
        assert file.get_tensor("matrix").shape == (64, 5)
    assert note["features"]["name"] == "toy"
    assert note["features"]["width"] == 5
    assert note["encode_time"] == ["year"]
    assert note["fitted"].keys() == {"mean"}
    assert note["source"] == "toy"
    loaded = load_transform(tmp_path / "t.parquet")
    assert loaded.featurizer.mean == note["fitted"]["mean"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": "ngrams"}, "leave `features` out"),
        ({"features": {"width": 3}}, "leave `features` out"),
        ({"encode_time": ["hour"]}, "leave encode_time out"),
        ({"kind": "texts"}, "features of images, but the source 'toy' gives texts"),
        ({"times": False}, "the source gives no times"),
    ],
)
def test_other_features_are_refused(table, places, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        apply(places, tmp_path, **options)


def test_an_error_about_another_kind_of_file_names_the_source(places, tmp_path):
    lines = [f'{{"lon": {n}, "lat": {n}, "text": "stone {n} river"}}' for n in range(40)]
    (tmp_path / "wiki.jsonl").write_text("\n".join(lines))
    spec = {"path": str(tmp_path / "wiki.jsonl"), "features": {"name": "ngrams", "dim": 4}}
    build_table(spec, tmp_path / "t.parquet", workers=1, progress="none")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").touch()
    with pytest.raises(
        FileNotFoundError, match=r"not a file.*source 'texts' is that of the earlier table.*--source images"
    ):
        apply(tmp_path / "pictures", tmp_path)
    with pytest.raises(ValueError, match=r"earlier table.*--source vectors"):
        apply(places, tmp_path)
    with pytest.raises(FileNotFoundError, match="There is no file") as said:
        apply(tmp_path / "nothing", tmp_path)
    assert "earlier table" not in str(said.value)


def test_a_missing_or_foreign_transform_is_reported(table, places, tmp_path):
    transform = transform_path(tmp_path / "t.parquet")
    transform.write_text("no tensors")
    with pytest.raises(ValueError, match="not a transform"):
        apply(places, tmp_path)
    save_file({"a": np.zeros(3)}, transform)
    with pytest.raises(ValueError, match="not a transform"):
        apply(places, tmp_path)
    for note in ({"transform": 1}, {"transform": 1, "features": {"name": "toy"}}, {"transform": 1, "features": 3}):
        save_file({"a": np.zeros(3)}, transform, {"geotether": json.dumps(note)})
        with pytest.raises(ValueError, match=r"t\.transform\.safetensors is damaged"):
            apply(places, tmp_path)
    transform.unlink()
    with pytest.raises(FileNotFoundError, match=r"There is no .*t\.transform\.safetensors, which"):
        apply(places, tmp_path)


def test_another_transform_rebuilds_the_table(table, places, tmp_path, caplog):
    caplog.set_level("INFO", "geotether")
    first = apply(places, tmp_path)
    apply(places, tmp_path)
    assert "up to date" in caplog.text
    spec = {**SPEC, "path": str(places), "seed": 7}
    build_table(spec, tmp_path / "t.parquet", workers=1, progress="none")
    assert apply(places, tmp_path).features[0, 0] != first.features[0, 0]
