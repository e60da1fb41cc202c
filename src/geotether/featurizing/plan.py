"""What a job makes, settled before any row is read, and whether the table is up to date already."""

import hashlib
import inspect
import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geotether.code import code_hash
from geotether.features.featurizer import Featurizer
from geotether.featurizing.job import leaves_table
from geotether.featurizing.rows import spoken_reasons
from geotether.featurizing.specification import TableSpec
from geotether.featurizing.transform import find_transform, load_transform, transform_path
from geotether.files.disk import file_fingerprint
from geotether.files.formats import PARQUET_ENDINGS
from geotether.sources.source import Source
from geotether.tables.origin import Origin
from geotether.tables.store import read_origin, write_origin

# Keys of a specification that no row depends on.
_TEXTS = ("path", "tolerance", "licence", "origin", "citation", "url")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What a job makes.

    Attributes:
        spec: The specification, with its source named.
        name: Name of the table.
        out: The table's file, with links resolved.
        source: The source, not prepared yet.
        featurizer: The featurizer, not fitted yet.
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
        """Plan a table.

        Args:
            spec: The specification.
            out: The table's file.
            name: Name of the table; by default the file's name.
            transform: A fitted transform or its table, to make the same features; None: features are fitted.
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
            # The fit sees rows for training only, and all rows where the default split gave way.
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
        plain = {key: value for key, value in self.spec.plain().items() if key not in _TEXTS}
        return _hash({"facts": self.facts, "specification": plain, "name": self.name})

    def tolerates(self, rejected: int, rows: int) -> bool:
        """Whether the share of rejected rows is within the limit."""
        return rejected <= self.spec.tolerance * rows

    @property
    def rejected_path(self) -> Path:
        """The file beside the table that lists its rejected rows."""
        return self.out.with_name(f"{self.out.stem}.rejected.parquet")

    def origin(self, made: Mapping[str, Any]) -> Origin:
        """Return the origin of the table, given how it was made."""
        spec = self.spec
        return Origin(spec.licence, spec.origin, spec.citation, spec.url, dict(made))


def is_up_to_date(plan: Plan) -> bool:
    """Whether the table exists, made from the same specification and data by the same code.

    Texts such as the licence and the tolerance do not count, since no row depends on them: see `renew_origin`.
    """
    if not all(file.is_file() for file in (plan.out, plan.rejected_path, transform_path(plan.out))):
        return False
    try:
        origin = read_origin(plan.out)
    except ValueError:  # a corrupt or foreign file of that name will be replaced
        return False
    return origin.made.get("key") == plan.key and leaves_table(plan.out, plan.facts)


def renew_origin(plan: Plan) -> None:
    """Update the texts of an up-to-date table, unless the new tolerance is too low for its rejected rows."""
    origin = read_origin(plan.out)
    rows = origin.made["rows"]
    if not plan.tolerates(rows["rejected"], rows["read"]):
        raise ValueError(
            f"{rows['rejected']:,} of {rows['read']:,} rows could not be used when {plan.out} was made, more than the "
            f"tolerated {plan.spec.tolerance:.1%}: {spoken_reasons(Counter(origin.made['rejected']))}. They are listed "
            f"in {plan.rejected_path}. The table is unchanged; correct these rows, or set tolerance (--tolerance) "
            "higher."
        )
    wanted = plan.origin({**origin.made, "specification": plan.spec.plain()})
    if _without_path(wanted) != _without_path(origin):
        write_origin(plan.out, wanted)
        _log.info("%s: the origin in %s was updated; its rows are up to date.", plan.name, plan.out)
    else:
        _log.info("%s: %s is up to date.", plan.name, plan.out)


def features_code(source: Source, featurizer: Featurizer) -> str:
    """Hash the code of this room, the source and the featurizer; in other packages only the file of the class."""
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
            f"{transform.name} contains the features {fitted.name!r} with all their options; new rows get the "
            "same, so leave `features` out."
        )
    if fitted.featurizer.takes != source.kind:
        raise ValueError(
            f"{transform.name} contains features of {fitted.featurizer.takes}, but the source {spec.source!r} gives "
            f"{source.kind}."
        )
    return fitted.featurizer, fitted.name


def _without_path(origin: Origin) -> dict[str, object]:
    """Return an origin as plain values without the path of its data, which may be moved."""
    plain = origin.plain()
    specification = {key: value for key, value in plain["made"]["specification"].items() if key != "path"}
    return {**plain, "made": {**plain["made"], "specification": specification}}


def _hash(values: Mapping[str, Any] | list[str]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
