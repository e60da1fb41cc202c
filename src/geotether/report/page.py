"""One self-contained HTML page: summary, scores, figures, glossary, and how it was made."""

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from geotether.benchmark.baselines import BASELINES, is_joined
from geotether.benchmark.outcome import Outcome
from geotether.benchmark.probing import OWN_PROBES
from geotether.benchmark.score_table import outcome_grid
from geotether.report.glossary import words_used
from geotether.report.style import STYLE
from geotether.report.summary import plain_words
from geotether.report.tables import definitions, score_table
from geotether.sources.disk import replacing_file


def write_report(
    folder: Path | str,
    title: str,
    scores: Sequence[Outcome],
    figures: Mapping[str, Path | str],
    provenance: Mapping[str, object],
    subtitle: str = "",
    introduction: Sequence[str] = (),
    labels: int | None = None,
    baselines: Sequence[str] = BASELINES,
    sections: Mapping[str, str] | None = None,
    name: str = "report.html",
) -> Path:
    """Write the report of an evaluation as one file that needs no network and prints well.

    Args:
        folder: Where to; must exist.
        title: Title of the page.
        scores: Outcomes of `evaluate`; one table is made for every probe and split in them.
        figures: Caption to PNG file, in order; the images are put into the page.
        provenance: How it was made: any values that JSON can hold; nested ones are printed as JSON.
        subtitle: A line below the title.
        introduction: Paragraphs before the summary.
        labels: Number of labelled rows of the tables. None: 2,700 if there, else the largest.
        baselines: Names of encoders that are baselines.
        sections: Further chapters between scores and figures: heading to HTML, already escaped.
        name: Name of the file.

    Returns:
        Path of the page.

    Raises:
        FileNotFoundError: If the folder or a figure does not exist.
        ValueError: If there are no scores, or a figure is not a PNG.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"cannot write {name}: the folder {folder} does not exist; make it first.")
    if not scores:
        raise ValueError("a report needs scores, got none; run evaluate first.")
    joined = {one.encoder for one in scores if is_joined(one.encoder)}
    baselines = (*baselines, *sorted(joined - set(baselines)))
    counts = sorted({one.labels for one in scores})
    labels = labels if labels is not None else 2700 if 2700 in counts else counts[-1]
    chapters = [
        *(f"<p>{escape(paragraph)}</p>" for paragraph in introduction),
        summary_section(scores, labels, baselines),
        scores_section(scores, labels, baselines),
        *(f"<h2>{escape(heading)}</h2>{content}" for heading, content in (sections or {}).items()),
        figures_section(figures),
        "<h2>Words</h2>" + definitions(words_used({str(getattr(one, name)) for one in scores for name in NAMES})),
        "<h2>How it was made</h2>" + provenance_section(provenance),
    ]
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>\n'
        f'<header><h1>{escape(title)}</h1><div class="subtitle">{escape(subtitle)}</div></header>\n'
        + "\n".join(chapters)
        + "\n</body></html>\n"
    )
    path = folder / name
    with replacing_file(path) as part:
        part.write_text(page, encoding="utf-8")
    return path


NAMES = ("encoder", "probe", "split", "metric")


def probes_and_splits(scores: Sequence[Outcome], labels: int) -> list[tuple[str, str]]:
    """Probes and splits to make tables of; random splits last, and probes that only baselines bring none."""
    pairs = dict.fromkeys((one.probe, one.split) for one in scores if one.labels == labels)
    pairs = dict.fromkeys(pair for pair in pairs if pair[0] not in OWN_PROBES) or pairs
    return sorted(pairs, key=lambda pair: pair[1] == "random")


def summary_section(scores: Sequence[Outcome], labels: int, baselines: Sequence[str]) -> str:
    """What came out, in plain words, from the first table."""
    pairs = probes_and_splits(scores, labels)
    if not pairs:
        raise ValueError(f"no scores with {labels} labels; there are {sorted({one.labels for one in scores})}.")
    probe, split = pairs[0]
    # An encoder beside Fourier features holds the encoder itself: no baseline for it to beat.
    plain = [one for one in scores if not is_joined(one.encoder)]
    sentences = plain_words(outcome_grid(plain, probe, split, labels), baselines, split, labels)
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<div class="summary"><ul>{items}</ul></div>'


def scores_section(scores: Sequence[Outcome], labels: int, baselines: Sequence[str]) -> str:
    """One table for every probe and split."""
    tables = [score_table(scores, p, s, labels, baselines) for p, s in probes_and_splits(scores, labels)]
    note = (
        "Higher is better everywhere. In brackets: 95 % interval of the mean over seeds by bootstrap over spatial "
        "blocks. Two encoders whose intervals overlap may still differ clearly, since both were judged on the same "
        "blocks: the verdicts are about paired differences. Baselines have the same places, labels and probe."
    )
    return f'<h2>Scores</h2><p class="note">{note}</p>' + "".join(tables)


def figures_section(figures: Mapping[str, Path | str]) -> str:
    """The figures, inside the page."""
    if not figures:
        return ""
    parts = ["<h2>Figures</h2>"]
    for caption, file in figures.items():
        path = Path(file)
        if not path.is_file():
            raise FileNotFoundError(f"figure {path.name} for {caption!r} does not exist in {path.parent}.")
        data = path.read_bytes()
        if not data.startswith(b"\x89PNG\r\n\x1a\n"):
            raise ValueError(f"figure {path.name} is not a PNG file.")
        source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
        parts.append(
            f'<figure><img alt="{escape(caption)}" src="{source}"><figcaption>{escape(caption)}</figcaption></figure>'
        )
    return "\n".join(parts)


def provenance_section(provenance: Mapping[str, object]) -> str:
    """Plain values as a list, nested ones as JSON."""
    plain = {k: v for k, v in provenance.items() if not isinstance(v, (Mapping, list, tuple))}
    nested = {k: v for k, v in provenance.items() if k not in plain}
    parts = [definitions(plain)] if plain else []
    for key, value in nested.items():
        parts.append(f"<h3>{escape(key)}</h3><pre>{escape(json.dumps(value, indent=2, default=str))}</pre>")
    return "".join(parts)
