"""The local context of a configuration: read, computed, and kept in the user's cache folder."""

import glob
import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as bytes_of_tensors

from geotether.code import code_hash
from geotether.context.config import ContextConfig, RasterConfig
from geotether.context.observations import KNOWN_REACH, observation_field
from geotether.context.rasters import raster_field
from geotether.context.smoothing import NodeGrid, bounds_of, node_step, node_steps, smooth
from geotether.encoders.context import LocalContext
from geotether.files.disk import file_fingerprint, replacing_file, writing
from geotether.geodesy.coordinates import wrap_longitude
from geotether.regions.region import Region
from geotether.sources.grids.cells import Cells, Raster, open_raster, raster_fingerprint
from geotether.sources.grids.crop import CroppedRaster
from geotether.suggestions import closest
from geotether.tables.table import Table
from geotether.user_folders import keyed_path, plain_hash

# Memory that the values of the finest nodes may take.
_MOST_BYTES = 2**31
# Nodes around a region for which rasters are read.
_MARGIN_NODES = 4
# Places at which is looked whether a raster has data.
_CHECKED_PLACES = 1000
_log = logging.getLogger(__name__)


def build_context(
    config: ContextConfig,
    tables: Mapping[str, Table],
    data: Path | None,
    seed: int,
    cache: Path | None = None,
    hashes: Mapping[str, str] | None = None,
    region: Region | None = None,
) -> LocalContext | None:
    """Build the local context of a configuration, or read it from the cache if nothing that it depends on changed.

    Args:
        config: The configuration's section `context`.
        tables: Modality to its training rows: the places that rasters should cover, and the observations.
        data: Folder that paths of rasters and polygons are relative to; None: the working directory.
        seed: Seed of the random filters and of the sample they are fitted on.
        cache: Folder of built contexts; by default `geotether/context` in the user's cache folder.
        hashes: What `check_rasters` returned; by default the files are hashed here.
        region: Part of the Earth for which rasters are read; None: all that they cover.

    Returns:
        The raster levels, finest first, then a level of observations; None if the configuration has neither. Its
        `provenance` has the files with hash, bands, licence and origin.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a raster is not usable, or covers no training place; its name is in the message.
    """
    parts = []
    if config.rasters:
        rasters = open_rasters(config, data)
        places = np.concatenate([table.lonlat for table in tables.values()])
        for name, opened in rasters.items():
            _check_coverage(name, opened, places, seed)
        hashes = check_rasters(config, data) if hashes is None else hashes
        decides: dict[str, Any] = {"files": dict(hashes), "scales_km": list(config.scales_km), "seed": seed}
        decides["rasters"] = {name: _options(one) for name, one in config.rasters.items()}
        if region is not None and region.shape is not None:
            decides["region"] = hashlib.sha256(region.shape.wkb).hexdigest()
        land = None if config.land is None else _found(config.land.path, data, "land")[0]
        found = _cached("rasters", decides, cache, lambda: raster_context(rasters, config, land, seed, region))
        found.provenance = _provenance(config, rasters, hashes)
        parts.append(found)
    if config.observations.components:
        chosen, asked = _observed(config, tables), config.observations
        wanted: dict[str, Any] = {"components": asked.components, "reach_km": asked.reach_km}
        decides = {**wanted, "tables": {name: table.content_hash for name, table in chosen.items()}}
        found = _cached("observations", decides, cache, lambda: observation_context(chosen, **wanted))
        found.provenance = {"observations": {**wanted, "tables": list(chosen)}}
        parts.append(found)
    return LocalContext.join(*parts) if parts else None


def check_rasters(config: ContextConfig, data: Path | None) -> dict[str, str]:
    """Check that the files of the rasters and the polygons exist and can be opened.

    Returns:
        Name of each raster, and "land" for polygons, to a hash of its content: SHA-256 of a file up to 256 MiB.

    Raises:
        FileNotFoundError: If a file is missing; raster and path are named.
        ValueError: If a file is not a raster, or has no such band, CRS or variable.
    """
    found = {}
    for name, opened in open_rasters(config, data).items():
        hashes = [raster_fingerprint(raster) for raster in opened]
        found[f"rasters.{name}"] = hashes[0] if len(hashes) == 1 else plain_hash(hashes)
    if config.rasters and config.land is not None:
        found["land"] = file_fingerprint(_found(config.land.path, data, "land")[0])
    return found


def open_rasters(config: ContextConfig, data: Path | None) -> dict[str, list[Raster]]:
    """Open the rasters of a configuration: each one file, or several that match its pattern. Raises as the above."""
    found: dict[str, list[Raster]] = {}
    for name, one in config.rasters.items():
        files = _found(one.path, data, f"rasters.{name}")
        try:
            found[name] = [open_raster(file, one.bands, one.variable, one.select, one.crs) for file in files]
        except ValueError as error:
            raise ValueError(f"context.rasters.{name}: {error}") from error
    return found


