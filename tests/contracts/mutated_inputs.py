"""Feed damaged files to the command line: no foreign exception, no hang, no memory beyond a limit.

`test_mutated_inputs.py` runs 3,000 of them. More, or one again with its traceback:

    python tests/contracts/mutated_inputs.py --count 30000 --seed 1
    python tests/contracts/mutated_inputs.py --only 1234
"""

import argparse
import contextlib
import faulthandler
import gzip
import io
import json
import logging
import os
import re
import resource
import shutil
import signal
import sqlite3
import struct
import sys
import tempfile
import traceback
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

SECONDS, MEMORY = 10, 500 * 2**20
ROWS = 12
WITH_EXIF = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp")
SOURCE = Path(__file__).parents[2] / "src" / "geotether"

# --- right inputs -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seed:
    """A right input and a command that takes it.

    Attributes:
        name: Folder of its files; what is mutated is one of them.
        command: Of the command line; {0} is the folder of a copy, {out} a name for output.
        mutated: Pattern of the files that are mutated.
        named: What an error must name: one of these texts.
        times: How often it is drawn, relative to others; slow commands are drawn less.
    """

    name: str
    command: tuple[str, ...]
    mutated: str = "*"
    named: tuple[str, ...] = ()
    times: int = 4


def places(seed=0, rows=ROWS):
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(-170, 170, rows), rng.uniform(-60, 75, rows)], -1).round(4)


def columns():
    lonlat = places()
    rng = np.random.default_rng(1)
    return {
        "lon": lonlat[:, 0].tolist(),
        "lat": lonlat[:, 1].tolist(),
        "name": [f"site {row}, ü" for row in range(ROWS)],
        "height": [None if row == 3 else value for row, value in enumerate(rng.uniform(1, 30, ROWS).round(2).tolist())],
        "count": rng.integers(0, 9, ROWS).tolist(),
        "kind": ["oak" if row % 2 else "beech" for row in range(ROWS)],
        "wet": (rng.random(ROWS) < 0.5).tolist(),
        "seen": [f"2024-0{1 + row % 9}-1{row % 9}" for row in range(ROWS)],
    }


def rows_file(path):
    """Write the columns in the format of an ending."""
    import geopandas

    table, name = columns(), path.name
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    points = [{"type": "Point", "coordinates": [row["lon"], row["lat"]]} for row in rows]
    properties = [{key: value for key, value in row.items() if key not in ("lon", "lat")} for row in rows]
    features = [{"type": "Feature", "geometry": g, "properties": p} for g, p in zip(points, properties, strict=True)]
    if ".csv" in name or ".tsv" in name or ".txt" in name:
        mark = "\t" if ".tsv" in name else "|" if ".txt" in name else ","
        cells = [
            ['""' if cell is None else f'"{cell}"' if "," in str(cell) else str(cell) for cell in row.values()]
            for row in rows
        ]
        text = "\n".join([mark.join(table), *map(mark.join, cells)]) + "\n"
    elif name.endswith((".parquet", ".pq")):
        pq.write_table(pa.table(table), path)
        return
    elif ".jsonl" in name or ".ndjson" in name:
        text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n"
    elif ".geojson" in name and not name.endswith(".geojson"):
        text = "\n".join(map(json.dumps, features)) + "\n"
    elif name.endswith((".geojson", ".json")):
        text = json.dumps({"type": "FeatureCollection", "features": features})
    else:
        frame = geopandas.GeoDataFrame(
            properties, geometry=geopandas.points_from_xy(table["lon"], table["lat"]), crs=4326
        )
        if name.endswith(".geoparquet"):
            frame.to_parquet(path)
        elif name.endswith(".zip"):
            with tempfile.TemporaryDirectory() as inside, zipfile.ZipFile(path, "w") as archive:
                frame.to_file(f"{inside}/x.shp")
                for part in sorted(Path(inside).iterdir()):
                    archive.write(part, part.name)
        else:
            frame.to_file(path)
        return
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())


