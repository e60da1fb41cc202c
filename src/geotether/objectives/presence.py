"""Rows that have a sensor: values of a missing sensor are never used."""

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Present = Mapping[str, Bool[Tensor, "_"]]
"""Sensor to a mask of the rows that have it; a sensor that is not named has all rows."""


def check_sensors(parts: Mapping[str, Tensor], present: Present | None, at_least: int = 1) -> int:
    """Return the number of rows of all sensors.

    Raises:
        ValueError: If there are fewer than `at_least` sensors, no or unequal rows, or a mask is for an unknown sensor
            or has another length.
    """
    if len(parts) < at_least:
        raise ValueError(f"this needs {at_least} or more sensors, got {len(parts)}: {', '.join(parts) or 'none'}.")
    rows = {name: len(part) for name, part in parts.items()}
    if len(set(rows.values())) > 1:
        raise ValueError(
            f"sensors differ in their rows ({', '.join(f'{name}: {n}' for name, n in rows.items())}); row i of each is "
            "the same sample, so pass all rows of all sensors and mark by `present` which exist."
        )
    count = next(iter(rows.values()))
    if count == 0:
        raise ValueError(f"the sensors {', '.join(parts)} have no rows; a batch needs at least one.")
    for name, mask in (present or {}).items():
        if name not in parts:
            raise ValueError(f"`present` names {name!r}, but the sensors are {', '.join(parts)}.")
        if len(mask) != count:
            raise ValueError(f"`present` has {len(mask)} entries for {name!r}, but the batch has {count} rows.")
    return count


def common_rows(names: Iterable[str], present: Present | None) -> Bool[Tensor, "_"] | None:
    """Return the mask of rows that have all of the named sensors; None means all rows."""
    rows = None
    for name in names:
        mask = None if present is None else present.get(name)
        if mask is not None:
            rows = mask if rows is None else rows & mask
    return rows


def take(values: Tensor, rows: Bool[Tensor, "_"] | None) -> Tensor:
    """Select rows; the others get a gradient of exactly zero, whatever their values."""
    return values if rows is None else values[rows]


def zero_loss(*values: Tensor) -> Float[Tensor, ""]:
    """Return a loss of exactly 0 whose gradient is exactly 0 in all values, even where they are NaN."""
    # Sums over no rows, because zero times NaN is NaN.
    total = torch.zeros((), device=values[0].device)
    for value in values:
        total = total + value[:0].sum()
    return total
