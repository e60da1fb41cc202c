"""A small right input in every format, with a command that takes it."""

import contextlib
import gzip
import io
import json
import shutil
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

ROWS = 12
WITH_EXIF = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp")


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
context: {{observations: {{components: 2}}}}
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
            add(name, "tasks build {0}/tasks.yaml --out {out}.tasks", "x.*", f"{file} tasks.yaml")
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
        add(f"raster {file}", f"table build {{0}}/{file} {BUILT} {sampled}", files, file, times=4)
        add(f"raster {file}", f"describe {{0}}/{file}", files, file, times=3)
        raster_file(root / f"raster {file}" / file)
    for ending in endings_of("image"):
        index = "" if ending in WITH_EXIF else "--set index={0}/photos/index.txt"
        small = "--set size=8 --set features.num_filters=2 --set mode=RGB"
        add(f"images{ending}", f"table build {{0}}/photos {BUILT} {small} {index}", "photos/*", "photos", times=4)
        image_folder(root / f"images{ending}" / "photos", ending)

    # A path that was cut to "/" is named itself.
    add("table yaml", f"table build {{0}}/spec.yaml {BUILT}", named=("spec.yaml", "points.csv", ": /:"), times=10)
    (root / "table yaml" / "spec.yaml").write_text(TABLE.format(points))
    add("tasks yaml", "tasks build {0}/tasks.yaml --out {out}.tasks", named="tasks.yaml points.csv", times=6)
    (root / "tasks yaml" / "tasks.yaml").write_text(TASKS.format(points))
    add("paired", "paired train {0}/paired.yaml --out {out}.run", "paired.yaml", "paired.yaml plots", times=5)
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


def fill(command, folder, out):
    return [part.replace("{0}", str(folder)).replace("{out}", str(out)) for part in command]
