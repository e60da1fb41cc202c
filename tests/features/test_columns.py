"""Mirrors src/geotether/features/columns.py, column_kinds.py and column_encodings.py."""

import datetime
import decimal
import logging

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from geotether.features.columns import ColumnFeatures
from geotether.features.featurizer import Featurizer

RNG = np.random.default_rng(0)
ROWS = 400


@pytest.fixture
def table():
    """A column of every kind, with gaps."""
    mass = np.exp(RNG.normal(3, 2, ROWS))
    diet = RNG.choice(["seeds", "fish", "insects", "rare"], ROWS, p=[0.5, 0.3, 0.19, 0.01])
    days = np.datetime64("2020-01-01T00", "h") + RNG.integers(0, 4 * 365 * 24, ROWS)
    return pa.table(
        {
            "temp": pa.array(RNG.normal(10, 3, ROWS), mask=np.arange(ROWS) % 10 == 0),
            "mass": mass,
            "diet": pa.array(diet, mask=np.arange(ROWS) % 8 == 0),
            "migrates": pa.array((np.arange(ROWS) % 3 == 0).tolist()),
            "seen": pa.array(days.astype("datetime64[ms]")),
            "habitats": pa.array([["forest", "lake"][: 1 + row % 2] for row in range(ROWS)]),
            "bird_id": np.arange(ROWS),
            "country": RNG.choice(["NL", "BE"], ROWS),
            "note": [f"A bird was seen near the river by person {row // 2}." for row in range(ROWS)],
            "unit": ["g"] * ROWS,
        }
    )


def column(features, name, matrix):
    return matrix[:, features.names().index(name)]


def test_kinds_are_inferred_and_the_rest_is_refused_with_reasons(table, caplog):
    with caplog.at_level(logging.WARNING):
        features = ColumnFeatures().fit(table)
    assert isinstance(features, Featurizer)
    assert features.kinds_ == {
        "temp": "numeric", "mass": "numeric", "diet": "categorical", "migrates": "boolean", "seen": "date",
        "habitats": "categorical",
    }  # fmt: skip
    reasons = {
        "bird_id": "id or a code",
        "country": "it is a place",
        "note": "no value occurs 20 times",
        "unit": "constant",
    }
    assert set(features.ignored_) == set(reasons)
    for name, words in reasons.items():
        assert words in features.ignored_[name]
    assert "places: country" in caplog.text
    assert "bird_id" not in caplog.text
    assert features.names() == [
        "temp", "temp missing", "log mass", "diet=seeds", "diet=fish", "diet=insects", "diet missing", "migrates",
        "seen sin day of year", "seen cos day of year", "seen year", "seen sin hour", "seen cos hour",
        "habitats=forest", "habitats=lake",
    ]  # fmt: skip


