"""Mirrors src/geotether/tables/origin.py, and how table and store carry it."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.tables.origin import Origin, origin_of_note
from geotether.tables.store import read_origin, read_table, write_table
from geotether.tables.table import Table

ORIGIN = Origin("CC BY 4.0", "AVONET", "Tobias et al. 2022", "https://example.org", {"rows": {"read": 3}})
LONLAT = np.array([[5.66, 51.97], [-180.0, -90.0], [179.5, 90.0]])


def table(origin=ORIGIN):
    return Table.single("birds", LONLAT, np.eye(3, dtype=np.float32), origin=origin)


def test_the_origin_survives_the_disk_and_the_choice_of_rows(tmp_path):
    write_table(table().rows(slice(1, 3)), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").origin == ORIGIN == read_origin(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").rows(np.array([True, True])).origin == ORIGIN


def test_the_origin_is_no_content():
    assert table().content_hash == table(Origin()).content_hash


def test_a_table_without_one_is_written_as_before(tmp_path):
    write_table(table(Origin()), tmp_path / "t.parquet")
    assert json.loads(pq.read_schema(tmp_path / "t.parquet").metadata[b"geotether"]) == {"table": 1, "name": "birds"}
    assert read_table(tmp_path / "t.parquet").origin.is_empty


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        (None, Origin()),
        (b"no JSON", Origin()),
        (b"[1]", Origin()),
        (b'{"origin": "mine"}', Origin()),
        (b'{"origin": {"licence": 3, "source": "me", "made": [], "other": 1}}', Origin(source="me")),
    ],
)
def test_a_strangers_note_does_no_harm(note, expected):
    assert origin_of_note(note) == expected


def test_what_is_no_parquet_is_said(tmp_path):
    (tmp_path / "t.parquet").write_text("lon,lat\n")
    with pytest.raises(ValueError, match="not a Parquet file"):
        read_origin(tmp_path / "t.parquet")
    pq.write_table(pa.table({"lon": [1.0]}), tmp_path / "u.parquet")
    assert read_origin(tmp_path / "u.parquet").is_empty
