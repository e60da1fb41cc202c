"""The report of a diagnosis: figures, numbers as JSON, one row per place as CSV, and one page."""

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from geotether.diagnostics import Diagnosis, lines_of
from geotether.files.disk import replacing_file
from geotether.maps.diagnosis import (
    bias_map,
    continuity_chart,
    dimension_map,
    nearness_map,
    resolution_map,
    similarity_curve,
)
from geotether.maps.figure import save_figure
from geotether.report.page import Cell, PageRow, PageTable, write_page


def write_diagnosis(
    out: Path,
    title: str,
    found: Diagnosis,
    judged: Mapping[str, Float[np.ndarray, "_ 2"]],
    provenance: Mapping[str, object],
) -> Path:
    """Write `diagnosis.html`, `diagnosis.json`, `places.csv` and `figures/`; return the path of the page.

    Args:
        out: Folder to write to.
        title: Title of the page.
        found: From `diagnose`.
        judged: Task to the places at which its geographic bias was measured.
        provenance: How the model was made.

    Raises:
        OSError: If the disk is full or the folder cannot be written to.
    """
    figures = draw_figures(found, judged, out / "figures")
    with replacing_file(out / "diagnosis.json") as part:
        part.write_text(json.dumps(found.numbers(), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    write_places(found, out / "places.csv")
    return write_page(
        out / "diagnosis.html",
        "diagnosis.html",
        title=title,
        subtitle=f"Measured at {len(found.dimensionality.lonlat):,} places on land, without labels unless stated "
        f"otherwise; seed {found.seed}",
        figures=figures,
        provenance=provenance,
        summary=found.continuity.verdict,
        numbers=numbers_table(found),
    )


def numbers_table(found: Diagnosis) -> PageTable:
    """Make a table of names, values and meanings; a meaning is given once, not for every modality."""
    rows, explained = [], set()
    for line in lines_of(found):
        kind = line.name.split(":")[0]
        meaning = "" if kind in explained else line.meaning
        explained.add(kind)
        rows.append(PageRow(line.name, [Cell(line.value, style="words"), Cell(meaning, style="words meaning")]))
    return PageTable(rows, ("what", "value", "meaning"), words=True)


def draw_figures(found: Diagnosis, judged: Mapping[str, Float[np.ndarray, "_ 2"]], folder: Path) -> dict[str, Path]:
    """Draw and save every figure that there are numbers for; caption to file."""
    raw, centered = found.resolution, found.centered_resolution
    figures = {
        "Local intrinsic dimension.": ("local_dimension", dimension_map(found.dimensionality)),
        "Effective resolution.": ("effective_resolution", resolution_map(raw, centered)),
        "Cosine similarity against distance.": ("similarity", similarity_curve(raw, centered)),
        "The antimeridian.": ("antimeridian", continuity_chart(found.continuity)),
    }
    if found.coverage:
        caption = "Coverage: places on land and the nearest pre-training place."
        figures[caption] = ("coverage", nearness_map(found.coverage))
    if found.leakage:
        figures["Leakage: test places and the nearest pre-training place."] = ("leakage", nearness_map(found.leakage))
    for number, (name, bias) in enumerate(found.bias.items()):
        if len(bias.centers):
            figures[f"Geo-bias: {name}."] = (f"geo_bias_{number}", bias_map(judged[name], bias, name))
    return {caption: save_figure(figure, folder / f"{name}.png") for caption, (name, figure) in figures.items()}


def write_places(found: Diagnosis, path: Path) -> None:
    """Write the numbers of every place as CSV: empty where nothing was measured, inf where a threshold is never met."""
    columns = {
        "lon": found.dimensionality.lonlat[:, 0],
        "lat": found.dimensionality.lonlat[:, 1],
        "local_dimension": found.dimensionality.local,
        "effective_resolution_km": found.resolution.km,
        "effective_resolution_centered_km": found.centered_resolution.km,
    }
    columns |= {f"km_to_{name.replace(' ', '_')}": one.km for name, one in found.coverage.items()}
    with replacing_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in range(len(found.dimensionality.lonlat)):
            values = [float(column[row]) if row < len(column) else math.nan for column in columns.values()]
            writer.writerow("" if math.isnan(value) else f"{value:.6g}" for value in values)
