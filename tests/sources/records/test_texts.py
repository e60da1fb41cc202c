"""Mirrors src/geotether/sources/records/texts.py, with json_records.py behind it."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from geotether.sources.records.texts import TextsSource

SOURCE = TextsSource

ARTICLES = [
    {"title": "Wageningen", "lat": 51.97, "lon": 5.66, "extract": "A town on the Rhine."},
    {"title": "Sydney", "lat": -33.87, "lon": 151.21, "extract": "  "},
    {"title": "Nowhere", "lat": None, "lon": None, "extract": "No place."},
    {"title": "Pole", "lat": 90, "lon": 0, "extract": "The northern pole ☃ 極"},
]


@pytest.mark.parametrize("name", ["wiki.jsonl", "wiki.jsonl.gz", "wiki.ndjson"])
def test_articles_come_line_by_line_and_a_broken_line_costs_one_row(tmp_path, opened, name):
    lines = [json.dumps(article, ensure_ascii=False) for article in ARTICLES]
    lines[2:2] = ['{"title": "cut off', "", "[1, 2]"]
    data = "\n".join(lines).encode() + b'\n{"title": "\xff", "lat": 1, "lon": 2, "extract": "bytes \xff"}\n'
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    source = opened(name, id="title")
    assert len(source) == 7
    seen = source.read(0, 7)
    assert seen.content == [ARTICLES[0]["extract"], ARTICLES[3]["extract"]]
    np.testing.assert_array_equal(seen.lonlat, [[5.66, 51.97], [0, 90]])
    assert seen.id.tolist() == ["Wageningen", "Pole"]
    assert [(r.row, r.reason) for r in seen.rejected] == [
        (1, "empty text"), (2, "the line is not JSON"), (3, "the line is not a JSON object"),
        (4, "longitude or latitude missing"), (6, "the line is not UTF-8"),
    ]  # fmt: skip
    assert source.read(3, 6).content == [ARTICLES[3]["extract"]]


def test_any_table_is_accepted(tmp_path, opened):
    table = pa.table(
        {"lon": [1.0, 2.0], "lat": [3.0, 4.0], "note": ["one", None], "source": ["a", "b"], "when": ["1998", "1999"]}
    )
    pq.write_table(table, tmp_path / "t.parquet")
    seen = opened("t.parquet", column="note", labels="source", time="when").read(0, 2)
    assert seen.content == ["one"]
    assert seen.labels["source"].tolist() == ["a"]
    assert str(seen.time[0]) == "1998-01-01T00:00:00.000"
    assert seen.rejected[0].reason == "empty text"
    assert opened("t.parquet", column="note", where={"source": "a"}).read(0, 2).content == ["one"]
    pa.csv.write_csv(table.select(["lon", "lat", "note"]), tmp_path / "t.csv")
    assert opened("t.csv").read(0, 1).content == ["one"]  # the only column of texts
    with pytest.raises(ValueError, match=r"name the column of texts with column=.*'note', 'source', 'when'"):
        opened("t.parquet")


def test_columns_are_joined_without_repeating_information(tmp_path, opened):
    table = pa.table(
        {
            "lon": [1.0, 2.0, 3.0], "lat": [0.0] * 3,
            "name": ["Colonia del Sacramento", "Beijing", None],
            "name_pt": ["Colônia do Sacramento", "Pequim", "Haia"],
            "name_zh": ["科洛尼亞", "beijing", ""],
            "people": [21714, None, 3],
        }
    )  # fmt: skip
    pq.write_table(table, tmp_path / "t.parquet")
    seen = opened("t.parquet", column="name", also=["name_pt", "name_zh", "people"]).read(0, 3)
    assert seen.content == ["Colonia del Sacramento Colônia do 科洛尼亞 21714", "Beijing Pequim", "Haia 3"]


def test_sentences_keep_all_their_words(tmp_path, opened):
    long = "the town on the river and the town on the hill"
    (tmp_path / "t.jsonl").write_text(
        json.dumps({"lon": 1, "lat": 2, "extract": long, "title": "The Hill Town", "again": long})
    )
    assert opened("t.jsonl", also=["title", "again"]).read(0, 1).content == [long]
    assert opened("t.jsonl", column="title", also="extract").read(0, 1).content == [f"The Hill Town {long}"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"column": "body"}, "no column 'body'. Columns found: 'lon', 'lat', 'text', 'tags'"),
        ({"also": "body"}, "no column 'body'"),
        ({"column": "tags"}, "'tags' contains list<.*>, not texts"),
        ({"also": [1]}, "also are names of columns"),
    ],
)
def test_invalid_options_are_errors(tmp_path, opened, options, message):
    (tmp_path / "t.jsonl").write_text('{"lon": 1, "lat": 2, "text": "a", "tags": ["x"]}\n')
    with pytest.raises(ValueError, match=message):
        opened("t.jsonl", **options)


def test_a_file_of_broken_lines_is_refused(tmp_path, opened):
    for text in ("nothing\nof the kind\n", ""):
        (tmp_path / "t.jsonl").write_text(text)
        with pytest.raises(ValueError, match=r"t\.jsonl"):
            opened("t.jsonl")
