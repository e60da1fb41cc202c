"""The protocol of a source, whose rows become the rows of a modality."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from geotether.files.places import refuse_places as refuse_places

# Kinds of rows of a source: a table of columns, texts, images (height, width, bands), or vectors.
KINDS = ("columns", "texts", "images", "vectors")


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used.

    Attributes:
        row: Its number in the source, from 0.
        reason: Why, such as "latitude outside [-90, 90]"; the same words for the same fault where possible, because
            the summary counts them.
        id: Its id, if it has one.
    """

    row: int
    reason: str
    id: str = ""


@dataclass(frozen=True, eq=False)
class Observations:
    """Some rows of a source, in its order.

    Attributes:
        row: Number of each row in the source, shape (n,), int64.
        lonlat: Longitude and latitude in degrees, WGS 84, float64, shape (n, 2); all of them valid.
        content: Depends on the `kind` of the source: an Arrow table of n rows, n texts, n arrays (height,
            width, bands) of any number type, or an array of n vectors.
        id: One text per row, shape (n,); empty where rows have no ids.
        time: datetime64[ms] in UTC, shape (n,), NaT where unknown; or None.
        labels: By name, numbers or texts of shape (n,).
        rejected: Rows of the same run that cannot be used; they are not among the n.
    """

    row: np.ndarray
    lonlat: Float64[np.ndarray, "n 2"]
    content: Any
    id: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=object))
    time: np.ndarray | None = None
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)

    def __len__(self) -> int:
        """Count the usable rows."""
        return len(self.row)


@runtime_checkable
class Source(Protocol):
    """Origin of the rows of a modality.

    An implementation is a small class whose constructor takes `path` and options of plain values (texts, numbers,
    lists, mappings, as in YAML), checks them, and raises ValueError or FileNotFoundError that says what to do. It must
    survive pickling, since worker processes get a copy: keep paths, not open files. Third parties
    register theirs under the entry point group `geotether.sources`.

    Attributes:
        kind: One of `KINDS`.
        features: Name of the features used by default, such as "convolution".
    """

    kind: str
    features: str

    def __len__(self) -> int:
        """Count the rows, usable or not. Called after `prepare`."""
        ...

    def prepare(self, folder: Path) -> None:
        """Prepare to read any row; called once in the main process, before anything else.

        Args:
            folder: An existing folder, kept until the table is built. A format that must be read from front to back is
                copied here once, in a format that can be read by row number. After a crash the same folder is passed
                again: complete files in it (written with `replacing_file`) need not be written again.
        """
        ...

    def read(self, start: int, stop: int) -> Observations:
        """Read rows `start` to `stop`, `stop` not included, and reject those that cannot be used.

        It must return the same rows at any time and in any process, and keep only these in memory.
        """
        ...

    def fingerprint(self) -> str:
        """Return a text that changes when the rows change: see `file_fingerprint`."""
        ...


def usable(seen: Observations, reasons: Mapping[int, str], content: Callable[[np.ndarray], Any]) -> Observations:
    """Separate the rows of one run into usable ones, with their content, and rejected ones.

    Args:
        seen: All rows; their places need not be valid, and their content is ignored.
        reasons: Position among them to the reason why a row cannot be used.
        content: Returns the content of the rows at some positions, int64.

    Example:
        >>> seen = Observations(np.array([7, 8]), np.array([[5.66, 51.97], [5.66, 519.7]]), None)
        >>> found = usable(seen, refuse_places(seen.lonlat), lambda good: [f"image {row}" for row in seen.row[good]])
        >>> found.content, found.rejected
        (['image 7'], [Rejected(row=8, reason='latitude outside [-90, 90]', id='')])
    """
    good = np.array([at for at in range(len(seen)) if at not in reasons], dtype=np.int64)
    rejected = [
        Rejected(int(seen.row[at]), reason, str(seen.id[at]) if len(seen.id) else "") for at, reason in reasons.items()
    ]
    return Observations(
        row=seen.row[good],
        lonlat=seen.lonlat[good],
        content=content(good),
        id=seen.id[good] if len(seen.id) else seen.id,
        time=None if seen.time is None else seen.time[good],
        labels={name: values[good] for name, values in seen.labels.items()},
        rejected=sorted([*seen.rejected, *rejected], key=lambda one: one.row),
    )
