"""Reading the rows of a source in checked runs of bounded size."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int64

from geotether.sources.source import Observations, Source, usable

# Rows per part of the work: few enough that a kill loses little, enough that there are few files.
PART_ROWS = {"columns": 8192, "texts": 1024, "images": 128, "vectors": 8192}
_RUN_BYTES = 2**26
_SAMPLED = 32  # rows read to estimate the size of a row


def choose_rows(count: int, rows: int | None, seed: int) -> Int64[np.ndarray, "m"] | None:
    """Draw the numbers of `rows` rows, in order; None for all."""
    if rows is None or rows >= count:
        return None
    return np.sort(np.random.default_rng([seed, 0]).choice(count, rows, replace=False)).astype(np.int64)


def rows_at_once(source: Source, count: int) -> int:
    """Return how many rows may be in memory together, estimated from the size of the first ones."""
    found = read_checked(source, 0, min(count, _SAMPLED))
    each = content_bytes(found.content) / len(found) if len(found) else _RUN_BYTES / _SAMPLED
    return int(np.clip(_RUN_BYTES / max(each, 1), 1, PART_ROWS[source.kind]))


def content_bytes(content: Any) -> int:
    """Estimate the bytes that a content takes in memory."""
    if hasattr(content, "nbytes"):
        return int(content.nbytes)
    return sum(len(row.encode()) if isinstance(row, str) else int(getattr(row, "nbytes", 64)) for row in content)


def read_runs(
    source: Source, start: int, stop: int, at_once: int, chosen: np.ndarray | None = None
) -> Iterator[Observations]:
    """Read rows `start` to `stop` in checked runs of at most `at_once` rows.

    Only the rows in `chosen` (numbers in order; None: all) are yielded, also among the rejected ones.
    """
    for first in range(start, stop, at_once):
        last = min(first + at_once, stop)
        if chosen is None:
            yield read_checked(source, first, last)
            continue
        wanted = chosen[np.searchsorted(chosen, first) : np.searchsorted(chosen, last)]
        # Rows between wanted ones are read too, except images: that costs less than many calls.
        gaps = np.diff(wanted) > 1 if source.kind == "images" else np.empty(0, dtype=bool)
        for run in np.split(wanted, np.flatnonzero(gaps) + 1) if len(wanted) else []:
            found = read_checked(source, int(run[0]), int(run[-1]) + 1)
            found = reject(found, dict.fromkeys(np.flatnonzero(~np.isin(found.row, run)).tolist(), ""))
            names = set(run.tolist())
            yield replace(found, rejected=[one for one in found.rejected if one.row in names])


def read_checked(source: Source, start: int, stop: int) -> Observations:
    """Read a run of rows and check what the source returns.

    Raises:
        ValueError: If it cannot read, or a row is missing, repeated or incomplete; the rows are named.
        TypeError: If it returns something other than `Observations`.
    """
    where = f"rows {start} to {stop - 1} of the source {type(source).__name__}"
    try:
        found = source.read(start, stop)
    except ValueError as error:
        raise ValueError(f"Could not read {where}: {error}") from error
    if not isinstance(found, Observations):
        raise TypeError(f"Reading {where} gave {type(found).__name__}, not Observations.")
    columns = {"lonlat": found.lonlat, "content": found.content, **found.labels}
    columns |= {"id": found.id} if len(found.id) else {}
    columns |= {} if found.time is None else {"time": found.time}
    for name, values in columns.items():
        if len(values) != len(found):
            raise ValueError(f"Reading {where} gave {len(found)} row numbers but {len(values)} of {name}.")
    numbers = np.sort(np.append(np.asarray(found.row, dtype=np.int64), [rejected.row for rejected in found.rejected]))
    if not np.array_equal(numbers, np.arange(start, stop)):
        raise ValueError(
            f"Reading {where} gave {len(found)} usable and {len(found.rejected)} rejected rows that are not these "
            "rows once each; every row must be one or the other."
        )
    return found


def reject(found: Observations, reasons: dict[int, str]) -> Observations:
    """Move rows to the rejected ones, given a reason for each of their positions."""
    return usable(found, reasons, lambda good: take_content(found.content, good)) if reasons else found


def take_content(content: Any, positions: np.ndarray) -> Any:
    """Select rows of a content of any kind: an Arrow table, an array, or a list."""
    if isinstance(content, np.ndarray):
        return content[positions]
    if hasattr(content, "num_rows"):
        return content.take(positions)
    return [content[position] for position in positions.tolist()]


def join_content(contents: list[Any]) -> Any:
    """Concatenate contents of one kind; arrays of different shapes become a list."""
    if hasattr(contents[0], "num_rows"):
        import pyarrow as pa

        return pa.concat_tables(contents, promote_options="permissive")
    is_array = isinstance(contents[0], np.ndarray) and contents[0].dtype != object
    if is_array and len({part.shape[1:] for part in contents}) == 1:
        return np.concatenate(contents)
    return [row for part in contents for row in part]


def spoken_reasons(reasons: Counter[str], most: int = 5) -> str:
    """List the most frequent reasons with their counts.

    Example:
        >>> spoken_reasons(Counter({"empty text": 3, "longitude or latitude missing": 1200}))
        'longitude or latitude missing (1,200), empty text (3)'
    """
    named = [f"{reason} ({count:,})" for reason, count in reasons.most_common(most)]
    more = len(reasons) - len(named)
    return ", ".join(named) + (f" and {more} other reasons" if more > 0 else "")
