"""What one job makes, settled before any row is read: source, features, files, and the key that tells if it is done."""

import hashlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geotether.code import code_hash
from geotether.features.featurizer import Featurizer
from geotether.featurizing.specification import TableSpec
from geotether.featurizing.transform_file import find_transform, load_transform
from geotether.files.disk import file_fingerprint
from geotether.files.formats import PARQUET_ENDINGS
from geotether.sources.source import Source
from geotether.tables.origin import Origin

# Keys of a specification that no row depends on.
_SAID = ("path", "tolerance", "licence", "origin", "citation", "url")


@dataclass(frozen=True)
class Plan:
    """What a job makes.

    Attributes:
        spec: The specification, its source named.
        name: Of the table.
        out: The table's file; of a link, what it names.
        source: Open, not prepared.
        featurizer: Not fitted.
        features: Name of the features.
        facts: What decides the rows and their features, as plain values.
        transform: A file of features fitted earlier, or None.
    """

    spec: TableSpec
    name: str
    out: Path
    source: Source
    featurizer: Featurizer
    features: str
    facts: dict[str, Any]
    transform: Path | None = None

    @classmethod
    def of(
        cls, spec: TableSpec, out: str | Path, name: str | None = None, transform: str | Path | None = None
    ) -> "Plan":
        """Settle what is made.

        Args:
            spec: From what.
            out: The table's file.
            name: Of the table; by default the file's name.
            transform: A fitted transform or its table, to make the same features; None: they are fitted.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If `out` is no name for a table, or source and features are unknown or do not fit.
        """
        target = Path(out).resolve()
        if target.is_dir():
            raise ValueError(
                f"{out} is a folder; give the name of the table's file, such as {Path(out) / 'birds.parquet'}."
            )
        if target.suffix.lower() not in PARQUET_ENDINGS:
            raise ValueError(f"{out} ends in {target.suffix or 'nothing'!r}; a table ends in .parquet.")
        spec = spec.with_source()
        source = spec.open()
        decides: dict[str, Any] = {"source": spec.source, "options": spec.options, "rows": spec.rows, "seed": spec.seed}
        if transform is None:
            featurizer, features = spec.make_features(source), spec.features_name(source)
            decides |= {"features": {**spec.features, "name": features}, "encode_time": list(spec.encode_time)}
            # The fit sees rows for training only, and of all rows where the split by default gave way.
            decides |= {"split": spec.plain()["split"], "split_asked": spec.split_asked}
            found = None
        else:
            found = find_transform(transform)
            featurizer, features = _of_transform(spec, source, found)
        facts = {
            "specification": decides,
            "fingerprint": source.fingerprint(),
            "transform": None if found is None else file_fingerprint(found),
            "code": features_code(source, featurizer),
        }
        return cls(spec, name or target.stem, target, source, featurizer, features, facts, found)

    @property
    def key(self) -> str:
        """SHA-256 of everything that the table's rows depend on."""
        plain = {key: value for key, value in self.spec.plain().items() if key not in _SAID}
        return _hash({"facts": self.facts, "specification": plain, "name": self.name})

    def tolerates(self, rejected: int, rows: int) -> bool:
        """Whether so many rejected rows of all are no reason to stop."""
        return rejected <= self.spec.tolerance * rows

    def origin(self, made: Mapping[str, Any]) -> Origin:
        """Say where the table comes from.

        Args:
            made: How it was made.
        """
        spec = self.spec
        return Origin(spec.licence, spec.origin, spec.citation, spec.url, dict(made))


def features_code(source: Source, featurizer: Featurizer) -> str:
    """Hash the code that decides the features: of this room, of the source and of the featurizer.

    Args:
        source: Of this package or another.
        featurizer: As above.

    Returns:
        SHA-256 in hexadecimal. Of other packages only the file of the class itself counts.
    """
    return _hash([code_hash("featurizing.build"), _class_code(type(source)), _class_code(type(featurizer))])


def _class_code(kind: type) -> str:
    package, _, module = kind.__module__.partition(".")
    if package == "geotether":
        return code_hash(module)
    try:
        return file_fingerprint(inspect.getfile(kind))
    except (TypeError, OSError):  # typed at a prompt
        return kind.__qualname__


def _of_transform(spec: TableSpec, source: Source, transform: Path) -> tuple[Featurizer, str]:
    fitted = load_transform(transform)
    asked = spec.features.get("name", fitted.name)
    if asked != fitted.name or set(spec.features) - {"name"}:
        raise ValueError(
            f"{transform.name} holds the features {fitted.name!r} with all their options; new rows get the same, so "
            "leave `features` out."
        )
    if fitted.featurizer.takes != source.kind:
        raise ValueError(
            f"{transform.name} holds features of {fitted.featurizer.takes}, but the source {spec.source!r} gives "
            f"{source.kind}."
        )
    return fitted.featurizer, fitted.name


def _hash(values: Mapping[str, Any] | list[str]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
