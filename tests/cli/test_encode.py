"""Mirrors src/geotether/cli/encode.py: every other column comes back unchanged, or the file is refused by its name."""

import csv
import datetime
import gzip
import json
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.encoder import Encoder

pyogrio = pytest.importorskip("pyogrio")
shapely = pytest.importorskip("shapely")

PLACES = np.array([[5.66, 51.97], [-74.01, 40.71], [151.21, -33.87], [0.0, 0.0]])
UTC = datetime.UTC
# Kinds of columns: four cells each, of which one may be missing.
KINDS = {
    "identifiers": pa.array(["1E5", "0012", "+31301234567", "2E3"]),
    "versions": pa.array(["1.10", "1.1", "1", None]),
    "keys": pa.array(["12345678901234567890", "12345678901234567891", "98765432109876543210", "1"]),
    "words": pa.array(["TRUE", 'say "hi", b;c|d', "two\nlines\tand a tab", "é三\u202e NA"]),
    "booleans": pa.array([True, False, None, True]),
    "int64": pa.array([2**63 - 1, -(2**63), 9007199254740993, None]),
    "uint64": pa.array([2**64 - 1, 0, 5, None], pa.uint64()),
    "floats": pa.array([0.1, 1e-300, -1234567.0625, None]),
    "float32": pa.array([0.1, 1e-30, 16777216, None], pa.float32()),
    "dates": pa.array([datetime.date(2024, 2, 29), datetime.date(1, 1, 1), None, datetime.date(9999, 12, 31)]),
    "instants": pa.array([datetime.datetime(2024, 1, 5, 10, 0, 0, 123000, UTC), None] * 2, pa.timestamp("ms", "UTC")),
    "times": pa.array([datetime.datetime(2024, 1, 5, 10, 0), None] * 2, pa.timestamp("ms")),
    "decimals": pa.array([Decimal("1.10"), Decimal("12345678901234567.89"), None, Decimal("0.00")]),
    "categories": pa.array(["oak", None, "beech", "oak"]).dictionary_encode(),
    "nulls": pa.nulls(4, pa.float64()),
    "lists": pa.array([[1, 2], [], None, [3]]),
    "structs": pa.array([{"a": 1, "b": "x"}] * 3 + [None]),
    "bytes": pa.array([b"\xff\x00", b"", None, b"x"]),
}
NUMBERS = ("booleans", "int64", "uint64", "floats", "float32", "nulls")
JSON_KINDS = ("identifiers", "versions", "keys", "words", "booleans", "int64", "uint64", "floats", "nulls", "lists")
LAYER_KINDS = (
    "identifiers",
    "versions",
    "keys",
    "words",
    "booleans",
    "int64",
    "floats",
    "float32",
    "dates",
    "instants",
)
# What a format cannot hold unchanged; everything else must come back.
REFUSED = {
    "csv": {"bytes"},
    "tsv": {"bytes"},
    "geojson": {"bytes", "decimals"},
    "gpkg": {"lists", "structs", "decimals", "uint64", "bytes"},
    "fgb": {"lists", "structs", "decimals", "uint64", "bytes"},
    "parquet": set(),
}


def text_cells(column):
    """What a program writes in a CSV: cells as texts."""
    found = []
    for value in column.to_pylist():
        text = value.isoformat() if hasattr(value, "isoformat") else str(value)
        found.append("" if value is None else "true" if value is True else "false" if value is False else text)
    return found


def as_delimited(path, columns):
    mark = "\t" if path.suffix == ".tsv" else "|" if path.suffix == ".txt" else ","
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=mark)
        writer.writerow(["lon", "lat", *columns])
        writer.writerows(zip(*PLACES.T.tolist(), *map(text_cells, columns.values()), strict=True))


def as_json(path, columns):
    rows = pa.table(columns).to_pylist()
    if path.suffix == ".jsonl":
        rows = [{"lon": lon, "lat": lat, **row} for (lon, lat), row in zip(PLACES.tolist(), rows, strict=True)]
    else:
        points = [{"type": "Point", "coordinates": place} for place in PLACES.tolist()]
        rows = [{"type": "Feature", "geometry": p, "properties": r} for p, r in zip(points, rows, strict=True)]
    whole = json.dumps({"type": "FeatureCollection", "features": rows})
    path.write_text(whole if path.suffix == ".geojson" else "\n".join(map(json.dumps, rows)))


