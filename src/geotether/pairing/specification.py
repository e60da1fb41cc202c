"""What a paired table is read from, in a few lines of YAML."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from geotether.suggestions import closest
from geotether.tables.yaml_text import read_layer

Value = str | int | float | bool


class Section(BaseModel):
    """A part of the specification that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _know_every_key(cls, data: Any) -> Any:
        for key in data if isinstance(data, Mapping) else ():
            if key not in cls.model_fields:
                text = f"unknown key {key!r}.{closest(key, cls.model_fields)} Known: {', '.join(cls.model_fields)}."
                raise PydanticCustomError("unknown_name", "{text}", {"text": text})
        return data


class ModalitySpec(Section):
    """Where the observations of one modality are: one of `values`, `columns` and `files`.

    Attributes:
        kind: "vector", "series" or "chip".
        values: npz: the array. Tables: a column of lists of numbers, nested or not, or of bytes (images, .npy).
        columns: Columns of numbers: their names, or one name with `*`. For a series, one such name for each band, so
            that its columns are the steps: {VV: "VV_*", VH: "VH_*"}.
        files: Files with fields in braces, such as "s1/{id}_VV.tif", seen from the folder of the table. Several give
            the bands of one chip.
        shape: Of one row, where the file does not tell it: [t, bands] or [bands, height, width].
        axes: Where the bands stand among the axes of a row; by default last of a series and first of a chip.
        bands: Names of the bands, or of an array in the npz that holds them.
        at: npz: the array of row numbers, where `values` holds only some of the rows.
        missing: Numbers that mean missing, such as -9999.
        mode: Images as "RGB" or as "L" (grey); by default as they are.
        size: Resize images: their shorter side gets so many pixels, and the middle is cut out.
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
            raise _fault("columns by band are for series, and tell their shape themselves.")
        if isinstance(self.columns, dict) and self.bands:
            raise _fault("columns by band name the bands already; leave bands out.")
        if self.kind == "vector" and self.axes:
            raise _fault("a vector has no axes to order; leave axes out.")
        if self.kind != "chip" and (self.mode or self.size):
            raise _fault("mode and size are for chips that are images.")
        if self.at is not None and self.values is None:
            raise _fault("at says at which rows an npz array holds values; it needs values.")
        return self

    @property
    def bands_last(self) -> bool:
        """Whether bands stand last among the axes of a row, in the file."""
        return self.axes == "bands_last" or (self.axes is None and self.kind == "series")


class Codebook(Section):
    """A CSV of codes and their names.

    Attributes:
        path: The file, seen from the folder of the data.
        code: Its column of codes.
        name: Its column of names.
        rows: Only rows where a column holds a value, or one of several.
    """

    path: str
    code: str
    name: str
    rows: dict[str, Value | list[Value]] = {}


class TargetSpec(Section):
    """Where a target is and what it means.

    Attributes:
        kind: "classes", "labels" (several a row) or "numbers".
        values: The array or column; by default the target's own name. Labels: a 0/1 matrix, or a column of lists.
        columns: Labels: columns of 0 and 1, by their names or as one name with `*`.
        names: Of classes or labels: a list, or the npz array that holds it; or the name of each code. By default what
            occurs, sorted.
        codebook: A CSV that names the codes.
        unknown: Values that mean unknown, such as -1, beside missing ones.
        leave_out: Codes or names that are no label.
        min_count: Leave out labels, and make classes unknown, that occur in fewer of the rows read.
        separator: Labels of a text column: what stands between them.
        unit: Of numbers.
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
        path: .npz, .parquet or .csv file, or a folder; a relative one is seen from the folder of the data.
        name: Of the table; by default that of the file or folder.
        layout: A published layout of `geotether.pairing.layouts.LAYOUTS`; the file then says what the rest would.
        options: Of the layout's reader.
        index: Of a folder: the CSV or Parquet file in it with one row a sample. None: files tell the rows.
        modalities: Name to where its observations are.
        targets: Name to where they are.
        lon: Array or column of longitudes in degrees; with `lat`. Of a Parquet without both, its point geometry counts.
        lat: Array or column of latitudes in degrees.
        time: Array or column of dates, times or years.
        id: Array or column of ids, all different.
        split: Array or column of the split.
        rename_split: Words of that column to "train", "validation", "test" or "buffer".
        group: Array or column of what stays together in folds.
        rows: Only rows where an array or column holds a value, or one of several.
        require: Only rows that have all these modalities.
        licence: Of the data; travels with the table, as do the next three.
        origin: Whose data they are.
        citation: What to cite.
        url: Where they can be had.
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
            raise _fault("rename_split needs split, the column whose words it renames.")
        if self.options and self.layout is None:
            raise _fault("options are those of a layout; name it with layout.")
        for name in self.require:
            if self.modalities and name not in self.modalities:
                known = ", ".join(self.modalities)
                raise _fault(f"require names {name!r}.{closest(name, self.modalities)} Modalities: {known}.")
        return self

    @property
    def described(self) -> list[str]:
        """The keys given that say what is where in a file; a layout or a table of our own says it itself."""
        where = ("index", "modalities", "targets", "lon", "lat", "time", "id", "split", "group", "rows")
        return [key for key in where if getattr(self, key)]


def make_spec(values: PairedSpec | Mapping[str, Any]) -> PairedSpec:
    """Check a specification without looking at the data.

    Args:
        values: The keys of `PairedSpec`; or a mapping with them under `paired`.

    Raises:
        ValueError: If `path` is missing, or a key or value is wrong; every fault is named.

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
        faults = [
            f"  {'.'.join(map(str, ('paired', *fault['loc'])))}: {fault['msg']}"
            + ("" if isinstance(fault["input"], Mapping | BaseModel) else f" (got {fault['input']!r})")
            for fault in error.errors()
        ]
        raise ValueError("\n".join(["The paired data cannot be read as specified:", *faults])) from None


def read_paired_spec(path: str | Path) -> PairedSpec:
    """Read the `paired` part of a YAML file, or a file that holds nothing else.

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
