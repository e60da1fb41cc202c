"""The origin of a table: licence, source, and how it was made."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

_TEXTS = ("licence", "source", "citation", "url")


@dataclass(frozen=True)
class Origin:
    """The origin of a table, copied to the provenance of runs and to model cards.

    Attributes:
        licence: Such as "CC BY 4.0".
        source: Author of the data, such as "AVONET, Tobias et al. 2022".
        citation: What to cite.
        url: Where to get the data.
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
        """Return the known fields as plain values for JSON."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def of(cls, values: Any) -> "Origin":
        """Restore what `plain` returned; fields of the wrong type are ignored."""
        if not isinstance(values, Mapping):
            return cls()
        made = values.get("made")
        texts = {name: values[name] for name in _TEXTS if isinstance(values.get(name), str)}
        return cls(**texts, made=dict(made) if isinstance(made, Mapping) else {})


def origin_of_note(note: bytes | None) -> Origin:
    """Read the origin from the entry `geotether` of a Parquet file's metadata; empty if there is none."""
    try:
        content = json.loads(note or b"{}")
    except ValueError:
        return Origin()
    return Origin.of(content.get("origin") if isinstance(content, dict) else None)
