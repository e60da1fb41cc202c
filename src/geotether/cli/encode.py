"""`geotether encode`: points with an additional column of embeddings."""

from pathlib import Path
from typing import Annotated

import typer


def encode(
    model: Annotated[Path, typer.Argument(help="A model folder, such as the `model` folder of a run.")],
    points: Annotated[
        Path,
        typer.Argument(help="Points: CSV, Parquet, GeoJSON, JSON lines, or by the extra geo .gpkg, .shp, .fgb."),
    ],
    out: Annotated[Path, typer.Option(help="File to write: .parquet, .csv, .tsv or .geojson.")],
    lon: Annotated[str | None, typer.Option(help="Column of longitudes; by default found by its name.")] = None,
    lat: Annotated[str | None, typer.Option(help="Column of latitudes.")] = None,
    crs: Annotated[str | None, typer.Option(help="CRS of these columns, such as EPSG:28992; else degrees.")] = None,
    layer: Annotated[str | None, typer.Option(help="Layer of a GeoPackage that has several.")] = None,
) -> str:
    """Add the column `embedding` to a file of points."""
    from geotether.files.points import output_format, read_points, write_columns
    from geotether.loading import load_encoder

    output_format(out)  # before the work, not after
    records = read_points(points, lon, lat, crs, layer)
    embedding = load_encoder(model)(records.lonlat)
    write_columns(records, out, {"embedding": embedding})
    return f"{len(records)} points with embeddings of {embedding.shape[1]} numbers are in {out}"
