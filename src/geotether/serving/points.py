"""Tables of points, from clients or from the start of the server: their columns, and points in colours."""

import json
import logging
import secrets
import shutil
import tempfile
import threading
import weakref
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from geotether.prediction.layers import class_names
from geotether.serving.colours import Classes, Ramp, hex_colours
from geotether.serving.columns import stored_rows
from geotether.serving.layers import PlanetLayer
from geotether.serving.problems import Problem
from geotether.serving.uploads import UploadError, read_upload, shown_name
from geotether.suggestions import closest
from geotether.tasks.table import Labelled

MOST_TABLES = 50
MOST_STORED_BYTES = 1_000_000_000
# Points of different texts beyond this number share one colour.
MOST_CLASSES = 254
_MISSING = "#9aa5ad"
_AGAIN_SECONDS = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class StoredPoints:
    """A table of points, in a file of the server.

    Attributes:
        id: Names the table in requests.
        name: Name of the file that it comes from.
        columns: For each column its name, kind ("number", "text", "flag" or "other"), number of different values, and
            whether it can be a label and why not.
        bounds: West, south, east and north of the points, degrees.
        rows: Number of points.
        file: Where the rows are.
        size: Bytes of the file.
        notes: What should be known about the rows, such as how many are left out.
    """

    id: str
    name: str
    columns: list[dict[str, Any]]
    bounds: list[float]
    rows: int
    file: Path
    size: int
    notes: list[str] = field(default_factory=list)

    def listed(self) -> dict[str, Any]:
        """Describe the table for clients."""
        about = {"id": self.id, "name": self.name, "rows": self.rows}
        return about | {"columns": self.columns, "bounds": self.bounds, "notes": self.notes}

    def read(self) -> Labelled:
        """Return the rows.

        Raises:
            Problem: 404, if the table was forgotten meanwhile.
        """
        try:
            return stored_rows(self.file)
        except FileNotFoundError:
            raise _no_points() from None

    def column(self, name: str, field: str = "column") -> dict[str, Any]:
        """Return the description of a column.

        Args:
            name: Name of the column.
            field: The parameter of the request that names it.

        Raises:
            Problem: 404, if there is none of that name.
        """
        for one in self.columns:
            if one["name"] == name:
                return one
        known = [one["name"] for one in self.columns]
        shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
        hint = closest(name, known)
        raise Problem(404, f"{self.name} has no column {name[:80]!r}; its columns are {shown}.{hint}", field)

    def geojson(self, column: str | None = None, like: PlanetLayer | None = None) -> bytes:
        """Return the points as GeoJSON, with the value and colour of a column, and the legend of the colours.

        Args:
            column: Name of the column.
            like: The values of a map of this column, whose colours are used.

        Raises:
            Problem: 404, if there is no such column; 422, if its values cannot be shown.
        """
        read = self.read()
        values: list[Any] = [None] * self.rows
        colours, legend = [_MISSING] * self.rows, None
        if column is not None:
            kind = self.column(column)["kind"]
            if kind == "other":
                raise Problem(422, f"Column {column!r} has no numbers, texts or booleans to show.", "column")
            values, colours, legend = _coloured(read.columns[column], kind, like)
        features = [
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": place},
                "properties": {"row": row, "value": value, "colour": colour},
            }
            for place, row, value, colour in zip(
                read.lonlat.round(6).tolist(), read.rows.tolist(), values, colours, strict=True
            )
        ]
        found = {"type": "FeatureCollection", "column": column, "legend": legend, "features": features}
        return json.dumps(found, separators=(",", ":"), allow_nan=False).encode()


class PointTables:
    """The tables of points of a server, in a temporary folder until `close()` or the end; safe for several threads.

    Tables that clients sent are forgotten when they are too many or too large, the oldest first.

    Args:
        files: Id to a file that the server is started with; these are kept.

    Raises:
        OSError: If a file cannot be read.
        UploadError: If it has no points, or too many.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="geotether-points-"))
        self.close = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._lock = threading.Lock()
        self._sent: OrderedDict[str, StoredPoints] = OrderedDict()
        self._own: dict[str, StoredPoints] = {}
        for name, path in files.items():
            with path.open("rb") as content:
                self._own[name] = self._read(name, content, path.name)

    def _read(self, id: str, content: Any, name: str) -> StoredPoints:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # cleaners of temporary files may delete it
        out = self._folder / f"{secrets.token_hex(8)}.arrow"
        about = read_upload(content, name, out)
        return StoredPoints(id, name, **about, file=out, size=out.stat().st_size)

    def listed(self) -> list[dict[str, Any]]:
        """Describe the tables that the server was started with; those that clients sent are not listed."""
        return [one.listed() for one in self._own.values()]

    def add(self, content: Any, name: str | None) -> StoredPoints:
        """Read a file that a client sent.

        Raises:
            Problem: If it is not accepted, see `read_upload`; 503, if it cannot be kept.
        """
        try:
            found = self._read(secrets.token_urlsafe(12), content, shown_name(name))
        except UploadError as error:
            raise Problem(error.status, str(error), "file", retry_after=3 if error.status == 429 else None) from None
        except OSError as error:
            _log.error("%s cannot be kept in %s: %s", name, self._folder, error)
            raise Problem(503, "The server has no room for the file now.", "file", retry_after=_AGAIN_SECONDS) from None
        with self._lock:
            self._sent[found.id] = found
            while len(self._sent) > 1 and (
                len(self._sent) > MOST_TABLES or sum(one.size for one in self._sent.values()) > MOST_STORED_BYTES
            ):
                self._sent.popitem(last=False)[1].file.unlink(missing_ok=True)
        return found

    def get(self, table: str) -> StoredPoints:
        """Return a table.

        Raises:
            Problem: 404, if there is none of that id.
        """
        with self._lock:
            found = self._own.get(table) or self._sent.get(table)
        if found is None:
            raise _no_points()
        return found


def _no_points() -> Problem:
    return Problem(404, "There are no such points (any more); send the file again.", "points")


def _coloured(
    column: pa.ChunkedArray, kind: str, like: PlanetLayer | None
) -> tuple[list[Any], list[str], dict[str, Any]]:
    """Return the values of a column as JSON has them, the colour of each, and the legend."""
    given = column.to_pylist()
    if kind == "number" and (like is None or not like.nearest):
        numbers = np.array([np.nan if value is None else float(value) for value in given])
        known = np.isfinite(numbers).tolist()
        ramp = Ramp.over(numbers)
        found = ramp.colours(numbers) if like is None else like.colours(numbers[:, None])
        values = [value if ok else None for value, ok in zip(numbers.tolist(), known, strict=True)]
        colours = [colour if ok else _MISSING for colour, ok in zip(hex_colours(found), known, strict=True)]
        return values, colours, ramp.legend() if like is None else like.legend
    texts = [None if value is None or value == "" else _class_name(value) for value in given]
    # The order of classes is that of predictions, which have the same colours.
    frequent = Counter(text for text in texts if text is not None).most_common(MOST_CLASSES)
    legend = Classes(sorted(text for text, _ in frequent)).legend() if like is None else like.legend
    colour_of = {one["name"]: one["colour"] for one in legend["classes"]}
    return texts, [colour_of.get(text, _MISSING) for text in texts], legend


def _class_name(value: Any) -> str:
    """Return a class as `geotether.prediction.layers.class_names` does, of a value that may be a boolean."""
    return str(value).lower() if isinstance(value, bool) else class_names(np.array([value]))[0]
