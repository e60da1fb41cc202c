"""Where a table comes from: licence, source, and how it was made."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

_TEXTS = ("licence", "source", "citation", "url")


@dataclass(frozen=True)
class Origin:
    """What travels with a table, into the run's provenance and the model card.

    Attributes:
        licence: Such as "CC BY 4.0".
        source: Whose data they are, such as "AVONET, Tobias et al. 2022".
        citation: What to cite.
        url: Where they can be had.
        made: How `geotether table build` made the table, as plain values: `specification`, `fingerprint` of the
            source, `geotether` (the version), `rows` read, used and rejected, `rejected` by reason,
            `duplicated_places`, `features` by name. Empty for other tables.

    Example:
        >>> Origin(licence="CC BY 4.0", source="AVONET").is_empty
        False
    """

    licence: str = ""
    source: str = ""
    citation: str = ""
    url: str = ""
    made: dict[str, Any] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known."""
        return self == Origin()

    def plain(self) -> dict[str, Any]:
        """Give what is known as plain values, ready for JSON."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def of(cls, values: Any) -> "Origin":
        """Take back what `plain` gave; what a stranger wrote under the same name and is no such thing is left out.

        Args:
            values: A mapping, or anything else.
        """
        if not isinstance(values, Mapping):
            return cls()
        made = values.get("made")
        texts = {name: values[name] for name in _TEXTS if isinstance(values.get(name), str)}
        return cls(**texts, made=dict(made) if isinstance(made, Mapping) else {})


def origin_of_note(note: bytes | None) -> Origin:
    """Read the origin in a table's note.

    Args:
        note: The entry `geotether` of the Parquet schema's metadata, or None.

    Returns:
        What it says; an empty origin where there is none, or the note is no JSON.
    """
    try:
        content = json.loads(note or b"{}")
    except ValueError:
        return Origin()
    return Origin.of(content.get("origin") if isinstance(content, dict) else None)
