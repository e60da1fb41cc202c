"""`geotether export`: the embedding of a region, or the model itself, as a file for other tools."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geotether.cli.encode import Device, Precision
from geotether.cli.table import Scheduler

if TYPE_CHECKING:
    from geotether.exporting.export import Exported


def export(
    model: Annotated[str, typer.Argument(help="A model: its folder or name, such as world; see compare.")],
    out: Annotated[
        Path,
        typer.Option(
            help="File to write: .tif (GeoTIFF), .zarr, .parquet of cells; or the model: .onnx, .pt2 (torch)."
        ),
    ],
    region: Annotated[
        str, typer.Option(help="A country, a continent, W S E N in degrees, a file of polygons, or world.")
    ] = "world",
    resolution: Annotated[
        str | None, typer.Option(help="Side of a pixel: degrees such as 0.25, or metres such as 500m or 1km.")
    ] = None,
    cells: Annotated[str | None, typer.Option(help="Cells of a .parquet, such as h3:5 or healpix:64.")] = None,
    dim: Annotated[
        str | None, typer.Option(help="Numbers per place, such as 64, or full; of models with a projected readout.")
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="float32, float16 or int8; what rounding costs is measured and printed.")
    ] = "float32",
    layer: Annotated[
        str | None,
        typer.Option(help="A picture instead: rgb (principal components) or clusters:K; of a .tif, with a .png."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes; by default two threads of one process.", min=1)
    ] = None,
    scheduler: Scheduler = None,
    device: Device = "cpu",
    precision: Precision = "float32",
) -> str:
    """Write the embedding of a region as a Cloud-optimized GeoTIFF, a Zarr store or a GeoParquet of cells.

    The work is done in parts; after a kill, the same command continues. Checksums and a STAC item are written beside.
    With --out .onnx or .pt2, write the model as one file that computes vectors from coordinates without geotether.
    """
    from geotether.cli.encode import dim_given, on_device
    from geotether.exporting.export import export as export_file

    given = dim_given(dim)
    if out.suffix.lower() in (".onnx", ".pt2"):
        options: dict[str, object] = {"region": region != "world", "resolution": resolution, "cells": cells}
        options |= {"device": device != "cpu", "precision": precision != "float32"}
        options |= {"layer": layer, "dtype": dtype != "float32", "workers": workers, "scheduler": scheduler}
        if unfit := [f"--{name}" for name, value in options.items() if value]:
            raise ValueError(f"{out} is the model itself, for any place; leave out {', '.join(unfit)}.")
        return export_graph(model, out, given)
    if device != "cpu" and (workers or scheduler):
        raise ValueError(f"--device {device} is used by this process alone; leave out --workers and --scheduler.")
    done = export_file(
        on_device(model, device, precision), out, region, resolution,
        cells=cells, dim=given, dtype=dtype, layer=layer, workers=workers, scheduler=scheduler,
    )  # fmt: skip
    said = _said(done)
    if layer is not None:
        from geotether.maps.figure import save_figure
        from geotether.maps.layers import layer_map

        picture = done.path.with_suffix(".png")
        save_figure(layer_map(done), picture)
        said += f" A map of it is {picture}."
    return said


def _said(done: "Exported") -> str:
    """Return the result in sentences."""
    from geotether.files.disk import size_in_words

    if not done.renewed:
        return f"{done.path} is up to date."
    files = [done.path] if done.path.is_file() else [path for path in done.path.rglob("*") if path.is_file()]
    size = size_in_words(sum(path.stat().st_size for path in files))
    unit = done.unit if done.places != 1 else done.unit[:-1]
    said = f"{done.path} ({size}) is written: {done.title}; {done.places:,} {unit}"
    if "layer" not in done.coding.notes:
        said += f" of {len(done.coding.bands)} numbers, {done.coding.dtype}"
    said += "."
    loss = done.coding.notes.get("similarity_loss")
    if loss:
        said += (
            f" Rounding changes cosine similarities by {loss['mean']:.2g} on average, {loss['p99']:.2g} at the 99th "
            f"percentile and {loss['max']:.2g} at most ({loss['pairs']:,.0f} pairs of places)."
        )
    return f"{said} Beside it: {done.path.name}.sha256 and {done.item.name}."


def export_graph(model: str, out: Path, dim: int | str | None) -> str:
    """Write an ONNX or torch.export file, and say how its vectors compare with the model's."""
    from geotether.encoder import Encoder
    from geotether.files.disk import size_in_words
    from geotether.loading import load

    encoder = load(model)
    if not isinstance(encoder, Encoder):
        raise ValueError(f"{model} is not a location encoder of geotether, SatCLIP or GeoCLIP; it has no graph.")
    difference = encoder.export_graph(out, dim)
    compared = (
        "not compared with the model, because onnxruntime is not installed"
        if difference is None
        else f"its vectors at 1,000 places differ by at most {difference:.1g} from the model's"
    )
    width = encoder.module.check_dim(dim)
    return f"{out} ({size_in_words(out.stat().st_size)}) computes {width} numbers per place; {compared}."