def as_parquet(path, columns):
    pq.write_table(pa.table({"lon": PLACES[:, 0], "lat": PLACES[:, 1], **columns}), path)


def as_layer(path, columns):
    points = pa.array(shapely.to_wkb(shapely.points(PLACES)))
    table = pa.table({"geom": points, **columns})
    more = {"SPATIAL_INDEX": "NO"} if path.suffix == ".fgb" else {}  # which would sort the rows
    pyogrio.write_arrow(table, path, geometry_name="geom", geometry_type="Point", crs="EPSG:4326", **more)


INPUTS = {
    **dict.fromkeys(("csv", "tsv", "txt", "csv.gz"), (as_delimited, set(KINDS) - {"lists", "structs", "bytes"})),
    **dict.fromkeys(("geojson", "jsonl", "geojsonl"), (as_json, set(JSON_KINDS))),
    **dict.fromkeys(("parquet", "pq"), (as_parquet, set(KINDS))),
    **dict.fromkeys(("gpkg", "fgb", "shp"), (as_layer, set(LAYER_KINDS))),
}


def read_back(path):
    """The columns of a written file, by other programs than ours."""
    if path.suffix in (".csv", ".tsv"):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
        return {name: [row[name] or None for row in rows] for name in rows[0]}
    if path.suffix == ".geojson":
        rows = [feature["properties"] for feature in json.loads(path.read_text(encoding="utf-8"))["features"]]
        return {name: [row[name] for row in rows] for name in rows[0]}
    return (pq.read_table(path) if path.suffix == ".parquet" else pyogrio.read_arrow(path)[1]).to_pydict()


def same(kind, given, back):
    """Whether a cell is what it was: texts exactly, numbers and times by their value, in whatever type is there."""
    if given is None or back is None:
        return given is None and (back is None or back != back)
    if isinstance(given, str):
        return back == given
    if isinstance(given, bool):
        return str(back).lower() == str(given).lower()
    if isinstance(given, int | float | Decimal):
        number = float(np.float32(str(back))) if kind == "float32" else back
        return float(number) == given if isinstance(given, float) else Decimal(str(back)) == given
    if isinstance(given, datetime.date):
        when = type(given).fromisoformat(back) if isinstance(back, str) else back
        return when == given
    return (json.loads(back) if isinstance(back, str) else back) == given


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    code = tmp_path_factory.mktemp("code") / "mine.py"
    code.write_text(
        "import numpy as np\n\ndef places(lon, lat):\n    return np.stack([lon, lat, lon], 1).astype('f4')\n"
    )
    return f"{code}:places"


# Kinds that the input format itself cannot hold.
UNHELD = {"shp": {"booleans", "instants", "int64", "words", "floats", "float32"}, "fgb": {"dates", "instants"}}


@pytest.mark.parametrize("out", REFUSED)
@pytest.mark.parametrize("ending", INPUTS)
def test_columns_come_back_unchanged(geotether, encoder, tmp_path, ending, out):
    write, kinds = INPUTS[ending]
    kinds = kinds - UNHELD.get(ending, set())
    # Decimals of delimited text are texts where a number would lose digits, and so are huge numbers of JSON.
    texts = {as_delimited: {"decimals"}, as_json: {"uint64"}}.get(write, set())
    refused = (REFUSED[out] - texts) & kinds
    for kind in refused:
        write(tmp_path / f"{kind}.{ending}", {kind[:10]: KINDS[kind]})
        target = tmp_path / f"refused.{out}"
        status, _, errors = geotether("encode", encoder, tmp_path / f"{kind}.{ending}", "--out", target)
        assert (status, repr(kind[:10]) in errors, target.exists()) == (1, True, False), errors
    columns = {kind[:10]: KINDS[kind] for kind in KINDS if kind in kinds - refused}
    write(tmp_path / f"all.{ending}", columns)
    status, _, errors = geotether("encode", encoder, tmp_path / f"all.{ending}", "--out", tmp_path / f"out.{out}")
    assert status == 0, errors
    back = read_back(tmp_path / f"out.{out}")
    for name, column in columns.items():
        given = column.to_pylist()
        if write is as_delimited and (out in ("csv", "tsv") or name not in NUMBERS):
            given = [cell or None for cell in text_cells(column)]
        wrong = [(a, b) for a, b in zip(given, back[name], strict=True) if not same(name, a, b)]
        assert not wrong, (name, wrong)


