"""The specification of a table, a few lines of YAML."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from geotether.features.catalogue import FEATURES, features_class, make_features
from geotether.features.featurizer import Featurizer
from geotether.featurizing.guess import guess_source
from geotether.settings import Section, error_lines, read_layer
from geotether.sources.catalogue import open_source, source_class
from geotether.sources.source import Source
from geotether.suggestions import closest

# Passed on to a source that has options of these names, to draw places of its own.
_SHARED = ("rows", "seed")
# Names of `rows` in other libraries.
_ROWS_ELSEWHERE = ("limit", "nrows", "n_rows", "max_rows", "n", "head", "sample", "first")


class SplitSpec(Section):
    """The split of the rows; the arguments of `geotether.tables.splits.assign_split`."""

    block_km: float = Field(default=500.0, gt=0)
    shares: dict[str, float] = {"train": 0.9, "validation": 0.1}
    seed: int = 0
    buffer_km: float = Field(default=0.0, ge=0)


class TableSpec(Section):
    """The specification of a table.

    Attributes:
        path: File or folder, relative to `base`; `~` is the home folder.
        source: A name of `geotether.sources.catalogue.source_names`; None: inferred from the file (`guess_source`).
        options: Further arguments of the source.
        features: `name`, a key of `geotether.features.catalogue.FEATURES` or None for the default of the source, and
            the options of these features.
        split: The split of the rows into blocks of space; None: no split. The default split is omitted, with a
            warning, if the rows are in too few blocks.
        tolerance: Share of rows that may be rejected.
        encode_time: Which of "day_of_year", "hour" and "year" become features.
        licence: Licence of the data; stored in the table, as are the next three.
        origin: Author or institution of the data.
        citation: What to cite.
        url: Address of the data.
        dtype: Number type of the features in the table's file, "float32" or "float16".
        shard_rows: Rows of a file of a table in shards, a folder; None: one file, unless the table is large, as for
            `geotether.tables.store.write_table`.
        rows: Number of rows to draw at random; None: all.
        seed: Seed of the draw of `rows`, and of the rows to fit the features to.
        base: Folder of relative paths; it does not affect the table.
    """

    path: str
    source: str | None = None
    options: dict[str, Any] = {}
    features: dict[str, Any] = {}
    split: SplitSpec | None = SplitSpec()
    tolerance: float = Field(default=0.05, ge=0, le=1)
    encode_time: tuple[Literal["day_of_year", "hour", "year"], ...] = ()
    licence: str = ""
    origin: str = ""
    citation: str = ""
    url: str = ""
    dtype: Literal["float32", "float16"] = "float32"
    shard_rows: int | None = Field(default=None, ge=1)
    rows: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)
    base: Path = Field(default=Path(), exclude=True)

    @field_validator("path", mode="before")
    @classmethod
    def _text(cls, path: Any) -> Any:
        return str(path) if isinstance(path, Path) else path

    @field_validator("features", mode="before")
    @classmethod
    def _named(cls, features: Any) -> Any:
        return {"name": features} if isinstance(features, str) else features or {}

    @classmethod
    def of(cls, values: "TableSpec | Mapping[str, Any]", base: str | Path = ".") -> "TableSpec":
        """Read a flat mapping: the keys above, and any others for the source's constructor.

        Args:
            values: Such as {"path": "birds.csv", "licence": "CC BY 4.0", "exclude": ["notes"]}. `source` may be a
                mapping with `name`, `path` and options of the source; options whose names are also keys of the table
                go there or into a mapping `options`.
            base: Folder of relative paths.

        Raises:
            ValueError: If `path` is missing or a value is wrong. The source and the file are not checked yet.

        Example:
            >>> TableSpec.of({"path": "birds.csv", "features": "columns", "exclude": ["notes"]}).options
            {'exclude': ['notes']}
        """
        if isinstance(values, cls):
            return values
        if not isinstance(values, Mapping):
            raise ValueError(f"A table's specification is a mapping with at least `path`, got {values!r}.")
        values = flatten_source(values)
        if not values.get("path"):
            given = ", ".join(map(str, values)) or "nothing"
            raise ValueError(f"A table's specification needs `path`, the file or folder to read; it has {given}.")
        extra = values.get("options") or {}
        if not isinstance(extra, Mapping):
            raise ValueError(f"`options` must map further options of the source to values; got {extra!r}.")
        own = {key: values[key] for key in OWN_KEYS if key in values}
        options = {str(key): value for key, value in values.items() if key not in OWN_KEYS} | dict(extra)
        try:
            return cls(**{**own, "options": options, "base": Path(base)})
        except ValidationError as error:
            said = "; ".join(line.strip() for line in error_lines(error, "the table"))
            raise ValueError(f"The specification of a table from {values['path']}: {said}") from error

    @property
    def split_asked(self) -> bool:
        """Whether a split was asked for; the default one is made only if the places allow it."""
        return self.split is not None and "split" in self.model_fields_set

    @property
    def place(self) -> str:
        """The path that the source gets."""
        return self.path if "://" in self.path else str(_below(self.base, self.path))

    def with_source(self) -> "TableSpec":
        """Return the specification with its source, inferred from the file if it is not given."""
        return self if self.source else self.model_copy(update={"source": guess_source(self.place)})

    def open(self) -> Source:
        """Open the source."""
        name = str(self.with_source().source)
        known = inspect.signature(source_class(name)).parameters
        options = {key: getattr(self, key) for key in _SHARED if key in known and key in self.model_fields_set}
        for key, value in self.options.items():
            if key not in known:
                raise ValueError(_unknown(name, key, [option for option in known if option != "path"]))
            if isinstance(value, str) and "Path" in str(known[key].annotation):
                below = _below(self.base, value)  # paths in options are relative to it too
                value = str(below) if below.exists() else value
            options[key] = value
        return open_source(name, self.place, options)

    def inputs(self) -> list[Path]:
        """List the files and folders that are named; some may not exist."""
        named = [value for value in self.options.values() if isinstance(value, str | Path)]
        return [Path(self.place), *(_below(self.base, str(value)) for value in named)]

    def make_features(self, source: Source) -> Featurizer:
        """Make the features, without fitting them; by default those of the source."""
        name = self.features_name(source)
        features = make_features(name, {key: value for key, value in self.features.items() if key != "name"})
        if features.takes != source.kind:
            raise ValueError(
                f"The features {name!r} take {features.takes}, but the source {self.with_source().source!r} gives "
                f"{source.kind}; for these, use {', '.join(_features_for(source.kind)) or 'none'}."
            )
        return features

    def features_name(self, source: Source) -> str:
        """Return the name of the features: as given, or the default of the source."""
        return self.features.get("name") or source.features

    def plain(self) -> dict[str, Any]:
        """Return the specification as plain values, with paths as written."""
        plain = self.model_dump(mode="json")
        # Left out where they are the default, as in tables of earlier versions.
        forms = {"dtype": "float32", "shard_rows": None}
        return {key: value for key, value in plain.items() if key not in forms or value != forms[key]}


OWN_KEYS = tuple(key for key in TableSpec.model_fields if key != "base")


def read_spec(path: str | Path) -> TableSpec:
    """Read the specification of one table from YAML; paths in it are relative to its folder."""
    path = Path(path)
    try:
        return TableSpec.of(read_layer(path), path.parent)
    except ValueError as error:
        raise ValueError(str(error) if str(path) in str(error) else f"{path}: {error}") from error


def flatten_source(layer: Mapping[str, Any]) -> dict[str, Any]:
    """Replace `source: {name: ..., path: ..., further options}` by the keys `source`, `path` and `options`.

    Example:
        >>> flatten_source({"source": {"name": "vectors", "column": "A??"}})
        {'source': 'vectors', 'options': {'column': 'A??'}}
    """
    flat = dict(layer)
    if isinstance(layer.get("source"), Mapping):
        source = dict(flat.pop("source"))
        for inner, key in (("name", "source"), ("path", "path")):
            if inner in source:
                flat.setdefault(key, source[inner])
                del source[inner]
        flat["options"] = {**source, **(layer.get("options") or {})}
    return flat


def _unknown(source: str, key: str, known: list[str]) -> str:
    own = [own for own in OWN_KEYS if own != "options"]
    guess = " Did you mean 'rows'?" if key.lower() in _ROWS_ELSEWHERE else closest(key, [*known, *own])
    return (
        f"The source {source!r} has no option {key!r}; it has {', '.join(known) or 'none'}. Any table has "
        f"{', '.join(own)}.{guess}"
    )


def _below(base: Path, path: str) -> Path:
    return base / Path(path).expanduser()


def _features_for(kind: str) -> list[str]:
    found = []
    for name in FEATURES:
        try:
            if features_class(name).takes == kind:
                found.append(name)
        except (ImportError, AttributeError):  # an extra is missing
            continue
    return found
