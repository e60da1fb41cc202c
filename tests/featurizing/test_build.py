"""Mirrors src/geotether/featurizing/build.py: what the job makes, and what it refuses."""

import logging

import numpy as np
import pyarrow.parquet as pq
import pytest

from geotether.featurizing.build import build_table
from geotether.tables.splits import assign_split, block_parts
from geotether.tables.store import read_origin


def build(places, out, workers=1, **options):
    return build_table({"source": "toy", "path": str(places), **options}, out, workers=workers, progress="none")


def files_of(out):
    """The bytes of a table and of what lies beside it."""
    names = [f"{out.stem}{ending}" for ending in (".parquet", ".rejected.parquet", ".transform.safetensors")]
    return [out.with_name(name).read_bytes() for name in names]


def test_a_row_of_the_table_is_a_row_of_the_source(places, tmp_path):
    table = build(places, tmp_path / "t.parquet", ids="rows", times=True, split=None)
    lonlat = np.load(places)
    wrapped = np.where(lonlat[:, 0] >= 180, lonlat[:, 0] - 360, lonlat[:, 0])
    np.testing.assert_array_equal(table.lonlat, np.stack([wrapped, lonlat[:, 1]], axis=1))
    assert table.id.tolist() == [f"row {row}" for row in range(1000)]
    assert table.target("parity").column.tolist() == [row % 2 for row in range(1000)]
    assert table.target("name").column[999] == "n999"
    assert np.isnat(table.time[4])
    assert str(table.time[5]) == "2020-01-02T06:00:00.000"
    np.testing.assert_allclose(np.diff(table.features[:, 0]), 1, atol=1e-4)
    assert table.split is None
    assert table.name == "t"
    assert pq.read_table(tmp_path / "t.rejected.parquet").to_pydict() == {"row": [], "id": [], "reason": []}
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "places.npy", "t.parquet", "t.rejected.parquet", "t.transform.safetensors"
    ]  # fmt: skip


def test_any_number_of_workers_writes_the_same_bytes(places, light_workers, tmp_path):
    found = []
    for workers in (1, 2, 3):
        out = tmp_path / str(workers) / "t.parquet"
        build(places, out, workers, broken=50, times=True, encode_time=["hour", "year"], ids="pairs")
        found.append(files_of(out))
    assert found[0] == found[1] == found[2]


def test_the_split_is_that_of_the_places_and_the_fit_sees_training_rows_only(places, tmp_path):
    split = {"block_km": 1000, "shares": {"train": 0.5, "validation": 0.2, "test": 0.3}, "seed": 3, "buffer_km": 100}
    log = tmp_path / "fit.log"
    table = build(places, tmp_path / "t.parquet", split=split, features={"log": str(log)})
    np.testing.assert_array_equal(table.split, assign_split(np.load(places), **split))
    seen = [int(row) for row in log.read_text().split()]
    without_buffer = assign_split(np.load(places), **split | {"buffer_km": 0})
    assert set(without_buffer[seen]) == {"train"}
    assert 45 < len(seen) <= 60  # twice the 60 were drawn, about half of them for training
    assert table.features[0, 0] == np.float32(-np.mean(seen))


def test_features_without_fitting_are_deterministic(places, tmp_path, monkeypatch):
    import toy_places

    monkeypatch.setattr(toy_places.ToyFeatures, "fit_rows", 1)
    for seed in range(5):  # one row alone would often be rejected or for validation
        log = tmp_path / "fit.log"
        build(places, tmp_path / f"{seed}.parquet", seed=seed, broken=2, tolerance=0.6, features={"log": str(log)},
              split={"shares": {"train": 0.4, "validation": 0.6}})  # fmt: skip
        assert len(log.read_text().split()) == 1


def test_rows_that_cannot_be_used_are_listed_and_counted(places, tmp_path, caplog):
    lonlat = np.load(places)
    lonlat[7], lonlat[9, 0] = [10, 91], np.nan
    np.save(places, lonlat)
    with caplog.at_level(logging.INFO, "geotether"):
        table = build(places, tmp_path / "t.parquet", broken=100, features={"refuse": 11, "nan": 500 + 1})
    rejected = pq.read_table(tmp_path / "t.rejected.parquet").to_pylist()
    reasons = {row["row"]: row["reason"] for row in rejected}
    assert reasons == dict.fromkeys(range(0, 1000, 100), "corrupt image") | {
        7: "latitude outside [-90, 90], possible as a longitude", 9: "longitude or latitude missing",
        11: "image of row refused",
        501: "features are not finite",
    }  # fmt: skip
    assert [row["row"] for row in rejected] == sorted(reasons)
    assert rejected[0]["id"] == "row 0"
    made = table.origin.made
    assert made["rows"] == {"read": 1000, "used": 986, "rejected": 14}
    assert made["rejected"]["corrupt image"] == 10
    assert set(reasons).isdisjoint(int(name) for name in table.id)
    assert "t: 986 of 1,000 rows used, 9 features." in caplog.text
    assert "14 rows rejected" in caplog.text
    assert made["seconds"] >= 0
    assert "seconds" not in read_origin(tmp_path / "t.parquet").made  # or no two runs would write the same bytes