def test_numbers_are_those_of_a_robust_scaler(table):
    from sklearn.preprocessing import RobustScaler

    features = ColumnFeatures(clip=2.0).fit(table)
    matrix = features.transform(table)
    for name, values in (("temp", table["temp"].to_numpy()), ("log mass", np.log1p(table["mass"].to_numpy()))):
        want = RobustScaler(unit_variance=True).fit_transform(values[:, None])[:, 0]
        want = np.where(np.isnan(want), 0, want.clip(-2, 2))
        np.testing.assert_allclose(column(features, name, matrix), want, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(column(features, "temp missing", matrix), table["temp"].is_null().to_numpy())


def test_classes_are_those_of_a_one_hot_encoder(table):
    from sklearn.preprocessing import OneHotEncoder

    values = RNG.choice(list("abcdefgh"), ROWS, p=[0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.03, 0.02])
    columns = pa.table({"a": values})
    features = ColumnFeatures(max_levels=5, min_count=20).fit(columns)
    theirs = OneHotEncoder(
        max_categories=6, min_frequency=20, handle_unknown="infrequent_if_exist", sparse_output=False
    )
    want = theirs.fit_transform(values[:, None])
    mine = features.transform(columns)
    order = [name.split("=")[1] for name in features.names()]
    known = [name.split("_")[1] for name in theirs.get_feature_names_out(["x"])]
    want = want[:, [known.index("infrequent" if name == "other" else name) for name in order]]
    np.testing.assert_array_equal(mine, want)
    new = pa.table({"a": pa.array(["a", "never seen", None, ""])})
    np.testing.assert_array_equal(features.transform(new).sum(axis=1), [1, 1, 0, 0])
    assert column(features, "a=other", features.transform(new)).tolist() == [0, 1, 0, 0]


def test_rare_values_may_be_hashed():
    values = [f"genus {number}" for number in range(300)] * 2 + ["common"] * 300
    columns = pa.table({"genus": values})
    features = ColumnFeatures(hash_buckets=7).fit(columns)
    assert features.names() == ["genus=common", *[f"genus=#{bucket}" for bucket in range(7)]]
    matrix = features.transform(columns)
    np.testing.assert_array_equal(matrix.sum(axis=1), 1)
    np.testing.assert_array_equal(matrix[:300], matrix[300:600])
    assert (matrix[:300].sum(axis=0)[1:] > 20).all()


def test_a_list_of_categories_becomes_several_indicators(table):
    features = ColumnFeatures().fit(table)
    matrix = features.transform(table)
    assert column(features, "habitats=forest", matrix).tolist() == [1] * ROWS
    assert column(features, "habitats=lake", matrix)[:4].tolist() == [0, 1, 0, 1]
    again = pa.table({"habitats": pa.chunked_array([[["a", "a"]] * 30, [["b"], [], None] * 30])})
    flagged = ColumnFeatures().fit(again)
    assert flagged.names() == ["habitats=a", "habitats=b", "habitats missing"]
    np.testing.assert_array_equal(
        flagged.transform(again)[[0, 30, 31, 32]], [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    )


def test_dates_lie_on_a_circle():
    days = [datetime.datetime(2019 + year, month, 1, 6 * (month % 3)) for year in range(3) for month in range(1, 13)]
    columns = pa.table({"day": pa.array([*days, None], pa.timestamp("ms"))})
    features = ColumnFeatures().fit(columns)
    matrix = features.transform(columns)
    fraction = np.array([(d - datetime.datetime(d.year, 1, 1)).total_seconds() / 86400 for d in days]) / 365.2425
    np.testing.assert_allclose(
        column(features, "day sin day of year", matrix)[:-1], np.sin(2 * np.pi * fraction), atol=1e-6
    )
    hours = 2 * np.pi * np.array([d.hour for d in days]) / 24
    np.testing.assert_allclose(column(features, "day cos hour", matrix)[:-1], np.cos(hours), atol=1e-6)
    assert np.corrcoef(column(features, "day year", matrix)[:-1], np.arange(36))[0, 1] > 0.999
    assert matrix[-1].tolist() == [0, 0, 0, 0, 0, 1]


def test_only_the_varying_parts_of_a_date_are_encoded():
    years = pa.table({"day": pa.array([datetime.date(year, 1, 1) for year in range(1990, 2020)])})
    assert ColumnFeatures().fit(years).names() == ["day year"]
    one_year = pa.table({"day": [f"2024-{month:02d}-03" for month in range(1, 13)] * 3})
    assert ColumnFeatures().fit(one_year).names() == ["day sin day of year", "day cos day of year"]


def test_booleans_in_several_words():
    columns = pa.table({"a": ["Yes", "no", None, "YES"], "b": [1, 0, 0, 1], "c": ["true", "false", "", "true"]})
    features = ColumnFeatures(missing="fill").fit(columns)
    assert features.kinds_ == dict.fromkeys("abc", "boolean")
    np.testing.assert_allclose(features.transform(columns)[:, 0], [1, 0, 2 / 3, 1], rtol=1e-6)
    np.testing.assert_allclose(features.transform(columns)[:, 2], [1, 0, 2 / 3, 1], rtol=1e-6)


def test_the_rule_for_logarithms():
    skewed = np.exp(np.linspace(0, 8, 200))
    columns = pa.table({"skewed": skewed, "below": skewed - 5, "even": np.linspace(0, 1, 200)})
    assert ColumnFeatures().fit(columns).names() == ["log skewed", "below", "even"]
    declared = ColumnFeatures(log=["even"], numeric="skewed").fit(columns)
    assert declared.names() == ["skewed", "below", "log even"]
    with pytest.raises(ValueError, match=r"'below' has values below 0 \(down to -4\); log is impossible"):
        ColumnFeatures(log="below").fit(columns)


def test_many_sparse_codes_are_projected_like_a_pca():
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    codes = RNG.integers(1, 5, (300, 12))
    mask = RNG.random((300, 12)) < 0.6
    columns = pa.table({f"{number}A": pa.array(codes[:, number], mask=mask[:, number]) for number in range(12)})
    plain = ColumnFeatures(categorical="[0-9]*A", min_count=5).fit(columns)
    features = ColumnFeatures(categorical="[0-9]*A", min_count=5, dim=6).fit(columns)
    assert plain.names()[:5] == [f"0A={code}" for code in (plain.names()[n][3:] for n in range(4))] + ["0A missing"]
    want = PCA(6, svd_solver="full").fit_transform(StandardScaler().fit_transform(plain.transform(columns)))
    mine = features.transform(columns)
    assert features.names() == [f"direction {number}" for number in range(1, 7)]
    np.testing.assert_allclose(np.abs(mine), np.abs(want), rtol=1e-4, atol=1e-4)


def test_single_rows_are_refused():
    columns = pa.table(
        {"height": ["3", "4.5", "tall", None] + ["5"] * 30, "kind": ["oak", "elm", "oak", None] + ["oak", "elm"] * 15}
    )
    features = ColumnFeatures(numeric="height", min_count=5).fit(columns)
    assert features.refuse(columns) == {2: "height is not a number", 3: "no value in any of the columns used"}
    np.testing.assert_array_equal(np.isfinite(features.transform(columns)), True)


def test_dictionaries_and_gaps_do_not_change_levels(table):
    coded = pa.table({"diet": table["diet"].dictionary_encode()})
    plain = pa.table({"diet": table["diet"]})
    np.testing.assert_array_equal(
        ColumnFeatures().fit(coded).transform(plain), ColumnFeatures().fit(plain).transform(coded)
    )
    whole, gappy = pa.table({"code": [1, 2] * 30}), pa.table({"code": pa.array([1.0, None, 2.0])})
    features = ColumnFeatures(categorical="code").fit(whole)
    np.testing.assert_array_equal(features.transform(gappy), [[1, 0], [0, 0], [0, 1]])


@pytest.mark.parametrize(
    "values",
    [
        pa.array([decimal.Decimal(f"{n}.5") for n in range(40)]),
        pa.array([decimal.Decimal(f"{n}.5") for n in range(40)], pa.decimal32(9, 1)),
        pa.array(np.arange(40) + 0.5, pa.float32()).cast(pa.float16()),
        pa.array(np.arange(40) + 0.5).dictionary_encode(),
        pc.run_end_encode(pa.array(np.arange(40) + 0.5)),
        pa.array([f"{n}.5" for n in range(40)], pa.string_view()),
    ],
    ids=lambda values: str(values.type),
)
def test_numbers_of_every_type_are_the_same(values):
    plain, other = pa.table({"a": np.arange(40) + 0.5}), pa.table({"a": values})
    declared = {"numeric": "a"}  # texts are not numbers by themselves
    want = ColumnFeatures(**declared).fit(plain).transform(plain)
    np.testing.assert_array_equal(ColumnFeatures(**declared).fit(other).transform(other), want)


def test_whole_numbers_beyond_53_bits_are_numbers():
    ids = pa.table(
        {
            "cell": pa.array(np.uint64(2**63) + np.arange(40, dtype=np.uint64) ** 5 * np.uint64(3)),
            "a": np.arange(40) / 7,
        }
    )
    assert ColumnFeatures().fit(ids).kinds_["cell"] == "numeric"


def test_infinity_counts_as_missing():
    columns = pa.table({"a": [1.0, 2.0, np.inf, 4.0, 5.0]})
    features = ColumnFeatures().fit(columns)
    assert features.names() == ["a", "a missing"]
    assert features.transform(columns)[2].tolist() == [0, 1]


@pytest.mark.parametrize(
    "name, values, reason",
    [
        ("occurrence_no", range(60), "id or a code"),
        ("row", range(60), "all different"),
        ("Min_Latitude", RNG.normal(size=60), "it is a place"),
        ("species", [f"s{n}" for n in range(60)], "all different"),
        ("text", [f"{'long ' * 20}{n % 3}" for n in range(60)], "source 'texts'"),
        ("rare", ["a", "b", "c"] * 6 + [None] * 42, "no value occurs 20 times"),
        ("height", [*map(str, range(100, 158)), "n.b.", "low"], "numbers, except 'n.b.', 'low' in 2 rows"),
        ("figures", [f"{n}.5" for n in range(60)], "all numbers; declare it numeric"),
        ("few", ["1", "2"] * 29 + ["1", "?!"], "--set features.numeric=few"),
        ("span", pa.array([5] * 30 + [7] * 30, pa.duration("s")), "type duration"),
        ("clock", pa.array([5] * 30 + [7] * 30, pa.time32("s")), "type time32"),
        ("empty", [None] * 60, "no values"),
        ("blank", [""] * 60, "no values"),
        ("same", [3.0] * 60, "constant"),
        ("bytes", [b"x", b"y"] * 30, "type binary"),
        ("nested", [{"a": 1}] * 60, "type struct"),
        ("vector", [[0.1, 0.2]] * 60, "source 'vectors'"),
    ],
)
def test_ignored_columns_and_the_reasons(name, values, reason):
    columns = pa.table(
        {"good": RNG.normal(size=60), name: pa.array(values if isinstance(values, pa.Array) else list(values))}
    )
    features = ColumnFeatures().fit(columns)
    assert features.names() == ["good"]
    assert reason in features.ignored_[name]
    with pytest.raises(ValueError, match=f"No column is left.*{name}: "):
        ColumnFeatures().fit(columns.select([name]))


def test_numbers_among_mostly_texts_are_classes():
    columns = pa.table({"depth": ["deep"] * 40 + [str(n) for n in range(20)]})
    assert "depth=deep" in ColumnFeatures().fit(columns).names()


def test_a_declared_column_is_used_whatever_its_name(table):
    features = ColumnFeatures(categorical=["country", "bird_*"], infer=False, min_count=1, max_levels=3).fit(table)
    assert features.names()[:4] == ["bird_id=0", "bird_id=1", "bird_id=10", "bird_id=other"]
    assert set(features.names()[4:]) == {"country=BE", "country=NL"}
    assert features.ignored_["temp"] == "not declared"
    assert ColumnFeatures(ignore="t*").fit(table).ignored_["temp"] == "as asked"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"numeric": "length"}, r"numeric: there is no column 'length'; there are 'temp', 'mass'"),
        ({"numeric": "temp", "log": "t*"}, "'temp' is declared both numeric and log"),
        ({"numeric": "temp", "ignore": "temp"}, "both declared numeric and ignored"),
        ({"numeric": "diet"}, "'diet' must contain numbers; 350 of 400"),
        ({"boolean": "mass"}, r"'mass' must contain booleans \(true, false"),
        ({"date": "note"}, "'note' must contain dates; 400 of 400"),
        ({"dim": 99}, "dim=99 needs as many features.*got 15 features of 400 rows"),
    ],
)
def test_invalid_declarations_are_named(table, options, message):
    with pytest.raises(ValueError, match=message):
        ColumnFeatures(**options).fit(table)