def raster_file(path):
    import rasterio
    import xarray

    world = np.random.default_rng(5).normal(10, 3, (2, 18, 36)).astype(np.float32)
    if path.suffix in (".tif", ".tiff", ".vrt"):
        size = {"width": 36, "height": 18, "count": 2, "dtype": "float32", "nodata": -9999.0}
        grid = rasterio.Affine(10, 0, -180, 0, -10, 90)
        tif = path.with_suffix(".tif") if path.suffix == ".vrt" else path
        with rasterio.open(tif, "w", "GTiff", crs="EPSG:4326", transform=grid, **size) as file:
            file.write(world)
        if path.suffix == ".vrt":
            import rasterio.shutil

            rasterio.shutil.copy(tif, path, driver="VRT")
        return
    lon, lat = np.arange(5.0, 360, 10), np.arange(-85.0, 90, 10)
    axes = ("time", "latitude", "longitude")
    dataset = xarray.Dataset(
        {"heat": (axes, world, {"units": "K", "_FillValue": -9999.0})},
        {"time": np.array(["2020-01-01", "2020-07-01"], "datetime64[ns]"), "latitude": lat, "longitude": lon},
    )
    dataset["latitude"].attrs["units"], dataset["longitude"].attrs["units"] = "degrees_north", "degrees_east"
    if path.suffix == ".zarr":
        dataset.to_zarr(path, zarr_format=2 + (path.stem == "three"), consolidated=False)
    else:
        dataset.to_netcdf(path, engine="scipy" if path.suffix in (".nc", ".nc3", ".cdf") else "h5netcdf")


def picture(number, side=8):
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (side, side + 2, 3), dtype=np.uint8))


def image_folder(folder, ending):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(3):
        exif = Image.Exif()
        gps = {1: "NS"[number % 2], 2: (20.0 * number, 30.0, 0.0), 3: "EW"[number % 2], 4: (5.0, 15.0, 36.0)}
        exif[0x8825] = gps | {29: "2020:05:17", 7: (8.0, 30.0, 0.0)}
        kept = {"exif": exif} if ending in WITH_EXIF else {}
        picture(number).save(folder / f"{number}{ending}", **kept)
    if ending not in WITH_EXIF:
        lines = [f"{number}{ending},{5 * number},{number}" for number in range(3)]
        (folder / "index.txt").write_text("\n".join(["file,lon,lat", *lines]) + "\n")


META = (
    '<archive xmlns="http://rs.tdwg.org/dwc/text/"><core encoding="UTF-8" fieldsTerminatedBy="\\t" '
    'linesTerminatedBy="\\n" ignoreHeaderLines="1" rowType="http://rs.tdwg.org/dwc/terms/Occurrence"><files><location>'
    'occurrence.txt</location></files><id index="0"/><field index="0" term="http://rs.gbif.org/terms/1.0/gbifID"/>{}'
    "</core></archive>"
)


def darwin_core(path):
    terms = ("decimalLongitude", "decimalLatitude", "class", "family", "eventDate", "coordinateUncertaintyInMeters")
    rows = [f"{at}\t{lon}\t{lat}\tAves\tLaridae\t2020-05-0{1 + at % 9}\t100" for at, (lon, lat) in enumerate(places())]
    fields = (f'<field index="{at}" term="http://rs.tdwg.org/dwc/terms/{term}"/>' for at, term in enumerate(terms, 1))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("meta.xml", META.format("".join(fields)))
        archive.writestr("occurrence.txt", "\n".join(["\t".join(["gbifID", *terms]), *rows]) + "\n")


RUN = """
tables: {{colour: "{0}/colour.parquet", sound: "{0}/sound.parquet"}}
encoder: {{positional: {{name: spherical_harmonics, l_max: 2}}, network: {{hidden_dim: 8}}, embed_dim: 4}}
memory: {{components: 2}}
objective: {{regression_components: 2}}
steps: 2
epochs: null
batch_size: 8
warmup_steps: 1
validate_every: null
device: cpu
"""
TABLE = """
path: {0}
source: columns
time: seen
labels: [kind]
id: name
split: null
tolerance: 0.1
where: {{wet: [true, false]}}
features: {{name: columns, numeric: [height], categorical: [wet]}}
licence: CC0
citation: none
"""
TASKS = "- {{name: height, table: {0}, label: height, time: seen}}\n- {{name: kind, table: {0}, label: kind}}\n"
PAIRED = """
paired:
  path: plots.csv
  lon: lon
  lat: lat
  modalities: {radar: {kind: vector, columns: [r1, r2]}, optical: {kind: vector, columns: [o1, o2]}}
  targets: {kind: {values: kind, kind: classes}}
encoders: {radar: {name: mlp, hidden_dim: 4, num_layers: 1}, optical: {name: mlp, hidden_dim: 4, num_layers: 1}}
target: kind
dim: 4
batch_size: 8
device: cpu
epochs: null
steps: 2
keep: last
patience: null
validate_every: null
"""
BUILT = "--out {out}.parquet --workers 1 --set split=null"