@pytest.mark.parametrize("out", ["gpkg", "fgb"])
def test_names_that_the_format_itself_uses(geotether, encoder, tmp_path, out):
    (tmp_path / "p.csv").write_text("lon,lat,fid,Geom,GEOMETRY,ogc_fid\n5,52,7,a,b,c\n5,52,7,d,e,0012\n")
    status, _, errors = geotether("encode", encoder, tmp_path / "p.csv", "--out", tmp_path / f"o.{out}")
    assert status == 0, errors
    back = read_back(tmp_path / f"o.{out}")
    found = {name: back[name] for name in ("fid", "Geom", "GEOMETRY", "ogc_fid")}
    assert found == {"fid": [7, 7], "Geom": ["a", "d"], "GEOMETRY": ["b", "e"], "ogc_fid": ["c", "0012"]}
    for header in ("Name,name", "E1,b"):
        (tmp_path / "p.csv").write_text(f"lon,lat,{header}\n5,52,a,b\n")
        status, _, errors = geotether("encode", encoder, tmp_path / "p.csv", "--out", tmp_path / f"twice.{out}")
        assert (status, "differ by case only" in errors, (tmp_path / f"twice.{out}").exists()) == (1, True, False)


TOWNS = "name,lon,lat\nWageningen,5.66,51.97\nnowhere,,\nSydney,151.21,-33.87\nodd,1,2,3\n"


def test_bad_rows_are_an_error_or_omitted_and_counted(geotether, encoder, tmp_path):
    (tmp_path / "towns.csv").write_text(TOWNS)
    status, _, errors = geotether("encode", encoder, tmp_path / "towns.csv", "--out", tmp_path / "o.csv")
    assert (status, "towns.csv" in errors, "row 1" in errors, (tmp_path / "o.csv").exists()) == (1, True, True, False)
    options = ("--on-bad-row", "reject", "--out", tmp_path / "o.csv")
    status, said, _ = geotether("encode", encoder, tmp_path / "towns.csv", *options)
    assert (status, "2 points" in said, "2 rows were left out" in said) == (0, True, True)
    assert "the columns 'lon' and 'lat'" in said
    assert read_back(tmp_path / "o.csv")["name"] == ["Wageningen", "Sydney"]


@pytest.mark.parametrize("out", ["csv", "parquet", "geojson", "gpkg", "fgb"])
def test_embeddings_as_one_column_each(geotether, encoder, tmp_path, out):
    (tmp_path / "towns.csv").write_text("lon,lat\n5.66,51.97\n151.21,-33.87\n")
    options = () if out in ("gpkg", "fgb") else ("--columns",)
    status, _, errors = geotether("encode", encoder, tmp_path / "towns.csv", "--out", tmp_path / f"o.{out}", *options)
    assert status == 0, errors
    back = read_back(tmp_path / f"o.{out}")
    for name, want in {"e0": [5.66, 151.21], "e1": [51.97, -33.87]}.items():
        np.testing.assert_allclose([float(value) for value in back[name]], want, rtol=1e-6)
    assert "embedding" not in back


