"""Local context: fields on grids of longitude and latitude, sampled around a place."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64
from torch import Tensor, nn

from geotether.geodesy.coordinates import wrap_longitude

SOURCES = ("rasters", "observations")
# Values further from the mean than this many standard deviations are clipped, so that a heavy tail does not make the
# steps of the 8-bit numbers coarse.
_CLIP = 8.0
# Buffers of a level: which nodes are known and which are stored (packed bits), values, unit and standard deviation of
# each column.
_BUFFERS = ("known", "mask", "values", "unit", "spread")
# Below this share of known nodes a value fades to the mean, 0, so that it does not jump where data end.
LEAST_KNOWN = 0.5


class LocalContext(nn.Module):
    """Fields on grids around a place: what rasters or observations show there, at several scales.

    Each level is a grid whose node (i, j) lies at latitude `north - i * step` and longitude `west + j * step`, in
    degrees. Between nodes, values are interpolated bilinearly among the known nodes. The result is continuous
    everywhere, also at the antimeridian and at the edge of a regional grid; all longitudes of a pole have one value.
    Values are centred: 0 is the mean over the known nodes, and the value far from all of them.

    Values are stored as 8-bit integers with one unit per column, for the nodes that differ from the most frequent
    one (the sea, in most rasters).

    Args:
        levels: One mapping per level: `source` ("rasters" or "observations"), `scale_km` (standard deviation of the
            smoothing), `west`, `north` and `step` in degrees, `rows`, `columns`, `groups` (name to number of columns)
            and `stored` (number of stored nodes, which `fill` sets; by default 0). A grid whose columns fill 360
            degrees wraps around.

    Attributes:
        levels: These mappings.
        dims: Number of columns of each level.
        out_dim: Number of all columns.
        groups: Level number, name and columns (a slice of the `out_dim`) of every group.
        provenance: Where the fields come from, plain values; not saved with the weights.

    Raises:
        ValueError: If a level is incomplete or its grid is not on the Earth.

    Example:
        >>> context = LocalContext([{"source": "rasters", "scale_km": 30.0, "west": -180.0, "north": 90.0,
        ...     "step": 90.0, "rows": 3, "columns": 4, "groups": {"height": 1}}])
        >>> values = np.zeros((3, 4, 1), np.float32)
        >>> values[1, 2] = 1.0  # at longitude 0, latitude 0
        >>> context.fill(0, values, np.ones((3, 4), bool))
        >>> heights = context(torch.tensor([[0.0, 0.0], [45.0, 0.0], [90.0, 0.0]], dtype=torch.float64))
        >>> (heights - heights[2]).flatten().round(decimals=2).tolist()
        [1.0, 0.5, 0.0]
    """

    def __init__(self, levels: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        self.levels = [_checked(number, level) for number, level in enumerate(levels)]
        if not self.levels:
            raise ValueError("A local context needs at least one level.")
        self.dims = [sum(level["groups"].values()) for level in self.levels]
        self.out_dim = sum(self.dims)
        self.provenance: dict[str, Any] = {}
        self.groups: list[tuple[int, str, slice]] = []
        column = 0
        for number, (level, dim) in enumerate(zip(self.levels, self.dims, strict=True)):
            for name, width in level["groups"].items():
                self.groups.append((number, name, slice(column, column + width)))
                column += width
            packed = -(-level["rows"] * level["columns"] // 8)
            for name in ("known", "mask"):
                self.register_buffer(f"{name}/{number}", torch.zeros(packed, dtype=torch.uint8))
            # Row 0 is the background; row r + 1 the r-th node whose bit is set in `mask`.
            self.register_buffer(f"values/{number}", torch.zeros(level["stored"] + 1, dim, dtype=torch.int8))
            for name in ("unit", "spread"):
                self.register_buffer(f"{name}/{number}", torch.ones(dim))
            self.register_buffer(f"index/{number}", torch.zeros(0, dtype=torch.int32), persistent=False)
        self.register_load_state_dict_post_hook(_index_levels)
        if not any(level["stored"] for level in self.levels):
            _index_levels(self)

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        return {"levels": [{**level, "groups": dict(level["groups"])} for level in self.levels]}

    @property
    def level_names(self) -> list[str]:
        """Name of each level, such as "context_rasters_30km"."""
        return [f"context_{level['source']}_{level['scale_km']:g}km" for level in self.levels]

    @classmethod
    def join(cls, *contexts: "LocalContext") -> "LocalContext":
        """Return a context with the levels of several, in order; their buffers are copied."""
        joined = cls([level for context in contexts for level in context.levels])
        number = 0
        for context in contexts:
            for own in range(len(context.levels)):
                for name in (*_BUFFERS, "index"):
                    joined._buffers[f"{name}/{number}"] = context.get_buffer(f"{name}/{own}").clone()
                number += 1
            joined.provenance |= context.provenance
        return joined

    def levels_of(self, source: str | None) -> list[int]:
        """Return the numbers of the levels of a source; of all levels if it is None."""
        return [n for n, level in enumerate(self.levels) if source in (None, level["source"])]

    def dim_of(self, source: str | None) -> int:
        """Return the number of columns that `forward` returns for a source."""
        return sum(self.dims[number] for number in self.levels_of(source))

    def spread(self, source: str | None = None) -> Float32[Tensor, " k"]:
        """Return the standard deviation of each column over the known nodes, by area; 1 for constant columns."""
        return torch.cat([self.get_buffer(f"spread/{number}") for number in self.levels_of(source)])

    def fill(
        self, level: int, values: Float32[np.ndarray, "rows columns k"], known: Bool[np.ndarray, "rows columns"]
    ) -> None:
        """Store the values of a level's nodes, and set its `stored`.

        At a pole (of a grid that wraps around) the known nodes are averaged. Values are rounded to 1/127 of the
        largest distance from the mean; values more than 8 standard deviations from it are clipped.

        Args:
            level: Number of the level.
            values: Shape (rows, columns, k); ignored where not known.
            known: Whether a node has data, shape (rows, columns).

        Raises:
            ValueError: If a shape differs or a known value is not finite.
        """
        grid, dim = self.levels[level], self.dims[level]
        shape = (grid["rows"], grid["columns"])
        if values.shape != (*shape, dim) or known.shape != shape:
            raise ValueError(
                f"Level {level} has {shape[0]} x {shape[1]} nodes of {dim} numbers; got values of shape "
                f"{values.shape} and known of shape {known.shape}."
            )
        values, known = np.where(known[..., None], values, np.float32(0)).astype(np.float32), known.copy()
        if not np.isfinite(values).all():
            raise ValueError(f"Level {level} has values that are not finite at known nodes.")
        latitude = grid["north"] - np.arange(shape[0]) * grid["step"]
        for row in np.flatnonzero(np.abs(latitude) > 90 - 1e-9) if _wraps(grid) else ():
            if known[row].any():
                values[row], known[row] = values[row, known[row]].mean(0), True
        area = np.where(known, np.maximum(np.cos(np.radians(latitude)), 1e-6)[:, None], 0.0)
        share = (area / max(area.sum(), 1e-30)).reshape(-1)
        flat = values.reshape(-1, dim)
        mean = share @ flat
        flat -= mean
        flat[~known.reshape(-1)] = 0.0
        largest = np.maximum(flat.max(0), -flat.min(0))
        spread = np.sqrt(np.einsum("n,nk,nk->k", share, flat, flat))
        constant = largest <= 1e-5 * np.abs(mean)  # what is left of it is rounding
        flat[:, constant], largest[constant], spread[constant] = 0.0, 127.0, 1.0
        unit = (np.minimum(largest, _CLIP * spread) / 127).astype(np.float32)
        whole = np.rint(flat / unit).clip(-127, 127).astype(np.int8)
        rows = np.flatnonzero(known)
        background = _most_frequent(whole[rows]) if len(rows) else np.zeros(dim, np.int8)
        rows = rows[(whole[rows] != background).any(1)]
        stored = np.zeros(known.size, bool)
        stored[rows] = True
        filled = {
            "known": np.packbits(known),
            "mask": np.packbits(stored),
            "values": np.concatenate([background[None], whole[rows]]),
            "unit": unit,
            "spread": spread.astype(np.float32),
        }
        device = self.get_buffer(f"unit/{level}").device
        for name, array in filled.items():
            self._buffers[f"{name}/{level}"] = torch.from_numpy(array).to(device)
        grid["stored"] = len(rows)
        _index_level(self, level)

    def forward(self, lonlat: Float[Tensor, "n 2"], source: str | None = None) -> Float32[Tensor, "n k"]:
        """Sample the fields at places.

        Args:
            lonlat: Longitude and latitude in degrees, shape (n, 2), float64.
            source: "rasters" or "observations"; None for all levels.

        Returns:
            Shape (n, dim_of(source)), float32, without gradient: levels in order, groups in order.
        """
        parts = []
        for number in self.levels_of(source):
            index, weights = self._corners(number, lonlat)
            known = weights * (index > 0)
            share = known / known.sum(1, keepdim=True).clamp(min=LEAST_KNOWN)
            rows = (index - 1).clamp(min=0).flatten()
            values = self.get_buffer(f"values/{number}").index_select(0, rows).float()
            values = values.view(*index.shape, self.dims[number])
            mean = share[:, :1] * values[:, 0]
            for corner in (1, 2, 3):  # a sum of products is three times as fast as a batched matrix product
                mean = torch.addcmul(mean, share[:, corner : corner + 1], values[:, corner])
            parts.append(mean * self.get_buffer(f"unit/{number}"))
        return torch.cat(parts, dim=1) if parts else lonlat.new_zeros(lonlat.shape[0], 0, dtype=torch.float32)

    def on_grid(
        self, lon: Float[Tensor, " c"], lat: Float[Tensor, " r"], source: str | None = None
    ) -> Float32[Tensor, "n k"]:
        """Sample the fields on a grid, first along longitude and then along latitude.

        Args:
            lon: Longitudes of the columns in degrees, shape (c,), float64.
            lat: Latitudes of the rows in degrees, shape (r,), float64.
            source: As in `forward`.

        Returns:
            What `forward` returns for the places row by row, shape (r * c, dim_of(source)).
        """
        parts = []
        for number in self.levels_of(source):
            left, top, right_share, low_share = self._cells(number, lon, lat)
            near_rows, row = torch.unique(torch.cat((top, top + 1)), return_inverse=True)
            near_columns, column = torch.unique(torch.cat((left, left + 1)), return_inverse=True)
            index = self.get_buffer(f"index/{number}").view(-1, self.levels[number]["columns"] + 2)
            index = index[near_rows[:, None], near_columns]
            stored = (index - 1).clamp(min=0).flatten()
            values = (
                self.get_buffer(f"values/{number}")
                .index_select(0, stored)
                .float()
                .view(*index.shape, self.dims[number])
            )
            known = (index > 0).float()[..., None]
            everywhere = bool((index > 0).all())
            if not everywhere:
                values = torch.cat((values * known, known), dim=-1)
            for axis, ends, share in ((1, column, right_share[:, None]), (0, row, low_share[:, None, None])):
                start, end = (values.index_select(axis, side) for side in ends.chunk(2))
                values = torch.lerp(start, end, share)
            if not everywhere:
                values = values[..., :-1] / values[..., -1:].clamp(min=LEAST_KNOWN)
            parts.append((values * self.get_buffer(f"unit/{number}")).flatten(0, 1))
        empty = lon.new_zeros(len(lat) * len(lon), 0, dtype=torch.float32)
        return torch.cat(parts, dim=1) if parts else empty

    def coverage(self, lonlat: Float[Tensor, "n 2"]) -> Float32[Tensor, "n levels"]:
        """Return the interpolated share of known nodes around places, from 0 (no data) to 1, per level."""
        shares = []
        for number in range(len(self.levels)):
            index, weights = self._corners(number, lonlat)
            shares.append((weights * (index > 0)).sum(1).clamp(max=1.0))
        return torch.stack(shares, dim=1)

    def places(self, count: int, seed: int = 0) -> Float64[Tensor, "count 2"] | None:
        """Draw places evenly by area from the nodes that the finest level of rasters stores: usually land.

        Without rasters, from those of the finest level of observations.

        Returns:
            Longitude and latitude in degrees, shape (count, 2); None if no level stores a node.
        """
        filled = [number for number, level in enumerate(self.levels) if level["stored"]]
        if not filled:
            return None
        finest = min(filled, key=lambda n: (self.levels[n]["source"] != "rasters", self.levels[n]["step"]))
        grid = self.levels[finest]
        index = self.get_buffer(f"index/{finest}").cpu().numpy().reshape(grid["rows"] + 2, grid["columns"] + 2)
        rows, columns = np.nonzero(index[1:-1, 1:-1] > 1)
        generator, step = np.random.default_rng(seed), grid["step"]
        area = np.cos(np.radians(grid["north"] - rows * step)).clip(1e-6)
        drawn = generator.choice(len(rows), count, p=area / area.sum())
        shift = generator.uniform(-step / 2, step / 2, (2, count))
        lon = wrap_longitude(grid["west"] + columns[drawn] * step + shift[0])
        lat = (grid["north"] - rows[drawn] * step + shift[1]).clip(-90, 90)
        return torch.from_numpy(np.stack((lon, lat), axis=1))

    def _corners(self, number: int, lonlat: Tensor) -> tuple[Tensor, Tensor]:
        """Return the index entries (0: unknown) and the weights of the four nodes around places, both (n, 4)."""
        left, top, right_share, low_share = self._cells(number, *lonlat.unbind(-1))
        columns = self.levels[number]["columns"]
        start = top * (columns + 2) + left
        corners = torch.stack((start, start + 1, start + columns + 2, start + columns + 3), dim=1)
        index = self.get_buffer(f"index/{number}")[corners]
        weights = torch.stack(
            (
                (1 - right_share) * (1 - low_share),
                right_share * (1 - low_share),
                (1 - right_share) * low_share,
                right_share * low_share,
            ),
            dim=1,
        )
        return index, weights

    def cells_of(self, number: int) -> dict[str, Any]:
        """Return the grid of a level, with `gap`: where longitudes are cut, in degrees west of its first column.

        That is the middle of the gap that a regional grid leaves; a grid that wraps around has none.
        """
        grid = self.levels[number]
        return {**grid, "gap": 0.0 if _wraps(grid) else (360 - (grid["columns"] - 1) * grid["step"]) / 2}

    def _cells(self, number: int, lon: Tensor, lat: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the node west of each longitude and north of each latitude, and the shares of their neighbours.

        Nodes are counted with the border of the index; shapes are those of `lon` and of `lat`.
        """
        grid, lon, lat = self.cells_of(number), lon.detach().double(), lat.detach().double()
        rows, columns, step, gap = grid["rows"], grid["columns"], grid["step"], grid["gap"]
        x = (torch.remainder(lon - grid["west"] + gap, 360.0) - gap) / step
        y = (grid["north"] - lat) / step
        x, y = x.clamp(-1, columns), y.clamp(-1, rows)
        left, top = x.floor().clamp(max=columns - 1), y.floor().clamp(max=rows - 1)
        return (left + 1).long(), (top + 1).long(), (x - left).float(), (y - top).float()


