"""Mirrors src/geotether/peers/embedding_file.py."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.files.points import PointRecords, with_columns
from geotether.files.writers import write_points
from geotether.loading import load
from geotether.peers.embedding_file import EmbeddingFile

LONLAT = np.array([[5.66, 51.97], [-74.01, 40.71], [180.0, -17.0], [12.0, 90.0], [151.21, -33.87]])
EMBEDDINGS = np.arange(15, dtype=np.float32).reshape(5, 3) / 7


def table(lonlat=LONLAT, embeddings=EMBEDDINGS) -> pa.Table:
    return pa.table({"lon": lonlat[:, 0], "lat": lonlat[:, 1], "embedding": pa.array(list(embeddings))})


@pytest.fixture
def write(tmp_path):
    def written(columns, name="theirs.parquet"):
        pq.write_table(columns, tmp_path / name)
        return tmp_path / name

    return written


def test_places_are_found_in_any_order_and_more_than_once(write):
    file = load(write(table()))
    rows = [3, 0, 0, 4]
    got = file.encode(lon=LONLAT[rows, 0], lat=LONLAT[rows, 1])
    np.testing.assert_array_equal(got, EMBEDDINGS[rows])
    assert (got.dtype, file.dim) == (np.float32, 3)
    assert file.encode(lon=[], lat=[]).shape == (0, 3)
    assert repr(file) == "EmbeddingFile(3 numbers at 5 places, theirs.parquet)"


def test_a_place_has_several_equivalent_coordinates(write):
    """The antimeridian from both sides, a whole turn, any longitude at the pole, and 10 cm of rounding."""
    file = EmbeddingFile(write(table()))
    for row, lon, lat in ((2, -180.0, -17.0), (1, 285.99, 40.71), (3, -99.0, 90.0), (0, 5.66 + 9e-7, 51.97)):
        np.testing.assert_array_equal(file.encode(lon=lon, lat=lat), EMBEDDINGS[[row]])


def test_the_first_missing_place_is_named(write):
    path = write(table())
    for lon, lat, message in (
        (
            [5.66, 5.66],
            [51.97, 51.970002],
            r"1 of 2 places, first for row 1 at lon=5\.66, lat=51\.970002.*0\.222 m",
        ),
        ([0, 5.66, 1], [0, 51.97, 1], r"for 2 of 3 places, first for row 0 at lon=0, lat=0; .* is 5,803 km away"),
    ):
        with pytest.raises(ValueError, match=message):
            EmbeddingFile(path).encode(lon=lon, lat=lat)


def test_embeddings_written_by_encode_are_read(tmp_path):
    records = PointRecords(LONLAT, pa.table({"lon": LONLAT[:, 0], "lat": LONLAT[:, 1], "town": list("abcde")}))
    columns = with_columns(records.columns, {"embedding": EMBEDDINGS})
    write_points(tmp_path / "out.parquet", columns.schema, [(columns, LONLAT)])
    np.testing.assert_array_equal(load(tmp_path / "out.parquet").encode(records), EMBEDDINGS)


def test_geoparquet_of_geopandas_is_read(tmp_path):
    geopandas = pytest.importorskip("geopandas")
    frame = geopandas.GeoDataFrame(
        {"embedding": list(EMBEDDINGS)}, geometry=geopandas.points_from_xy(*LONLAT.T), crs="OGC:CRS84"
    )
    frame.to_parquet(tmp_path / "x.parquet")
    np.testing.assert_array_equal(load(tmp_path / "x.parquet").encode(lon=5.66, lat=51.97), EMBEDDINGS[:1])


NUMBERS = np.arange(60).reshape(5, 12)


def wide(name, kind=np.float64):
    return {name.format(i): NUMBERS[:, i].astype(kind) for i in reversed(range(12))}


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (wide("e{}"), "e0 to e11"),
        (wide("e{}", np.float16) | wide("b{}"), "e0 to e11"),
        (wide("e{:03d}", np.int8), "e000 to e011"),
        (wide("emb_{}"), "emb_0 to emb_11"),
        (wide("A{:02d}"), "A00 to A11"),
        ({"embedding": pa.array(NUMBERS.tolist(), pa.list_(pa.float32()))} | wide("e{}"), "embedding"),
        ({"embedding": pa.array(NUMBERS.tolist(), pa.large_list(pa.float64()))}, "embedding"),
        ({"embedding": pa.array(NUMBERS.tolist(), pa.list_(pa.int8(), 12))}, "embedding"),
        ({"embedding": [str(row) for row in NUMBERS.tolist()]}, "embedding"),  # as a CSV written by `encode` has them
        ({"vector": pa.array(NUMBERS.tolist()), "note": list("abcde"), "id1": [1] * 5}, "vector"),
    ],
)
def test_embeddings_are_found_in_any_form(write, columns, found):
    file = EmbeddingFile(write(pa.table({"longitude": LONLAT[:, 0], "latitude": LONLAT[:, 1], **columns})))
    np.testing.assert_array_equal(file.encode(lon=LONLAT[:, 0], lat=LONLAT[:, 1]), NUMBERS)
    assert file.provenance["columns"] == found


def test_places_in_single_precision_are_found_by_their_doubles(write):
    places = LONLAT + np.array([0.123456789, 0.0])
    file = EmbeddingFile(write(table(places.astype(np.float32))))
    np.testing.assert_array_equal(file.encode(lon=places[:, 0], lat=places[:, 1]), EMBEDDINGS)
    with pytest.raises(ValueError, match="first for row 0"):
        file.encode(lon=places[:1, 0] + 2e-5, lat=places[:1, 1])


def test_the_kind_of_file_is_inferred_from_its_content(write):
    path = write(table(), "theirs.bin")
    assert load(path).provenance == {
        "layout": "embedding file",
        "file": "theirs.bin",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "places": 5,
        "columns": "embedding",
    }


def test_the_same_row_twice_is_no_contradiction(write):
    twice = np.repeat(np.arange(5), 200)
    file = EmbeddingFile(write(table(LONLAT[twice], EMBEDDINGS[twice])))
    np.testing.assert_array_equal(file.encode(lon=LONLAT[:, 0], lat=LONLAT[:, 1]), EMBEDDINGS)


@pytest.mark.parametrize("alias", [(5.66, 51.97), (5.66, 51.9700001), (365.66 - 360, 51.97)])
def test_two_embeddings_for_one_place_are_refused(write, alias):
    path = write(table(np.vstack([LONLAT, [alias]]), np.vstack([EMBEDDINGS, EMBEDDINGS[:1] + 1])))
    with pytest.raises(ValueError, match=r"two different .* for one place, rows 0 and 5 at lon=5\.66, lat=51\.97"):
        EmbeddingFile(path)


def test_two_embeddings_across_the_antimeridian_are_refused(write):
    path = write(table(np.vstack([LONLAT, [(-180.0, -17.0)]]), np.vstack([EMBEDDINGS, EMBEDDINGS[:1]])))
    with pytest.raises(ValueError, match="rows 2 and 5 at lon=180, lat=-17"):
        EmbeddingFile(path)


def wide_of_two(name):
    return {name.format(i): [1.0, 2.0] for i in range(2)}


PLACES = {"lon": LONLAT[:2, 0], "lat": LONLAT[:2, 1]}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"embedding": [[1.0], [2.0]]}, "no column for lon"),
        (PLACES, r"no column 'embedding' of lists, and no columns e0, e1.*found: 'lon', 'lat'"),
        (PLACES | {"embedding": [[1.0, 2.0], [3.0]]}, "row 1 has an embedding of 1 numbers, row 0 of 2"),
        (PLACES | {"embedding": [[1.0], None]}, "row 1 has no embedding"),
        (PLACES | {"embedding": [[1.0], [None]]}, "1 of 2 embeddings are not finite, first in row 1"),
        (PLACES | {"embedding": [[float("inf")], [1.0]]}, "1 of 2 embeddings are not finite, first in row 0"),
        (PLACES | {"embedding": [1.0, 2.0]}, "contains double; expected lists of numbers"),
        (PLACES | {"embedding": [["a"], ["b"]]}, "contains string, not numbers"),
        (PLACES | {"embedding": pa.array([[], []], pa.list_(pa.float32()))}, "have no numbers"),
        (PLACES | {"embedding": [[1e39], [1.0]]}, "1 of 2 embeddings are beyond the range of float32, first in row 0"),
        (PLACES | {"embedding": ["[1, 2]", "[1, x]"]}, r"'embedding', row 1: '\[1, x\]' is not a list of numbers"),
        (PLACES | {"embedding": [b"abcd", b"efgh"]}, "contains binary; expected lists of numbers"),
        (
            PLACES | wide_of_two("b{}") | wide_of_two("A{}"),
            "nor one other column .*found: 'lon', 'lat', 'b0', 'b1', 'A0'",
        ),
        (PLACES | {"A00": [1.0, 2.0], "A02": [1.0, 2.0]}, "columns up to A02, but none with the number 1"),
        (PLACES | {"e0": [1.0, 2.0], "e2": [1.0, 2.0]}, "columns up to e2, but none with the number 1"),
        (PLACES | {"e0": ["a", "b"]}, "column 'e0' contains string, not numbers"),
        ({"lon": [51.97, -33.87], "lat": [5.66, 151.21], "e0": [1.0, 2.0]}, "row 1 is .*the other way round"),
    ],
)
def test_errors_name_the_file_and_the_cause(write, columns, message):
    path = write(pa.table(columns))
    with pytest.raises(ValueError, match=rf"theirs\.parquet.*{message}"):
        EmbeddingFile(path)


def test_an_empty_or_broken_file_is_named(write, tmp_path):
    with pytest.raises(ValueError, match="has no rows"):
        EmbeddingFile(write(table().slice(0, 0)))
    (tmp_path / "half.parquet").write_bytes(write(table()).read_bytes()[:-40])
    with pytest.raises(ValueError, match="damaged or is not a parquet file"):
        load(tmp_path / "half.parquet")
    with pytest.raises(FileNotFoundError, match="There is no file"):
        EmbeddingFile(tmp_path / "none.parquet")


def test_misuse_is_named(write):
    path = write(table())
    file = EmbeddingFile(path)
    for arguments, options in (((), {}), ((), {"lon": 1.0}), ((LONLAT,), {})):
        with pytest.raises(TypeError, match="needs lon= and lat="):
            file.encode(*arguments, **options)
    with pytest.raises(AttributeError, match="a file of embeddings: it has no network"):
        file.module  # noqa: B018
    with pytest.raises(ValueError, match="nothing is computed; leave out device='cuda'"):
        load(path, device="cuda")
