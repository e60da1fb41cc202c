"""From labelled points to a map with its error, in one call."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geotether.exporting.raster import require_rasterio
from geotether.files.disk import writing
from geotether.prediction.labels import read_labels
from geotether.prediction.layers import WrittenLayers, check_fits, write_layers
from geotether.prediction.page import summary_of, write_map_page
from geotether.prediction.predictor import PlacePredictor, fit_predictor
from geotether.regions import Region, grid_of, region_of
from geotether.regions.named import land_outlines
from geotether.tasks.task import Task
from geotether.version import __version__

ENDINGS = (".tif", ".tiff")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PredictionMap:
    """A map that was made from labelled points.

    Attributes:
        predictor: Predicts further places, and has scores and errors.
        layers: The rasters.
        page: The report, one HTML file.
        picture: The map as PNG.
        summary: What the report says first: whether the embedding beats the baselines, how often intervals are right,
            and how much of the map is within the area of applicability.
    """

    predictor: PlacePredictor
    layers: WrittenLayers
    page: Path
    picture: Path
    summary: tuple[str, ...]

    def __str__(self) -> str:
        """Return the summary and the paths."""
        files = [str(one) for one in (self.layers.raster, self.layers.details, self.picture, self.page) if one]
        return "\n".join([*self.summary, f"Written: {', '.join(files)}"])


def prediction_map(
    model: Any,
    points: str | Path | Task,
    out: str | Path,
    *,
    label: str | None = None,
    region: Any = "world",
    resolution: str | float,
    level: float = 0.9,
    land_only: bool = False,
    block_km: float | None = None,
    seed: int = 0,
    **options: Any,
) -> PredictionMap:
    """Fit a probe to labelled points, and write a map with its prediction intervals and its area of applicability.

    The probe (ridge, logistic regression, nearest neighbours or gradient boosting on the embedding) is chosen inside
    the training blocks. Its score, its intervals and the limit of its area of applicability come from blocks of places
    that the fits have not seen. Beside the GeoTIFF, a page (.html) and a picture (.png) of the same name are written.

    Args:
        model: Anything that encodes places: an `Encoder`, a path or name such as "world", a function.
        points: A file with a row per place in any format of `read_points`, or a `Task`.
        out: The GeoTIFF to write.
        label: Column of the labels: numbers, or texts or booleans (classes).
        region: "world", a country or continent, W S E N, a polygon file, or a `Region`; see `region_of`.
        resolution: Side of a pixel: degrees as 0.1, or metres as "1km".
        level: Stated coverage of intervals and sets, such as 0.9.
        land_only: Whether the sea has no data.
        block_km: Side of the held-out blocks. None: the largest, 1,000 km at most, of which there are enough.
        seed: Seed of the folds.
        options: As for `geotether.tasks.table.table_task`: kind, unit, transform, lon, lat, missing.

    Raises:
        FileNotFoundError: If the points, the model or the region's file do not exist.
        ValueError: If the labels are too few, an id or one class, the region names nothing, or no pixel is in it.
        OSError: If the raster does not fit on the disk, before anything is fitted, or the folder cannot be written to.
        ImportError: If rasterio is not installed, before anything is read.
    """
    out = Path(out)
    if out.suffix.lower() not in ENDINGS:
        raise ValueError(f"A map is written as {' or '.join(ENDINGS)}, got {out.name}.")
    require_rasterio()
    place = region if isinstance(region, Region) else region_of(region)
    grid = grid_of(place, resolution)
    inputs = [one for one in (model, points) if isinstance(one, str | Path)]
    with writing(out, inputs=inputs):
        task = read_labels(points, label, **options)
        classes = len(np.unique(task.values[task.valid])) if task.kind == "classification" else 0
        check_fits(out, grid, 4 + classes if classes else 5)
        predictor = fit_predictor(model, task, level, block_km, seed)
        _log.info(
            "%s: %s %s on unseen blocks of %g km; now the map.", predictor.selection.chosen,
            predictor.outcomes["embedding"].metric, predictor.score, predictor.rows.block_km,
        )  # fmt: skip
        if not place.contains(predictor.rows.lonlat).any():
            _log.warning("None of the %d labels lies in %s: the map is an extrapolation.", len(task.lonlat), place.name)
        made = provenance(predictor, points, place, resolution, land_only)
        layers = write_layers(predictor, place, grid, out, land() if land_only else None, _tags(predictor, made))
        summary = summary_of(predictor, place, layers.mapped)
        page, picture = write_map_page(predictor, place, grid, layers, summary, made)
    return PredictionMap(predictor, layers, page, picture, tuple(summary))


def land() -> Region:
    """Return all land as a region, 1:50 million."""
    return Region("land", shapely.union_all(land_outlines()))


def provenance(
    predictor: PlacePredictor, points: Any, region: Region, resolution: str | float, land_only: bool
) -> dict[str, object]:
    """Return how a map was made, for the page and the metadata of the raster."""
    return {
        "model": predictor.name,
        "points": str(points) if isinstance(points, str | Path) else predictor.task.name,
        "label": predictor.task.label,
        "labels": len(predictor.rows.lonlat),
        "region": region.name,
        "resolution": str(resolution),
        "sea": "no data" if land_only else "as the region has it",
        "probe": predictor.selection.chosen,
        "stated coverage": f"{100 * predictor.level:g} %",
        "held-out blocks": f"{predictor.rows.block_km:g} km, buffer {predictor.rows.buffer_km:g} km, five folds",
        "limit of dissimilarity": f"{predictor.area.threshold:.4g}",
        "geotether": __version__,
    }


def _tags(predictor: PlacePredictor, made: Mapping[str, object]) -> dict[str, str]:
    score = predictor.score
    metric = predictor.outcomes["embedding"].metric
    return {key.replace(" ", "_"): str(value) for key, value in made.items()} | {
        "score_on_unseen_blocks": f"{metric} {score}"
    }
