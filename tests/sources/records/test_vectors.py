"""Mirrors src/geotether/sources/records/vectors.py."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from geotether.files.writers import list_column
from geotether.sources.records.vectors import VectorsSource

SOURCE = VectorsSource

LONLAT = np.array([[5.66, 51.97], [0.0, 91.0], [180.0, 0.0], [-180.0, -90.0]])
VECTORS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def places(**more):
    return pa.table({"lon": LONLAT[:, 0], "lat": LONLAT[:, 1], **more})


def check(source):
    seen = source.read(0, 4)
    assert seen.row.tolist() == [0, 2, 3]
    np.testing.assert_array_equal(seen.content, VECTORS[[0, 2, 3]])
    assert seen.content.dtype == np.float32
    np.testing.assert_array_equal(seen.lonlat, LONLAT[[0, 2, 3]])
    assert [(r.row, r.reason) for r in seen.rejected] == [(1, "latitude outside [-90, 90], possible as a longitude")]
    np.testing.assert_array_equal(source.read(2, 3).content, VECTORS[2:3])
    return seen


def test_a_column_of_lists(tmp_path, opened):
    pq.write_table(places(embedding=list_column(VECTORS), other=[[1.0]] * 4), tmp_path / "v.parquet")
    check(opened("v.parquet"))
    check(opened("v.parquet", column="embedding"))
    pq.write_table(places(whatever=pa.array(VECTORS.tolist(), pa.large_list(pa.float32()))), tmp_path / "w.parquet")
    check(opened("w.parquet"))


@pytest.mark.parametrize("column", ["A??", ["A00", "A01", "A02"], ["A0[01]", "A02"]])
def test_many_columns_of_numbers_as_alphaearth_has_them(tmp_path, opened, column):
    columns = {f"A{number:02d}": VECTORS[:, number] for number in range(3)}
    pq.write_table(places(year=[2020] * 4, name=list("abcd"), **columns), tmp_path / "v.parquet", row_group_size=2)
    seen = check(opened("v.parquet", column=column, id="name", time="year", labels="year"))
    assert seen.id.tolist() == ["a", "c", "d"]
    assert str(seen.time[0])[:4] == "2020"
    pa.csv.write_csv(places(**columns), tmp_path / "v.csv")
    check(opened("v.csv", column=column))


@pytest.mark.parametrize("place", ["csv", "parquet", "npy"])
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_arrays_with_places_beside(tmp_path, opened, kind, place):
    if kind == "npy":
        np.save(tmp_path / "v.npy", VECTORS)
    else:
        np.savez(tmp_path / "v.npz", VECTORS)
    if place == "npy":
        np.save(tmp_path / "p.npy", LONLAT)
    else:
        pa.csv.write_csv(places(), tmp_path / "p.csv")
        pq.write_table(places(), tmp_path / "p.parquet")
    check(opened(f"v.{kind}", positions=tmp_path / f"p.{place}"))


def test_one_of_several_arrays_is_named(tmp_path, opened):
    np.savez(tmp_path / "v.npz", a=VECTORS, b=VECTORS[:, 0])
    np.save(tmp_path / "p.npy", LONLAT)
    check(opened("v.npz", column="a", positions=tmp_path / "p.npy"))
    with pytest.raises(ValueError, match="contains a, b; name one with column="):
        opened("v.npz", positions=tmp_path / "p.npy")
    with pytest.raises(ValueError, match=r"shape \(4,\); vectors are numbers of shape \(n, d\)"):
        opened("v.npz", column="b", positions=tmp_path / "p.npy")


def test_vectors_of_another_width_and_with_holes_are_rejected(tmp_path, opened):
    values = [[1.0, 2.0], [1.0], None, [1.0, float("nan")], [1.0, None], [3.0, float("inf")], [3.0, 4.0]]
    table = pa.table({"lon": np.zeros(7), "lat": np.zeros(7), "v": values})
    pq.write_table(table, tmp_path / "v.parquet")
    seen = opened("v.parquet").read(0, 7)
    assert seen.content.tolist() == [[1, 2], [3, 4]]
    hole = "vector with NaN or infinity"
    assert [r.reason for r in seen.rejected] == ["a vector of 1 numbers, not 2", "no vector", hole, hole, hole]


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {},
            "the vectors with column=. Columns of lists: none; of numbers: 'lon', 'lat', 'a', 'b'",
        ),
        ({"column": "B*"}, "no column of numbers is called 'B[*]'"),
        ({"column": ["a", "c"]}, "no column of numbers is called 'c'"),
        ({"column": "lon"}, "no column of numbers is called 'lon'"),
        ({"positions": "p.npy"}, "a table with places of its own"),
    ],
)
def test_invalid_options_are_errors(tmp_path, opened, options, message):
    (tmp_path / "v.csv").write_text("lon,lat,a,b,name\n1,2,3,4,x\n")
    with pytest.raises(ValueError, match=message):
        opened("v.csv", **options)


def test_invalid_arrays_are_errors(tmp_path, opened):
    np.save(tmp_path / "v.npy", VECTORS)
    np.save(tmp_path / "p.npy", LONLAT[:3])
    with pytest.raises(ValueError, match="its places with positions="):
        opened("v.npy")
    with pytest.raises(ValueError, match=r"has 4 vectors, but .* has 3 places"):
        opened("v.npy", positions=tmp_path / "p.npy")
    with pytest.raises(ValueError, match="has no columns for lon"):
        opened("v.npy", positions=tmp_path / "p.npy", id="name")
    with pytest.raises(ValueError, match="where chooses rows of a table"):
        opened("v.npy", positions=tmp_path / "p.npy", where={"a": 1})
    np.save(tmp_path / "p.npy", LONLAT[:, 0])
    with pytest.raises(ValueError, match=r"longitudes, latitudes of shape \(n, 2\), got \(4,\)"):
        opened("v.npy", positions=tmp_path / "p.npy")
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="holds Python objects"):
        opened("o.npy", positions=tmp_path / "p.npy")
    with pytest.raises(FileNotFoundError, match="There is no file"):
        opened("v.npy", positions=tmp_path / "absent.npy")


def test_the_fingerprint_follows_both_files(tmp_path, opened):
    np.save(tmp_path / "v.npy", VECTORS)
    np.save(tmp_path / "p.npy", LONLAT)
    first = opened("v.npy", positions=tmp_path / "p.npy").fingerprint()
    np.save(tmp_path / "v.npy", VECTORS + 1)
    second = opened("v.npy", positions=tmp_path / "p.npy").fingerprint()
    np.save(tmp_path / "p.npy", LONLAT[::-1])
    assert len({first, second, opened("v.npy", positions=tmp_path / "p.npy").fingerprint()}) == 3