def write_tables(folder):
    """Write two feature tables."""
    from geotether.tables.store import write_table
    from geotether.tables.table import Table

    folder.mkdir(parents=True)
    split = np.array(["train", "train", "train", "validation"])[np.arange(40) % 4]
    values = np.random.default_rng(4).standard_normal((40, 3)).astype(np.float32)
    for name in ("colour", "sound"):
        write_table(Table.single(name, places(2, 40), values, split=split), folder / f"{name}.parquet")


def write_contents(folder):
    """Write texts, arrays, vectors and images in a column, each into a folder of its name."""
    given = columns()
    for name in ("texts", "npy", "npz", "vectors", "chips"):
        (folder / name).mkdir()
    lines = [
        json.dumps({"lon": x, "lat": y, "text": f"{kind} tree"}) for x, y, kind in named(given, "lon", "lat", "kind")
    ]
    (folder / "texts" / "notes.jsonl").write_text("\n".join(lines) + "\n")
    vectors = np.random.default_rng(3).standard_normal((ROWS, 4)).astype(np.float32)
    np.save(folder / "npy" / "v.npy", vectors)
    np.savez(folder / "npz" / "v.npz", v=vectors, w=vectors)
    pictures = []
    for row in range(ROWS):
        picture(row).save(file := io.BytesIO(), "PNG")
        pictures.append(file.getvalue())
    where = {"lon": given["lon"], "lat": given["lat"]}
    pq.write_table(pa.table(where | {"embedding": list(vectors)}), folder / "vectors" / "v.parquet")
    pq.write_table(pa.table(where | {"png": pa.array(pictures, pa.binary())}), folder / "chips" / "chips.parquet")


def named(columns, *names):
    return zip(*(columns[name] for name in names), strict=True)


def write_labelled(path, lonlat, header, cells):
    """Write a CSV of places with further cells."""
    lines = [",".join(map(str, [*place, *more])) for place, more in zip(lonlat.tolist(), cells, strict=True)]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([f"lon,lat,{header}", *lines]) + "\n")


