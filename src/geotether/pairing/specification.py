"""Specification of paired data: a few lines of YAML that say where observations and targets are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from geotether.settings import Section, error_lines, read_layer
from geotether.suggestions import closest

Value = str | int | float | bool


class ModalitySpec(Section):
    """Where the observations of one modality are: one of `values`, `columns` and `files`.

    Attributes:
        kind: "vector", "series" or "chip".
        values: An array of an npz, or a column of lists of numbers, nested or not, or of bytes (images, .npy).
        columns: Columns of numbers: their names, or one name with `*`. For a series, one such name for each band, so
            that its columns are the steps: {VV: "VV_*", VH: "VH_*"}.
        files: Names of files with columns in braces, such as "s1/{id}_VV.tif", relative to the folder of the table.
            Several give the bands of one chip.
        shape: Shape of one row, if rows are flat: [t, bands] or [bands, height, width].
        axes: Position of the bands among the axes of a row; by default last in series and first in chips.
        bands: Names of the bands, or of an array in the npz that holds them.
        at: Array of an npz with row numbers, if `values` holds only some of the rows.
        missing: Numbers that mean missing, such as -9999.
        mode: Convert images to "RGB" or "L" (grey); by default not converted.
        size: Resize images so that the shorter side has this number of pixels, and crop the centre.
    """

    kind: Literal["vector", "series", "chip"]
    values: str | None = None
    columns: str | list[str] | dict[str, str] | None = None
    files: str | list[str] | None = None
    shape: list[int] | None = None
    axes: Literal["bands_first", "bands_last"] | None = None
    bands: str | list[str] | None = None
    at: str | None = None
    missing: list[float] = []
    mode: Literal["RGB", "L"] | None = None
    size: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _agree(self) -> "ModalitySpec":
        given = [name for name in ("values", "columns", "files") if getattr(self, name) is not None]
        if len(given) != 1:
            raise _fault(f"give one of values, columns and files; got {', '.join(given) or 'none of them'}.")
        axes = {"vector": 1, "series": 2, "chip": 3}[self.kind]
        if self.shape is not None and (len(self.shape) != axes or min(self.shape) < 1):
            raise _fault(f"the shape of one row of a {self.kind} has {axes} numbers of 1 or more, got {self.shape}.")
        if isinstance(self.columns, dict) and (self.kind != "series" or self.shape):
            raise _fault("columns by band are for series, and give their shape.")
        if isinstance(self.columns, dict) and self.bands:
            raise _fault("columns by band name the bands already; leave bands out.")
        if self.kind == "vector" and self.axes:
            raise _fault("a vector has no axes to order; leave axes out.")
        if self.kind != "chip" and (self.mode or self.size):
            raise _fault("mode and size are for chips that are images.")
        if self.at is not None and self.values is None:
            raise _fault("at gives the row numbers of an npz array; it needs values.")
        return self

    @property
    def bands_last(self) -> bool:
        """Whether bands are the last axis of a row in the file."""
        return self.axes == "bands_last" or (self.axes is None and self.kind == "series")


class Codebook(Section):
    """A table of codes and their names.

    Attributes:
        path: The file, relative to the folder of the data.
        code: Its column of codes.
        name: Its column of names.
        rows: Only rows where a column holds a value, or one of several.
    """

    path: str
    code: str
    name: str
    rows: dict[str, Value | list[Value]] = {}


class TargetSpec(Section):
    """Where a target is and what its values mean.

    Attributes:
        kind: "classes", "labels" (several a row) or "numbers".
        values: The array or column; by default the target's own name. Labels: a 0/1 matrix, or a column of lists.
        columns: Labels: columns of 0 and 1, by their names or as one name with `*`.
        names: Names of classes or labels: a list, or an array of an npz; or a name for each code. By default the values
            that occur, sorted.
        codebook: A table that names the codes.
        unknown: Values that mean unknown, such as -1, besides missing ones.
        leave_out: Codes or names that are not labels.
        min_count: Drop classes and labels that occur in fewer of the rows read.
        separator: Separator of the labels in a column of texts.
        unit: Unit of numbers.
    """

    kind: Literal["classes", "labels", "numbers"]
    values: str | None = None
    columns: str | list[str] | None = None
    names: str | list[str] | dict[Value, str] | None = None
    codebook: Codebook | None = None
    unknown: Value | list[Value] = []
    leave_out: list[Value] = []
    min_count: int = Field(default=0, ge=0)
    separator: str | None = Field(default=None, min_length=1)
    unit: str = ""

    @model_validator(mode="after")
    def _agree(self) -> "TargetSpec":
        apart = {
            "columns": ("labels",),
            "leave_out": ("labels",),
            "separator": ("labels",),
            "names": ("classes", "labels"),
            "codebook": ("classes", "labels"),
            "min_count": ("classes", "labels"),
            "unit": ("numbers",),
        }
        for key, kinds in apart.items():
            if self.kind not in kinds and getattr(self, key):
                raise _fault(f"{key} is for {' and '.join(kinds)}, not for {self.kind}.")
        if self.names is not None and self.codebook is not None:
            raise _fault("give names or a codebook, not both.")
        if self.columns is not None and self.values is not None:
            raise _fault("give values or columns, not both.")
        return self


class PairedSpec(Section):
    """The specification of a paired table.

    Attributes:
        path: A .npz, a file of rows, or a folder; relative to the folder of the data.
        name: Name of the table; by default that of the file or folder.
        layout: A published layout of `geotether.pairing.layouts.LAYOUTS`; most other keys are then not given.
        options: Options of the layout's reader.
        index: File of rows in a folder, with one row per sample. None: samples are found by the names of files.
        modalities: Name to specification.
        targets: Name to specification.
        lon: Array or column of longitudes in degrees, together with `lat`; by default the geometry of a file of rows.
        lat: Array or column of latitudes in degrees.
        time: Array or column of dates, times or years.
        id: Array or column of ids, all different.
        split: Array or column of the split.
        rename_split: Values of that column to "train", "validation", "test" or "buffer".
        group: Array or column whose equal values stay in one fold.
        rows: Only rows where an array or column holds a value, or one of several.
        require: Only rows that have all these modalities.
        licence: Licence of the data, kept with the table, as are the next three.
        origin: Whose data they are.
        citation: What to cite.
        url: Where to get the data.
    """

    path: str
    name: str | None = Field(default=None, min_length=1)
    layout: str | None = None
    options: dict[str, Any] = {}
    index: str | None = None
    modalities: dict[str, ModalitySpec] = {}
    targets: dict[str, TargetSpec] = {}
    lon: str | None = None
    lat: str | None = None
    time: str | None = None
    id: str | None = None
    split: str | None = None
    rename_split: dict[str, str] = {}
    group: str | None = None
    rows: dict[str, Value | list[Value]] = {}
    require: list[str] = []
    licence: str = ""
    origin: str = ""
    citation: str = ""
    url: str = ""

    @model_validator(mode="after")
    def _agree(self) -> "PairedSpec":
        if (self.lon is None) != (self.lat is None):
            raise _fault("lon and lat are given together.")
        if self.rename_split and self.split is None:
            raise _fault("rename_split needs split, the column whose values it renames.")
        if self.options and self.layout is None:
            raise _fault("options need a layout; name it with layout.")
        for name in self.require:
            if self.modalities and name not in self.modalities:
                known = ", ".join(self.modalities)
                raise _fault(f"require names {name!r}.{closest(name, self.modalities)} Modalities: {known}.")
        return self

    @property
    def described(self) -> list[str]:
        """The given keys that describe a file; layouts and tables of `write_table` describe themselves."""
        where = ("index", "modalities", "targets", "lon", "lat", "time", "id", "split", "group", "rows")
        return [key for key in where if getattr(self, key)]


def make_spec(values: PairedSpec | Mapping[str, Any]) -> PairedSpec:
    """Check a specification without looking at the data.

    Args:
        values: The keys of `PairedSpec`; or a mapping with them under `paired`.

    Raises:
        ValueError: If `path` is missing, or a key or value is wrong; all errors are listed.

    Example:
        >>> spec = make_spec({"path": "fields.npz", "modalities": {"s1": {"kind": "series", "values": "s1"}}})
        >>> spec.modalities["s1"].bands_last
        True
    """
    if isinstance(values, PairedSpec):
        return values
    values = values.get("paired", values)
    if not isinstance(values, Mapping):
        raise ValueError(f"The specification of a paired table is a mapping with at least `path`, got {values!r}.")
    try:
        return PairedSpec.model_validate(values)
    except ValidationError as error:
        lines = ["The paired data cannot be read as specified:", *error_lines(error, "paired.")]
        raise ValueError("\n".join(lines)) from None


def read_paired_spec(path: str | Path) -> PairedSpec:
    """Read a specification from a YAML file, whole or under `paired`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As in `make_spec`.
    """
    try:
        return make_spec(read_layer(Path(path)))
    except ValueError as error:
        raise ValueError(str(error) if str(path) in str(error) else f"{path}: {error}") from None


def _fault(text: str) -> PydanticCustomError:
    return PydanticCustomError("paired", "{text}", {"text": text})
