"""What `geotether table build` would read of a file: the part of `geotether describe` for the user's own files."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64

SHOWN, DIFFERENT, ROWS_AT_ONCE, IMAGES_AT_ONCE = 5, 1000, 4096, 32
MOST_IMAGES, MOST_COLUMNS, MOST_BANDS = 2000, 60, 12


def describe_file(path: Path, source: str | None, options: Mapping[str, Any], drawing: Path | None = None) -> str:
    """Describe a file or folder of places as `geotether table build` reads it.

    Args:
        path: A file of rows, a raster, arrays, or a folder of images, in any format of `geotether.files.formats`.
        source: Name of the source that reads it; None: inferred.
        options: Of the source.
        drawing: PNG of a map of the places, or None.

    Returns:
        Format, place, extent, time, columns or bands, and rejected rows, as plain text.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If nothing can be read of it; the message says why.
    """
    from geotether.featurizing.guess import guess_source
    from geotether.files.formats import format_of

    name = source or guess_source(path)
    if name == "raster":
        lines, lonlat = _raster(path, options), np.empty((0, 2))
    elif (found := format_of(path)) is not None and found.holds == "array" and not options:
        lines, lonlat = _arrays(path), np.empty((0, 2))
    else:
        lines, lonlat = _rows(path, name, options)
        if drawing is not None and not len(lonlat):
            raise ValueError(f"{path} has no places to draw:\n" + "\n".join(lines))
    if drawing is not None:
        if not len(lonlat):
            raise ValueError(f"{path} has no rows to draw; leave --map out.")
        from geotether.maps import save_figure
        from geotether.maps.tables import split_map

        lines.append(f"The map is {save_figure(split_map(lonlat, None, path.name), drawing)}")
    return "\n".join(lines)


@dataclass
class _Survey:
    """What is counted while the rows of a source are read."""

    rows: int = 0
    places: list[Float64[np.ndarray, "_ 2"]] = field(default_factory=list)
    times: list[np.ndarray] = field(default_factory=list)
    rejected: dict[str, list[int]] = field(default_factory=dict)
    columns: dict[str, "_Column"] = field(default_factory=dict)


def _rows(path: Path, name: str, options: Mapping[str, Any]) -> tuple[list[str], Float64[np.ndarray, "_ 2"]]:
    from geotether.files.formats import format_of
    from geotether.files.places import doubts_of
    from geotether.files.rows import naming
    from geotether.sources.catalogue import open_source

    found = format_of(path, "rows")
    survey, refusal, place = _Survey(), "", ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            source = open_source(name, path, options)
            source.prepare(Path(folder))
            place = _place(source, name, options)
            _read(source, survey)
        except ValueError as error:
            if found is None or path.suffix.lower() == ".zip":
                raise
            survey, refusal = _Survey(), str(error)
            with naming(path, found.name):
                for table in _tables(path, options.get("layer")):
                    _count(survey, table)
    total = len(source) if not refusal else survey.rows
    kind = "a folder" if path.is_dir() else path.suffix.removeprefix(".").upper()
    lines = [f"{path}: {kind}, {total:,} rows; `geotether table build` reads it by the source {name}."]
    if survey.rows < total:
        lines.append(f"  looked at   the first {survey.rows:,} rows")
    lonlat = np.concatenate([*survey.places, np.empty((0, 2))])
    if refusal:
        lines.append(f"  NOT USABLE  as it is: {refusal}")
    else:
        lines.append(f"  place       {place}; {_extent(lonlat)}")
        lines += [f"  doubtful    {doubt}" for doubt in doubts_of(lonlat)]
        times = np.concatenate([*survey.times, np.empty(0, "M8[ms]")])
        if not np.isnat(times).all():
            lines.append(f"  time        {_span(times)}")
        lines += _rejections(survey, lines[0])
    shown = list(survey.columns.items())
    width = max((len(column) for column, _ in shown[:MOST_COLUMNS]), default=0)
    for at, (column, facts) in enumerate(shown[:MOST_COLUMNS]):
        lines.append(f"  {'columns' if at == 0 else '':10}  {column:{min(width, 30)}}  {facts.said()}")
    if len(shown) > MOST_COLUMNS:
        lines.append(f"              and {len(shown) - MOST_COLUMNS} more")
    dated = [column for column, facts in shown if facts.dates is not None]
    if dated and not refusal and not survey.times:
        lines.append(f"  hint        times are kept with --set time={dated[0]}")
    return lines, lonlat


def _read(source: Any, survey: _Survey) -> None:
    """Read all rows of a source, of images a part, and count."""
    step, most = (IMAGES_AT_ONCE, MOST_IMAGES) if source.kind == "images" else (ROWS_AT_ONCE, len(source))
    for start in range(0, min(len(source), most), step):
        stop = min(start + step, len(source))
        seen = source.read(start, stop)
        survey.places.append(seen.lonlat)
        survey.times += [] if seen.time is None else [seen.time]
        for one in seen.rejected:
            survey.rejected.setdefault(one.reason, []).append(one.row)
        if hasattr(source, "observe"):
            _count(survey, source.observe(start, stop)[0])
        else:
            survey.rows += stop - start


def _tables(path: Path, layer: str | None) -> Iterator[pa.Table]:
    from geotether.files.rows import open_rows

    with open_rows(path, layer) as rows:
        yield from rows.tables


def _count(survey: _Survey, table: pa.Table) -> None:
    from geotether.files.delimited import FAULT
    from geotether.files.geometry import geometry_column
    from geotether.files.values import usual_table

    geometry = geometry_column(table.schema)
    for name, column in zip(table.column_names, usual_table(table).columns, strict=True):
        if name not in (FAULT, geometry):
            survey.columns.setdefault(name, _Column()).add(column, survey.rows)
    survey.rows += table.num_rows


class _Column:
    """Facts of a column, gathered part by part."""

    def __init__(self) -> None:
        self.kind, self.given, self.missing, self.numbers = "", 0, 0, 0
        self.low: Any = np.inf
        self.high: Any = -np.inf
        self.levels: Counter[str] = Counter()
        self.odd: dict[int, Any] = {}
        self.dates: tuple[Any, Any] | None = (None, None)

    def add(self, column: pa.ChunkedArray, first_row: int) -> None:
        from geotether.files.numbers import numbers_of
        from geotether.files.values import is_number, is_text
        from geotether.geodesy.dates import is_time, times_of

        kind = column.type
        self.kind = str(kind)
        self.given += len(column) - column.null_count
        self.missing += column.null_count
        if is_number(kind) or is_text(kind):
            values, odd = numbers_of(column, comma=True)
            finite = values[np.isfinite(values)]
            self.numbers += len(finite)
            if len(finite):
                ends = pc.min_max(column) if pa.types.is_integer(kind) else None  # with all digits
                low, high = (finite.min(), finite.max()) if ends is None else (ends["min"].as_py(), ends["max"].as_py())
                self.low, self.high = min(self.low, low), max(self.high, high)
            self.odd |= {first_row + row: value for row, value in odd.items()} if len(self.odd) < DIFFERENT else {}
        if (is_text(kind) or pa.types.is_boolean(kind)) and len(self.levels) <= DIFFERENT:
            self.levels.update(str(value) for value in column.to_pylist() if value is not None)
        days = pa.types.is_integer(kind) and self.low >= 10_000_101  # such as 20240615
        if self.dates is not None and (is_time(kind) or is_text(kind) or days):
            times, unread = times_of(column)
            if unread.any():
                self.dates = None
            elif (known := times[~np.isnat(times)]).size:
                low, high = self.dates
                self.dates = (
                    known.min() if low is None else min(low, known.min()),
                    known.max() if high is None else max(high, known.max()),
                )
        elif not is_time(kind):
            self.dates = None

    def said(self) -> str:
        """Say kind, range, missing and odd values."""
        from geotether.files.numbers import odd_in_words

        missing = f", {self.missing:,} missing" if self.missing else ""
        if self.dates is not None and self.dates[0] is not None:
            return f"dates {_span(np.array(self.dates))}{missing}"
        if self.given == 0:
            return "nothing: all are missing"
        if self.numbers and 9 * len(self.odd) <= self.numbers:
            odd = f"; NOT NUMBERS: {odd_in_words(self.odd)}" if self.odd else ""
            return f"numbers {_number(self.low)} to {_number(self.high)}{missing}{odd}"
        if self.levels:
            if len(self.levels) > DIFFERENT:
                return f"texts, more than {DIFFERENT:,} different{missing}"
            ranked = sorted(self.levels.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
            most = ", ".join(f"{level[:30]!r} ({count:,})" for level, count in ranked)
            more = ", ..." if len(self.levels) > SHOWN else ""
            what = "booleans" if self.kind == "bool" else f"texts, {len(self.levels):,} different"
            return f"{what}{missing}: {most}{more}"
        return f"{self.kind}{missing}"


def _number(value: Any) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**64 else f"{value:.6g}"


def _place(source: Any, name: str, options: Mapping[str, Any]) -> str:
    if hasattr(source, "finder"):
        return str(source.finder.place)
    in_images = name == "images" and "index" not in options and options.get("lon") is None
    return "the metadata of each image (EXIF, georeference)" if in_images else "the columns of coordinates"


def _extent(lonlat: Float64[np.ndarray, "_ 2"]) -> str:
    if not len(lonlat):
        return "no valid place"
    (west, south), (east, north) = lonlat.min(axis=0), lonlat.max(axis=0)
    different = len(np.unique(lonlat, axis=0))
    return f"longitude {west:.5g} to {east:.5g}, latitude {south:.5g} to {north:.5g}; {different:,} different places"


def _span(times: np.ndarray) -> str:
    known = times[~np.isnat(times.astype("M8[ms]"))].astype("M8[ms]")
    first, last = (str(one.astype("M8[s]")).removesuffix("T00:00:00") for one in (known.min(), known.max()))
    missing = len(times) - len(known)
    return f"{first} to {last}" + (f", {missing:,} rows without" if missing else "")


def _rejections(survey: _Survey, title: str) -> list[str]:
    count = sum(map(len, survey.rejected.values()))
    if not count:
        return ["  rejected    none"]
    lines = [f"  rejected    {count:,} of {survey.rows:,} rows ({count / max(survey.rows, 1):.2%})"]
    for reason, rows in sorted(survey.rejected.items(), key=lambda item: -len(item[1])):
        which = ", ".join(map(str, rows[:SHOWN])) + (", ..." if len(rows) > SHOWN else "")
        lines.append(f"              {reason}: {len(rows):,} (rows {which})")
    return lines


def _raster(path: Path, options: Mapping[str, Any]) -> list[str]:
    from geotether.geodesy.crs import crs_name
    from geotether.sources.grids.cells import decode, open_raster

    given = {name: options[name] for name in ("bands", "variable", "select", "crs") if options.get(name) is not None}
    raster = open_raster(path, **given)
    grid = raster.grid
    crs = "degrees (WGS 84)" if grid.crs is None else crs_name(grid.crs)
    rows, columns = np.meshgrid(np.linspace(0, grid.height, 33), np.linspace(0, grid.width, 33), indexing="ij")
    edge = grid.lonlat(rows.ravel(), columns.ravel())
    edge = edge[np.isfinite(edge).all(axis=1)]
    high, wide = min(grid.height, 512), min(grid.width, 512)
    values = decode(raster, raster.read((grid.height - high) // 2, (grid.width - wide) // 2, high, wide))
    missing = "none" if raster.missing is None else str(raster.missing).replace("nan", "NaN")
    lines = [
        f"{path}: a raster of {grid.height:,} x {grid.width:,} cells; `geotether table build` reads it by the source "
        "raster, at the places of --set places=FILE or at --set sample=COUNT.",
        f"  place       {crs}; {_extent(edge).split(';')[0]}; cells of {grid.cell_km:.3g} km from north to south",
        f"  stored as   {raster.dtype}; missing data: {missing}"
        + ("" if raster.scales is None else "; scale and offset are applied"),
    ]
    for at, name in enumerate(raster.names[:MOST_BANDS]):
        band = values[..., at]
        known = band[np.isfinite(band)]
        said = f"{known.min():.6g} to {known.max():.6g}" if len(known) else "no data"
        empty = f", {1 - len(known) / band.size:.0%} missing" if len(known) < band.size else ""
        where = "" if (high, wide) == (grid.height, grid.width) else f" in the middle {high} x {wide} cells"
        lines.append(f"  {'bands' if at == 0 else '':10}  {name}: {said}{empty}{where}")
    if len(raster.names) > MOST_BANDS:
        lines.append(f"              and {len(raster.names) - MOST_BANDS} more")
    return lines


def _arrays(path: Path) -> list[str]:
    from geotether.files.arrays import reading_arrays

    with reading_arrays(path):
        found = np.load(path, mmap_mode="r" if path.suffix == ".npy" else None)
        if path.suffix == ".npy":
            arrays = {"": (found.shape, found.dtype)}
        else:
            arrays = {name: (found[name].shape, found[name].dtype) for name in found.files}
    lines = [f"{path}: arrays; `geotether table build` reads them by the source vectors, with --set positions=FILE."]
    return lines + [
        f"  {name or 'array':20}  {' x '.join(map(str, s)) or 'one'} of {d}" for name, (s, d) in arrays.items()
    ]