def write_seeds(root):
    """Write all right inputs and return their commands."""
    from geotether.files.formats import endings_of

    seeds = []

    def add(name, command, files="*", named=(), times=4):
        (root / name).mkdir(parents=True, exist_ok=True)
        words = tuple(word.replace("{points}", str(points)).replace("{model}", str(model)) for word in command.split())
        seeds.append(Seed(name, words, files, tuple(named.split()) if isinstance(named, str) else named, times))

    points, model = root / "points.csv", root / "model" / "model"
    write_tables(root / "tables")
    rows_file(points)
    (root / "tables" / "run.yaml").write_text(RUN.format("."))
    quietly("pretrain", root / "tables" / "run.yaml", "--out", root / "run", "--recipe", "default")
    shutil.copytree(root / "run" / "model", model)
    add("pretrain", "pretrain {0}/run.yaml --out {out}.run", named=("run.yaml", "There is no file"), times=10)
    (root / "pretrain" / "run.yaml").write_text(RUN.format(root / "tables"))
    add("tables", "pretrain {0}/run.yaml --out {out}.run", "*.parquet", "colour sound")
    add("tables", "describe {0}/colour.parquet", "colour.parquet", times=6)
    add("model", "describe {0}/model", "model/*", "model", times=12)
    add("model", "encode {0}/model {points} --out {out}.csv", "model/*", "model", times=12)

    for at, ending in enumerate([*endings_of("rows"), ".csv.gz", ".jsonl.gz"]):
        name, file = f"rows{ending}", f"x{ending}"
        out = ("csv", "geojson", "parquet")[at % 3]
        add(name, f"encode {{model}} {{0}}/{file} --out {{out}}.{out}", "x.*", file, times=8)
        add(name, f"table build {{0}}/{file} --source columns {BUILT}", "x.*", file)
        add(name, f"describe {{0}}/{file}", "x.*", file)
        rows_file(root / name / file)
        if ending in (".csv", ".parquet", ".geojson", ".gpkg", ".jsonl"):
            (root / name / "tasks.yaml").write_text(TASKS.format(file))
            add(name, "tasks build {0}/tasks.yaml --out {out}.tasks", "x.*", file)
            add(name, f"evaluate {{model}} --points {{0}}/{file} --label height --label kind --seeds 2", "x.*", file, 1)
    write_contents(root)
    add("texts", f"table build {{0}}/notes.jsonl {BUILT} --set features.dim=3")
    add("npy", f"table build {{0}}/v.npy {BUILT} --set positions={{points}}", times=8)
    add("npz", f"table build {{0}}/v.npz {BUILT} --set positions={{points}} --set column=v", times=8)
    add("vectors", f"table build {{0}}/v.parquet {BUILT}")
    add("vectors", "encode {0}/v.parquet {points} --out {out}.geojson")
    add("chips", f"table build {{0}}/chips.parquet {BUILT} --set features.num_filters=2")
    add("darwin core", f"table build {{0}}/gbif.zip {BUILT} --set features.min_count=1", times=10)
    darwin_core(root / "darwin core" / "gbif.zip")
    for file in (*(f"x{ending}" for ending in endings_of("raster")), "three.zarr"):
        files = f"{file}/**/*" if file.endswith(".zarr") else file
        sampled = "--set places={points} --set tolerance=0.9"
        add(f"raster {file}", f"table build {{0}}/{file} {BUILT} {sampled}", files, file, times=8)
        add(f"raster {file}", f"describe {{0}}/{file}", files, file, times=3)
        raster_file(root / f"raster {file}" / file)
    for ending in endings_of("image"):
        index = "" if ending in WITH_EXIF else "--set index={0}/photos/index.txt"
        small = "--set size=8 --set features.num_filters=2 --set mode=RGB"
        add(f"images{ending}", f"table build {{0}}/photos {BUILT} {small} {index}", "photos/*", "photos", times=8)
        image_folder(root / f"images{ending}" / "photos", ending)

    add("table yaml", f"table build {{0}}/spec.yaml {BUILT}", named="spec.yaml points.csv", times=10)
    (root / "table yaml" / "spec.yaml").write_text(TABLE.format(points))
    add("tasks yaml", "tasks build {0}/tasks.yaml --out {out}.tasks", named="tasks.yaml points.csv", times=6)
    (root / "tasks yaml" / "tasks.yaml").write_text(TASKS.format(points))
    add("paired", "paired train {0}/paired.yaml --out {out}.run", "paired.yaml", "paired.yaml plots.csv", times=5)
    add("paired", "paired train {0}/paired.yaml --out {out}.run", "plots.csv", times=2)
    (root / "paired" / "paired.yaml").write_text(PAIRED)
    rng = np.random.default_rng(8)
    cells = [[*rng.random(4).round(3), ("oak", "beech")[row % 2]] for row in range(40)]
    write_labelled(root / "paired" / "plots.csv", places(2, 40), "r1,r2,o1,o2,kind", cells)

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from peers.conftest import geoclip_state, satclip_content

    for name, content in {"sat.ckpt": satclip_content(4, 8, 1, 4), "geo.pt": geoclip_state(4, 8, 4)}.items():
        add("peers", f"encode {{0}}/{name} {{points}} --out {{out}}.csv", name, times=10)
        torch.save(content, root / "peers" / name)

    options = "--probe ridge --split blocks-20 --labels 40 --seeds 2"
    add("compare", f"compare {{model}} --tasks {{0}}/tasks.yaml --out {{0}}/out {options}", "out/*.sqlite", "sqlite", 1)
    warmth = np.cos(np.radians(places(6, 120)[:, 1])).round(3).tolist()
    write_labelled(root / "compare" / "sites.csv", places(6, 120), "warmth", [[one] for one in warmth])
    (root / "compare" / "tasks.yaml").write_text("- {name: warmth, table: sites.csv, label: warmth}\n")
    quietly(*fill(seeds[-1].command, root / "compare", root))
    return seeds


def quietly(*arguments):
    status, said, _ = run_command([str(one) for one in arguments])
    assert status == 0, (arguments, said)


# --- mutations -----------------------------------------------------------------------------------------------------

CELLS = (
    "", " ", "nan", "inf", "-inf", "1e400", "-1e308", "9" * 400, "18446744073709551616",
    "-9223372036854775809", '"', "'",
    "\x00", "é", "\u202e", "1_0", "0x10", "١٢", "2024-13-45", "2024/06/15", "20240615", "0000-00-00", "99999-01-01",
    "True", "None", "-0", ".", "n.a.", "\\N", "a" * 10000, "\r", "\n", ";", "|", "\t", ",", "=1+1", "51°58'N", "1,5",
)  # fmt: skip
VALUES = (
    None, True, -1, 0, 1, 1e308, -1e-308, 2**31, 2**63, 2**64, 10**400, float("nan"), float("inf"), "", "x", "nan", [],
    {}, [[]], [1, [2]], {"a": {"b": []}}, "y" * 5000, [1, 2, 3], [None], "é\x00", -(2**63) - 1, [0] * 100,
    "../../x", 0.5,
)  # fmt: skip
SCALARS = (
    "null", "!!int ''", "!!bool x", "!!timestamp x", "!!float ''", "!!binary x", "!!python/object:os.system x",
    "[]", "{}",
    "&a [*a]", "*b", "1e999", ".nan", ".inf", "-1", "0", "1" * 400, "2024-01-01", "yes", "'", '"', "{a: 1, a: 2}",
    "!!set {a}",
    "? a", "- a", "[" * 3000, "1:30:00", "~", "%", "@", "0x", "0o9", "!!omap [a]", "!!pairs x", "1000000000",
)  # fmt: skip


