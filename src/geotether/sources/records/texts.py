"""Texts with places, from columns of any table or from JSON lines."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from geotether.files.places import find_name
from geotether.files.values import is_plain, is_text, texts_of
from geotether.sources.records.row_file import RowSource, names_of
from geotether.sources.source import Observations, usable

TEXT_NAMES = (
    "text", "extract", "description", "content", "body", "abstract", "summary", "caption", "comment", "title", "name"
)  # fmt: skip
# A cell of at most this many words is a name or a title; of it only new words are added.
_NAME_WORDS = 8


@dataclass(eq=False, kw_only=True)
class TextsSource(RowSource):
    r"""One text per row, from one or more columns.

    Formats are those of `ColumnsSource`; JSON lines as of Wikipedia extracts ({"title", "lat", "lon", "extract"}, also
    .jsonl.gz) are read line by line, and a broken line costs one row. Empty texts are rejected.

    Args:
        column: The text column; by default the first of text, extract, description, content, body, abstract, summary,
            caption, comment, title and name, in any case, or else the only column of texts.
        also: Further columns, added after a space. Of short cells (up to eight words, such as one name in seven
            languages) only words are added that are not there yet; cells that are there already are not added.

    The other arguments, and the errors, are those of `RowFile`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     line = '{"title": "Wageningen", "lat": 51.97, "lon": 5.66, "extract": "A town on the Rhine."}'
        ...     _ = Path(f"{folder}/wiki.jsonl").write_text(line + "\n{broken\n")
        ...     wiki = TextsSource(f"{folder}/wiki.jsonl", also="title")
        ...     wiki.prepare(Path(folder))
        ...     found = wiki.read(0, 2)
        >>> found.content, found.rejected[0].reason
        (['A town on the Rhine. Wageningen'], 'the line is not JSON')
    """

    kind: ClassVar[str] = "texts"
    features: ClassVar[str] = "ngrams"
    column: str | None = None
    also: Any = ()

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        self.also = names_of("also", self.also)

    def _choose(self, schema: pa.Schema) -> None:
        self.columns = (self.column or self._found(schema), *self.also)
        self.require(list(self.columns))
        kind = schema.field(self.columns[0]).type
        if not is_plain(kind):
            raise ValueError(f"{self.path}: column {self.columns[0]!r} contains {kind}, not texts.")

    def _observe(self, table: pa.Table, seen: Observations, reasons: dict[int, str]) -> Observations:
        cells = [texts_of(table[name]).tolist() for name in self.columns]
        texts = [joined(row) for row in zip(*cells, strict=True)]
        empty = {row: "empty text" for row, text in enumerate(texts) if not text}
        return usable(seen, empty | reasons, lambda good: [texts[int(row)] for row in good])

    def _found(self, schema: pa.Schema) -> str:
        taken = {*self.finder.columns, *self.labels, *self.also, self.id, self.time}
        texts = [field.name for field in schema if is_text(field.type) and field.name not in taken]
        found = find_name(texts, TEXT_NAMES) or (texts[0] if len(texts) == 1 else None)
        if found is None:
            raise ValueError(
                f"{self.path}: name the column of texts with column=. "
                f"Columns of texts: {', '.join(map(repr, texts[:40])) or 'none'}."
            )
        return found


def joined(cells: tuple[str, ...]) -> str:
    """Join the cells of a row, without repetitions.

    Example:
        >>> joined(("Colonia del Sacramento", "Colonia del Sacramento", "Colônia do Sacramento"))
        'Colonia del Sacramento Colônia do'
    """
    parts: list[str] = []
    seen: set[str] = set()
    for cell in cells:
        words = cell.split()
        if parts and len(words) <= _NAME_WORDS:
            words = [word for word in words if word.casefold() not in seen]
        elif cell in parts:
            continue
        text = " ".join(words) if parts and len(words) <= _NAME_WORDS else cell.strip()
        if text:
            parts.append(text)
        seen |= {word.casefold() for word in cell.split()}
    return " ".join(parts)
