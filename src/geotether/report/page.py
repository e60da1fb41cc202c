"""HTML pages from jinja2 templates: one base page, one file each, no network, printable."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from geotether.files.disk import replacing_file


@dataclass(frozen=True)
class Cell:
    """One cell of a table on a page.

    Args:
        text: What it shows.
        ends: An interval, shown in a lighter colour behind the text.
        bold: Whether the text is bold.
        style: A class of the style sheet, such as "best" or "words".
    """

    text: str
    ends: str = ""
    bold: bool = False
    style: str = ""


@dataclass(frozen=True)
class PageRow:
    """One row of a table on a page: its name, its cells, and whether it is printed as a baseline."""

    name: str
    cells: Sequence[Cell]
    faint: bool = False


@dataclass(frozen=True)
class PageTable:
    """A table on a page.

    Args:
        rows: The rows.
        head: Names of the columns, the first one of the row names; a line break divides a name into lines.
        caption: A line above the table.
        words: Whether the columns hold texts, aligned to the left.
    """

    rows: Sequence[PageRow]
    head: Sequence[str] = ()
    caption: str = ""
    words: bool = False


def words_table(lines: Sequence[tuple[str, str]]) -> PageTable:
    """Make a table of two columns without a head: names and texts."""
    return PageTable([PageRow(name, [Cell(text, style="words")]) for name, text in lines])


def write_page(
    path: Path,
    template: str,
    *,
    title: str,
    subtitle: str,
    figures: Mapping[str, Path | str],
    provenance: Mapping[str, object],
    **values: object,
) -> Path:
    """Fill in a template of `report/templates` and write the page as one file; it appears whole or not at all.

    Args:
        path: File to write.
        template: Name of the template.
        title: Title of the page.
        subtitle: A line below the title.
        figures: Caption to PNG file, in order; the images are embedded in the page.
        provenance: How the results were made: any values that JSON can hold; nested ones are printed as JSON.
        values: Further values of the template.

    Raises:
        FileNotFoundError: If a figure does not exist.
        ValueError: If a figure is not a PNG file.
        OSError: If the disk is full or the folder cannot be written to.
    """
    nested = {name: value for name, value in provenance.items() if isinstance(value, (Mapping, list, tuple))}
    page = _environment().get_template(template)
    text = page.render(
        title=title,
        subtitle=subtitle,
        images={caption: _data_uri(caption, Path(file)) for caption, file in figures.items()},
        plain={name: value for name, value in provenance.items() if name not in nested},
        nested={name: json.dumps(value, indent=2, default=str) for name, value in nested.items()},
        **values,
    )
    with replacing_file(path) as part:
        part.write_text(text + "\n", encoding="utf-8")
    return path


@cache
def _environment() -> Environment:
    loader = PackageLoader("geotether.report")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _data_uri(caption: str, path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"figure {path.name} for {caption!r} does not exist in {path.parent}.")
    data = path.read_bytes()
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ValueError(f"figure {path.name} is not a PNG file.")
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"