def pick(rng, things):
    return things[int(rng.integers(len(things)))]


def mutate_bytes(rng, data):
    """One change of bytes, whatever the format."""
    data, size = bytearray(data), len(data)
    at = int(rng.integers(size + 1))
    kind = pick(
        rng, ("flip", "flip", "set", "cut", "insert", "repeat", "drop", "number", "number", "zero", "swap", "head")
    )
    length = int(min(2 ** rng.integers(0, 11), max(size - at, 1)))
    if kind == "flip":
        for _ in range(int(2 ** rng.integers(0, 4))):
            if size:
                data[int(rng.integers(size))] ^= 1 << int(rng.integers(8))
    elif kind == "set" and size:
        data[at % size] = pick(rng, (0, 255, 127, 128, 10, 34, 44, 123, 91))
    elif kind == "cut":
        del data[at:]
    elif kind == "insert":
        data[at:at] = rng.bytes(length)
    elif kind == "repeat":
        data[at:at] = data[at : at + length] * int(rng.integers(1, 4))
    elif kind == "drop":
        del data[at : at + length]
    elif kind == "zero":
        data[at : at + length] = bytes(length)
    elif kind == "swap":
        data[at : at + length], data[:length] = data[:length], data[at : at + length]
    elif kind == "head" and size:  # most lengths and counts stand at the beginning
        data[int(rng.integers(min(size, 64)))] = int(rng.integers(256))
    elif kind == "number" and size > 8:
        at, width = int(rng.integers(min(size, 1 << int(rng.integers(4, 12))))) & ~3, pick(rng, (2, 4, 8))
        number = pick(rng, (0, 1, -1, 127, 2**15 - 1, 2**31 - 1, -(2**31), 2**24, 2**62)) & (256**width - 1)
        data[at : at + width] = number.to_bytes(width, pick(rng, ("little", "big")))
    return bytes(data), f"{kind} at {at}, {length} bytes"


def mutate_text(rng, data):
    """One cell of delimited text, or one line."""
    text = data.decode("utf-8", "surrogateescape")
    lines = text.split("\n")
    mark = max(",;\t|", key=lines[0].count)
    row = 0 if rng.random() < 0.2 else int(rng.integers(len(lines)))
    cells, kind = (
        lines[row].split(mark),
        pick(rng, ("cell", "cell", "cell", "drop", "double", "line", "column", "quote", "long")),
    )
    at = int(rng.integers(len(cells)))
    if kind == "cell":
        cells[at] = pick(rng, CELLS)
    elif kind == "drop":
        del cells[at]
    elif kind == "double":
        cells.insert(at, cells[at])
    elif kind == "quote":
        cells[at] = '"' + cells[at]
    elif kind == "long":
        cells[at] = "0" * int(10 ** rng.integers(2, 7))
    lines[row] = mark.join(cells)
    if kind == "line":
        lines.insert(row, pick(rng, lines))
    if kind == "column":
        value = pick(rng, CELLS)
        lines = [
            lines[0],
            *(mark.join([*line.split(mark)[:at], value, *line.split(mark)[at + 1 :]]) for line in lines[1:] if line),
        ]
    return "\n".join(lines).encode("utf-8", "surrogateescape"), f"{kind} {at} of line {row}"


