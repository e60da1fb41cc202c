"""The files that `geotether diagnose --out` writes besides figures: one page and one table of places."""

import csv
import math
from collections.abc import Mapping
from html import escape
from pathlib import Path

from geotether.diagnostics import Diagnosis, lines_of
from geotether.report.page import figures_section, provenance_section
from geotether.report.style import STYLE
from geotether.sources.disk import replacing_file

# Words wrap, unlike the numbers of a score table.
WORDS_STYLE = "td.words { white-space: normal; text-align: left; } td.meaning { color: var(--faint); width: 50%; }"


def write_page(
    folder: Path, title: str, found: Diagnosis, figures: Mapping[str, Path], provenance: Mapping[str, object]
) -> Path:
    """Write a diagnosis as one file that needs no network.

    Args:
        folder: Where to.
        title: Title of the page.
        found: From `diagnose`.
        figures: Caption to PNG file, in order; the images are put into the page.
        provenance: How the model was made.

    Returns:
        Path of `diagnosis.html`.

    Raises:
        FileNotFoundError: If a figure does not exist.
        OSError: If the disk is full or the folder cannot be written to.
    """
    rows, told = [], set()
    for line in lines_of(found):
        kind = line.name.split(":")[0]
        meaning = "" if kind in told else line.meaning  # once is enough for all modalities
        told.add(kind)
        rows.append(
            f'<tr><th scope="row">{escape(line.name)}</th><td class="words">{escape(line.value)}</td>'
            f'<td class="words meaning">{escape(meaning)}</td></tr>'
        )
    count = len(found.dimensionality.lonlat)
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}{WORDS_STYLE}</style>'
        f'</head><body>\n<header><h1>{escape(title)}</h1><div class="subtitle">Measured at {count:,} places on '
        f'land, without labels unless a line says so; seed {found.seed}</div></header>\n<div class="summary">'
        f"{escape(found.continuity.verdict)}</div>\n<h2>Numbers</h2><div class='wide'><table><thead><tr>"
        '<th scope="col">what</th><th scope="col" style="text-align:left">value</th>'
        '<th scope="col" style="text-align:left">meaning</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>\n{figures_section(figures)}\n"
        f"<h2>How the model was made</h2>{provenance_section(provenance)}\n</body></html>\n"
    )
    with replacing_file(folder / "diagnosis.html") as part:
        part.write_text(page, encoding="utf-8")
    return folder / "diagnosis.html"


def write_places(found: Diagnosis, path: Path) -> None:
    """Write the numbers of every place as CSV; what was not measured at a place is empty, what never came is inf.

    Args:
        found: From `diagnose`.
        path: File to write.

    Raises:
        OSError: If the disk is full or the folder cannot be written to.
    """
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
