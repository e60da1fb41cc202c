"""Contents and overlap of feature tables as lines of text: a name and a description."""

from typing import Any

from geotether.diagnostics.contents import BLOCK_KM, MOSTLY, Contents, Spread
from geotether.diagnostics.nearness import OVERLAP_KM, Nearness, Overlap

BORDERS = 0.02
_NAMED_AT_MOST = 5


def headline(found: Contents) -> str:
    """Return one sentence about a table."""
    return f"A feature table, {found.name}: {found.rows:,} rows of {found.dim} features."


def contents_lines(found: Contents) -> list[tuple[str, str]]:
    """Describe what a table contains."""
    west, south, east, north = found.bounds
    across = " (across 180)" if west > east else ""
    occupied, all_blocks = found.blocks
    rows, places = found.duplicated
    lines = [
        ("places", f"longitude {west:.2f} to {east:.2f}{across}, latitude {south:.2f} to {north:.2f}"),
        ("blocks", f"{occupied:,} of the Earth's {all_blocks:,} blocks of {BLOCK_KM:g} km contain rows"),
        ("same place", f"{rows:,} rows share {places:,} places" if rows else "no two rows share a place"),
    ]
    if found.time is not None:
        first, last, without = found.time
        known = f"{first} to {last}" if first else "none known"
        lines.append(("time", known + (f"; {without:,} rows without" if without else "")))
    if found.split:
        lines.append(("split", ", ".join(f"{count:,} {part}" for part, count in found.split.items())))
    lines += [("label", f"{name}: {_label_words(label)}") for name, label in found.labels.items()]
    lines += spread_lines(found.spread)
    lines += origin_lines(found.origin)
    return [*lines, ("content hash", found.content_hash)]


def spread_lines(found: Spread) -> list[tuple[str, str]]:
    """Describe the distribution of the features."""
    order = sorted(range(len(found.names)), key=lambda number: found.deviation[number])
    least, most = order[0], order[-1]
    looked = f" (of {found.rows:,} rows)"
    lines = [
        (
            "spread",
            f"standard deviation {found.deviation[least]:.3g} ({found.names[least]}) to {found.deviation[most]:.3g} "
            f"({found.names[most]}), median {found.deviation[order[len(order) // 2]]:.3g}{looked}",
        )
    ]
    if found.nearly_constant:
        lines.append(("constant", f"{_named(found, found.nearly_constant)} nearly always one value"))
    if found.mostly_zero:
        lines.append(("mostly zero", f"{_named(found, found.mostly_zero)} 0 in {MOSTLY:.0%} of the rows or more"))
    missing = {name: share for name, share in found.missing.items() if share > 0}
    if found.missing:
        worst = sorted(missing, key=lambda name: -missing[name])
        few = ", ".join(f"{name} {missing[name]:.1%}" for name in worst[:_NAMED_AT_MOST])
        more = f" and {len(worst) - _NAMED_AT_MOST} more" if len(worst) > _NAMED_AT_MOST else ""
        lines.append(("missing", f"{few}{more}" if few else "none"))
    return lines


def origin_lines(origin: dict[str, Any]) -> list[tuple[str, str]]:
    """Describe where a table comes from, as far as known."""
    lines = [(key, str(origin[key])) for key in ("licence", "source", "citation", "url") if origin.get(key)]
    made = origin.get("made", {})
    rows = made.get("rows", {})
    if {"read", "used", "rejected"} <= set(rows):
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in made.get("rejected", {}).items())
        why = f": {reasons}" if reasons else ""
        lines.append(("made of", f"{rows['used']:,} of {rows['read']:,} rows; {rows['rejected']:,} rejected{why}"))
    if made.get("geotether"):
        lines.append(("made by", f"geotether {made['geotether']}"))
    return lines


def overlap_lines(found: Overlap) -> list[tuple[str, str]]:
    """Describe how two tables overlap."""
    one, two = found.names
    mine, theirs, both = found.blocks
    lines = [
        ("near", f"of {one}, {_shares(found.forth)} of a row of {two}"),
        ("near", f"of {two}, {_shares(found.back)} of a row of {one}"),
        ("blocks", f"{both:,} blocks of {BLOCK_KM:g} km contain rows of both; {mine:,} of {one}, {theirs:,} of {two}"),
    ]
    for seen, trained, held in ((found.seen_forth, one, two), (found.seen_back, two, one)):
        if len(seen.km):
            verdict = "the splits agree"
            near = seen.within((10.0,))[10.0]
            if near > 0:  # without a buffer, a few rows at the borders of blocks are near
                verdict = "the splits contradict" if near > BORDERS else "the splits agree except at borders of blocks"
            words = f"of the held-out rows of {held}, {_shares(seen)} of a training row of {trained}: {verdict}"
            lines.append(("splits", words))
    return lines


def in_columns(lines: list[tuple[str, str]]) -> str:
    """Format names and descriptions as text in two columns."""
    width = max(12, *(len(name) for name, _ in lines)) if lines else 12
    return "\n".join(f"  {name:<{width}}  {words}" for name, words in lines)


def _shares(found: Nearness) -> str:
    return ", ".join(f"{share:.1%} within {km:g} km" for km, share in found.within(OVERLAP_KM).items())


def _named(found: Spread, numbers: list[int]) -> str:
    few = ", ".join(found.names[number] for number in numbers[:_NAMED_AT_MOST])
    more = ", ..." if len(numbers) > _NAMED_AT_MOST else ""
    verb = "is" if len(numbers) == 1 else "are"
    return f"{len(numbers):,} of {len(found.names):,} features ({few}{more}) {verb}"


def _label_words(label: dict[str, Any]) -> str:
    unknown = f", {label['unknown']:,} unknown" if label["unknown"] else ""
    if "classes" in label:
        return f"{label['classes']:,} classes, most often {label['largest']} ({label['count']:,}){unknown}"
    if label["least"] is None:
        return f"no value known{unknown}"
    return f"{label['least']:g} to {label['greatest']:g}{unknown}"
