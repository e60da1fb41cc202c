"""A job: what it makes, settled before any row is read, its folder, and whether the table is up to date."""

import inspect
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geotether.code import code_hash
from geotether.features.featurizer import Featurizer
from geotether.featurizing.rows import spoken_reasons
from geotether.featurizing.specification import TableSpec
from geotether.featurizing.transform import find_transform, load_transform, transform_path
from geotether.files.disk import check_output, file_fingerprint, writing
from geotether.files.formats import PARQUET_ENDINGS
from geotether.files.job_folder import open_job_folder, remove_done, remove_job_folder
from geotether.files.parquet_files import has_only_shards
from geotether.sources.source import Source
from geotether.tables.origin import Origin
from geotether.tables.store import read_origin, write_origin
from geotether.user_folders import plain_hash

# What decides the features, and what is said if it has changed.
_FACTS = {
    "specification": "the specification has changed",
    "fingerprint": "the data have changed",
    "transform": "the transform has changed",
    "code": "the code that makes the features has changed",
}
# Keys of a specification that no row depends on.
_TEXTS = ("path", "tolerance", "licence", "origin", "citation", "url")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
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
    transform: Path | None

    @classmethod
    def of(cls, spec: TableSpec, out: str | Path, name: str | None, transform: str | Path | None = None) -> "Job":
        """Plan a table.

        Args:
            spec: The specification.
            out: The table's file.
            name: Name of the table; by default the file's name.
            transform: A fitted transform or its table, to make the same features; None: features are fitted.
        """
        target = Path(out).resolve()
        if target.is_dir() and not has_only_shards(target):
            raise ValueError(
                f"{out} is a folder; give the name of the table's file, such as {Path(out) / 'birds.parquet'}."
            )
        if target.suffix.lower() not in PARQUET_ENDINGS:
            raise ValueError(f"{out} ends in {target.suffix or 'nothing'!r}; a table ends in .parquet.")
        found = None if transform is None else find_transform(transform)
        inputs = [*spec.inputs(), *([found] if found else [])]
        for file in (out, _rejected_path(target), transform_path(target)):
            check_output(file, folder=file == out and target.is_dir(), inputs=inputs)
        spec = spec.with_source()
        source = spec.open()
        decides: dict[str, Any] = {"source": spec.source, "options": spec.options, "rows": spec.rows, "seed": spec.seed}
        if found is None:
            featurizer, features = spec.make_features(source), spec.features_name(source)
            decides |= {"features": {**spec.features, "name": features}, "encode_time": list(spec.encode_time)}
            # The fit sees rows for training only, and all rows where the default split gave way.
            decides |= {"split": spec.plain()["split"], "split_asked": spec.split_asked}
        else:
            featurizer, features = _of_transform(spec, source, found)
        facts = {
            "specification": decides,
            "fingerprint": source.fingerprint(),
            "transform": None if found is None else file_fingerprint(found),
            "code": features_code(source, featurizer),
        }
        plain = json.loads(json.dumps(facts, default=str))  # as it will be read back
        return cls(spec, name or target.stem, target, source, featurizer, features, plain, found)

    @property
    def key(self) -> str:
        """SHA-256 of everything that the table's rows depend on."""
        plain = {key: value for key, value in self.spec.plain().items() if key not in _TEXTS}
        return plain_hash({"facts": self.facts, "specification": plain, "name": self.name})

    @property
    def rejected_path(self) -> Path:
        """The file beside the table that lists its rejected rows."""
        return _rejected_path(self.out)

    @property
    def folder(self) -> Path:
        """The folder beside the table with the parts of the unfinished job."""
        return self.out.with_name(f".{self.out.stem}.job")

    def tolerates(self, rejected: int, rows: int) -> bool:
        """Whether the share of rejected rows is within the limit."""
        return rejected <= self.spec.tolerance * rows

    def origin(self, made: Mapping[str, Any]) -> Origin:
        """Return the origin of the table, given how it was made."""
        spec = self.spec
        return Origin(spec.licence, spec.origin, spec.citation, spec.url, dict(made))

    @contextmanager
    def locked(self, wait: bool) -> Iterator[None]:
        """Hold the table against other processes, and remove what a killed job left of a finished table."""
        with writing(self.out, folder=self.out.is_dir(), wait=wait):
            remove_done(self.folder)
            yield

    def is_up_to_date(self) -> bool:
        """Whether the table exists, made from the same specification and data by the same code.

        Texts such as the licence and the tolerance do not count, since no row depends on them: see `renew_origin`.
        """
        if not all(file.exists() for file in (self.out, self.rejected_path, transform_path(self.out))):
            return False
        try:
            return read_origin(self.out).made.get("key") == self.key
        except (ValueError, FileNotFoundError):  # a corrupt or foreign file of that name will be replaced
            return False

    def renew_origin(self) -> None:
        """Update the texts of an up-to-date table, unless the new tolerance is too low for its rejected rows."""
        origin = read_origin(self.out)
        rows = origin.made["rows"]
        if not self.tolerates(rows["rejected"], rows["read"]):
            why = spoken_reasons(Counter(origin.made["rejected"]))
            raise ValueError(
                f"{rows['rejected']:,} of {rows['read']:,} rows could not be used when {self.out} was made, more than "
                f"the tolerated {self.spec.tolerance:.1%}: {why}. They are listed in {self.rejected_path}. The table "
                "is unchanged; correct these rows, or set tolerance (--tolerance) higher."
            )
        wanted = self.origin({**origin.made, "specification": self.spec.plain()})
        if _without_path(wanted) != _without_path(origin):
            write_origin(self.out, wanted)
            _log.info("%s: the origin in %s was updated; its rows are up to date.", self.name, self.out)
        else:
            _log.info("%s: %s is up to date.", self.name, self.out)

    def open_folder(self, resume: bool) -> None:
        """Continue in the folder, or empty it if it is of a job with other facts; the difference is logged."""
        open_job_folder(self.folder, self.facts, resume, _difference)

    def remove_folder(self) -> None:
        """Remove the folder; it is first renamed, so that a kill never leaves half a job."""
        remove_job_folder(self.folder)


def features_code(source: Source, featurizer: Featurizer) -> str:
    """Hash the code of this room, the source and the featurizer; in other packages only the file of the class."""
    return plain_hash([code_hash("featurizing.build"), _class_code(type(source)), _class_code(type(featurizer))])


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


def _rejected_path(out: Path) -> Path:
    return out.with_name(f"{out.stem}.rejected.parquet")


def _difference(found: Any, wanted: Mapping[str, Any]) -> str:
    found = found if isinstance(found, dict) else {}
    differs = [name for name in _FACTS if found.get(name) != wanted.get(name)]
    if "specification" in differs:  # other options often mean other data and code, which the user knows
        differs = ["specification"]
    return " and ".join(_FACTS[name] for name in differs) or "it differs"


def _without_path(origin: Origin) -> dict[str, object]:
    """Return an origin as plain values without the path of its data, which may be moved."""
    plain = origin.plain()
    specification = {key: value for key, value in plain["made"]["specification"].items() if key != "path"}
    return {**plain, "made": {**plain["made"], "specification": specification}}