def test_misuse_is_named(table):
    with pytest.raises(TypeError, match="an Arrow table, got dict"):
        ColumnFeatures().fit({"a": [1]})
    with pytest.raises(ValueError, match="no rows to fit to"):
        ColumnFeatures().fit(table.slice(0, 0))
    with pytest.raises(ValueError, match=r"no column 'temp'.*there are 'mass'"):
        ColumnFeatures().fit(table).transform(table.drop_columns(["temp"]))
    with pytest.raises(ValueError, match="declared categorical, but has the type struct"):
        ColumnFeatures(categorical="a").fit(pa.table({"a": [{"b": 1}] * 30}))


def test_an_error_about_texts_names_the_source_that_reads_them():
    notes = [f"stone {number} river" for number in range(60)]
    hint = r"--source texts --set column=note"
    with pytest.raises(ValueError, match=r"No column is left.*" + hint):
        ColumnFeatures().fit(pa.table({"note": notes}))
    mixed = pa.table({"note": notes, "mass": RNG.normal(size=60)})
    with pytest.raises(ValueError, match=r"these 60 rows have 1 features without the omitted texts.*" + hint):
        ColumnFeatures(dim=8).fit(mixed)
    with pytest.raises(ValueError, match="lower dim"):
        ColumnFeatures(dim=8).fit(mixed.select(["mass"]))


@pytest.mark.parametrize("form", ["{:02d}/{:02d}/2003", "{}.{}.03", "{}-{}-2003 12:30"])
def test_dates_of_ambiguous_order_are_reported_as_ambiguous(form):
    days = [form.format(number % 28 + 1, number % 12 + 1) for number in range(60)]
    features = ColumnFeatures().fit(pa.table({"seen": days, "mass": RNG.normal(size=60)}))
    assert features.ignored_["seen"].startswith(f"dates written as {days[0]}, which is ambiguous; write them as")