def raster_context(
    rasters: Mapping[str, Sequence[Raster]],
    config: ContextConfig,
    land: Path | None = None,
    seed: int = 0,
    region: Region | None = None,
) -> LocalContext:
    """Compute the levels of open rasters, one per scale.

    Args:
        rasters: Name to one or more rasters that continue each other.
        config: As for `build_context`; paths are not read.
        land: File of polygons outside which all is background.
        seed: As for `build_context`.
        region: Rasters are read around it, and what they show outside does not count, so that values fade to 0 there;
            None: all that they cover.

    Raises:
        ValueError: If a raster is not usable or does not cover the region, or the nodes of the finest scale need more
            than 2 GiB.
    """
    if region is not None and region.shape is not None:
        rasters = _cropped(rasters, region, node_step(min(config.scales_km)))
    bounds = bounds_of(np.concatenate([_outline(one.grid.bounds()) for opened in rasters.values() for one in opened]))
    finest, steps = node_steps(config.scales_km)
    nodes = NodeGrid.around(bounds, finest)
    kept = {name: config.components_of(name) for name in rasters}
    columns = sum(max(counts) for counts in kept.values())
    if nodes.rows * nodes.columns * columns * 4 > _MOST_BYTES:
        least = min(config.scales_km) * (nodes.rows * nodes.columns * columns * 4 / _MOST_BYTES) ** 0.5
        raise ValueError(
            f"context.scales_km has {min(config.scales_km):g} km, which needs {nodes.rows:,} x {nodes.columns:,} nodes "
            f"of {columns} numbers for the area of the rasters; make the smallest scale {least * 1.05:.2g} km or more."
        )
    levels = [NodeGrid.around(bounds, step, km) for km, step in zip(config.scales_km, steps, strict=True)]
    fields: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in levels]
    for name, opened in rasters.items():
        one = config.rasters[name]
        options = {key: getattr(one, key) for key in ("filters", "patch", "transform")}
        began = time.monotonic()
        try:
            values, weight = raster_field(opened, nodes, **options, components=max(kept[name]), land=land, seed=seed)
        except ValueError as error:
            raise ValueError(f"context.rasters.{name}: {error}") from error
        if region is not None:
            weight = _within(region, name, nodes, weight)
        for field, km, level, count in zip(fields, config.scales_km, levels, kept[name], strict=True):
            field.append(smooth(values[..., :count], weight, nodes, km, level))
        _log.info("Context of %s: %d components, in %.0f s.", name, values.shape[2], time.monotonic() - began)
        del values, weight  # hundreds of megabytes
    groups = [{name: parts[0].shape[2] for name, parts in zip(rasters, field, strict=True)} for field in fields]
    context = LocalContext(
        [level.level("rasters", km, group) for level, km, group in zip(levels, config.scales_km, groups, strict=True)]
    )
    for number, level in enumerate(levels):
        context.fill(number, *_together(fields.pop(0), level))
    return context


def _cropped(rasters: Mapping[str, Sequence[Raster]], region: Region, step: float) -> dict[str, list[Raster]]:
    """Return the rasters around a region, with the margin that Gaussians and filters need."""
    west, south, east, north = region.bounds
    aside = _MARGIN_NODES * step / max(math.cos(math.radians(max(abs(north), abs(south)))), 1e-2)
    bounds = (west - aside, south - _MARGIN_NODES * step, east + aside, north + _MARGIN_NODES * step)
    bounds = (bounds[0], max(bounds[1], -90.0), min(bounds[2], bounds[0] + 360), min(bounds[3], 90.0))
    found: dict[str, list[Raster]] = {}
    for name, opened in rasters.items():
        faults, found[name] = [], []
        for raster in opened:
            try:
                found[name].append(CroppedRaster(raster, bounds))
            except ValueError as error:
                faults.append(error)
        if not found[name]:
            raise ValueError(f"context.rasters.{name}: {faults[0]}")
    return found


def _within(region: Region, name: str, nodes: NodeGrid, weight: np.ndarray) -> np.ndarray:
    """Return the share of ground with data of each node, 0 outside the region."""
    lonlat = np.stack(np.meshgrid(wrap_longitude(nodes.lon), nodes.lat), axis=-1).reshape(-1, 2)
    weight = weight * region.contains(lonlat).reshape(weight.shape)
    if not weight.any():
        raise ValueError(
            f"context.rasters.{name}: no node of {nodes.step:g} degrees lies in {region.name} and on data of the "
            "raster; make context.scales_km smaller, or leave the raster out."
        )
    return weight


def observation_context(tables: Mapping[str, Table], components: int, reach_km: float) -> LocalContext:
    """Compute the level of observations of tables: components of each, averaged around nodes."""
    bounds = bounds_of(np.concatenate([table.lonlat for table in tables.values()]))
    nodes = NodeGrid.around(bounds, node_step(reach_km), KNOWN_REACH * reach_km)
    fields = [observation_field(table, components, nodes, reach_km) for table in tables.values()]
    groups = {name: values.shape[2] for name, (values, _) in zip(tables, fields, strict=True)}
    context = LocalContext([nodes.level("observations", reach_km, groups)])
    context.fill(0, *_together(fields, nodes))
    return context


