"""An embedding of a region as a file: planned, computed in parts that survive a kill, and assembled."""

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from geotether.code import code_hash
from geotether.exporting.cells import Cells, system_of, write_cells
from geotether.exporting.embedder import Embedder
from geotether.exporting.layers import check_layer, fit_layer, on_land
from geotether.exporting.precision import Coding, Numbers, check_dtype
from geotether.exporting.raster import write_raster
from geotether.exporting.stac import check_stac, item_path, key_of_item, sums_path, write_item
from geotether.exporting.tiles import Part, Tiles
from geotether.exporting.zarr_store import write_zarr
from geotether.featurizing.cluster import check_cluster, make_parts
from geotether.featurizing.progress import row_progress
from geotether.featurizing.threads import one_thread
from geotether.files.disk import check_output, check_space, replacing_file, size_in_words, sweep, writing
from geotether.files.formats import PARQUET_ENDINGS
from geotether.files.job_folder import job_folder, open_job_folder, remove_done, remove_job_folder
from geotether.regions.grid import grid_of
from geotether.regions.region import Region, region_of
from geotether.user_folders import plain_hash

RASTERS, STORES, TABLES = (".tif", ".tiff"), (".zarr",), PARQUET_ENDINGS
ENDINGS = (*RASTERS, *STORES, *TABLES)
# Parts are computed on two threads, each of which holds one of them.
_THREADS = 2
_SAMPLE, _FEW = 20_000, 1000
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        path: The file, or the folder of a Zarr store.
        item: Its STAC item.
        places: Number of pixels or cells.
        unit: "pixels" or "cells".
        coding: Bands, number type and notes, such as the loss of similarity.
        title: Model, region and resolution in words.
        renewed: False if the file was up to date already.
    """

    path: Path
    item: Path
    places: int
    unit: str
    coding: Coding
    title: str
    renewed: bool


def export(
    model: Any,
    out: str | Path,
    region: str | Path | Sequence[float] | Region = "world",
    resolution: str | float | None = None,
    *,
    cells: str | None = None,
    dim: int | str | None = None,
    dtype: str = "float32",
    layer: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: str = "auto",
) -> Exported:
    """Write the embedding of a region as a Cloud-optimized GeoTIFF, a Zarr store or a GeoParquet of cells.

    Beside the file are written `OUT.sha256` with checksums and `OUT.stac.json`, a STAC item. The work is done in parts,
    which lie in the folder `.OUT.job` until all is complete; after a kill, the same call continues there and writes
    the same bytes. A file that is up to date is unchanged.

    Args:
        model: A model, its name or its folder; anything that `geotether.load_encoder` takes.
        out: The file to write: .tif (bands e0, e1, ...; pixels outside the region have no data), .zarr or .parquet.
        region: As for `geotether.regions.region_of`.
        resolution: Side of a pixel of a .tif or .zarr: degrees as 0.25 or "0.25", metres as "500m" or "1km".
        cells: Cells of a .parquet: "h3:5" (a resolution) or "healpix:64" (divisions of a base pixel's side). The
            embedding is that of a cell's centre.
        dim: Numbers per place, from a model with a projected readout; "full" for all.
        dtype: "float32", "float16" or "int8" (linear, with scale and offset per band).
        layer: Instead of the embedding, "rgb" (three principal components as colours) or "clusters" ("clusters:K");
            of a .tif.
        workers: Number of processes, with one thread each; None: two threads of this process.
        scheduler: A Dask cluster that makes the parts: the address of its scheduler, the path of its scheduler file, or
            "local" for `workers` processes here. The output must be on a file system that all workers share.
        progress: "auto", "bar", "lines" or "none"; see `row_progress`.

    Raises:
        ValueError: If an option is wrong or does not fit the file's ending, or the region is unknown or has no pixel.
        FileExistsError: If something else than an export is at `out`.
        OSError: If the disk has too little room, or the folder cannot be written to.
        ImportError: If a package is missing; the message names the extra.
    """
    with one_thread():
        plan = Plan.of(model, out, region, resolution, cells=cells, dim=dim, dtype=dtype, layer=layer)
        return plan.run(progress, workers, scheduler)


@dataclass(frozen=True)
class Plan:
    """An export that can be run: every option read and checked.

    Attributes:
        out: The file, as given.
        embedder: The model.
        region: The region.
        parts: The tiles or cells.
        dtype: Number type of the embedding.
        layer: The layer, if one is wanted instead.
        resolution: Resolution or cells, as given.
    """

    out: Path
    embedder: Embedder
    region: Region
    parts: Tiles | Cells
    dtype: str
    layer: str | None
    resolution: str

    @classmethod
    def of(
        cls,
        model: Any,
        out: str | Path,
        region: str | Path | Sequence[float] | Region,
        resolution: str | float | None,
        *,
        cells: str | None,
        dim: int | str | None,
        dtype: str,
        layer: str | None,
    ) -> "Plan":
        """Read and check the options of `export`; nothing is written."""
        out = Path(out)
        ending = _ending(out)
        _check_fit(out, ending, resolution, cells, layer)
        check_dtype(dtype)
        if layer is not None:
            check_layer(layer)
            if dtype != "float32":
                raise ValueError(f"--layer {layer} stores bytes; leave out --dtype {dtype}.")
        check_stac()
        region = region if isinstance(region, Region) else region_of(region)
        inputs = [model] if isinstance(model, str | Path) else []
        check_output(out, folder=ending in STORES, inputs=inputs)
        made: Tiles | Cells
        if cells is None:
            assert resolution is not None
            grid = grid_of(region, resolution)
            embedder = Embedder.of(model, dim)
            made = Tiles(grid, region, embedder.dim)
        else:
            made = Cells(system_of(cells), region)
            embedder = Embedder.of(model, dim)
        return cls(out, embedder, region, made, dtype, layer, cells or str(resolution))

    @property
    def facts(self) -> dict[str, Any]:
        """What decides the content of the file, as plain values."""
        where = asdict(self.parts.grid) if isinstance(self.parts, Tiles) else self.parts.system.about
        shape = None if self.region.shape is None else plain_hash(self.region.shape.wkb_hex)
        return {
            "model": self.embedder.fingerprint,
            "dimensions": self.embedder.dim,
            "dtype": self.dtype,
            "layer": self.layer,
            "region": [self.region.name, shape],
            "where": where,
            "kind": _ending(self.out),
            "code": code_hash("exporting.export"),
        }

    @cached_property
    def title(self) -> str:
        """Model, region and resolution in words."""
        how = self.resolution if isinstance(self.parts, Cells) else _spoken(self.parts)
        return f"model {self.embedder.name}, region {self.region.name}, {how}"

    @property
    def size(self) -> int:
        """Bytes of the numbers of the file, uncompressed and without overviews."""
        width = 1 if self.layer else np.dtype(self.dtype).itemsize
        count = self.embedder.dim if self.layer is None else 3 if self.layer == "rgb" else 1
        beside = 40 if isinstance(self.parts, Cells) else 0  # id and geometry
        return self.parts.places * (count * width + beside)

    def run(self, progress: str = "auto", workers: int | None = None, scheduler: str | None = None) -> Exported:
        """Compute the parts that are missing, and assemble the file from them; the arguments are those of `export`."""
        check_cluster(scheduler, workers)
        facts = json.loads(json.dumps(self.facts))
        key = plain_hash(facts)
        folder = job_folder(Path(os.path.realpath(self.out)))
        with writing(self.out, folder=_ending(self.out) in STORES):
            remove_done(folder)
            for beside in (sums_path(self.out), item_path(self.out)):
                sweep(beside)
            if self.out.exists() and not folder.exists():
                found = key_of_item(self.out)
                if found is None:
                    raise FileExistsError(
                        f"{self.out} exists and is not an export of geotether (there is no {item_path(self.out).name} "
                        "beside it). Remove it, or choose another --out."
                    )
                if found == key and sums_path(self.out).exists():
                    return self._exported(self._coding(), renewed=False)
            self._check_disk(folder)
            coding = self._coding()
            open_job_folder(folder, facts, difference=_difference)
            work = Work(self.parts, self.embedder, coding, folder.absolute())
            self._compute(work, progress, workers, scheduler)
            self._assemble(work, facts, key)
            remove_job_folder(folder)
        return self._exported(coding, renewed=True)

    def _exported(self, coding: Coding, renewed: bool) -> Exported:
        places, unit = self.parts.places, self.parts.unit
        return Exported(self.out, item_path(self.out), places, unit, coding, self.title, renewed)

    def _check_disk(self, folder: Path) -> None:
        """Log the size of the export, and raise OSError if the disk has less room than it may need."""
        # The parts, the file and its overviews; of a COG also an uncompressed copy and its overviews.
        of_file = 1.35 + (1.35 if _ending(self.out) in RASTERS else 0.0)
        wider = 2 if self.dtype == "float16" and _ending(self.out) in RASTERS else 1  # see `write_raster`
        done = sum(path.stat().st_size for path in folder.glob("*.npz"))
        needed = max(0, round((1 + of_file * wider) * self.size) - done)
        about = "about " if isinstance(self.parts, Cells) else ""
        what = f"{about}{self.parts.places:,} {self.parts.unit}, {size_in_words(self.size)} before compression,"
        check_space(self.out, needed, f"Writing {what}")
        _log.info("%s: %s up to %s of disk while it is written.", self.out, what, size_in_words(needed))

    def _coding(self) -> Coding:
        """Fit the number type or the layer on a sample of places; equal for equal facts.

        Raises:
            ValueError: If no pixel or cell has its centre in the region.
        """
        if self.layer is None and self.dtype == "float32":
            self.parts.sample(_FEW)
            return Numbers.fit("float32", np.zeros((1, self.embedder.dim), np.float32))
        lonlat = self.parts.sample(_SAMPLE)
        sample = self.embedder.places(lonlat)
        return Numbers.fit(self.dtype, sample) if self.layer is None else fit_layer(self.layer, sample, on_land(lonlat))

    def _compute(self, work: "Work", progress: str, workers: int | None, scheduler: str | None) -> None:
        """Compute the parts that are not complete yet, each into a file of its own."""
        complete = set(work.complete)
        missing = [number for number in range(work.part_count) if number not in complete]
        done = self.parts.places - sum(map(self.parts.places_of, missing))
        if complete:
            _log.info("%s: continuing; %d of %d parts are complete.", self.out, len(complete), work.part_count)

        def count(number: int) -> None:
            nonlocal done
            done += self.parts.places_of(number)
            show(done, 0)

        with row_progress(self.out.name, self.parts.places, done, progress, self.parts.unit) as show:
            if workers is None and scheduler is None:
                _run_in_threads(work.make, missing, _THREADS if self.embedder.encoder is not None else 1, count)
            else:
                make_parts(work, missing, count, workers, scheduler)

    def _assemble(self, work: "Work", facts: dict[str, Any], key: str) -> None:
        parts, coding = work.read(), work.coding
        system = self.parts.system.about if isinstance(self.parts, Cells) else {}
        about = {
            "model": self.embedder.name,
            "model_sha256": facts["model"],
            "dimensions": self.embedder.dim,
            "dtype": coding.dtype,
            "region": self.region.name,
            "resolution": self.resolution,
            **({"cells": system} if system else {}),
            **coding.notes,
        }
        grid = None
        if isinstance(self.parts, Cells):
            scaled = {band.name: [band.scale, band.offset] for band in coding.bands} if coding.dtype == "int8" else {}
            notes = about | ({"scale_and_offset": scaled} if scaled else {})
            write_cells(self.out, self.parts, parts, coding, {b"geotether": json.dumps(notes).encode()})
        else:
            grid, blocks = self.parts.grid, self.parts.blocks(parts)
            if _ending(self.out) in STORES:
                write_zarr(self.out, grid, coding, blocks, self.parts.side, {"title": self.title, "geotether": about})
            else:
                tags = {"TITLE": self.title}
                tags |= {name: one if isinstance(one, str) else json.dumps(one) for name, one in about.items()}
                write_raster(self.out, grid, coding.bands, blocks, coding.dtype, coding.nodata, tags, coding.colours)
        write_item(self.out, self.region, grid, coding, about, key, self.title)


@dataclass(frozen=True)
class Work:
    """Everything that a process needs to make any part of an export.

    Attributes:
        parts: The tiles or cells.
        embedder: The model.
        coding: What is stored of its vectors.
        folder: The folder of the job.
    """

    parts: Tiles | Cells
    embedder: Embedder
    coding: Coding
    folder: Path

    @property
    def carries(self) -> str:
        """What is sent to other processes, in words."""
        return f"The model {self.embedder.name}"

    @property
    def part_count(self) -> int:
        """Number of parts."""
        return self.parts.count

    @property
    def complete(self) -> list[int]:
        """Numbers of the parts that are complete."""
        return [number for number in range(self.part_count) if self.part_file(number).is_file()]

    def part_file(self, number: int) -> Path:
        """Return the path of a part."""
        return self.folder / f"{number:07d}.npz"

    def make(self, number: int) -> None:
        """Compute a part and write its file."""
        part = self.parts.make(number, self.embedder, self.coding)
        with replacing_file(self.part_file(number)) as file, file.open("wb") as opened:
            np.savez(opened, **part)  # type: ignore[arg-type]

    def read(self) -> Iterator[Part]:
        """Yield all parts in order; they must be complete."""
        for number in range(self.part_count):
            with np.load(self.part_file(number)) as part:
                yield dict(part)


def _ending(out: Path) -> str:
    return out.suffix.lower()


def _check_fit(out: Path, ending: str, resolution: Any, cells: str | None, layer: str | None) -> None:
    """Raise ValueError unless the options fit the kind of file."""
    if ending not in ENDINGS:
        raise ValueError(
            f"{out} ends in {ending or 'nothing'!r}; an embedding is exported to .tif (GeoTIFF), .zarr or .parquet "
            "(cells), a model itself to .onnx or .pt2."
        )
    if ending in TABLES:
        if cells is None:
            raise ValueError(f"{out} is a table of cells: add --cells, such as h3:5 or healpix:64, or write a .tif.")
        if resolution is not None:
            raise ValueError(f"{out} is a table of cells, whose size --cells says; leave out --resolution.")
    else:
        if cells is not None:
            raise ValueError(f"--cells {cells} needs a .parquet, not {out}; or leave out --cells.")
        if resolution is None:
            raise ValueError(
                f"{out} needs the side of a pixel: add --resolution, in degrees as 0.25 or in metres as 500m or 1km."
            )
    if layer is not None and ending not in RASTERS:
        raise ValueError(f"--layer {layer} needs a .tif, not {out}.")


def _spoken(tiles: Tiles) -> str:
    step = tiles.grid.step
    return f"{step:g}°" if tiles.grid.is_geographic else f"{step / 1000:g} km" if step >= 1000 else f"{step:g} m"


def _difference(found: Any, wanted: Any) -> str:
    found = found if isinstance(found, dict) else {}
    differs = [name for name in wanted if found.get(name) != wanted[name]]
    return f"{', '.join(differs) or 'its form'} changed"


def _run_in_threads(
    make: Callable[[int], None], numbers: Sequence[int], threads: int, done: Callable[[int], None]
) -> None:
    """Make parts in threads of this process; the first is over before the second starts."""
    for number in numbers if threads == 1 else numbers[:1]:  # the model then has what it computes only once
        make(number)
        done(number)
    if threads == 1:
        return
    import torch

    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        for number, _ in zip(numbers[1:], pool.map(make, numbers[1:]), strict=True):
            done(number)
    finally:
        pool.shutdown(cancel_futures=True)