def _checked(number: int, level: Mapping[str, Any]) -> dict[str, Any]:
    """Return a level as plain values; ValueError if it is incomplete or not a grid on the Earth."""
    try:
        plain: dict[str, Any] = {"source": str(level["source"])}
        plain |= {key: float(level[key]) for key in ("scale_km", "west", "north", "step")}
        plain |= {key: int(level[key]) for key in ("rows", "columns")}
        plain["groups"] = {str(name): int(width) for name, width in level["groups"].items()}
        plain["stored"] = int(level.get("stored", 0))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(f"Level {number} of the context is incomplete or malformed: {error!r}.") from error
    rows, columns, step, north = (plain[key] for key in ("rows", "columns", "step", "north"))
    if plain["source"] not in SOURCES:
        raise ValueError(f"Level {number} has the source {plain['source']!r}; known: {', '.join(SOURCES)}.")
    if min(rows, columns) < 1 or not step > 0 or not abs(plain["west"]) <= 360:
        raise ValueError(f"Level {number} needs rows, columns and a step above 0, got {rows}, {columns} and {step}.")
    if not north <= 90 + 1e-9 or north - (rows - 1) * step < -90 - 1e-6:
        raise ValueError(f"Level {number} reaches beyond a pole: {rows} rows of {step} degrees south of {north}.")
    if not _wraps(plain) and columns * step > 360 - step + 1e-9:
        raise ValueError(
            f"Level {number} has {columns} columns of {step} degrees; a grid must fill 360 degrees or leave a gap of "
            "one column."
        )
    if not plain["groups"] or min(plain["groups"].values()) < 1 or not 0 <= plain["stored"] <= rows * columns:
        raise ValueError(f"Level {number} needs groups of at least one column and 0 to rows * columns stored nodes.")
    return plain


