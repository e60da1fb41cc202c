"""Mirrors src/geotether/files/formats.py: endings, and truncated or damaged packed files."""

import gzip
import zipfile

import numpy as np
import pytest

from geotether.files.points import read_points
from geotether.sources.records.columns import ColumnsSource
from geotether.sources.records.darwin_core import DarwinCoreSource

RNG = np.random.default_rng(0)
ROWS = [f"{x:.6f},{y:.6f}" for x, y in zip(RNG.uniform(-180, 180, 50_000), RNG.uniform(-90, 90, 50_000), strict=True)]
CSV = "\n".join(["lon,lat", *ROWS]).encode()
LINES = "\n".join('{{"lon": {}, "lat": {}}}'.format(*row.split(",")) for row in ROWS).encode()
CUT = r"it cannot be unpacked: .*download it again"


def damaged(whole):
    """Leave the first half away from the end, or damage its middle."""
    middle = len(whole) // 2
    return {
        "half": whole[:middle],
        "header": whole[:15],
        "damaged": whole[:middle] + bytes(64) + whole[middle + 64 :],
    }


@pytest.mark.parametrize("fault", ["half", "header", "damaged"])
@pytest.mark.parametrize("kind", ["points", "csv", "jsonl"])
def test_a_damaged_gz_is_refused(tmp_path, kind, fault):
    file = tmp_path / f"p.{'jsonl' if kind == 'jsonl' else 'csv'}.gz"
    file.write_bytes(damaged(gzip.compress(LINES if kind == "jsonl" else CSV))[fault])
    with pytest.raises(ValueError, match=rf"{file.name}: {CUT}"):
        read_points(file) if kind == "points" else ColumnsSource(file).prepare(tmp_path)


@pytest.mark.parametrize("rows", [50_000, 1])  # of so few, the header cannot be read either
def test_a_damaged_table_in_a_zip_is_refused(tmp_path, rows):
    file = tmp_path / "g.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        text = "\n".join(["decimalLongitude,decimalLatitude", *ROWS[:rows]]).replace(",", "\t")
        archive.writestr("g.csv", text)
    whole = bytearray(file.read_bytes())
    at = whole.index(b"PK\x01\x02") // 2 if rows > 1 else 40  # before the list of members, which stays
    whole[at : at + 10] = bytes(10)
    file.write_bytes(whole)
    with pytest.raises(ValueError, match=rf"g\.zip: {CUT}"):
        DarwinCoreSource(file).prepare(tmp_path)