def spots(value, path=()):
    """All places in a JSON value."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield from spots(part, (*path, key))


def mutate_json(rng, data):
    """One value, name or level of a JSON text, of one line or as a whole."""
    whole = data.decode("utf-8", "surrogateescape")
    lines = whole.split("\n")
    by_line = len(lines) > 2 and lines[0].startswith("{") and lines[0].rstrip().endswith("}")
    row = int(rng.integers(len(lines) - 1)) if by_line else 0
    value = json.loads(lines[row] if by_line else whole)
    path = pick(rng, list(spots(value)))
    kind = pick(rng, ("value", "value", "value", "drop", "name", "deep", "wrap"))
    new = pick(rng, VALUES)
    marker = "\x01deep\x01"
    if not path:
        value = marker if kind == "deep" else [value] if kind == "wrap" else new
    else:
        *above, last = path
        parent = value
        for key in above:
            parent = parent[key]
        if kind == "drop":
            del parent[last]
        elif kind == "name" and isinstance(parent, dict):
            parent[pick(rng, ("", "x", "type", "id", "lon", "__fault__", "geometry", *parent))] = parent.pop(last)
        else:
            parent[last] = marker if kind == "deep" else [parent[last]] if kind == "wrap" else new
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    text = json.dumps(value).replace(json.dumps(marker), "[" * 5000 + "]" * 5000)
    sys.set_int_max_str_digits(limit)
    lines[row] = text
    return ("\n".join(lines) if by_line else text).encode(
        "utf-8", "surrogateescape"
    ), f"{kind} {path} {str(new)[:20]!r}"


def mutate_yaml(rng, data):
    """One scalar or name of a YAML text."""
    text = data.decode()
    words = list(re.finditer(r"[\w./ü-]+", text))
    word, new = pick(rng, words), pick(rng, SCALARS)
    if rng.random() < 0.2:
        new = pick(rng, words)[0]
    return (text[: word.start()] + new + text[word.end() :]).encode(), f"{word[0]!r} becomes {new[:20]!r}"


def mutate_gzip(rng, data):
    inner, said = mutate(rng, gzip.decompress(data), ".csv" if b"lon,lat" in gzip.decompress(data) else ".jsonl")
    return gzip.compress(inner), f"in gzip: {said}"


def mutate_zip(rng, data):
    """One member of an archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = pick(rng, list(members))
    kind = pick(rng, ("content", "content", "content", "drop", "name"))
    said = ""
    if kind == "drop":
        del members[name]
    elif kind == "name":
        members[pick(rng, ("", "../x", "/x", "x", name.upper(), *members))] = members.pop(name)
    else:
        ending = ".csv" if name == "occurrence.txt" else Path(name).suffix
        members[name], said = mutate(rng, members[name], ending)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
            for key, content in members.items():
                archive.writestr(key, content)
    return file.getvalue(), f"{kind} of {name}: {said}"


def mutate_parquet(rng, data):
    """A column's type, name or values; the notes about geometry; the rows."""
    table = pq.read_table(io.BytesIO(data))
    at = int(rng.integers(table.num_columns))
    name, rows = table.column_names[at], table.num_rows
    kind = pick(rng, ("type", "type", "type", "name", "notes", "empty", "nulls", "drop"))
    half, day = rows // 2, pa.date32()
    types = (
        pa.array([float("inf")] * rows), pa.array([2**64 - 1] * rows, pa.uint64()), pa.nulls(rows),
        pa.array(["x"] * rows), pa.array(["1", "n.a."] * half), pa.array(["5"] * rows).cast(pa.string_view()),
        pa.array([b"\xff"] * rows), pa.array([[1.0, None]] * rows),
        pa.array([{"a": 1}] * rows), pa.array([True] * rows),
        pa.array([10**18] * rows, pa.timestamp("s")), pa.array([-(2**62)] * rows, pa.timestamp("us", "UTC")),
        pa.array([2**31 - 1] * rows, pa.int32()).cast(day), pa.array([1] * rows, pa.duration("ns")),
        pa.array([1] * rows, pa.decimal128(38, 30)), pa.array(["a"] * rows).dictionary_encode(),
        pa.array([1.5] * rows, pa.float16()), pa.array([[1], []] * half), pa.array([5] * rows, pa.time64("us")),
        pa.array([[("a", 1)]] * rows, pa.map_(pa.string(), pa.int32())), pa.array([0] * rows, pa.uint8()),
        pa.array([9 * 10**37] * rows, pa.decimal256(76, 10)), pa.array([None, "b"] * half).dictionary_encode(),
    )  # fmt: skip
    if kind == "type":
        column = pick(rng, types)
        try:
            table = table.set_column(at, name, column)
            kind = f"type {column.type}"
        except (pa.ArrowInvalid, IndexError):
            kind = "type unchanged"
    elif kind == "name":
        names = list(table.column_names)
        names[at] = pick(rng, ("", "x", "lon", "LAT", "geometry", "features", "embedding", "é\x00", *names))
        table = table.rename_columns(names)
    elif kind == "notes":
        notes = dict(table.schema.metadata or {})
        key = pick(rng, [*notes, b"geo", b"geotether", b"pandas"])
        try:
            notes[key] = mutate_json(
                rng, notes.get(key, b'{"columns": {"lon": {"encoding": "WKB", "crs": null}}, "primary_column": "lon"}')
            )[0]
        except ValueError:
            notes[key] = b"\xff"
        table = table.replace_schema_metadata(notes)
    elif kind == "empty":
        table = table.slice(0, int(rng.integers(2)))
    elif kind == "nulls":
        table = table.set_column(at, name, pa.nulls(rows, table.schema.field(at).type))
    elif kind == "drop":
        table = table.drop_columns([name])
    pq.write_table(table, file := io.BytesIO())
    return file.getvalue(), f"{kind} of {name!r}"