def _wraps(grid: Mapping[str, Any]) -> bool:
    """Return whether a grid's columns fill 360 degrees."""
    return abs(grid["columns"] * grid["step"] - 360) < 1e-6


def _most_frequent(rows: np.ndarray) -> np.ndarray:
    """Return the most frequent row of whole numbers, (n, k); rows are compared by a random hash."""
    factors: np.ndarray = np.random.default_rng(0).integers(-(2**40), 2**40, size=(rows.shape[1],))
    hashes = np.zeros(len(rows), np.int64)
    for column in range(rows.shape[1]):
        np.add(hashes, rows[:, column].astype(np.int64) * factors[column], out=hashes)
    _, first, counts = np.unique(hashes, return_index=True, return_counts=True)
    return rows[first[counts.argmax()]]


def _index_levels(context: Any, keys: Any = None) -> None:
    """Index all levels, after loading."""
    for number in range(len(context.levels)):
        _index_level(context, number)


def _index_level(context: LocalContext, number: int) -> None:
    """Index a level's nodes, with a border of one node: 0 is unknown, r + 1 is row r of the values.

    Raises:
        ValueError: If the stored nodes are not as many as the mask has, or one of them is not known.
    """
    grid = context.levels[number]
    rows, columns = grid["rows"], grid["columns"]
    device = context.get_buffer(f"known/{number}").device
    bits = {
        name: np.unpackbits(context.get_buffer(f"{name}/{number}").cpu().numpy(), count=rows * columns).astype(bool)
        for name in ("known", "mask")
    }
    stored, given = int(bits["mask"].sum()), len(context.get_buffer(f"values/{number}")) - 1
    if stored != given or (bits["mask"] & ~bits["known"]).any():
        raise ValueError(
            f"level {number} of the context has {given:,} stored nodes, but its mask has {stored:,}; it is damaged."
        )
    index = bits["known"].astype(np.int32)
    index[bits["mask"]] = np.arange(2, stored + 2, dtype=np.int32)
    padded = np.zeros((rows + 2, columns + 2), np.int32)
    padded[1:-1, 1:-1] = index.reshape(rows, columns)
    if _wraps(grid):
        padded[:, 0], padded[:, -1] = padded[:, -2], padded[:, 1]
    context._buffers[f"index/{number}"] = torch.from_numpy(padded.reshape(-1)).to(device)
