"""The description of a feature table: figures, numbers as JSON and one page."""

import json
from pathlib import Path
from typing import Any

from geotether.diagnostics.contents import Contents
from geotether.diagnostics.nearness import OVERLAP_KM, Overlap
from geotether.diagnostics.table_summary import contents_lines, headline, overlap_lines
from geotether.files.disk import replacing_file
from geotether.maps.figure import save_figure
from geotether.maps.tables import overlap_chart, overlap_map, split_map, spread_chart
from geotether.report.page import Cell, PageRow, PageTable, words_table, write_page
from geotether.tables.table import Table

# Of a table with more features than this, the page lists the first and last of those ordered by spread.
LISTED = 200


def write_description(out: Path, table: Table, found: Contents, both: Overlap | None) -> Path:
    """Write `describe.html`, `describe.json` and `figures/` about a table; return the path of the page.

    Raises:
        OSError: If the disk is full or the folder cannot be written to.
    """
    figures = {"Places.": ("places", split_map(table.lonlat, table.split, f"{table.name} · {len(table):,} places"))}
    figures["Spread of the features."] = ("spread", spread_chart(found.spread))
    if both is not None:
        figures["Where the two tables lie."] = ("overlap", overlap_map(both))
        figures["Distances between the two tables."] = ("nearness", overlap_chart(both))
    files = {words: save_figure(one, out / "figures" / f"{name}.png") for words, (name, one) in figures.items()}
    with replacing_file(out / "describe.json") as part:
        part.write_text(json.dumps(numbers(found, both), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    features, omitted = feature_table(found)
    return write_page(
        out / "describe.html",
        "table.html",
        title=found.name,
        subtitle=headline(found),
        figures=files,
        provenance={key: value for key, value in found.origin.get("made", {}).items() if key != "features"},
        contents=words_table(contents_lines(found)),
        beside=None if both is None else words_table(overlap_lines(both)),
        beside_name="" if both is None else both.names[1],
        features=features,
        omitted=omitted,
        total=len(found.spread.names),
    )


def numbers(found: Contents, both: Overlap | None) -> dict[str, Any]:
    """Collect everything that was found, as plain values for JSON."""
    facts: dict[str, Any] = {
        key: getattr(found, key)
        for key in ("name", "rows", "dim", "bounds", "split", "labels", "origin", "content_hash")
    }
    facts |= {
        "blocks_of_500_km": found.blocks[0],
        "duplicated": dict(zip(("rows", "places"), found.duplicated, strict=True)),
    }
    if found.time is not None:
        facts["time"] = dict(zip(("first", "last", "unknown"), found.time, strict=True))
    facts["features"] = {
        "rows_looked_at": found.spread.rows,
        **{key: getattr(found.spread, key).tolist() for key in ("mean", "deviation", "zero")},
        **{key: getattr(found.spread, key) for key in ("names", "nearly_constant", "mostly_zero", "missing")},
    }
    if both is not None:
        facts["beside"] = {
            "names": both.names,
            "blocks_of_500_km": dict(zip(("first", "second", "both"), both.blocks, strict=True)),
            **{
                key: {f"within {km:g} km": share for km, share in getattr(both, key).within(OVERLAP_KM).items()}
                for key in ("forth", "back", "seen_forth", "seen_back")
            },
        }
    return facts


def feature_table(found: Contents) -> tuple[PageTable, int]:
    """Make one row per feature, ordered by standard deviation; the second value is the number of omitted features."""
    spread = found.spread
    order = sorted(range(len(spread.names)), key=lambda number: -spread.deviation[number])
    shown = order if len(order) <= LISTED else [*order[: LISTED // 2], *order[-LISTED // 2 :]]
    rows = []
    for n in shown:
        quantiles = (spread.quantiles[level, n] for level in (0, 3, -1))
        texts = [f"{value:.4g}" for value in (spread.mean[n], spread.deviation[n], *quantiles)]
        rows.append(PageRow(spread.names[n], [Cell(text) for text in (*texts, f"{spread.zero[n]:.1%}")]))
    head = ("feature", "mean", "s.d.", "1 %", "median", "99 %", "zero")
    return PageTable(rows, head), len(order) - len(shown)