def mutate_safetensors(rng, data):
    """One value of the header, with a length that fits."""
    (length,) = struct.unpack("<Q", data[:8])
    header, said = mutate_json(rng, data[8 : 8 + length])
    return struct.pack("<Q", len(header)) + header + data[8 + length :], f"header: {said}"


def mutate_sqlite(rng, data):
    """One cell of a table, or the table itself."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.sqlite"
        path.write_bytes(data)
        with contextlib.closing(sqlite3.connect(path)) as base, base:
            tables = [name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            table = pick(rng, tables)
            names = [row[1] for row in base.execute(f'PRAGMA table_info("{table}")')]
            name, value = (
                pick(rng, names),
                pick(rng, (None, "", "x", 5, b"\xff", "{}", "[1]", "9" * 30, 1e308, b"", '{"value": []}')),
            )
            said = f"{table}.{name} = {str(value)[:20]!r}"
            with contextlib.suppress(sqlite3.Error):
                if rng.random() < 0.1:
                    base.execute(f'ALTER TABLE "{table}" RENAME COLUMN "{name}" TO "other"')
                    said = f"column {table}.{name} renamed"
                else:
                    base.execute(f'UPDATE "{table}" SET "{name}" = ?', [value])
        return path.read_bytes(), said


KINDS = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".xml", ".vrt", ".prj", ".cpg"), mutate_text),
    **dict.fromkeys((".geojson", ".json", ".jsonl", ".ndjson", ".geojsonl", ".geojsons", ".geojsonseq"), mutate_json),
    **dict.fromkeys((".zgroup", ".zattrs", ".zarray", ".zmetadata"), mutate_json),
    **dict.fromkeys((".parquet", ".geoparquet", ".pq"), mutate_parquet),
    **dict.fromkeys((".zip", ".npz", ".ckpt", ".pt"), mutate_zip),
    **dict.fromkeys((".gpkg", ".sqlite"), mutate_sqlite),
    **dict.fromkeys((".yaml", ".yml"), mutate_yaml),
    ".gz": mutate_gzip,
    ".safetensors": mutate_safetensors,
}  # fmt: skip


def mutate(rng, data, ending):
    """Change a file: half of the time knowing its format, else byte by byte."""
    known = KINDS.get(ending)
    if known is not None and rng.random() < 0.6:
        return known(rng, data)
    return mutate_bytes(rng, data)


# --- running -------------------------------------------------------------------------------------------------------


class HangError(BaseException):
    """Raised by the watchdog."""


def run_command(arguments):
    """Run the command line in this process: its exit status, what it said, and the exception that is not ours."""
    from geotether.cli.app import main

    said = io.StringIO()
    before, sys.argv = sys.argv, ["geotether", *arguments]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            main()
        return 0, said.getvalue(), None
    except SystemExit as stop:
        return stop.code or 0, said.getvalue(), None
    except BaseException as error:
        return None, said.getvalue(), error
    finally:
        sys.argv = before


def where_raised(error):
    """The exception and the last line of the package that it passed."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if str(SOURCE) in f.filename]
    last = frames[-1] if frames else traceback.extract_tb(error.__traceback__)[-1]
    place = Path(last.filename).relative_to(SOURCE) if frames else last.filename
    return f"{type(error).__name__} at {place}:{last.lineno}: {str(error)[:150]}"


def virtual_size():
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def prepare_process():
    """Warnings, logs and flushing to disk cost time and change nothing here."""
    torch.set_num_threads(1)
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    os.environ["GDAL_NUM_THREADS"] = "1"
    os.fsync = lambda descriptor: None
    warnings.simplefilter("ignore")
    logging.getLogger("geotether").setLevel(logging.WARNING)


