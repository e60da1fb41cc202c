"""The layers of a prediction map, written tile by tile as Cloud-optimized GeoTIFFs."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from jaxtyping import Bool, Float, Integer

from geotether.exporting.raster import Band, write_raster
from geotether.files.disk import check_space, replacing_file, working_folder
from geotether.geodesy.distance import EARTH_RADIUS_KM
from geotether.loading import encode_places
from geotether.maps.prediction import class_palette
from geotether.prediction.predictor import PlacePredictor, Predicted
from geotether.regions import Grid, Region

TILE = 256
# Embeddings of this many places are in memory at once.
_CHUNK_ROWS = 16_384
_NO_CLASS = 255
_SILENT_SECONDS = 10.0
_log = logging.getLogger(__name__)


class MappedArea:
    """Counts of predicted pixels and their area.

    Args:
        grid: The pixels.

    Attributes:
        pixels: Number of pixels with a prediction.
        area_km2: Their area.
    """

    def __init__(self, grid: Grid) -> None:
        self.pixels, self.area_km2, self._inside_km2 = 0, 0.0, 0.0
        side = np.radians(grid.step) * EARTH_RADIUS_KM if grid.is_geographic else grid.step / 1000
        self._pixel_km2, self._is_geographic = side**2, grid.is_geographic

    @property
    def inside(self) -> float:
        """Share of this area within the area of applicability."""
        return self._inside_km2 / self.area_km2

    def add(self, lonlat: Float[np.ndarray, "m 2"], inside: Bool[np.ndarray, " m"]) -> None:
        """Count pixels: their centres, and whether each is in the area of applicability."""
        area = self._pixel_km2 * (np.cos(np.radians(lonlat[:, 1])) if self._is_geographic else np.ones(len(lonlat)))
        self.pixels += len(lonlat)
        self.area_km2 += float(area.sum())
        self._inside_km2 += float(area[inside].sum())


@dataclass(frozen=True)
class WrittenLayers:
    """What was written.

    Attributes:
        raster: The GeoTIFF: the numbers with interval, dissimilarity and mask; or the classes.
        details: Of classes, the GeoTIFF of entropy, dissimilarity, mask, size of the set and probabilities.
        mapped: The pixels with a prediction.
    """

    raster: Path
    details: Path | None
    mapped: MappedArea


def number_bands(predictor: PlacePredictor) -> list[Band]:
    """Describe the bands of a map of numbers."""
    task, percent = predictor.task, f"{100 * predictor.level:g} %"
    what = f"{task.name}, predicted by {predictor.selection.chosen} on embeddings of {predictor.name}"
    return [
        Band("prediction", task.unit, what),
        Band("lower", task.unit, f"lower end of the {percent} prediction interval"),
        Band("upper", task.unit, f"upper end of the {percent} prediction interval"),
        *trust_bands(predictor),
    ]


def class_bands(predictor: PlacePredictor) -> list[Band]:
    """Describe the bands of the details of a map of classes."""
    return [
        Band("entropy", "", "entropy of the probabilities, from 0 (certain) to 1 (all equal)"),
        *trust_bands(predictor),
        Band("set size", "", f"number of classes in the {100 * predictor.level:g} % prediction set"),
        *(
            Band(f"p {name}", "", f"probability of {predictor.task.name} = {name}")
            for name in class_names(predictor.classes)
        ),
    ]


def trust_bands(predictor: PlacePredictor) -> list[Band]:
    """Describe the bands that say where predictions may be trusted."""
    limit = f"{predictor.area.threshold:.3f}"
    return [
        Band("dissimilarity", "", f"dissimilarity to the labelled places; the area of applicability ends at {limit}"),
        Band("inside", "", "1 in the area of applicability, 0 outside of it"),
    ]


def pixel_values(classes: np.ndarray) -> Integer[np.ndarray, " c"]:
    """Return the pixel value of each class: whole numbers of 0 to 254 themselves, others from 1.

    Example:
        >>> pixel_values(np.array([1, 5])).tolist(), pixel_values(np.array(["oak", "yew"])).tolist()
        ([1, 5], [1, 2])
    """
    numbers = classes.dtype.kind in "fiu" and bool((classes == np.round(classes)).all())
    if numbers and classes.min() >= 0 and classes.max() < _NO_CLASS:
        return classes.astype(np.int64)
    return np.arange(1, len(classes) + 1)


def class_names(classes: np.ndarray) -> list[str]:
    """Return the name of each class as it is shown.

    Example:
        >>> class_names(np.array([1.0, 2.0])), class_names(np.array(["oak"], dtype=object))
        (['1', '2'], ['oak'])
    """
    return [f"{name:g}" if isinstance(name, float) else str(name) for name in classes.tolist()]


def check_fits(out: str | Path, grid: Grid, bands: int) -> None:
    """Raise OSError if the disk has no room for a raster and its uncompressed copy."""
    what = f"a raster of {grid.rows:,} x {grid.columns:,} pixels with {bands} bands"
    check_space(out, 2 * 4 * bands * grid.rows * grid.columns, what)


def write_layers(
    predictor: PlacePredictor,
    region: Region,
    grid: Grid,
    out: str | Path,
    land: Region | None = None,
    tags: dict[str, str] | None = None,
) -> WrittenLayers:
    """Predict the pixels of a region and write their layers; memory is bounded by a tile.

    Numbers make one file of float32: prediction, lower, upper, dissimilarity, inside. Classes make the file of one byte
    per pixel, with colours and names, and beside it `..._details.tif` of float32. Pixels outside the region have no
    data.

    Args:
        predictor: From `fit_predictor`.
        region: Where to predict.
        grid: Pixels over the region.
        out: The GeoTIFF.
        land: Where there is land, if the sea is to have no data.
        tags: Metadata of the files.

    Raises:
        ValueError: If no pixel has its centre within the region.
        OSError: If the files do not fit on the disk or it cannot be written to.
        ImportError: If rasterio is not installed.
    """
    out = Path(out)
    bands = class_bands(predictor) if predictor.is_classes else number_bands(predictor)
    check_fits(out, grid, len(bands))
    seen = MappedArea(grid)
    if not predictor.is_classes:
        blocks = (
            (rows, columns, _number_layers(found, inside))
            for rows, columns, inside, found in _predicted(predictor, region, grid, land, seen)
        )
        write_raster(out, grid, bands, blocks, "float32", float("nan"), tags or {})
        return WrittenLayers(out, None, seen)

    details = out.with_name(f"{out.stem}_details{out.suffix}")
    values = pixel_values(predictor.classes)
    with working_folder(out) as folder:
        # The second file is written from this one, so that pixels are predicted once.
        classes = np.lib.format.open_memmap(folder / "classes.npy", "w+", np.uint8, (grid.rows, grid.columns))
        classes[:] = _NO_CLASS

        def layers() -> Iterator[tuple[slice, slice, np.ndarray]]:
            for rows, columns, inside, found in _predicted(predictor, region, grid, land, seen):
                part = classes[rows, columns]
                part[inside] = values[found.value]
                yield rows, columns, _class_layers(found, inside)

        write_raster(details, grid, bands, layers(), "float32", float("nan"), tags or {})
        blocks = ((rows, columns, classes[None, rows, columns]) for rows, columns in grid.tiles(512))
        colours = dict(zip(values.tolist(), class_palette(len(values)), strict=True))
        named = zip(values.tolist(), class_names(predictor.classes), strict=True)
        band = Band(predictor.task.name, "", ", ".join(f"{value}: {name}" for value, name in named))
        write_raster(out, grid, [band], blocks, "uint8", _NO_CLASS, tags or {}, colours=colours)
        _write_names(out, values, predictor.classes)
        del classes
    return WrittenLayers(out, details, seen)


def _predicted(
    predictor: PlacePredictor, region: Region, grid: Grid, land: Region | None, seen: MappedArea
) -> Iterator[tuple[slice, slice, Bool[np.ndarray, "r c"], Predicted]]:
    """Predict the pixels of each tile that has any, with a line of progress every ten seconds."""
    tiles, shown = grid.tiles(TILE), time.perf_counter()
    for done, (rows, columns) in enumerate(tiles):
        if (now := time.perf_counter()) - shown > _SILENT_SECONDS:
            shown = now
            _log.info("%d of %d tiles, %s pixels predicted", done, len(tiles), f"{seen.pixels:,}")
        lonlat = grid.lonlat(rows, columns)
        shape = lonlat.shape[:2]
        inside = region.contains(lonlat.reshape(-1, 2)).reshape(shape)
        if land is not None and inside.any():
            inside[inside] = land.contains(lonlat[inside])
        if not inside.any():
            continue
        places = lonlat[inside]
        features = tile_features(predictor, grid, rows, columns, inside, places)
        chunks = (slice(start, start + _CHUNK_ROWS) for start in range(0, len(places), _CHUNK_ROWS))
        found = joined([predictor.predict_features(features[chunk], places[chunk]) for chunk in chunks])
        seen.add(places, found.inside)
        yield rows, columns, inside, found
    if not seen.pixels:
        raise ValueError(
            f"no pixel of {grid.step:g} {'degrees' if grid.is_geographic else 'm'} has its centre on the land of "
            f"{region.name}; use a finer --resolution, or a larger region."
        )


def joined(parts: Sequence[Predicted]) -> Predicted:
    """Join predictions of places one after another."""
    columns: list[Any] = [None if one[0] is None else np.concatenate(one) for one in zip(*parts, strict=True)]
    return Predicted(*columns)


def tile_features(
    predictor: PlacePredictor,
    grid: Grid,
    rows: slice,
    columns: slice,
    inside: Bool[np.ndarray, "r c"],
    places: Float[np.ndarray, "m 2"],
) -> Float[np.ndarray, "m d"]:
    """Encode the pixels of a tile within the region: all together where the encoder can, else place by place."""
    model: Any = getattr(predictor.encoder, "model", None)
    if grid.is_geographic and hasattr(model, "encode_grid") and inside.mean() > 0.3:
        return model.encode_grid(grid, rows, columns, dim=predictor.rows.features.shape[1])[inside]
    return encode_places(predictor.encoder, places, predictor.name)


def _number_layers(found: Predicted, inside: Bool[np.ndarray, "r c"]) -> Float[np.ndarray, "b r c"]:
    layers = np.full((5, *inside.shape), np.nan, dtype=np.float32)
    parts = (found.value, found.lower, found.upper, found.dissimilarity, found.inside)
    for layer, values in zip(layers, parts, strict=True):
        layer[inside] = values
    return layers


def _class_layers(found: Predicted, inside: Bool[np.ndarray, "r c"]) -> Float[np.ndarray, "b r c"]:
    assert found.probabilities is not None
    assert found.sets is not None
    sizes = found.sets.sum(axis=1)
    parts = (found.entropy, found.dissimilarity, found.inside, sizes, *found.probabilities.T)
    layers = np.full((len(parts), *inside.shape), np.nan, dtype=np.float32)
    for layer, values in zip(layers, parts, strict=True):
        layer[inside] = values
    return layers


def _write_names(raster: Path, values: Integer[np.ndarray, " c"], classes: np.ndarray) -> None:
    """Write the names of classes where GDAL and QGIS read them: `map.tif.aux.xml`."""
    names = [""] * (int(values.max()) + 1)
    for value, name in zip(values.tolist(), class_names(classes), strict=True):
        names[value] = escape(name)
    lines = "\n".join(f"      <Category>{name}</Category>" for name in names)
    with replacing_file(raster.with_name(f"{raster.name}.aux.xml")) as part:
        part.write_text(
            f'<PAMDataset>\n  <PAMRasterBand band="1">\n    <CategoryNames>\n{lines}\n    </CategoryNames>\n'
            "  </PAMRasterBand>\n</PAMDataset>\n",
            encoding="utf-8",
        )