def test_places_that_come_twice_are_counted(places, tmp_path, caplog):
    lonlat = np.load(places)
    lonlat[10:13] = [5.66, 51.97]
    lonlat[20:22] = [[5.5, -3], [5.5 + 1e-8, -3]]
    lonlat[30:32] = [[180, -7], [-180, -7]]
    np.save(places, lonlat)
    with caplog.at_level(logging.INFO, "geotether"):
        table = build(places, tmp_path / "t.parquet")
    assert table.origin.made["duplicated_places"] == {"rows": 7, "places": 3}
    assert "7 rows share 3 places" in caplog.text


@pytest.mark.parametrize(
    ("ids", "first", "changed"),
    [
        ("none", ["0", "1", "2", "3"], 0),
        ("pairs", ["pair 0", "pair 0#1", "pair 1", "pair 1#3"], 500),
        ("gaps", ["0", "row 1", "row 2", "3"], 334),
    ],
)
def test_every_row_gets_an_id_of_its_own(places, tmp_path, ids, first, changed):
    table = build(places, tmp_path / "t.parquet", ids=ids)
    assert table.id[:4].tolist() == first
    assert len(set(table.id.tolist())) == 1000
    assert table.origin.made["ids_changed"] == changed


def test_fewer_rows_are_drawn_at_random(places, tmp_path):
    tables = [build(places, tmp_path / f"{seed}.parquet", rows=50, seed=seed, broken=40) for seed in (1, 2)]
    assert [table.origin.made["rows"]["read"] for table in tables] == [50, 50]
    assert set(tables[0].id) != set(tables[1].id)
    drawn = np.sort([int(name) for name in tables[0].id])
    assert drawn[-1] > 800
    assert drawn[0] < 200


def test_time_becomes_features(places, tmp_path):
    table = build(places, tmp_path / "t.parquet", times=True, encode_time=["day_of_year", "hour", "year"])
    names = table.origin.made["features"]
    assert names[-6:] == [
        "day of year sin", "day of year cos", "hour sin", "hour cos", "decades since 2000", "time missing"
    ]  # fmt: skip
    np.testing.assert_array_equal(table.features[:, -1], np.arange(1000) % 4 == 0)
    np.testing.assert_array_equal(table.features[4, -6:-1], 0)
    hours = 6 * np.arange(1000) % 24
    known = np.arange(1000) % 4 != 0
    np.testing.assert_allclose(table.features[known, -4], np.sin(2 * np.pi * hours / 24)[known], atol=1e-6)


def test_too_many_rejected_rows_stop_the_job_early_and_what_is_done_is_kept(places, tmp_path):
    log, out = tmp_path / "reads.log", tmp_path / "t.parquet"
    with pytest.raises(ValueError, match=r"of 1,000 rows cannot be used .*tolerated 5%: corrupt image \(\d+\)") as said:
        build(places, out, broken=10, log=str(log))
    assert str(tmp_path / ".t.job" / "failed-rejected.parquet") in str(said.value)
    assert not (tmp_path / "t.rejected.parquet").exists()
    listed = pq.read_table(tmp_path / ".t.job" / "failed-rejected.parquet")
    assert 50 < listed.num_rows < 100  # not all rows were needed to be sure
    assert set(listed["reason"].to_pylist()) == {"corrupt image"}
    assert not out.exists()
    log.unlink()
    assert len(build(places, out, broken=10, log=str(log), tolerance=0.2)) == 900
    read = {tuple(map(int, line.split()[:2])) for line in log.read_text().splitlines()}
    assert (0, 128) not in read  # complete since the first time
    assert (896, 1000) in read


def test_rows_in_one_block_have_no_validation(places, tmp_path):
    np.save(places, np.random.default_rng(0).uniform(5, 5.1, (1000, 2)))
    with pytest.raises(ValueError, match=r"1 blocks of 500 km .*--set split\.block_km"):
        build(places, tmp_path / "t.parquet", split={"block_km": 500})
    np.save(places, np.load(places)[:60])  # the fit sees all of them, so it is said before the work
    with pytest.raises(ValueError, match=r"too few blocks of 500 km.*--set split\.block_km"):
        build(places, tmp_path / "t.parquet", split={"block_km": 500})
    found = build(places, tmp_path / "t.parquet", split={"block_km": 1})
    assert set(found.split.tolist()) == {"train", "validation"}