def fill(command, folder, out):
    return [part.replace("{0}", str(folder)).replace("{out}", str(out)) for part in command]


def check_right(seeds, root, work):
    """Run every command on its right input; returns what went wrong."""
    wrong = []
    for seed in seeds:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(root / seed.name, work / "in")
        status, words, error = run_command(fill(seed.command, work / "in", work / "o"))
        if status != 0:
            wrong.append(f"right input {seed.name}: {' '.join(seed.command)}: {error or words[-300:]}")
    return wrong


def one_input(number, rng_seed, seeds, root, work, show=False):
    """Mutate one input, run its command, and return what is wrong, or None."""
    rng = np.random.default_rng([rng_seed, number])
    weights = np.array([seed.times for seed in seeds], float)
    seed = seeds[int(rng.choice(len(seeds), p=weights / weights.sum()))]
    folder = work / "in"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(root / seed.name, folder)
    file = pick(rng, sorted(path for path in folder.glob(seed.mutated) if path.is_file()))
    try:
        data, said = mutate(rng, file.read_bytes(), file.suffix or file.name)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        data, said = mutate_bytes(rng, file.read_bytes())
        said += f" ({type(error).__name__})"
    file.write_bytes(data)
    resource.setrlimit(resource.RLIMIT_AS, (virtual_size() + MEMORY, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    faulthandler.dump_traceback_later(3 * SECONDS, exit=True)
    try:
        status, words, error = run_command(fill(seed.command, folder, work / "o"))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    what = f"{seed.name}: {' '.join(seed.command[:2])}; {file.relative_to(folder)}: {said}"
    about = f"\n    input {number} (seed {rng_seed}), {what}"
    if show:
        sys.stderr.write(f"{about}\n{status}\n{words}\n")
        if error is not None:
            traceback.print_exception(error)
    if error is not None:
        return where_raised(error) + about
    if status not in (0, 1, 2):
        return f"exit status {status}" + about
    if status == 1 and not any(name in words for name in (*seed.named, file.name)):
        return f"no file is named in: {words.strip()[-200:]}" + about
    return None


def work_through(numbers, rng_seed, seeds, root, work, out):
    """Do the numbers in turn; `out` gets a line before and, where something is wrong, after each."""

    def bark(*_):
        raise HangError(f"longer than {SECONDS} s")

    signal.signal(signal.SIGALRM, bark)
    with out.open("a") as file:
        for number in numbers:
            print(json.dumps([number, None]), file=file, flush=True)
            if wrong := one_input(number, rng_seed, seeds, root, work):
                print(json.dumps([number, wrong]), file=file, flush=True)
        print(json.dumps([None, None]), file=file, flush=True)


def share_work(numbers, workers, rng_seed, seeds, root, home):
    """Do the numbers in forked processes; one that dies is replaced, and the input that it had is wrong."""
    waiting, wrong, outs = {}, [], []

    def start(numbers):
        outs.append(home / f"out-{len(outs)}")
        if child := os.fork():
            waiting[child] = numbers, outs[-1]
            return
        with contextlib.suppress(BaseException):
            work_through(numbers, rng_seed, seeds, root, home / f"work-{os.getpid()}", outs[-1])
        os._exit(0)

    for worker in range(workers):
        start(numbers[worker::workers])
    while waiting:
        child, status = os.wait()
        mine, out = waiting.pop(child)
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        wrong += [said for _, said in lines if said]
        if lines[-1][0] is not None:
            at = mine.index(lines[-1][0])
            wrong.append(f"input {mine[at]}: the process ended with {os.waitstatus_to_exitcode(status)}")
            start(mine[at + 1 :])
    return wrong


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--count", type=int, default=3000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--start", type=int, default=0)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--only", type=int, help="Repeat this input and show its traceback.")
    options.add_argument("--folder", type=Path, help="Keep inputs here.")
    given = options.parse_args()
    prepare_process()
    home = given.folder or Path(tempfile.mkdtemp(prefix="mutated-"))
    seeds = write_seeds(home / "right")
    if given.only is not None:
        wrong = [one_input(given.only, given.seed, seeds, home / "right", home / "only", show=True)]
    else:
        wrong = check_right(seeds, home / "right", home / "only")
        numbers = range(given.start, given.start + given.count)
        wrong += share_work(numbers, given.workers, given.seed, seeds, home / "right", home)
    sys.stdout.write("".join(f"{said}\n" for said in wrong if said))
    if given.folder is None:
        shutil.rmtree(home)
    sys.exit(bool(any(wrong)))


if __name__ == "__main__":
    main()