def test_dim_chooses_the_length_of_the_vectors(geotether, encoder, tmp_path, make_context_encoder):
    from geotether.encoder import Encoder

    projected = Encoder(make_context_encoder())
    projected.save(tmp_path / "projected")
    points, out = tmp_path / "points.csv", tmp_path / "out.csv"
    points.write_text("lon,lat\n5.66,51.97\n-74.01,40.71\n")
    rest = (points, "--columns", "--out", out, "--dim")
    for dim, width in (("64", 64), ("full", 80)):
        status, said, errors = geotether("encode", tmp_path / "projected", *rest, dim)
        assert (status, f"embeddings of {width} numbers" in said) == (0, True), errors
        cells = np.genfromtxt(out, delimiter=",", skip_header=1)
        want = projected.encode(lon=[5.66, -74.01], lat=[51.97, 40.71], dim=width)
        np.testing.assert_allclose(cells[:, 2:], want, rtol=1e-5, atol=1e-6)
    status, _, errors = geotether("encode", tmp_path / "projected", *rest, "64", "--precision", "bf16")
    rounded = np.genfromtxt(out, delimiter=",", skip_header=1)[:, 2:]
    exact = projected.encode(lon=[5.66, -74.01], lat=[51.97, 40.71], dim=64)
    assert status == 0, errors
    assert 0 < np.abs(rounded - exact).max() < 0.05 * np.abs(exact).max()
    for options, message in ((("--precision", "half"), "bf16, got 'half'"), (("--device", "gpu"), "choose cpu, cuda")):
        status, _, errors = geotether("encode", tmp_path / "projected", *rest, "64", *options)
        assert (status, message in errors) == (1, True), errors
    status, _, errors = geotether("encode", "mine.py:function", *rest, "64", "--precision", "bf16")
    assert (status, "is your own code" in errors) == (1, True), errors
    for model, dim, message in (
        (tmp_path / "projected", "some", "such as 64, or full"),
        (tmp_path / "projected", "81", "from 1 to 80"),
        (encoder, "3", "no projected readout"),
    ):
        status, _, errors = geotether("encode", model, *rest, dim)
        assert (status, message in errors) == (1, True), errors


def test_coverage_adds_columns_and_is_refused_by_models_that_do_not_know(geotether, tmp_path, make_context_encoder):
    (tmp_path / "towns.csv").write_text("lon,lat\n5.66,51.97\n151.21,-33.87\n")
    model = Encoder(make_context_encoder())
    model.save(tmp_path / "old")
    rng = np.random.default_rng(0)
    model.learn_coverage({"rain": np.stack([rng.uniform(-20, 60, 900), rng.uniform(30, 70, 900)], axis=1)})
    model.save(tmp_path / "new")
    given = ("encode", tmp_path / "new", tmp_path / "towns.csv", "--coverage", "--out")
    for out, options in (("o.csv", ["--dim", "4", "--columns"]), ("o.parquet", []), ("o.gpkg", [])):
        status, _, errors = geotether(*given, tmp_path / out, *options)
        assert status == 0, errors
        back = read_back(tmp_path / out)
        want = model.coverage(lon=[5.66, 151.21], lat=[51.97, -33.87]).columns
        assert [str(value).lower() == "true" for value in back["outside"]] == want["outside"].tolist()
        for name in set(want) - {"outside"}:
            np.testing.assert_allclose(np.array(back[name], dtype=float), want[name], rtol=1e-4)
    status, _, errors = geotether("encode", tmp_path / "old", *given[2:], tmp_path / "x.csv")
    assert (status, "learn_coverage" in errors, (tmp_path / "x.csv").exists()) == (1, True, False)


def test_an_output_onto_the_input_is_refused_unless_asked_for(geotether, encoder, tmp_path):
    source = tmp_path / "towns.csv"
    source.write_text("lon,lat\n5.66,51.97\n")
    (tmp_path / "link.csv").symlink_to(source)
    for out in (source, tmp_path / "link.csv"):
        status, _, errors = geotether("encode", encoder, source, "--out", out)
        assert (status, out.name in errors, source.read_text()) == (1, True, "lon,lat\n5.66,51.97\n")
    assert geotether("encode", encoder, source, "--out", source, "--overwrite")[0] == 0
    assert [*read_back(source)] == ["lon", "lat", "embedding"]