@pytest.mark.parametrize("part", ["train", "validation"])
def test_the_split_by_default_gives_way_where_places_are_near_each_other(places, tmp_path, caplog, part):
    world = np.load(places)[4:]
    inside = world[block_parts(world, 500.0, {"train": 0.9, "validation": 0.1}, 0) == part][0]
    np.save(places, inside + np.random.default_rng(0).uniform(-1e-4, 1e-4, (100, 2)))
    table = build(places, tmp_path / "t.parquet")
    assert table.split is None
    assert len(table) == 100
    assert "no split, so all rows are for training: they lie in too few blocks of 500 km" in caplog.text


def test_a_requested_split_does_not_fall_back(places, tmp_path, monkeypatch):
    from geotether.featurizing import build as room

    np.save(places, np.random.default_rng(0).uniform(5, 5.1, (60, 2)))
    out = tmp_path / "t.parquet"
    assert build(places, out).split is None
    before = files_of(out)
    # The same 500 km as by default; the fit says it, which a finished table or the fit of another job would skip.
    with pytest.raises(ValueError, match=r"No row falls into .*too few blocks of 500 km"):
        build(places, out, split={"block_km": 500})
    assert files_of(out) == before
    out = tmp_path / "killed.parquet"

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(room, "_run", killed)
        with pytest.raises(KeyboardInterrupt):
            build(places, out)  # fitted on all rows
    with pytest.raises(ValueError, match=r"No row falls into .*too few blocks of 500 km"):
        build(places, out, split={"block_km": 500})


def test_an_up_to_date_table_is_unchanged(places, tmp_path, caplog):
    log, out = tmp_path / "reads.log", tmp_path / "t.parquet"
    build(places, out, log=str(log))
    first, reads = out.stat().st_mtime_ns, log.read_text()
    with caplog.at_level(logging.INFO, "geotether"):
        build(places, out, log=str(log))
    assert out.stat().st_mtime_ns == first
    assert log.read_text() == reads
    assert "up to date" in caplog.text
    build_table({"source": "toy", "path": str(places), "log": str(log)}, out, workers=1, progress="none", resume=False)
    assert out.stat().st_mtime_ns > first
    np.save(places, np.load(places)[:900])
    assert len(build(places, out, log=str(log))) == 900
    (tmp_path / "t.transform.safetensors").unlink()
    build(places, out, log=str(log))
    assert (tmp_path / "t.transform.safetensors").is_file()


def test_changed_texts_and_tolerance_recompute_nothing(places, tmp_path, caplog):
    log, out = tmp_path / "reads.log", tmp_path / "t.parquet"
    build(places, out, broken=50, log=str(log), licence="CC BY 4.0", citation="Toys, 2020")
    reads, first = log.read_text(), files_of(out)
    said = {"broken": 50, "log": str(log), "licence": "CC0", "origin": "Toys", "citation": ""}
    with caplog.at_level(logging.INFO, "geotether"):
        table = build(places, out, **said, tolerance=0.02)
    assert "the origin in" in caplog.text
    assert log.read_text() == reads
    assert (table.origin.licence, table.origin.source, table.origin.citation) == ("CC0", "Toys", "")
    assert table.origin.made["specification"]["tolerance"] == 0.02
    renewed = files_of(out)
    assert renewed[0] != first[0]
    with pytest.raises(ValueError, match=r"20 of 1,000 rows could not be used.* 1.0%: .*\(20\).*t\.rejected\.parquet"):
        build(places, out, **said, tolerance=0.01)
    assert files_of(out) == renewed
    build(places, tmp_path / "new" / "t.parquet", **said, tolerance=0.02)
    assert files_of(tmp_path / "new" / "t.parquet") == renewed  # as if it had been built so


@pytest.mark.parametrize("tolerance", [0.05, 1.0])
def test_a_failed_job_keeps_the_old_table(places, tmp_path, caplog, tolerance):
    good, out = np.load(places), tmp_path / "t.parquet"
    build(places, out, tolerance=tolerance)
    before = files_of(out)
    np.save(places, np.full_like(good, np.nan))
    with pytest.raises(ValueError, match=r"\.t\.job/failed-rejected\.parquet"):
        build(places, out, tolerance=tolerance)
    assert files_of(out) == before
    np.save(places, good)
    with caplog.at_level(logging.INFO, "geotether"):
        build(places, out, tolerance=tolerance)
    assert "up to date" in caplog.text
    assert files_of(out) == before


