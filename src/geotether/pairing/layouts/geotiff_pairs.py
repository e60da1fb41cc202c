"""Pairs of GeoTIFFs: images of one place by several sensors, whole or cut into chips."""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path

import numpy as np

from geotether.pairing.layouts.chip_rows import ChipRows
from geotether.pairing.layouts.chosen_rows import choose_rows
from geotether.pairing.layouts.geotiffs import (
    all_places,
    band_count,
    check_size,
    chip_places,
    grid_of,
    open_geotiff,
    read_chip,
    reading_geotiffs,
)
from geotether.pairing.layouts.missing_files import present_rows
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
    """Read images of the same places by several sensors, told apart by their names, without an index.

    For images with labels in an index, use the generic folder in place of this.

    Args:
        path: The folder.
        files: By modality, a path relative to the folder with "{id}" in it, once or more: what stands there is the
            name of the scene. By default as in TerraMind's examples of TerraMesh.
        bands: By modality, names of its bands; a modality that is not named keeps its bands without names.
        tile: Cut scenes into squares of so many pixels, side by side from the upper left; what remains at the right
            and at the bottom is left out. All images of a scene must lie on one grid. None: whole images.
        size: Bring images (or tiles) to so many pixels a side. None: as they are.
        enlarge: How, if the new pixels are smaller: "bilinear", "nearest" or "cubic".
        limit: At most so many images or tiles, drawn at random.
        seed: Of that draw.
        tolerate_missing: Keep scenes that lack a modality.
        scratch: Folder for the pixels, if they are more than memory holds.

    Returns:
        A chip of every modality, in the number type of the files (float64 becomes float32); places of the middles if
        the files are georeferenced; of tiles, the scenes as groups. No targets.

    Raises:
        FileNotFoundError: If no file is found, or a scene lacks a modality.
        ValueError: If a pattern has no "{id}", band counts differ between scenes, images differ in size (and neither
            `tile` nor `size` is given), grids of a scene differ, or no tile fits.
        ImportError: If rasterio is missing.
    """
    check_size(size, enlarge)
    if tile is not None and tile < 1:
        raise ValueError(f"tile is a number of pixels from 1, got {tile}.")
    for name in bands or {}:
        if name not in files:
            raise ValueError(f"bands names {name!r}, but files has only {', '.join(files)}.")
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
    with reading_geotiffs():
        present, lacking = present_rows("geotiff_pairs", paths, tolerate_missing)
        windows = _windows(scenes, paths, present, tile)
        chosen = choose_rows(None, None, limit, seed, len(windows))
        windows = [windows[number] for number in chosen]
        counts = {name: band_count(paths[name][int(present[name].argmax())][0]) for name in files}
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
        id=np.array(ids),
        lonlat=all_places(places, ids),
        group=None if tile is None else np.array([scenes[scene] for scene, _ in windows]),
        origin=Origin(made={"layout": "geotiff_pairs", "lacking": lacking}),
    )


def _scenes(folder: Path, name: str, pattern: str) -> dict[str, Path]:
    """Files that fit a pattern, by what stands for {id}."""
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
    """The number of the scene and the square of every row; the whole scene without tiles."""
    if tile is None:
        return [(number, None) for number in range(len(scenes))]
    windows: list[tuple[int, tuple[int, int, int] | None]] = []
    for number, scene in enumerate(scenes):
        grids = {name: grid_of(paths[name][number][0]) for name in paths if present[name][number]}
        first = next(iter(grids))
        for name, grid in grids.items():
            if grid[:2] != grids[first][:2] or grid[3] != grids[first][3] or not np.allclose(grid[2], grids[first][2]):
                raise ValueError(
                    f"Scene {scene}: {first} and {name} do not lie on one grid ({grids[first]} and {grid}); without "
                    "tile= and with size= they are read whole."
                )
        height, width = grids[first][:2]
        windows += [
            (number, (row, column, tile))
            for row in range(0, height - tile + 1, tile)
            for column in range(0, width - tile + 1, tile)
        ]
    if not windows:
        raise ValueError(f"No tile of {tile} x {tile} pixels fits into any of {len(scenes)} scenes.")
    return windows
