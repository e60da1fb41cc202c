"""Mirrors src/geotether/files/arrays.py."""

import contextlib
import io
import re

import numpy as np
import pytest

from geotether.files.arrays import reading_arrays


def written(save, **arrays) -> bytes:
    file = io.BytesIO()
    save(file, **arrays) if arrays else save(file, np.arange(40.0).reshape(8, 5))
    return file.getvalue()


GOOD = {
    "a.npy": written(np.save),
    "b.npz": written(np.savez, x=np.arange(40.0), names=np.array(["a", "b"])),
    "c.npz": written(np.savez_compressed, x=np.arange(40.0)),
}


def read(path):
    with reading_arrays(path), path.open("rb") as opened:
        found = np.load(opened, allow_pickle=False)
        return [found[name] for name in found.files] if hasattr(found, "files") else [found]


@pytest.mark.parametrize("name", GOOD)
def test_every_damaged_file_is_an_error_that_begins_with_its_name(tmp_path, damaged, name):
    path, said = tmp_path / name, []
    path.write_bytes(GOOD[name])
    assert sum(map(len, read(path))) > 7
    for content in damaged(GOOD[name], 300):
        path.write_bytes(content)
        with contextlib.suppress(ValueError):
            read(path)
            continue
        with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
            read(path)
        said.append(str(caught.value).startswith(str(path)))
    assert len(said) > 100
    assert all(said)


def test_python_objects_and_headers_of_terabytes_are_named(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"objects\.npy holds Python objects"):
        read(tmp_path / "objects.npy")
    claim = GOOD["a.npy"].replace(b"(8, 5), }" + b" " * 12, b"(8, 5000000000000), }")
    assert len(claim) == len(GOOD["a.npy"])
    (tmp_path / "claim.npy").write_bytes(claim)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "claim.npy"))):
        read(tmp_path / "claim.npy")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.npy")