def test_files_of_two_jobs_are_never_up_to_date(places, tmp_path, monkeypatch):
    from geotether.featurizing import build as room

    out = tmp_path / "t.parquet"
    build(places, out)
    before = files_of(out)

    def one_only(source, target):
        if target == out:
            raise KeyboardInterrupt
        source.replace(target)

    with monkeypatch.context() as patch:
        patch.setattr(room, "replace_path", one_only)
        with pytest.raises(KeyboardInterrupt):
            build(places, out, broken=50, seed=1)
    with pytest.raises(ValueError, match="cannot be used"):  # of a third job
        build(places, out, broken=1)
    assert not (tmp_path / "t.transform.safetensors").exists()
    build(places, out)
    assert files_of(out) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "toi"}, "no source 'toi'.*Did you mean 'toy'"),
        ({"brokn": 3}, "no option 'brokn'.*Any table has path, source, .*Did you mean 'broken'"),
        ({"limit": 3}, r"no option 'limit'; it has .*Any table has .*, rows, seed\. Did you mean 'rows'\?"),
        ({"tolerence": 0.1}, "no option 'tolerence'.*Did you mean 'tolerance'"),
        ({"features": "toyy"}, "no features 'toyy'.*Did you mean 'toy'"),
        ({"features": {"widht": 3}}, "'toy' has no option 'widht'.*Did you mean 'width'"),
        ({"kind": "texts"}, "'toy' take images, but the source 'toy' gives texts"),
        ({"tolerance": 2}, "tolerance: .*at most 1"),
        ({"encode_time": ["hour"]}, "the source gives no times"),
        ({"encode_time": ["week"]}, "encode_time"),
        ({"split": {"block": 3}}, "split.block: "),
        ({"split": {"shares": {"train": 0.5}}}, "sum to 1"),
        ({"lies": True}, "of the source ToySource gave 0 usable and 0 rejected rows that are not these rows"),
        ({"rows": 0}, "rows: .*at least 1"),
    ],
)
def test_wrong_input_is_named(places, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        build(places, tmp_path / "t.parquet", **options)
    assert not (tmp_path / "t.parquet").exists()


def test_wrong_places_for_the_table_are_named(places, tmp_path):
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(ValueError, match="is a folder; give the name of the table's file"):
        build(places, tmp_path / "folder.parquet")
    with pytest.raises(ValueError, match=r"ends in '\.csv'; a table ends in \.parquet"):
        build(places, tmp_path / "t.csv")
    with pytest.raises(OSError, match="Could not write"):
        build(places, "/proc/geotether/t.parquet")
    with pytest.raises(FileNotFoundError, match=r"no file .*gone\.npy"):
        build(tmp_path / "gone.npy", tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"needs `path`.*source"):
        build_table({"source": "toy"}, tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="workers must be 1 or more, got 0"):
        build(places, tmp_path / "t.parquet", workers=0)
    with pytest.raises(ValueError, match="shown as one of auto, bar, lines, none; got 'loud'"):
        build_table({"source": "toy", "path": str(places)}, tmp_path / "t.parquet", progress="loud")


@pytest.mark.parametrize(
    ("change", "options", "looks_swapped"),
    [
        (lambda towns: towns[:, ::-1], {}, True),
        (lambda towns: towns * 1000, {}, False),  # metres, say
        (lambda towns: np.where(np.arange(1000)[:, None] % 32 == 0, [[20, 95]], towns), {"tolerance": 0.02}, False),
        (lambda towns: np.where(np.arange(1000)[:, None] % 32 == 0, [[20, 95]], towns), {"tolerance": 0}, False),
    ],
)
def test_swapped_places_are_recognised_among_wrong_ones(places, tmp_path, change, options, looks_swapped):
    rng = np.random.default_rng(0)
    np.save(places, change(np.stack([rng.uniform(-180, 180, 1000), rng.uniform(-60, 70, 1000)], axis=1)))
    with pytest.raises(ValueError, match=r"of 1,000 rows cannot be used \(\d+ were looked at\)") as said:
        build(places, tmp_path / "t.parquet", **options)
    assert ("(latitude, longitude)" in str(said.value)) == looks_swapped


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (1000, {"broken": 1}, r"rows cannot be used .*corrupt image"),
        (1000, {"broken": 1, "tolerance": 1.0}, r"rows cannot be used .*corrupt image"),
        (1, {"split": None}, "Only one row is left"),
        (0, {}, r"The source 'toy' has no rows in .*places\.npy"),
    ],
)
def test_too_few_rows(places, tmp_path, rows, options, message):
    np.save(places, np.load(places)[:rows])
    with pytest.raises(ValueError, match=message):
        build(places, tmp_path / "t.parquet", **options)
