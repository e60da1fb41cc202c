"""Pairs of GeoTIFFs: images of one place by several sensors, whole or cut into chips."""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path

import numpy as np

from geotether.pairing.layouts.chips import ChipRows, all_places, check_size, chip_places, read_chip
from geotether.pairing.layouts.chosen_rows import choose_rows
from geotether.pairing.layouts.sample_files import present_rows
from geotether.sources.grids.geotiff import open_geotiff, reading_small_files
from geotether.tables.origin import Origin
from geotether.tables.table import Table

FILES = {"s1": "{id}_S1RTC.tif", "s2": "{id}_S2L2A.tif"}


def read_geotiff_pairs(
    path: str | Path,
    files: Mapping[str, str] = FILES,
    bands: Mapping[str, Sequence[str]] | None = None,
    tile: int | None = None,
    size: int | None = None,
    enlarge: str = "bilinear",
    limit: int | None = None,
    seed: int = 0,
    tolerate_missing: bool = False,
    scratch: str | Path | None = None,
) -> Table:
    """Read images of the same places by several sensors, matched by file names, without an index.

    See docs/paired-layouts.md; by default files are named as in TerraMind's examples of TerraMesh.

    Returns:
        A chip of each modality, in the number type of the files (float64 becomes float32); places of the centres if
        the files are georeferenced; for tiles, the scenes as groups. No targets.

    Raises:
        FileNotFoundError: If no file is found, or a scene lacks a modality.
        ValueError: If a pattern has no "{id}", band counts differ between scenes, images differ in size (and neither
            `tile` nor `size` is given), grids of a scene differ, or no tile fits.
        ImportError: If rasterio is not installed.
    """
    check_size(size, enlarge)
    if tile is not None and tile < 1:
        raise ValueError(f"tile must be a number of pixels from 1, got {tile}.")
    for name in bands or {}:
        if name not in files:
            raise ValueError(f"bands has {name!r}, but files has only {', '.join(files)}.")
    folder = Path(path)
    found = {name: _scenes(folder, name, pattern) for name, pattern in files.items()}
    scenes = sorted(set().union(*found.values()))
    if not scenes:
        patterns = ", ".join(files.values())
        raise FileNotFoundError(f"{folder} has no files named {patterns}. Give files= with {{id}} for the scene.")
    paths = {
        name: [[found[name].get(scene, folder / pattern.replace("{id}", scene))] for scene in scenes]
        for name, pattern in files.items()
    }
    with reading_small_files():
        present, lacking = present_rows("geotiff_pairs", paths, tolerate_missing)
        windows = _windows(scenes, paths, present, tile)
        chosen = choose_rows(None, None, limit, seed, len(windows))
        windows = [windows[number] for number in chosen]
        counts = {name: _grid_of(paths[name][int(present[name].argmax())][0])[-1] for name in files}
        named = {name: tuple((bands or {}).get(name, ())) for name in files}
        for name, texts in named.items():
            if texts and len(texts) != counts[name]:
                raise ValueError(f"bands of {name}: {len(texts)} names for {counts[name]} bands.")
        collected = {name: ChipRows(name, len(windows), named[name], scratch) for name in files}
        places: list[np.ndarray] = []
        for scene, together in groupby(windows, key=lambda one: one[0]):
            cuts = [window for _, window in together]
            here = [name for name in files if present[name][scene]]
            with ExitStack() as stack:
                opened = {name: stack.enter_context(open_geotiff(paths[name][scene][0])) for name in here}
                for window in cuts:
                    for name, chips in collected.items():
                        file = opened.get(name)
                        chip = None if file is None else read_chip(file, None, counts[name], size, enlarge, window)
                        chips.add(chip, paths[name][scene][0])
                places.extend(chip_places(opened[here[0]], cuts))
    ids = [scenes[scene] + ("" if at is None else f"_{at[0]}_{at[1]}") for scene, at in windows]
    return Table(
        folder.name or "images",
        {name: chips.sensor() for name, chips in collected.items()},
        id=np.array(ids, dtype=object),
        lonlat=all_places(places, ids),
        group=None if tile is None else np.array([scenes[scene] for scene, _ in windows], dtype=object),
        origin=Origin(made={"layout": "geotiff_pairs", "lacking": lacking}),
    )


def _scenes(folder: Path, name: str, pattern: str) -> dict[str, Path]:
    """Return the files that match a pattern, by their {id}."""
    if "{id}" not in pattern:
        raise ValueError(f"files of {name}: {pattern!r} has no {{id}} for the name of the scene.")
    parts = [re.escape(part) for part in pattern.split("{id}")]
    form = re.compile(parts[0] + "(?P<id>[^/]+)" + "(?P=id)".join(parts[1:]) + "$")
    scenes = {}
    for file in sorted(folder.glob(re.sub(r"([\[\]?*])", r"[\1]", pattern).replace("{id}", "*"))):
        fits = form.match(file.relative_to(folder).as_posix())
        if fits:
            scenes[fits["id"]] = file
    return scenes


def _windows(
    scenes: Sequence[str],
    paths: Mapping[str, Sequence[Sequence[Path]]],
    present: Mapping[str, np.ndarray],
    tile: int | None,
) -> list[tuple[int, tuple[int, int, int] | None]]:
    """Return the number of the scene and the square (None: the whole scene) of each row."""
    if tile is None:
        return [(number, None) for number in range(len(scenes))]
    windows: list[tuple[int, tuple[int, int, int] | None]] = []
    for number, scene in enumerate(scenes):
        grids = {name: _grid_of(paths[name][number][0])[:4] for name in paths if present[name][number]}
        first = next(iter(grids))
        for name, grid in grids.items():
            if grid[:2] != grids[first][:2] or grid[3] != grids[first][3] or not np.allclose(grid[2], grids[first][2]):
                raise ValueError(
                    f"Scene {scene}: {first} and {name} have different grids ({grids[first]} and {grid}); leave tile= "
                    "out and give size= to read whole images."
                )
        height, width = grids[first][:2]
        windows += [
            (number, (row, column, tile))
            for row in range(0, height - tile + 1, tile)
            for column in range(0, width - tile + 1, tile)
        ]
    if not windows:
        raise ValueError(f"None of {len(scenes)} scenes is large enough for a tile of {tile} x {tile} pixels.")
    return windows


def _grid_of(path: Path) -> tuple[int, int, tuple[float, ...], str, int]:
    """Return height, width, transform and CRS, which all images of a scene must share, and the number of bands."""
    with open_geotiff(path) as file:
        return file.height, file.width, tuple(file.transform)[:6], str(file.crs), file.count
