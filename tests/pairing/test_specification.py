import pytest

from geotether.pairing.specification import make_spec, read_paired_spec

S1 = {"s1": {"kind": "series", "values": "s1"}}


def test_the_part_of_a_larger_file(tmp_path):
    (tmp_path / "run.yaml").write_text("steps: 5\npaired: {path: a.npz, modalities: {s1: {kind: vector, values: x}}}\n")
    assert read_paired_spec(tmp_path / "run.yaml").modalities["s1"].values == "x"
    (tmp_path / "alone.yaml").write_text("path: a.npz\n")
    assert read_paired_spec(tmp_path / "alone.yaml").path == "a.npz"
    with pytest.raises(FileNotFoundError, match="no configuration file"):
        read_paired_spec(tmp_path / "none.yaml")


def test_errors_of_a_file_name_it(tmp_path):
    (tmp_path / "run.yaml").write_text("paired: {pth: a.npz}\n")
    with pytest.raises(ValueError, match=r"run\.yaml: .*") as caught:
        read_paired_spec(tmp_path / "run.yaml")
    assert "unknown key 'pth'. Did you mean 'path'?" in str(caught.value)


def modality(**values):
    return {"path": "a", "modalities": {"s1": values}}


def target(**values):
    return {"path": "a", "targets": {"y": values}}


@pytest.mark.parametrize(
    "values, message",
    [
        ({"paired": ["a"]}, "is a mapping with at least `path`"),
        ({}, r"paired\.path: is missing"),
        ({"path": "a", "modalites": S1}, r"unknown key 'modalites'\. Did you mean 'modalities'"),
        ({"path": "a", "rename_split": {"dev": "validation"}}, "rename_split needs split"),
        ({"path": "a", "options": {"split": "train"}}, "options need a layout"),
        ({"path": "a", "modalities": S1, "require": ["s2"]}, r"require names 's2'\. Did you mean 's1'"),
        (modality(kind="chip", value="x"), r"paired\.modalities\.s1\.value: .*Did you mean 'values'"),
        (modality(kind="chip"), "one of values, columns and files; got none of them"),
        (modality(kind="series", values="x", shape=[12]), r"2 numbers of 1 or more, got \[12\]"),
        (modality(kind="vector", values="x", axes="bands_last"), "leave axes out"),
        (modality(kind="vector", values="x", size=3), "mode and size are for chips"),
        (modality(kind="vector", columns="x", at="y"), "it needs values"),
        (modality(kind="vector", columns={"a": "x"}), "columns by band are for series"),
        (modality(kind="series", columns={"a": "x"}, bands=["b"]), "leave bands out"),
        (target(kind="numbers", min_count=2), "min_count is for classes and labels, not for numbers"),
        (target(kind="labels", values="a", columns="b"), "values or columns, not both"),
        (target(kind="labels", names=["a"], codebook={"path": "b", "code": "c", "name": "d"}), "names or a codebook"),
    ],
)
def test_wrong_specifications(values, message):
    with pytest.raises(ValueError, match=message):
        make_spec(values)


def test_names_of_codes_may_be_numbers():
    target = {"kind": "classes", "names": {0: "other", 1: "crop"}, "unknown": -1}
    spec = make_spec({"path": "a", "targets": {"y": target}})
    assert spec.targets["y"].names == {0: "other", 1: "crop"}
    assert spec.targets["y"].unknown == -1
