"""`geotether encode`: points with additional columns of embeddings."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

ROWS_AT_ONCE = 16_384


Device = Annotated[str, typer.Option(help="Device to compute on: cpu, cuda, or cuda:1 for the second GPU.")]
Precision = Annotated[
    str, typer.Option(help="Of the products: float32, tf32 (rounded by a GPU) or bf16; see docs/encoders.md.")
]


class OnBadRow(StrEnum):
    """What happens to a row without a valid place."""

    refuse = "refuse"
    reject = "reject"


def encode(
    model: Annotated[str, typer.Argument(help="A model: its folder or name, such as world; see compare.")],
    points: Annotated[
        Path,
        typer.Argument(help="Points: CSV, Parquet, GeoJSON, JSON lines, or by the extra geo .gpkg, .shp, .fgb."),
    ],
    out: Annotated[Path, typer.Option(help="File to write: .parquet, .csv, .tsv, .geojson, .gpkg or .fgb.")],
    lon: Annotated[str | None, typer.Option(help="Column of longitudes; by default found by its name.")] = None,
    lat: Annotated[str | None, typer.Option(help="Column of latitudes.")] = None,
    crs: Annotated[str | None, typer.Option(help="CRS of these columns, such as EPSG:28992; else degrees.")] = None,
    layer: Annotated[str | None, typer.Option(help="Layer of a GeoPackage that has several.")] = None,
    on_bad_row: Annotated[
        OnBadRow, typer.Option(help="Rows without a valid place: refuse the file, or leave them out and count them.")
    ] = OnBadRow.refuse,
    columns: Annotated[
        bool,
        typer.Option("--columns", help="Columns e0, e1, ... instead of one column of lists (.gpkg, .fgb: always)."),
    ] = False,
    dim: Annotated[
        str | None, typer.Option(help="Numbers per place, such as 64, or full; of models with a projected readout.")
    ] = None,
    coverage: Annotated[
        bool,
        typer.Option(
            "--coverage", help="Columns outside, dissimilarity and km_to_...: is a place like those of training?"
        ),
    ] = False,
    device: Device = "cpu",
    precision: Precision = "float32",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Let --out be the file of points itself.")] = False,
) -> str:
    """Add embeddings to a file of points: the column `embedding`, or with --columns the columns e0, e1, ...

    All other columns are given back unchanged, or the one that the format of --out cannot hold is named.
    """
    from geotether.files.disk import writing
    from geotether.files.points import open_points, output_format, with_columns
    from geotether.files.writers import refuse_columns, write_points
    from geotether.loading import load_encoder

    flat = columns or output_format(out) == "layer"  # an unknown ending is an error before the work, not after
    reject = on_bad_row == OnBadRow.reject
    count = width = 0
    with writing(out, inputs=[model] if overwrite else [points, model]):
        opened = on_device(model, device, precision)
        encoder = load_encoder(opened, dim_given(dim))
        covered = coverage_columns(model, opened) if coverage else lambda lonlat: {}
        with open_points(points, out, lon, lat, crs, layer, reject, ROWS_AT_ONCE) as found:
            refuse_columns(found.schema, out)

            def extended() -> Any:
                nonlocal count, width
                for table, lonlat in found.chunks:
                    embedding = encoder(lonlat)
                    count, width = count + len(embedding), embedding.shape[1]
                    yield with_columns(table, as_columns(embedding, flat) | covered(lonlat)), lonlat

            chunks = extended()
            first = next(chunks)
            write_points(out, first[0].schema, (chunk for part in ([first], chunks) for chunk in part))
    said, verb = ("1 point", "is") if count == 1 else (f"{count:,} points", "are")
    said += f" with embeddings of {width} numbers {verb} in {out}. Places: {found.place}"
    if found.rejected:
        reasons = ", ".join(f"{reason} ({rows:,})" for reason, rows in found.rejected.most_common())
        total = found.rejected.total()
        said += f". {total:,} {'row was' if total == 1 else 'rows were'} left out: {reasons}"
    return said


def on_device(model: str, device: str, precision: str) -> Any:
    """Return a model on a device; on a CPU in float32 only its name, which may be that of a function."""
    from geotether.loading import load, name_and_target

    if (device, precision) == ("cpu", "float32"):
        return model
    target = name_and_target(model)[1]
    if ":" in target and target.rpartition(":")[2].isidentifier() and not Path(target).exists():
        raise ValueError(f"{model} is your own code, which chooses its device; leave out --device and --precision.")
    return load(target, device, precision=precision)


def dim_given(dim: str | None) -> int | str | None:
    """Return the value of --dim as `Encoder.encode` takes it; ValueError if it is not a number or "full"."""
    if dim is None or dim == "full":
        return dim
    if not dim.isdecimal():
        raise ValueError(f"--dim must be a number, such as 64, or full; got {dim!r}.")
    return int(dim)


def coverage_columns(model: str, opened: Any) -> Callable[[Any], dict[str, Any]]:
    """Return a function of lonlat (n, 2) that returns the columns of a model's coverage there.

    Args:
        model: Its name.
        opened: From `on_device`.

    Raises:
        ValueError: If the model does not say where it was trained.
    """
    from geotether.loading import load_encoder

    encoder: Any = getattr(load_encoder(opened), "model", None)
    if getattr(encoder, "seen", None) is None:
        learn = (
            " Models of older versions learn it from their tables: encoder.learn_coverage({name: table.lonlat}), then "
            "encoder.save(folder)."
        )
        raise ValueError(
            f"{model} does not say where it was trained; leave out --coverage."
            + learn * hasattr(encoder, "learn_coverage")
        )
    return lambda lonlat: encoder.coverage(lonlat).columns


def as_columns(embedding: Any, flat: bool) -> dict[str, Any]:
    """Name the columns of embeddings: one of lists, or one per number."""
    if not flat:
        return {"embedding": embedding}
    return {f"e{at}": embedding[:, at] for at in range(embedding.shape[1])}
