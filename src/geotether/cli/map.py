"""`geotether map`: from labelled points to a raster with prediction intervals and the area of applicability."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class LabelKind(StrEnum):
    """What labels are."""

    regression = "regression"
    classification = "classification"


class Transform(StrEnum):
    """What numbers are fitted as."""

    log1p = "log1p"
    log10 = "log10"


def map_labels(
    model: Annotated[str, typer.Argument(help="A model: its folder or name, such as world; see compare.")],
    points: Annotated[Path, typer.Argument(help="Labelled points, in any format that encode reads.")],
    label: Annotated[str, typer.Option(help="Column of labels: numbers, or texts or booleans (classes).")],
    resolution: Annotated[str, typer.Option(help="Side of a pixel: degrees as 0.1, or metres as 1km.")],
    out: Annotated[Path, typer.Option(help="GeoTIFF to write; a page and a picture of the same name come beside it.")],
    region: Annotated[
        str, typer.Option(help="world, a country or continent, W S E N in degrees, or a polygon file.")
    ] = "world",
    level: Annotated[float, typer.Option(help="Stated coverage of the intervals, in per cent.", min=50, max=99)] = 90,
    unit: Annotated[str, typer.Option(help="Unit of the labels, such as t/ha.")] = "",
    kind: Annotated[LabelKind | None, typer.Option(help="Kind of the labels; by default told from them.")] = None,
    transform: Annotated[
        Transform | None, typer.Option(help="Fit the logarithm of labels that are skewed; the map has their unit.")
    ] = None,
    missing: Annotated[list[str] | None, typer.Option(help="Value that marks a missing label; repeat.")] = None,
    land_only: Annotated[bool, typer.Option("--land-only", help="Give the sea no data.")] = False,
    block_km: Annotated[
        float | None, typer.Option(help="Side of the held-out blocks in km; by default told from the places.", min=1)
    ] = None,
    lon: Annotated[str | None, typer.Option(help="Column of longitudes; by default found by its name.")] = None,
    lat: Annotated[str | None, typer.Option(help="Column of latitudes.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the folds.", min=0)] = 0,
) -> str:
    """Map labels of points over a region, with intervals that hold on unseen blocks, and say whether it is worth it.

    The probe is chosen among ridge, logistic regression, neighbours and boosting inside the training blocks, and
    compared with maps that know places alone.
    """
    from geotether.prediction.job import prediction_map

    made = prediction_map(
        model, points, out, label=label, region=region, resolution=resolution, level=level / 100, land_only=land_only,
        block_km=block_km, seed=seed, unit=unit, kind=None if kind is None else str(kind),
        transform=None if transform is None else str(transform), lon=lon, lat=lat, missing=tuple(missing or ()),
    )  # fmt: skip
    return str(made)
