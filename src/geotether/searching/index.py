"""Vectors of the candidates of a search, in memory or in a folder that belongs to one model."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from geotether.checkpoint.folder import state_hash
from geotether.files.arrays import reading_arrays
from geotether.files.disk import replacing_file, replacing_folder, writing
from geotether.searching.candidates import Candidates, land_candidates
from geotether.searching.query import PLACE, unit
from geotether.version import __version__

FORMAT = "geotether-index"
ABOUT = "index.json"
_PLACES = "lonlat.npy"
_ENCODED_AT_ONCE = 4096
_SAVED_EVERY = 2**14  # rows between two notes of the progress
_COMPARED_AT_ONCE = 2**14  # rows; in float32 they fit in the cache


@dataclass(eq=False)
class Index:
    """Candidates and their vectors of length 1, in half precision.

    Vectors of a space are computed when they are first needed. In a folder they are memory-mapped, and a computation
    that was interrupted goes on where it stopped.

    Args:
        encoder: The `Encoder`.
        candidates: The places.
        folder: Folder of the index; None: in memory.
    """

    encoder: Any
    candidates: Candidates
    folder: Path | None = None
    _vectors: dict[str, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        """Count the candidates."""
        return len(self.candidates)

    def vectors(self, space: str, progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        """Return the candidates' vectors, float16, shape (n, d); computed if they are missing.

        Args:
            space: "place" or "shared".
            progress: Called with the number of vectors done and of all, now and then.

        Raises:
            OSError: If the folder cannot be written to.
        """
        if space not in self._vectors:
            if self.folder is None:
                made = np.empty((len(self), self._dim(space)), dtype=np.float16)
                self._fill(space, made, 0, progress)
                self._vectors[space] = made
            else:
                self._vectors[space] = self._mapped(space, progress)
        return self._vectors[space]

    def similarity(self, space: str, vector: Float32[np.ndarray, " d"]) -> Float32[np.ndarray, " n"]:
        """Return the cosine similarity of every candidate with a vector of length 1, in float32 arithmetic."""
        vectors = _tensor(self.vectors(space))
        found, query = torch.empty(len(self)), torch.from_numpy(np.ascontiguousarray(vector, dtype=np.float32))
        for start in range(0, len(self), _COMPARED_AT_ONCE):
            rows = slice(start, start + _COMPARED_AT_ONCE)
            torch.mv(vectors[rows].float(), query, out=found[rows])
        return found.numpy()

    def _dim(self, space: str) -> int:
        module = self.encoder.module
        return module.handout_dim if space == PLACE else module.embed_dim

    def _fill(
        self, space: str, out: np.ndarray, done: int, progress: Callable[[int, int], None] | None, save: Any = None
    ) -> None:
        """Compute the vectors from row `done` on."""
        compute = self.encoder.module.handout if space == PLACE else self.encoder.module
        lonlat, saved = self.candidates.lonlat, done
        with torch.inference_mode():
            for start in range(done, len(self), _ENCODED_AT_ONCE):
                chunk = torch.tensor(lonlat[start : start + _ENCODED_AT_ONCE], device=self.encoder.device)
                vectors: Tensor = compute(chunk)
                out[start : start + len(chunk)] = unit(vectors.cpu().numpy())
                done = start + len(chunk)
                if done - saved >= _SAVED_EVERY or done == len(self):
                    saved = done
                    if save is not None:
                        save(done)
                    if progress is not None:
                        progress(done, len(self))

    def _mapped(self, space: str, progress: Callable[[int, int], None] | None) -> np.ndarray:
        assert self.folder is not None
        path = self.folder / f"{space}.npy"
        shape = (len(self), self._dim(space))
        if not path.is_file():
            with writing(path, wait=True):
                if not path.is_file():  # another process may have made it meanwhile
                    self._make(path, space, shape, progress)
        with reading_arrays(path):
            vectors = np.load(path, mmap_mode="r")
        if vectors.shape != shape or vectors.dtype != np.float16:
            found = f"{vectors.dtype} of shape {vectors.shape}"
            raise ValueError(f"{path} is damaged: it contains {found}; delete {self.folder}.")
        return vectors

    def _make(self, path: Path, space: str, shape: tuple[int, int], progress: Any) -> None:
        """Compute the vectors into a file beside the final one, with a note of how many are done."""
        part, note = path.with_name(f"{space}.unfinished"), path.with_name(f"{space}.unfinished.json")
        out, done = None, _number(note) if part.is_file() and note.is_file() else 0
        if done:
            with suppress(ValueError), reading_arrays(part):
                out = np.load(part, mmap_mode="r+")
        if out is None or out.shape != shape or out.dtype != np.float16:
            out, done = np.lib.format.open_memmap(part, "w+", np.float16, shape), 0
        unfinished = out

        def save(rows: int) -> None:
            unfinished.flush()
            with replacing_file(note) as file:
                file.write_text(json.dumps({"rows": rows}), encoding="utf-8")

        self._fill(space, unfinished, done, progress, save)
        del out, unfinished
        os.replace(part, path)
        note.unlink(missing_ok=True)


def open_index(encoder: Any, candidates: Candidates | None = None, folder: str | Path | None = None) -> Index:
    """Open an index, or start one.

    Args:
        encoder: An `Encoder`.
        candidates: The places to search among; None: those of the folder, or else the land of the Earth.
        folder: Folder of the index, created if missing; None: keep the vectors in memory.

    Raises:
        FileExistsError: If the folder contains something else.
        ValueError: If the index is of another model or of other candidates, or damaged.
        OSError: If the folder cannot be written to.
    """
    if folder is None:
        return Index(encoder, land_candidates() if candidates is None else candidates)
    folder = Path(folder)
    model = state_hash(encoder.module)
    if not (folder / ABOUT).is_file():
        with writing(folder, folder=True, wait=True):
            if folder.is_dir() and any(folder.iterdir()) and not (folder / ABOUT).is_file():
                raise FileExistsError(f"{folder} contains other files than an index; choose a new or empty folder.")
            if not (folder / ABOUT).is_file():  # another process may have started it meanwhile
                candidates = land_candidates() if candidates is None else candidates
                _start(folder, candidates, model)
    about = _about(folder)
    if about["model"] != model:
        raise ValueError(
            f"{folder} is the index of another model (its weights are {about['model'][:12]}, these {model[:12]}). "
            "Delete it, or give another folder (--index)."
        )
    if candidates is None:
        with reading_arrays(folder / _PLACES):
            lonlat: Float64[np.ndarray, "n 2"] = np.load(folder / _PLACES)
        candidates = Candidates(about["said"], lonlat, spacing_km=about.get("spacing_km"))
    if about["candidates"] != candidates.digest:
        raise ValueError(
            f"{folder} is the index of other places ({about['said']}) than these ({candidates.said}). Delete it, or "
            "give another folder (--index)."
        )
    return Index(encoder, candidates, folder)


def _start(folder: Path, candidates: Candidates, model: str) -> None:
    """Write the places of an index and what it belongs to."""
    about: dict[str, Any] = {"format": FORMAT, "geotether": __version__, "model": model}
    about |= {"candidates": candidates.digest, "said": candidates.said, "spacing_km": candidates.spacing_km}
    with replacing_folder(folder) as part:
        np.save(part / _PLACES, candidates.lonlat)
        (part / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _about(folder: Path) -> dict[str, Any]:
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if about["format"] == FORMAT and {"model", "candidates", "said"} <= about.keys():
            return about
        problem = f"its format is {about['format']!r}"
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        problem = str(error)
    raise ValueError(f"{folder / ABOUT} is damaged or not of an index ({problem}); delete {folder}.")


def _number(note: Path) -> int:
    try:
        return int(json.loads(note.read_text(encoding="utf-8"))["rows"])
    except (ValueError, LookupError, TypeError):
        return 0


def _tensor(array: np.ndarray) -> Tensor:
    """Return an array as a tensor without a copy; it is only read."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a memory map for reading is not writable
        return torch.from_numpy(array)
