"""Vectors of the candidates of a search, in memory or in a folder that belongs to one model."""

import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor

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
_COMPARED_AT_ONCE = 2**12  # rows; in float32 they fit in the cache
_LOGGED_EVERY = 2.0  # seconds
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Index:
    """Candidates and their vectors of length 1, in half precision.

    Vectors of a space are computed when they are first needed, by the encoder's path for grids where the candidates are
    those of one. In a folder they are memory-mapped, and a computation that was interrupted goes on where it stopped.

    Args:
        encoder: The `Encoder`.
        candidates: The places.
        folder: Folder of the index; None: in memory.
    """

    encoder: Any
    candidates: Candidates
    folder: Path | None = None
    _vectors: dict[str, Any] = field(default_factory=dict, repr=False)
    _lengths: dict[str, Any] = field(default_factory=dict, repr=False)

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
                vectors, lengths = np.empty((len(self), self._dim(space)), np.float16), np.empty(len(self), np.float32)
                self._fill(space, vectors, lengths, 0, progress)
                self._vectors[space], self._lengths[space] = vectors, lengths
            else:
                self._vectors[space], self._lengths[space] = self._mapped(space, progress)
        return self._vectors[space]

    def has(self, space: str) -> bool:
        """Whether vectors of a space and their lengths have been computed or read."""
        return self._lengths.get(space) is not None

    def lengths(self, space: str) -> Float32[np.ndarray, " n"]:
        """Return the length that each vector had before it was scaled to 1.

        Raises:
            ValueError: If the folder is of a version that did not keep them.
        """
        self.vectors(space)
        lengths = self._lengths.get(space)
        if lengths is None:
            raise ValueError(f"{self.folder} was made by an older version; delete it.")
        return lengths

    def similarity(
        self, space: str, vectors: Float32[np.ndarray, " d"] | Float32[np.ndarray, "q d"]
    ) -> Float32[np.ndarray, " n"] | Float32[np.ndarray, "q n"]:
        """Return the cosine similarity of every candidate with one or several vectors of length 1.

        The candidates are converted to float32 in blocks that stay in the cache, so several vectors at once cost
        little more than one.

        Args:
            space: "place" or "shared".
            vectors: Shape (d,) or (q, d).

        Returns:
            Shape (n,) or (q, n), in float32 arithmetic.
        """
        stored = _tensor(self.vectors(space))
        queries = torch.from_numpy(np.array(vectors, dtype=np.float32, ndmin=2))
        found = torch.empty(len(queries), len(self))
        block = torch.empty(min(_COMPARED_AT_ONCE, len(self)), stored.shape[1])
        for start in range(0, len(self), _COMPARED_AT_ONCE):
            rows = slice(start, min(start + _COMPARED_AT_ONCE, len(self)))
            converted = block[: rows.stop - start].copy_(stored[rows])
            if len(queries) == 1:
                torch.mv(converted, queries[0], out=found[0, rows])
            else:
                found[:, rows] = queries @ converted.T
        return found.numpy() if np.ndim(vectors) == 2 else found[0].numpy()

    def _dim(self, space: str) -> int:
        module = self.encoder.module
        return module.handout_dim if space == PLACE else module.embed_dim

    def _fill(
        self,
        space: str,
        out: np.ndarray,
        lengths: np.ndarray,
        done: int,
        progress: Callable[[int, int], None] | None,
        save: Callable[[int], None] | None = None,
    ) -> None:
        """Compute the vectors from row `done` on."""
        saved = done
        for vectors in self._computed(space, done):
            rows = slice(done, done + len(vectors))
            out[rows], lengths[rows] = unit(vectors), np.linalg.norm(vectors, axis=1)
            done = rows.stop
            if done - saved >= _SAVED_EVERY or done == len(self):
                saved = done
                if save is not None:
                    save(done)
                if progress is not None:
                    progress(done, len(self))

    def _computed(self, space: str, done: int) -> Iterator[Float32[np.ndarray, "_ d"]]:
        """Yield the vectors from row `done` on as the encoder returns them, some at once."""
        grid = self.candidates.grid
        if grid is not None and space == PLACE:
            number, within = divmod(done, grid.columns)
            at_once = max(1, _SAVED_EVERY // grid.columns)
            for top in range(number, grid.rows, at_once):
                vectors = self.encoder.encode_grid(grid, slice(top, top + at_once))
                yield vectors.reshape(-1, vectors.shape[-1])[within if top == number else 0 :]
            return
        compute = self.encoder.module.handout if space == PLACE else self.encoder.module
        lonlat = self.candidates.lonlat
        for start in range(done, len(self), _ENCODED_AT_ONCE):
            chunk = torch.tensor(lonlat[start : start + _ENCODED_AT_ONCE], device=self.encoder.device)
            with torch.inference_mode():
                vectors = compute(chunk).cpu().numpy()
            yield vectors

    def _mapped(self, space: str, progress: Callable[[int, int], None] | None) -> tuple[np.ndarray, np.ndarray | None]:
        assert self.folder is not None
        path, beside = (self.folder / name for name in (f"{space}.npy", f"{space}.lengths.npy"))
        shape = (len(self), self._dim(space))
        if not path.is_file():
            with writing(path, wait=True):
                if not path.is_file():  # another process may have made it meanwhile
                    self._make(path, beside, space, shape, progress)
        vectors = _checked(path, shape, np.float16)
        return vectors, _checked(beside, shape[:1], np.float32) if beside.is_file() else None

    def _make(self, path: Path, beside: Path, space: str, shape: tuple[int, int], progress: Any) -> None:
        """Compute the vectors into files beside the final ones, with a note of how many are done."""
        parts = [one.with_suffix(".unfinished") for one in (path, beside)]
        note = path.with_name(f"{space}.unfinished.json")
        done = _number(note) if note.is_file() else 0
        wanted = ((shape, np.float16), (shape[:1], np.float32))
        try:
            found = [_checked(part, *one, "r+") for part, one in zip(parts, wanted, strict=True)] if done else []
        except (OSError, ValueError):
            found = []
        if not found:
            done = 0
            found = [
                np.lib.format.open_memmap(part, "w+", dtype, size)
                for part, (size, dtype) in zip(parts, wanted, strict=True)
            ]

        def save(rows: int) -> None:
            for one in found:
                one.flush()
            with replacing_file(note) as file:
                file.write_text(json.dumps({"rows": rows}), encoding="utf-8")

        self._fill(space, found[0], found[1], done, progress, save)
        found.clear()
        os.replace(parts[1], beside)
        os.replace(parts[0], path)
        note.unlink(missing_ok=True)


def _checked(path: Path, shape: tuple[int, ...], dtype: type, mode: Any = "r") -> Any:
    """Map an array of a known shape and type; ValueError if it is another."""
    with reading_arrays(path):
        found: np.ndarray = np.load(path, mmap_mode=mode)
    if found.shape != shape or found.dtype != dtype:
        said = f"{found.dtype} of shape {found.shape}"
        raise ValueError(f"{path} is damaged: it contains {said}; delete {path.parent}.")
    return found


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
    model = encoder.content_hash
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


def logged_progress(what: str) -> Callable[[int, int], None]:
    """Return a progress function that logs the number of things done and of all, at most every few seconds."""
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > _LOGGED_EVERY:
            last = time.monotonic()
            _log.info("%s: %s of %s", what, f"{done:,}", f"{total:,}")

    return show


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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a memory map for reading is not writable
        return torch.from_numpy(array)