@pytest.mark.parametrize("crs", [4326, 28992])
def test_polygons_are_encoded_inside_and_stay_polygons(geotether, encoder, tmp_path, crs):
    geopandas = pytest.importorskip("geopandas")
    boxes = [shapely.box(5.6, 51.9, 5.7, 52.0), shapely.box(4.8, 52.3, 5.0, 52.4)]
    frame = geopandas.GeoDataFrame({"a": [1, 2]}, geometry=boxes, crs=4326).to_crs(crs)
    frame.to_file(tmp_path / "plots.gpkg", layer="plots")
    frame.iloc[:1].to_file(tmp_path / "plots.gpkg", layer="other")
    options = ("encode", encoder, tmp_path / "plots.gpkg")
    status, _, errors = geotether(*options, "--out", tmp_path / "o.csv")
    assert (status, "plots" in errors, "other" in errors, "--layer" in errors) == (1, True, True, True)
    for out in ("csv", "geojson", "parquet", "gpkg"):
        status, _, errors = geotether(*options, "--layer", "plots", "--out", tmp_path / f"o.{out}")
        assert status == 0, errors
    back = read_back(tmp_path / "o.csv")
    np.testing.assert_allclose(np.array([back["lon"], back["lat"]], float).T, [[5.65, 51.95], [4.9, 52.35]], atol=1e-3)
    for out in ("geojson", "parquet", "gpkg"):
        path = tmp_path / f"o.{out}"
        read = geopandas.read_parquet(path) if out == "parquet" else geopandas.read_file(path)
        areas = shapely.area(shapely.intersection(read.to_crs(4326).geometry.values, boxes)) / shapely.area(boxes)
        np.testing.assert_allclose(areas, 1, atol=1e-3)


def test_columns_named_lon_and_lat_beside_a_geometry_are_not_the_place(geotether, encoder, tmp_path):
    geopandas = pytest.importorskip("geopandas")
    points = geopandas.points_from_xy(*PLACES.T)
    frame = geopandas.GeoDataFrame({"lon": 0.0, "lat": 0.0}, index=range(4), geometry=points, crs=4326)
    frame.to_file(tmp_path / "p.gpkg")
    status, _, errors = geotether("encode", encoder, tmp_path / "p.gpkg", "--out", tmp_path / "o.csv")
    assert (status, "'lon'" in errors, (tmp_path / "o.csv").exists()) == (1, True, False)
    for out in ("geojson", "parquet"):
        assert geotether("encode", encoder, tmp_path / "p.gpkg", "--out", tmp_path / f"o.{out}")[0] == 0
        back = read_back(tmp_path / f"o.{out}")
        assert back["lon"] == [0.0] * 4
        np.testing.assert_allclose(np.array(back["embedding"])[:, :2], PLACES, rtol=1e-6)


def test_mixed_values_of_geojson_stay_what_they_are(geotether, encoder, tmp_path):
    values = [1, "1", {"a": [1, None]}, [1, "x"], 2**64, None, 1.5, True]
    features = [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [5, 52]}, "properties": {"v": value, "n": at}}
        for at, value in enumerate(values)
    ]
    (tmp_path / "p.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    status, _, errors = geotether("encode", encoder, tmp_path / "p.geojson", "--out", tmp_path / "o.geojson")
    assert status == 0, errors
    back = read_back(tmp_path / "o.geojson")["v"]
    assert back == values
    assert [type(value) for value in back] == [type(value) for value in values]


def test_a_table_with_many_rows_takes_little_memory(encoder, tmp_path):
    rows = 300_000
    column = pa.array(np.zeros(rows))
    pq.write_table(pa.table({"lon": column, "lat": column}), tmp_path / "p.parquet")
    assert (tmp_path / "p.parquet").stat().st_size < 20_000
    run = (
        "import resource\nfrom geotether.cli.app import main\n"
        "try:\n    main()\nfinally:\n    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for count in (4096, rows):
        pq.write_table(pa.table({"lon": column[:count], "lat": column[:count]}), tmp_path / "p.parquet")
        command = ["encode", encoder, tmp_path / "p.parquet", "--columns", "--out", tmp_path / "o.parquet"]
        done = subprocess.run(
            [sys.executable, "-c", run, *map(str, command)], capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout.split()[-1]) / 1024)
    written = pq.read_metadata(tmp_path / "o.parquet")
    assert (written.num_rows, written.num_row_groups) == (rows, 1)
    assert peaks[1] < peaks[0] + 60  # MB
