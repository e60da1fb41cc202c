"""A source and features that do as they are told, in a module that worker processes can import."""

import hashlib
import os
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from geotether.files.places import refuse_places
from geotether.sources.source import Observations, Rejected

SMALLEST_PART = 100  # of 1,000 rows in parts of 128, the last one has 104


class ToySource:
    """Small images with the number of their row in every pixel, from a .npy of (lon, lat) a row.

    Args:
        path: Of the .npy.
        log: File that gets a line for each read: first row, row after the last, process.
        pause: Seconds that each read of a part takes; what is drawn to fit on comes in smaller reads.
        broken: Every so-manieth row is rejected.
        ids: What `id` holds: "none", "rows", "pairs" (two rows share one) or "gaps" (every third is empty).
        times: Whether rows have times; every fourth is unknown.
        fatal: File whose creation marks that a worker has killed itself once, at row 300.
        kind: Of the observations.
        lies: Whether the last row of each read is lost.
        gate: File without which reads from row 896 on, the last of eight parts, wait once there is a part.
    """

    features = "toy"

    def __init__(self, path, log=None, pause=0.0, broken=0, ids="none", times=False, fatal=None, kind="images",
                 lies=False, gate=None):  # fmt: skip
        self.path, self.log, self.pause, self.broken = Path(path), log, pause, broken
        self.ids, self.times, self.fatal, self.kind, self.lies = ids, times, fatal, kind, lies
        self.gate = gate
        if not self.path.is_file():
            raise FileNotFoundError(f"There is no file {path}.")

    def prepare(self, folder):
        self.copy = Path(folder) / "places.npy"
        if not self.copy.is_file():
            np.save(self.copy, np.load(self.path))

    def __len__(self):
        return len(np.load(self.copy, mmap_mode="r"))

    def read(self, start, stop):
        if self.log:
            with open(self.log, "a") as log:
                log.write(f"{start} {stop} {os.getpid()}\n")
        if stop - start >= SMALLEST_PART:
            time.sleep(self.pause)
            made = any(self.copy.parent.parent.rglob("*.arrow"))
            while self.gate and made and start >= 896 and not Path(self.gate).exists():
                time.sleep(0.01)
        if self.fatal and start <= 300 < stop and stop - start > 1 and not Path(self.fatal).exists():
            Path(self.fatal).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        lonlat = np.array(np.load(self.copy, mmap_mode="r")[start:stop])
        rows = np.arange(start, stop)
        reasons = refuse_places(lonlat)
        reasons |= {int(r - start): "corrupt image" for r in rows if self.broken and r % self.broken == 0}
        good = np.array([at for at in range(len(rows)) if at not in reasons], dtype=np.int64)
        ids = np.array({
            "none": lambda: [],
            "rows": lambda: [f"row {row}" for row in rows],
            "pairs": lambda: [f"pair {row // 2}" for row in rows],
            "gaps": lambda: ["" if row % 3 == 0 else f"row {row}" for row in rows],
        }[self.ids](), dtype=str)  # fmt: skip
        when = np.datetime64("2020-01-01", "ms") + rows * np.timedelta64(6, "h")
        when[rows % 4 == 0] = np.datetime64("NaT")
        kept = rows[good][: -1 if self.lies else None]
        good = good[: len(kept)]
        return Observations(
            row=kept,
            lonlat=lonlat[good],
            content=self._content(kept),
            id=ids[good] if len(ids) else ids,
            time=when[good] if self.times else None,
            labels={"parity": kept % 2, "name": np.array([f"n{row}" for row in kept], dtype=str)},
            rejected=[Rejected(start + at, why, f"row {start + at}") for at, why in sorted(reasons.items())],
        )

    def _content(self, rows):
        if self.kind == "texts":
            return [f"text {row}" for row in rows]
        if self.kind == "columns":
            return pa.table({"number": rows})
        return [np.full((2, 2, 1), row, dtype=np.int32) for row in rows]

    def fingerprint(self):
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


class ToyFeatures:
    """The number of the row, its sine, a matrix product, and what `fit` saw.

    Args:
        width: Numbers that come from a matrix product, which several threads would add up in another order.
        pause: Seconds that `fit` takes.
        refuse: This row is refused.
        nan: Of this row a feature is not finite.
        log: File that gets the rows that `fit` saw.
    """

    takes = "images"
    fit_rows = 60

    def __init__(self, width=8, pause=0.0, refuse=None, nan=None, log=None):
        self.width, self.pause, self.bad, self.nan, self.log = width, pause, refuse, nan, log

    def fit(self, images):
        rows = sorted(int(image[0, 0, 0]) for image in images)
        if self.log:
            Path(self.log).write_text(" ".join(map(str, rows)))
        time.sleep(self.pause)
        self.mean = float(np.mean(rows))
        self.matrix = np.random.default_rng(len(rows)).standard_normal((64, self.width)).astype(np.float32)
        return self

    def transform(self, images):
        rows = np.array([image[0, 0, 0] for image in images])
        waves = np.sin(rows[:, None] * np.arange(1, 65) / 7).astype(np.float32)
        found = np.column_stack([rows - self.mean, *(waves[:, None] @ self.matrix).transpose(2, 0, 1)])
        if self.nan is not None:
            found[rows == self.nan] = np.nan
        return found.astype(np.float32)

    def refuse(self, images):
        return {at: "image of row refused" for at, image in enumerate(images) if image[0, 0, 0] == self.bad}

    def settings(self):
        return {"width": self.width, "pause": self.pause, "refuse": self.bad, "nan": self.nan, "log": self.log}

    def fitted(self):
        return {"mean": self.mean}, {"matrix": self.matrix}

    def restore(self, values, arrays):
        self.mean, self.matrix = values["mean"], arrays["matrix"]
        return self

    def names(self):
        return ["row", *(f"product {number}" for number in range(self.width))]


def register():
    """Let the toys be found by name in this process."""
    from geotether.features.catalogue import FEATURES
    from geotether.sources.catalogue import SOURCES

    SOURCES["toy"] = "toy_places:ToySource"
    FEATURES["toy"] = "toy_places:ToyFeatures"
