"""The list of data sets: their files, addresses, licences, and what reads them."""

import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from geotether.settings import error_lines, parse_yaml, read_yaml
from geotether.sources.catalogue import source_names
from geotether.suggestions import closest

REGISTRY_VARIABLE = "GEOTETHER_REGISTRY"
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_TILE = ("{z}", "{x}", "{y}")


def _inside(path: str) -> str:
    """Check that a path cannot lead out of the data set's folder."""
    parts = PurePosixPath(path).parts
    if not path or path.startswith(("/", "~")) or ".." in parts or "\\" in path or ":" in path:
        raise ValueError(f"{path!r} must be a path inside the data set's folder, with '/' between folders")
    return path


def _web(address: str) -> str:
    if not re.match(r"https?://[^/\s]+/\S+$", address):
        raise ValueError(f"{address!r} is not an http or https address of a file")
    return address


Inside = Annotated[str, AfterValidator(_inside)]
Address = Annotated[str, AfterValidator(_web)]
Addresses = Annotated[tuple[Address, ...], BeforeValidator(lambda given: [given] if isinstance(given, str) else given)]


class Checked(BaseModel):
    """Base of all parts of a registry: immutable, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class BuilderName(Checked):
    """What reads the data: a task of `geotether.tasks.specification.BUILDERS`, or a source of `source_names`."""

    task: str | None = None
    source: str | None = None

    @model_validator(mode="after")
    def _know_it(self) -> "BuilderName":
        if (self.task is None) == (self.source is None):
            raise ValueError("builder is {task: NAME} or {source: NAME}, one of the two")
        if self.source is not None and self.source not in source_names():
            raise ValueError(f"there is no source {self.source!r}; known: {', '.join(source_names())}")
        return self


class PlainTable(Checked):
    """A text table without a header, to be rewritten as CSV with one; see `with_header`."""

    source: Inside = Field(alias="from")
    to: Inside
    columns: tuple[str, ...] = Field(min_length=1)
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quoted: bool = True
    missing: str = ""


class RemoteFile(Checked):
    """A file of a data set.

    Attributes:
        name: Its path relative to the data set's folder.
        address: Its addresses, tried in order; none if it must be fetched by hand.
        bytes: Its size, if known.
        sha256: Its hash in hexadecimal, if known.
        checked: Whether independent public projects recorded this hash.
        seen: Where address, size and hash were found.
        unpack: Folder for the content of an archive.
        table: A table without a header, in the file or its archive.
        zoom: Zoom level of the tiles, for an address with {z}/{x}/{y}.
    """

    name: Inside
    address: Addresses = ()
    bytes: int | None = Field(default=None, ge=0)
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    checked: bool = False
    seen: str = ""
    unpack: Inside | None = None
    table: PlainTable | None = None
    zoom: int | None = Field(default=None, ge=0, le=15)

    @model_validator(mode="after")
    def _fit_together(self) -> "RemoteFile":
        if self.unpack is not None and not self.name.lower().endswith(ARCHIVES):
            raise ValueError(f"unpack is for {', '.join(ARCHIVES)}; {self.name} has another ending")
        if self.checked and self.sha256 is None:
            raise ValueError(f"{self.name} is marked as checked, but has no sha256")
        for text in (self.name, *self.address):
            if any(part in text for part in _TILE) != (self.zoom is not None):
                raise ValueError(f"{text}: zoom and {{z}}/{{x}}/{{y}} belong together")
        if self.zoom is not None and (self.sha256 or self.bytes or self.unpack or self.table):
            raise ValueError(f"{self.name}: bytes, sha256, unpack and table do not apply to tiles")
        return self

    def expanded(self) -> "list[RemoteFile]":
        """List the files of this entry: itself, or one file per tile.

        Example:
            >>> file = RemoteFile(name="{z}/{x}/{y}.png", address="https://a.org/{z}/{x}/{y}.png", zoom=1)
            >>> [one.name for one in file.expanded()]
            ['1/0/0.png', '1/0/1.png', '1/1/0.png', '1/1/1.png']
        """
        if self.zoom is None:
            return [self]
        found = []
        for x in range(2**self.zoom):
            for y in range(2**self.zoom):
                where = {"z": self.zoom, "x": x, "y": y}
                addresses = tuple(_filled(one, where) for one in self.address)
                found.append(RemoteFile(name=_filled(self.name, where), address=addresses, seen=self.seen))
        return found


class Dataset(Checked):
    """An entry of the registry; see the head of `registry.yaml` for its keys."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    title: str = Field(min_length=1)
    homepage: Annotated[str, Field(pattern=r"^https?://\S+$")]
    licence: str = Field(min_length=1)
    citation: str = Field(min_length=1)
    builder: BuilderName
    data: Inside
    files: tuple[RemoteFile, ...] = Field(min_length=1)
    note: str = ""
    how_to: str = ""
    arguments: str = ""

    @model_validator(mode="after")
    def _explain_hand_work(self) -> "Dataset":
        for file in self.files:
            if not file.address and not self.how_to:
                raise ValueError(f"{file.name} has no address, so how_to must say how to get it")
        return self

    @property
    def bytes(self) -> int | None:
        """Total size of all files; None if one is unknown."""
        sizes = [file.bytes for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def by_hand(self) -> bool:
        """Whether a file has no address."""
        return any(not file.address for file in self.files)


def read_registry(path: str | Path | None = None) -> dict[str, Dataset]:
    """Read the built-in list of data sets and those of the user.

    Args:
        path: YAML in the form of the built-in `registry.yaml`, besides the one named by the environment variable
            GEOTETHER_REGISTRY. A later entry replaces an earlier one of the same name.

    Returns:
        Name to data set.

    Raises:
        FileNotFoundError: If a registry is missing.
        ValueError: If it is not YAML, or an entry is incomplete or has unknown keys; the entry is named.

    Example:
        >>> read_registry()["etopo"].builder.task
        'elevation'
    """
    found = dict(_built_in())
    for one in (os.environ.get(REGISTRY_VARIABLE), path):
        if one:
            named = f" (of {REGISTRY_VARIABLE})" if one is not path else ""
            found |= _parsed(read_yaml(one, f"registry{named}"), str(one))
    return found


def find_dataset(registry: Mapping[str, Dataset], name: str) -> Dataset:
    """Look up a data set; for an unknown name the error lists the known ones."""
    if name in registry:
        return registry[name]
    raise ValueError(f"There is no data set {name!r}; known: {', '.join(registry)}.{closest(name, registry)}")


@cache
def _built_in() -> dict[str, Dataset]:
    file = files("geotether.datasets") / "registry.yaml"
    where = "the built-in registry"
    return _parsed(parse_yaml(file.read_text(encoding="utf-8"), where), where)


def _parsed(rows: Any, where: str) -> dict[str, Dataset]:
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise ValueError(f"{where} must be a list of data sets, each with name, title, files and so on.")
    found: dict[str, Dataset] = {}
    for number, row in enumerate(rows):
        called = row.get("name", number) if isinstance(row, Mapping) else number
        try:
            dataset = Dataset.model_validate(row)
        except ValidationError as error:
            said = "; ".join(line.strip() for line in error_lines(error, "entry"))
            raise ValueError(f"{where}, data set {called}: {said}") from error
        if dataset.name in found:
            raise ValueError(f"{where}: two data sets are called {dataset.name!r}.")
        found[dataset.name] = dataset
    return found


def _filled(text: str, where: Mapping[str, int]) -> str:
    for key, value in where.items():
        text = text.replace("{" + key + "}", str(value))
    return text
