"""What `geotether describe TABLE --out` writes: figures, numbers and one page."""

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from geotether.diagnostics.contents import Contents
from geotether.diagnostics.overlap import Overlap
from geotether.diagnostics.table_words import contents_lines, headline, overlap_lines
from geotether.maps.figure import save_figure
from geotether.maps.tables import overlap_chart, overlap_map, split_map, spread_chart
from geotether.report.page import figures_section, provenance_section
from geotether.report.style import STYLE
from geotether.sources.disk import replacing_file
from geotether.tables.table import FeatureTable


def write_description(out: Path, table: FeatureTable, found: Contents, both: Overlap | None) -> Path:
    """Draw and write all that is known of a table.

    Args:
        out: Folder for `describe.html`, `describe.json` and `figures/`.
        table: The table.
        found: What it holds.
        both: How it overlaps with another, or None.

    Returns:
        Path of the page.

    Raises:
        OSError: If the disk is full or the folder cannot be written to.
    """
    figures = {"Places.": ("places", split_map(table.lonlat, table.split, f"{table.name} · {len(table):,} places"))}
    figures["How the features spread."] = ("spread", spread_chart(found.spread))
    if both is not None:
        figures["Where the two tables lie."] = ("overlap", overlap_map(both))
        figures["How near they are to each other."] = ("nearness", overlap_chart(both))
    files = {words: save_figure(one, out / "figures" / f"{name}.png") for words, (name, one) in figures.items()}
    with replacing_file(out / "describe.json") as part:
        part.write_text(json.dumps(numbers(found, both), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return write_page(out, found, both, files)


def write_page(out: Path, found: Contents, both: Overlap | None, figures: Mapping[str, Path]) -> Path:
    """Write a description as one file that needs no network.

    Args:
        out: Folder.
        found: What the table holds.
        both: How it overlaps with another, or None.
        figures: Caption to PNG file.

    Returns:
        Path of `describe.html`.
    """
    chapters = [_table(contents_lines(found))]
    if both is not None:
        chapters += [f"<h2>Beside {escape(both.names[1])}</h2>", _table(overlap_lines(both))]
    chapters += [figures_section(figures), "<h2>Features</h2>", _features(found)]
    made = found.origin.get("made", {})
    if made:
        shown = {key: value for key, value in made.items() if key != "features"}
        chapters += ["<h2>How it was made</h2>", provenance_section(shown)]
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(found.name)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>\n'
        f'<header><h1>{escape(found.name)}</h1><div class="subtitle">{escape(headline(found))}</div></header>\n'
        + "\n".join(chapters)
        + "\n</body></html>\n"
    )
    with replacing_file(out / "describe.html") as part:
        part.write_text(page, encoding="utf-8")
    return out / "describe.html"


def numbers(found: Contents, both: Overlap | None) -> dict[str, Any]:
    """All that was found, as plain values for JSON."""
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
                key: {f"within {km:g} km": share for km, share in getattr(both, key).within.items()}
                for key in ("forth", "back", "seen_forth", "seen_back")
            },
        }
    return facts


def _table(lines: list[tuple[str, str]]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="words">{escape(words)}</td></tr>' for name, words in lines
    )
    return f'<div class="wide"><table><tbody>{rows}</tbody></table></div>'


def _features(found: Contents) -> str:
    """A row a feature, those that spread most first; of very many only the first and the last."""
    spread = found.spread
    order = sorted(range(len(spread.names)), key=lambda number: -spread.deviation[number])
    shown = order if len(order) <= 200 else [*order[:100], *order[-100:]]
    left = f"<p>{len(order) - len(shown):,} of {len(order):,} are left out.</p>" if len(shown) < len(order) else ""
    rows = "".join(
        f'<tr><th scope="row">{escape(spread.names[n])}</th><td>{spread.mean[n]:.4g}</td>'
        f"<td>{spread.deviation[n]:.4g}</td><td>{spread.quantiles[0, n]:.4g}</td><td>{spread.quantiles[3, n]:.4g}</td>"
        f"<td>{spread.quantiles[-1, n]:.4g}</td><td>{spread.zero[n]:.1%}</td></tr>"
        for n in shown
    )
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("feature", "mean", "s.d.", "1 %", "median", "99 %", "zero")
    )
    return f'{left}<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