def _together(fields: Sequence[tuple[np.ndarray, np.ndarray]], nodes: NodeGrid) -> tuple[np.ndarray, np.ndarray]:
    """Join fields of one level; where one has no data but another has, it gets its mean."""
    if len(fields) == 1:
        return fields[0]
    area = np.broadcast_to(nodes.areas[:, None], (nodes.rows, nodes.columns))
    known = np.logical_or.reduce([one for _, one in fields])
    for values, own in fields:
        if (known & ~own).any() and own.any():
            values[~own] = np.average(values[own], axis=0, weights=area[own])
    return np.concatenate([values for values, _ in fields], axis=2), known


def _check_coverage(name: str, rasters: Sequence[Raster], places: np.ndarray, seed: int) -> None:
    """Raise ValueError if a raster has no data at any of the places; warn if it lacks data at some."""
    if len(places) > _CHECKED_PLACES:
        places = places[np.random.default_rng(seed).choice(len(places), _CHECKED_PLACES, replace=False)]
    covered = np.zeros(len(places), dtype=bool)
    for raster in rasters:
        cells = Cells(raster)
        order = np.argsort(cells.tiles_of(places), kind="stable")
        covered[order] |= ~np.isnan(cells.values(places[order])).any(axis=1)
    if covered.any():
        if not covered.all():
            _log.warning("context.rasters.%s covers %.1f %% of the training places.", name, 100 * covered.mean())
        return
    west, south, east, north = bounds_of(np.concatenate([_outline(raster.grid.bounds()) for raster in rasters]))
    own = bounds_of(places)
    raise ValueError(
        f"context.rasters.{name}: {rasters[0].path} has no data at any of the training places. It reaches from "
        f"longitude {west:.4g} to {east:.4g} and latitude {south:.4g} to {north:.4g}; the places from {own[0]:.4g} to "
        f"{own[2]:.4g} and {own[1]:.4g} to {own[3]:.4g}. Choose another raster, or leave it out."
    )


def _outline(bounds: tuple[float, float, float, float]) -> np.ndarray:
    """Return places along the edges of a box, dense enough that the gap between its ends is the widest."""
    west, south, east, north = bounds
    lon = np.linspace(west, east, 361)
    return np.concatenate([np.stack([lon, np.full(361, lat)], axis=1) for lat in (south, north)])


def _observed(config: ContextConfig, tables: Mapping[str, Table]) -> dict[str, Table]:
    names = list(tables) if config.observations.tables is None else config.observations.tables
    for name in names:
        if name not in tables:
            raise ValueError(
                f"context.observations.tables has {name!r}, but the tables are {', '.join(tables)}."
                f"{closest(name, tables)}"
            )
    return {name: tables[name] for name in names}


def _found(path: str | Path, data: Path | None, setting: str) -> list[Path]:
    """Return the files of a path or pattern below the data folder."""
    whole = (data or Path()) / Path(path).expanduser()
    files = [whole] if whole.exists() else [Path(file) for file in sorted(glob.glob(str(whole)))]
    if not files:
        raise FileNotFoundError(f"context.{setting}: there is no file {whole}.")
    return files


def _options(raster: RasterConfig) -> dict[str, Any]:
    names = ("bands", "crs", "variable", "select", "transform", "filters", "patch", "components")
    return {name: getattr(raster, name) for name in names}


def _provenance(
    config: ContextConfig, rasters: Mapping[str, Sequence[Raster]], hashes: Mapping[str, str]
) -> dict[str, Any]:
    found: dict[str, Any] = {"rasters": {}}
    for name, one in config.rasters.items():
        names = [raster.path.name for raster in rasters[name]]
        found["rasters"][name] = {
            "file": names[0] if len(names) == 1 else f"{Path(one.path).name} ({len(names)} files)",
            "sha256": hashes[f"rasters.{name}"],
            "bands": list(rasters[name][0].names),
            "licence": one.licence,
            "origin": one.origin,
        }
    if config.land is not None:
        land = config.land
        facts = {"file": Path(land.path).name, "sha256": hashes["land"]}
        found["land"] = {**facts, "licence": land.licence, "origin": land.origin}
    return found


def _cached(
    kind: str, decides: Mapping[str, Any], cache: Path | None, make: Callable[[], LocalContext]
) -> LocalContext:
    """Return a context from its file in the cache, or make it and write the file."""
    values = {**decides, "code": code_hash("context.build")}
    path = keyed_path("context", kind, values, cache).with_suffix(".safetensors")
    with writing(path, wait=True):
        if path.is_file():
            try:
                return _read(path)
            except (SafetensorError, ValueError, LookupError, RuntimeError, TypeError):  # damaged: made again
                _log.warning("%s is damaged; it is made again.", path)
        context = make()
        tensors = {name: tensor.contiguous() for name, tensor in context.state_dict().items()}
        with replacing_file(path) as part:
            part.write_bytes(bytes_of_tensors(tensors, {"config": json.dumps(context.config)}))
        return context


def _read(path: Path) -> LocalContext:
    with safe_open(path, "pt") as file:
        context = LocalContext(**json.loads(file.metadata()["config"]))
        context.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    _log.info("The context in %s is up to date.", path)
    return context
