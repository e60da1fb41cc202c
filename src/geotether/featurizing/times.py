"""Time as features: the season and the hour as angles, the year as a number."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Shaped

_DAY_MS = 86_400_000


def time_features(time: Shaped[np.ndarray, "n"], encode: Sequence[str]) -> Float32[np.ndarray, "n k"]:
    """Turn times into features.

    Args:
        time: datetime64, UTC, NaT where unknown, shape (n,).
        encode: Which of "day_of_year", "hour" and "year", in that order of columns.

    Returns:
        Shape (n, k), named by `time_names`: sine and cosine of the time of the year and of the day, decades since
        2000, and a last column that is 1 where the time is unknown; the others are 0 there.

    Example:
        >>> noon = np.array(["2020-01-01T12:00", "NaT"], dtype="datetime64[ms]")
        >>> time_features(noon, ["hour"]).round(3).tolist()
        [[0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    time = time.astype("datetime64[ms]")
    missing = np.isnat(time)
    known = np.where(missing, np.datetime64("2000-01-01", "ms"), time)
    first = known.astype("datetime64[Y]")
    start, end = first.astype("datetime64[ms]"), (first + 1).astype("datetime64[ms]")
    of_year = (known - start) / (end - start)
    of_day = (known - known.astype("datetime64[D]")).astype(np.int64) / _DAY_MS
    columns: list[np.ndarray] = []
    for name in encode:
        if name == "year":
            columns.append((first.astype(np.int64) - 30 + of_year) / 10)  # numpy counts from 1970
        else:
            angle = 2 * np.pi * (of_year if name == "day_of_year" else of_day)
            columns += [np.sin(angle), np.cos(angle)]
    values = np.stack([*(np.where(missing, 0, column) for column in columns), missing], axis=1)
    return values.astype(np.float32)


def time_names(encode: Sequence[str]) -> list[str]:
    """Name the columns of `time_features`.

    Example:
        >>> time_names(["hour", "year"])
        ['hour sin', 'hour cos', 'decades since 2000', 'time missing']
    """
    names = []
    for name in encode:
        spoken = name.replace("_", " ")
        names += ["decades since 2000"] if name == "year" else [f"{spoken} sin", f"{spoken} cos"]
    return [*names, "time missing"] if encode else []
