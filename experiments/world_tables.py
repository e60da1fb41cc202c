"""Make feature tables of the real, mutually unpaired sources under DATA/pretrain, for the experiments in this folder.

    python experiments/world_tables.py --data DATA --out TABLES [--only satellite text ...]

One Parquet file per modality; existing files are kept. Chips become random convolutional features, texts and place
names character n-grams, measurements logarithms or plain numbers (a gap becomes the mean, marked in a second column),
classes 0/1 columns. Columns that name a country, a province or a time zone, and the limits of a species' range in
degrees, reveal the place and are never used. Texts may still name the country they describe. All tables hold out the
same blocks for validation; no block is held out for the downstream tasks, whose labels are in no table: observations
at test places may be used for training, their labels never.
"""

import argparse
import io
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from geotether.features.convolution import RandomConvolution
from geotether.features.ngrams import NgramFeatures
from geotether.tables.featurize import featurize_chips, featurize_texts
from geotether.tables.splits import assign_split
from geotether.tables.store import write_table
from geotether.tables.table import Table

BLOCK_KM, SHARES, SEED = 500.0, {"train": 0.9, "validation": 0.1}, 0
MISSING_SHARE = 0.001  # below it a gap is filled and not told of


def places_of(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return places and their split; one seed for all tables, so that all hold out the same blocks."""
    lonlat = frame[["lon", "lat"]].to_numpy(np.float64)
    return lonlat, np.asarray(assign_split(lonlat, BLOCK_KM, SHARES, SEED))


def numbers(frame: pd.DataFrame, plain: list[str] | None = None, logs: list[str] | None = None) -> np.ndarray:
    """Return columns of numbers, some as log(1 + x); a gap becomes the column's mean and a 1 in a second column."""
    columns = []
    for name in [*(plain or []), *(logs or [])]:
        values = frame[name].to_numpy(np.float64)
        values = np.log1p(values.clip(min=0)) if name in (logs or []) else values
        gap = np.isnan(values)
        columns.append(np.where(gap, np.nanmean(values), values))
        if gap.mean() > MISSING_SHARE:
            columns.append(gap)
    return np.stack(columns, axis=1)


def classes(frame: pd.DataFrame, columns: list[str], most: int = 40, least_rows: int = 20) -> np.ndarray:
    """Return 0/1 columns for the most frequent values of each column; a gap or a rare value is 0 in all of them."""
    found = []
    for name in columns:
        counts = frame[name].value_counts()
        for value in counts[counts >= least_rows].index[:most]:
            found.append((frame[name] == value).fillna(False).to_numpy(np.float64))
    return np.stack(found, axis=1)


def measured(name: str, frame: pd.DataFrame, *features: np.ndarray) -> Table:
    """Make a table of standardised numbers."""
    lonlat, split = places_of(frame)
    matrix = np.concatenate(features, axis=1)
    train = matrix[split == "train"]
    spread = train.std(axis=0)
    kept = spread > 1e-9
    return Table.single(name, lonlat, ((matrix - train.mean(axis=0)) / spread.clip(1e-9))[:, kept], split=split)


def chips(name: str, frame: pd.DataFrame, column: str, mode: str, filters: int) -> Table:
    """Make a table of chips."""
    lonlat, split = places_of(frame)
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(data)).convert(mode)) for data in frame[column]])
    pixels = pixels.reshape(*pixels.shape[:3], -1)
    return featurize_chips(name, lonlat, pixels, RandomConvolution(filters, patch_size=3, seed=SEED), split)


def texts(name: str, frame: pd.DataFrame, column: str, dim: int) -> Table:
    """Make a table of texts without the empty ones."""
    frame = frame[frame[column].fillna("").str.strip() != ""]
    lonlat, split = places_of(frame)
    return featurize_texts(name, lonlat, frame[column].tolist(), NgramFeatures(dim, seed=SEED), split)


def satellite(folder: Path) -> Table:
    return chips("satellite", pd.read_parquet(folder / "satellite_chips_64px_500m.parquet"), "jpeg", "RGB", 128)


def night_lights(folder: Path) -> Table:
    return chips("night_lights", pd.read_parquet(folder / "nightlight_chips_64px_500m.parquet"), "png", "L", 64)


