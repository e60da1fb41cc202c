"""The page and pictures of a prediction map."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from geotether.benchmark.bootstrap import score
from geotether.benchmark.score_table import outcome_grid
from geotether.benchmark.verdict import difference
from geotether.maps.figure import save_figure
from geotether.maps.prediction import class_map, number_map, read_pictures
from geotether.maps.reliability import coverage_chart, error_chart
from geotether.maps.scores import score_intervals
from geotether.maps.values import value_maps
from geotether.maps.world import coverage_map
from geotether.prediction.candidates import BASELINES
from geotether.prediction.labels import in_units
from geotether.prediction.layers import MappedArea, WrittenLayers, class_names, pixel_values
from geotether.prediction.predictor import EMBEDDING, PlacePredictor
from geotether.prediction.selection import PROBE
from geotether.regions import Grid, Region
from geotether.report.evaluation import score_cell
from geotether.report.page import Cell, PageRow, PageTable, words_table, write_page
from geotether.report.summary import GLOSSARY, plain_words

WORDS = {
    "area of applicability": "Places whose embedding is about as similar to that of a labelled place as held-out "
    "blocks are to the others (Meyer & Pebesma 2021). Outside of it, hatched on the maps, stated errors may not hold.",
    "held-out blocks": "Equal-area blocks are assigned to five folds. Each fold is predicted from labels of the "
    "other folds at some distance, and everything that this page says about errors comes from these predictions.",
    "Gaussian process in space": "Baseline: kriging with an exponential covariance; it knows places and labels alone.",
    "coordinates alone": "Baseline: gradient boosting on the position as a point on the unit sphere.",
}


def summary_of(predictor: PlacePredictor, region: Region, mapped: MappedArea) -> list[str]:
    """Say in sentences how good the map is; the first says whether the embedding is better than every baseline."""
    shown = [one for name, one in predictor.outcomes.items() if name in (EMBEDDING, *BASELINES)]
    first = shown[0]
    sentences = plain_words(
        outcome_grid(shown, PROBE, first.split, first.labels), list(BASELINES), first.split, first.labels
    )
    if not predictor.beats_baselines:
        sentences.insert(1, _beside_baselines(predictor))
    if not predictor.is_classes and predictor.score.mean <= 0:
        sentences.insert(1, "This map has no skill on unseen blocks: R2 is not above 0, so the mean is as good.")
    percent, observed = f"{100 * predictor.level:g} %", score([predictor.covered()])
    what = "prediction sets" if predictor.is_classes else "prediction intervals"
    sentences.append(
        f"The {percent} {what} contain {_percent(observed.mean)} of the labels of unseen blocks"
        + (f" (interval {_percent(observed.low)} to {_percent(observed.high)})." if np.isfinite(observed.low) else ".")
    )
    only = "Only " if mapped.inside < 0.5 else ""
    sentences.append(
        f"{only}{_percent(mapped.inside)} of the mapped area of {_area(mapped.area_km2)} is within the area of "
        "applicability."
    )
    inside = int(region.contains(predictor.rows.lonlat).sum())
    total = len(predictor.rows.lonlat)
    sentences.append(
        f"{inside:,} of {total:,} labels lie in {in_words(region)}"
        + ("" if inside == total else "; all are used")
        + "."
        if inside
        else f"None of the {total:,} labels lies in {in_words(region)}: the map is an extrapolation."
    )
    return sentences


def _beside_baselines(predictor: PlacePredictor) -> str:
    """Name the best baseline that the embedding does not clearly beat, and say whether it is clearly better."""
    ours = [predictor.outcomes[EMBEDDING]]
    gaps = {name: difference(ours, [predictor.outcomes[name]]) for name in predictor.baselines}
    rivals = [name for name, gap in gaps.items() if not gap.low > 0]
    best = max(rivals, key=lambda name: predictor.baselines[name].mean)
    if gaps[best].high < 0:
        return f"The embedding is not worth using here: a map by {best} is better."
    return f"The embedding adds nothing that can be shown here: a map by {best} may be as good or better."


def write_map_page(
    predictor: PlacePredictor,
    region: Region,
    grid: Grid,
    layers: WrittenLayers,
    summary: list[str],
    provenance: Mapping[str, object],
) -> tuple[Path, Path]:
    """Draw the map as PNG beside the raster, and write the page with everything about it.

    Returns:
        The page (`map.html` beside `map.tif`) and the picture (`map.png`).

    Raises:
        OSError: If the disk is full or the folder cannot be written to.
    """
    task, out = predictor.task, layers.raster
    percent = f"{100 * predictor.level:g} %"
    folder = out.with_name(f"{out.stem}_figures")
    picture = out.with_suffix(".png")
    title = f"{task.name}, predicted over {in_words(region)}"
    unit = f" ({task.unit})" if task.unit else ""
    files: dict[str, Path] = {}
    if predictor.is_classes:
        assert layers.details is not None
        (shown,) = read_pictures(out, grid, [1], nodata=255)
        entropy, _, inside = read_pictures(layers.details, grid, [1, 2, 3])
        figure = class_map(
            shown, inside, pixel_values(predictor.classes), class_names(predictor.classes), title, task.name
        )
        other = number_map(entropy, inside, f"Uncertainty of {task.name}", "entropy, 0 certain, 1 all equal", "cividis")
        second = "Entropy of the probabilities of the classes."
    else:
        shown, lower, upper, _, inside = read_pictures(out, grid, [1, 2, 3, 4, 5])
        figure = number_map(shown, inside, title, f"{task.name}{unit}")
        width = type(shown)(upper.values - lower.values, shown.extent, shown.crs, shown.is_geographic)
        other = number_map(
            width, inside, f"Width of the {percent} prediction interval", f"upper - lower end{unit}", "cividis"
        )
        second = f"Width of the {percent} prediction interval."
    first = f"{title}. {_about(grid)}"
    save_figure(figure, picture)
    files[first] = picture
    files[second] = save_figure(other, folder / "uncertainty.png")
    where = "Where the labels lie."
    places = predictor.rows.lonlat
    if predictor.is_classes:
        labels = coverage_map({task.name: places})
    else:
        known = in_units(task, predictor.rows.target.values.astype(np.float64))
        labels = value_maps({"labels": places}, {"labels": known}, f"{task.name}{unit}")
    files[where] = save_figure(labels, folder / "labels.png")
    shown_outcomes = [one for name, one in predictor.outcomes.items() if name in (EMBEDDING, *BASELINES)]
    like = shown_outcomes[0]
    scores = f"{like.metric} on unseen blocks, with 95 % intervals."
    chart = score_intervals(shown_outcomes, PROBE, like.split, like.labels, tuple(BASELINES), title="")
    files[scores] = save_figure(chart, folder / "scores.png")
    reliability = "Stated and observed coverage on unseen blocks, with 95 % intervals over blocks."
    observed = {level: score([predictor.covered(level)]) for level in predictor.levels()}
    what = "prediction sets" if predictor.is_classes else "prediction intervals"
    files[reliability] = save_figure(coverage_chart(observed, what, predictor.confidence), folder / "reliability.png")
    errors = "Error and coverage of held-out places against their dissimilarity to the places that were used."
    label = "share of wrong classes" if predictor.is_classes else f"mean absolute error{unit}"
    files[errors] = save_figure(
        error_chart(
            predictor.held_out[:, 1], predictor.held_out_errors, predictor.spread.covered(predictor.level),
            predictor.area.threshold, predictor.level, label,
        ),
        folder / "errors.png",
    )  # fmt: skip
    page = write_page(
        out.with_suffix(".html"),
        "map.html",
        title=title,
        subtitle=f"{len(places):,} labels, {predictor.selection.chosen} on embeddings of {predictor.name}",
        figures=files,
        provenance=provenance,
        summary=summary,
        chapters={
            "Map": [first, second],
            "Scores": [score_page_table(predictor), scores],
            "Can the stated errors be trusted?": [reliability, errors],
            "Labels": [where],
            "Words": [words_table(list(_words(predictor).items()))],
        },
    )
    return page, picture


def score_page_table(predictor: PlacePredictor) -> PageTable:
    """Make a table of the embedding, the candidates and the baselines, with scores and errors on unseen blocks."""
    task, like = predictor.task, predictor.outcomes[EMBEDDING]
    true = predictor.rows.target.values
    rows = []
    for name, one in predictor.outcomes.items():
        cells = [score_cell(score([one]), name == EMBEDDING)]
        if not predictor.is_classes:
            raw = in_units(task, true.astype(np.float64)) - in_units(task, predictor.selection.predicted[name])
            cells += [Cell(f"{np.sqrt((raw**2).mean()):.4g}"), Cell(f"{np.abs(raw).mean():.4g}")]
        title = f"{predictor.name}, choice included" if name == EMBEDDING else name
        rows.append(PageRow(title, cells, faint=name in BASELINES))
    metric = f"{like.metric} of {task.transform}" if task.transform else like.metric
    head = ("", metric) if predictor.is_classes else ("", metric, "RMSE\n" + task.unit, "mean error\n" + task.unit)
    chosen = ", ".join(dict.fromkeys(predictor.selection.chosen_by_fold))
    caption = (
        f"Five folds of blocks of {predictor.rows.block_km:g} km, {predictor.rows.buffer_km:g} km apart. First row: "
        f"the probe chosen without the labels that it is judged on ({chosen}). The map is made with "
        f"{predictor.selection.chosen}, fitted to all labels."
    )
    return PageTable(rows, head, caption)


def _words(predictor: PlacePredictor) -> dict[str, str]:
    metric = predictor.outcomes[EMBEDDING].metric
    names = ("interval", metric, *predictor.outcomes)
    return WORDS | {name: GLOSSARY[name] for name in names if name in GLOSSARY and name not in WORDS}


def in_words(region: Region) -> str:
    """Name a region in a sentence.

    Example:
        >>> in_words(Region("world", None))
        'the world'
    """
    if region.shape is None:
        return "the world"
    return f"the box {region.name}" if re.match(r"-?\d", region.name) else region.name


def _about(grid: Grid) -> str:
    side = f"{grid.step:g} degrees" if grid.is_geographic else f"{grid.step:g} m"
    return f"Pixels of {side}, {grid.rows:,} x {grid.columns:,}."


def _area(km2: float) -> str:
    return f"{km2 / 1e6:.3g} million km2" if km2 >= 1e6 else f"{km2:,.0f} km2"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
