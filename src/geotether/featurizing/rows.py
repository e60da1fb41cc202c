"""Rows of a source: which are used, and reading them in checked runs of bounded size."""

from collections import Counter
from collections.abc import Iterator, Sequence
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


def read_runs(
    source: Source, start: int, stop: int, at_once: int, chosen: np.ndarray | None = None
) -> Iterator[Observations]:
    """Read rows `start` to `stop` in checked runs of `at_once` rows.

    Runs start at `start` whatever is chosen, so they are the same for any reader. Of a run only the rows in `chosen`
    (numbers in order; None: all) are yielded, also among the rejected ones.
    """
    for first in range(start, stop, at_once):
        last = min(first + at_once, stop)
        if chosen is None:
            yield read_checked(source, first, last)
            continue
        wanted = chosen[np.searchsorted(chosen, first) : np.searchsorted(chosen, last)]
        if len(wanted):
            yield _read_wanted(source, wanted)


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


def take(found: Observations, positions: np.ndarray) -> Observations:
    """Select some of the usable rows by position; the rejected rows stay."""
    whole = len(positions) == len(found)
    return Observations(
        row=found.row[positions],
        lonlat=found.lonlat[positions],
        content=found.content if whole else take_content(found.content, positions),
        id=found.id[positions] if len(found.id) else found.id,
        time=None if found.time is None else found.time[positions],
        labels={name: values[positions] for name, values in found.labels.items()},
        rejected=found.rejected,
    )


def take_content(content: Any, positions: np.ndarray) -> Any:
    """Select rows of a content of any kind: an Arrow table, an array, or a list."""
    if isinstance(content, np.ndarray):
        return content[positions]
    if hasattr(content, "num_rows"):
        return content.take(positions)
    return [content[position] for position in positions.tolist()]


def join(parts: Sequence[Observations]) -> Observations:
    """Concatenate at least one run of rows."""
    if len(parts) == 1:
        return parts[0]
    rejected = [row for part in parts for row in part.rejected]
    full = [part for part in parts if len(part)] or list(parts[:1])
    times = [np.full(len(part), np.datetime64("NaT", "ms")) if part.time is None else part.time for part in full]
    return Observations(
        row=np.concatenate([part.row for part in full]),
        lonlat=np.concatenate([part.lonlat for part in full]),
        content=_join_content([part.content for part in full]),
        id=np.concatenate([part.id for part in full]) if len(full[0].id) else full[0].id,
        time=None if all(part.time is None for part in full) else np.concatenate(times),
        labels={name: np.concatenate([part.labels[name] for part in full]) for name in full[0].labels},
        rejected=rejected,
    )


def reject(found: Observations, reasons: dict[int, str]) -> Observations:
    """Move rows to the rejected ones, given a reason for each of their positions."""
    return usable(found, reasons, lambda good: take_content(found.content, good)) if reasons else found


def spoken_reasons(reasons: Counter[str], most: int = 5) -> str:
    """List the most frequent reasons with their counts.

    Example:
        >>> spoken_reasons(Counter({"empty text": 3, "longitude or latitude missing": 1200}))
        'longitude or latitude missing (1,200), empty text (3)'
    """
    named = [f"{reason} ({count:,})" for reason, count in reasons.most_common(most)]
    more = len(reasons) - len(named)
    return ", ".join(named) + (f" and {more} other reasons" if more > 0 else "")


def content_bytes(content: Any) -> int:
    """Estimate the bytes that a content takes in memory."""
    if hasattr(content, "nbytes"):
        return int(content.nbytes)
    return sum(len(row.encode()) if isinstance(row, str) else int(getattr(row, "nbytes", 64)) for row in content)


def _read_wanted(source: Source, wanted: np.ndarray) -> Observations:
    """Read chosen rows, between which there may be others."""
    if source.kind != "images":  # reading the rows between costs less than many calls
        found = read_checked(source, int(wanted[0]), int(wanted[-1]) + 1)
        names = set(wanted.tolist())
        rejected = [rejected for rejected in found.rejected if rejected.row in names]
        return replace(take(found, np.flatnonzero(np.isin(found.row, wanted))), rejected=rejected)
    borders = np.flatnonzero(np.diff(wanted) > 1) + 1
    runs = np.split(wanted, borders)
    return join([read_checked(source, int(run[0]), int(run[-1]) + 1) for run in runs])


def _join_content(contents: list[Any]) -> Any:
    first = contents[0]
    if hasattr(first, "num_rows"):
        import pyarrow as pa

        return pa.concat_tables(contents, promote_options="permissive")
    if isinstance(first, np.ndarray) and first.dtype != object and len({part.shape[1:] for part in contents}) == 1:
        return np.concatenate(contents)
    return [row for part in contents for row in part]