def text(folder: Path) -> Table:
    return texts("text", pd.read_parquet(folder / "text_geotagged.parquet"), "text", 256)


def climate(folder: Path) -> Table:
    frame = pd.read_parquet(folder / "climate_stations_chelsa.parquet")
    rain = [c for c in frame if c.startswith("prec_") or c in {f"bio{n}" for n in (12, 13, 14, 16, 17, 18, 19)}]
    plain = [c for c in frame if (c.startswith("temp_") or c.startswith("bio")) and c not in rain]
    return measured("climate", frame, numbers(frame, plain, rain))


def birds(folder: Path) -> Table:
    frame = pd.read_parquet(folder / "birds_avonet.parquet")
    first = list(frame).index("Beak_Length_Culmen")
    sizes = ["Range_Size", *[c for c in frame.columns[first:] if pd.api.types.is_float_dtype(frame[c])]]
    sizes = [c for c in sizes if c not in ("Migration", "Hand_Wing_Index")]
    kinds = ["order", "family", "Habitat", "Trophic_Level", "Trophic_Niche", "Primary_Lifestyle"]
    plain = ["Hand_Wing_Index", "Habitat_Density", "Migration"]
    return measured("birds", frame, numbers(frame, plain, sizes), classes(frame, kinds))


def mammals(folder: Path) -> Table:
    frame = pd.read_parquet(folder / "mammals_pantheria.parquet")
    plain = ["activity_cycle", "diet_breadth", "habitat_breadth", "litter_size", "terrestriality", "trophic_level"]
    logs = [
        "range_km2",
        "adult_body_mass_g",
        "head_body_len_mm",
        "max_longevity_months",
        "gestation_d",
        "home_range_km2",
    ]
    return measured("mammals", frame, numbers(frame, plain, logs), classes(frame, ["order", "family"]))


def languages(folder: Path) -> Table:
    """Make a table of typological features, one column per value, projected because most values are unknown."""
    frame = pd.read_parquet(folder / "languages_wals.parquet")
    asked = [c for c in frame if re.fullmatch(r"\d+[A-Z]", c)]
    matrix = classes(frame, asked, least_rows=10)
    lonlat, split = places_of(frame)
    train = matrix[split == "train"]
    _, directions = np.linalg.eigh(train.T @ train)  # in rising order
    return Table.single("languages", lonlat, matrix @ directions[:, -64:], split=split)


def fossils(folder: Path) -> Table:
    frame = pd.read_parquet(folder / "fossils_pbdb.parquet")
    kinds = ["group", "class", "order", "family", "lithology1", "environment", "growth", "ecology"]
    return measured("fossils", frame, numbers(frame, ["max_ma", "min_ma"]), classes(frame, kinds))


def airports(folder: Path) -> Table:
    frame = pd.read_parquet(folder / "airports_openflights.parquet")
    return measured(
        "airports", frame,
        numbers(frame, logs=["n_routes", "n_destinations", "n_airlines", "mean_route_km", "max_route_km"]),
    )  # fmt: skip


def places(folder: Path) -> Table:
    """Make a table of town names in all languages, without country, province or population."""
    frame = pd.read_parquet(folder / "places_naturalearth.parquet")
    names = ["name", *[c for c in frame if c.startswith("name_")]]
    frame["names"] = [" ".join(dict.fromkeys(n for n in row if isinstance(n, str))) for row in frame[names].to_numpy()]
    return texts("places", frame, "names", 128)


BUILDERS: dict[str, Callable[[Path], Table]] = {
    build.__name__: build
    for build in (
        night_lights, climate, languages, birds, mammals, fossils, airports, places, text, satellite
    )
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with pretrain/")
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    parser.add_argument("--only", nargs="*", choices=list(BUILDERS), metavar="NAME")
    arguments = parser.parse_args()
    for name in arguments.only or BUILDERS:
        path, started = arguments.out / f"{name}.parquet", time.perf_counter()
        if path.is_file():
            print(f"{name}: {path} exists", flush=True)
            continue
        table = BUILDERS[name](arguments.data / "pretrain")
        write_table(table, path)
        print(f"{table}: {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
