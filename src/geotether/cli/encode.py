"""`geotether encode`: points with additional columns of embeddings."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

ROWS_AT_ONCE = 4096


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
    count = dim = 0
    with writing(out, inputs=[model] if overwrite else [points, model]):
        encoder = load_encoder(model)
        with open_points(points, out, lon, lat, crs, layer, reject, ROWS_AT_ONCE) as found:
            refuse_columns(found.schema, out)

            def extended() -> Any:
                nonlocal count, dim
                for table, lonlat in found.chunks:
                    embedding = encoder(lonlat)
                    count, dim = count + len(embedding), embedding.shape[1]
                    yield with_columns(table, as_columns(embedding, flat)), lonlat

            chunks = extended()
            first = next(chunks)
            write_points(out, first[0].schema, (chunk for part in ([first], chunks) for chunk in part))
    said = f"{count:,} points with embeddings of {dim} numbers are in {out}"
    if found.rejected:
        reasons = ", ".join(f"{reason} ({rows:,})" for reason, rows in found.rejected.most_common())
        said += f"; {found.rejected.total():,} rows were left out: {reasons}"
    return said


def as_columns(embedding: Any, flat: bool) -> dict[str, Any]:
    """Name the columns of embeddings: one of lists, or one per number."""
    if not flat:
        return {"embedding": embedding}
    return {f"e{at}": embedding[:, at] for at in range(embedding.shape[1])}
