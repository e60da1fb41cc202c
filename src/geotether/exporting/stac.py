"""What lies beside an export: checksums of its files, and a STAC item that describes it."""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geotether.exporting.precision import Coding
from geotether.files.disk import replacing_file
from geotether.regions.grid import Grid
from geotether.regions.region import Region

if TYPE_CHECKING:
    import pystac

_MEDIA = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".tiff": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".zarr": "application/vnd.zarr; version=3",
}
_PARQUET = "application/vnd.apache.parquet"
# STAC wants a time; an embedding of places is of no particular one, so a search for any time finds it.
_ALWAYS = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
_KEY = "geotether:key"


def check_stac() -> None:
    """Raise ImportError unless STAC items can be written."""
    try:
        import pystac.extensions.file
        import pystac.extensions.projection
        import pystac.extensions.raster  # noqa: F401
    except ImportError:
        raise ImportError("STAC items are written with pystac: pip install 'geotether[export]'.") from None


def item_path(out: Path) -> Path:
    """Return the path of the STAC item of an export."""
    return out.with_name(f"{out.name}.stac.json")


def sums_path(out: Path) -> Path:
    """Return the path of the checksums of an export."""
    return out.with_name(f"{out.name}.sha256")


def key_of_item(out: Path) -> str | None:
    """Return the key of the export whose STAC item lies beside a file; None if there is none."""
    try:
        return str(json.loads(item_path(out).read_text("utf-8"))["properties"][_KEY])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def write_sums(out: Path) -> dict[str, str]:
    """Write the SHA-256 of a file, or of each file in a folder, as `sha256sum --check` reads them.

    Returns:
        Path from the folder of `out`, with slashes, to hexadecimal SHA-256.
    """
    files = [out] if out.is_file() else sorted(path for path in out.rglob("*") if path.is_file())
    sums = {}
    for path in files:
        with path.open("rb") as file:
            sums[path.relative_to(out.parent).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    with replacing_file(sums_path(out)) as part:
        part.write_text("".join(f"{value}  {name}\n" for name, value in sums.items()), "utf-8")
    return sums


def write_item(
    out: Path, region: Region, grid: Grid | None, coding: Coding, facts: Mapping[str, Any], key: str, title: str
) -> None:
    """Write the checksums and the STAC item of an export; the item comes last, so the export is complete with it.

    Args:
        out: The file or folder.
        region: The region.
        grid: The grid of a raster.
        coding: Bands, number type and missing value.
        facts: Name of the model, its hash and so on, as plain values; they become `emb:runtime_parameters`.
        key: Hash of everything that decides the content of the export.
        title: Title of the item.

    Source:
        STAC 1.1; extensions projection 2.0, raster 1.1 and file 2.1; names of the proposed extension Embedding
        (geo-embeddings/embeddings-stac-specification), which is not listed under `stac_extensions` until published.
    """
    import pystac

    sums = write_sums(out)
    bbox, geometry = _outline(region)
    numbers = {"data_type": coding.dtype} | ({"gsd": grid.step} if grid and not grid.is_geographic else {})
    item = pystac.Item(
        out.name,
        geometry,
        bbox,
        None,
        {"title": title, **numbers, "emb:runtime_parameters": dict(facts), _KEY: key, **_quantization(coding)},
        *_ALWAYS,
    )
    is_layer = "layer" in coding.notes
    asset = pystac.Asset(
        f"./{out.name}", media_type=_MEDIA.get(out.suffix.lower(), _PARQUET), roles=["visual" if is_layer else "data"]
    )
    item.add_asset("visual" if is_layer else "embeddings", asset)
    if grid is not None:
        _describe_raster(item, asset, grid, coding)
    if out.is_file():
        from pystac.extensions.file import FileExtension

        about = FileExtension.ext(asset, add_if_missing=True)
        # A multihash: 12 is SHA-256, and 20 its length in bytes.
        about.apply(checksum=f"1220{sums[out.name]}", size=out.stat().st_size)
    item.add_asset("checksums", pystac.Asset(f"./{sums_path(out).name}", media_type="text/plain", roles=["metadata"]))
    with replacing_file(item_path(out)) as part:
        part.write_text(json.dumps(item.to_dict(include_self_link=False), indent=2, ensure_ascii=False), "utf-8")


def _describe_raster(item: "pystac.Item", asset: "pystac.Asset", grid: Grid, coding: Coding) -> None:
    from pyproj import CRS
    from pystac.extensions.projection import ProjectionExtension
    from pystac.extensions.raster import DataType, NoDataStrings, RasterBand, RasterExtension

    crs = CRS.from_user_input(grid.crs)
    code = crs.to_authority()
    placed: dict[str, Any] = {
        "shape": [grid.rows, grid.columns],
        "transform": [*grid.transform],
        "bbox": [*grid.bounds],
    }
    placed |= {"code": ":".join(code)} if code else {"wkt2": crs.to_wkt("WKT2_2019")}
    ProjectionExtension.ext(item, add_if_missing=True).apply(**placed)
    nodata = NoDataStrings.NAN if math.isnan(coding.nodata) else coding.nodata
    rounded = coding.dtype == "float16" and item.id.lower().endswith((".tif", ".tiff"))
    stored = "float32" if rounded else coding.dtype  # see `write_raster`
    bands = [
        RasterBand.create(
            nodata=nodata,
            data_type=DataType(stored),
            scale=band.scale if band.scale != 1 else None,
            offset=band.offset if band.offset != 0 else None,
        )
        for band in coding.bands
    ]
    RasterExtension.ext(asset, add_if_missing=True).apply(bands)
    asset.extra_fields["bands"] = [
        {"name": band.name} | ({"description": band.description} if band.description else {}) for band in coding.bands
    ]


def _quantization(coding: Coding) -> dict[str, Any]:
    if coding.dtype not in ("int8", "float16"):
        return {}
    scaled = {"scale": [band.scale for band in coding.bands], "offset": [band.offset for band in coding.bands]}
    method = "linear, per band" if coding.dtype == "int8" else "rounding"
    about = {"method": method, "original_dtype": "float32", "quantized_dtype": coding.dtype}
    return {"emb:quantization": about | (scaled if coding.dtype == "int8" else {})}


def _outline(region: Region) -> tuple[list[float], dict[str, Any]]:
    """Return the bounding box of a region and its outline for GeoJSON, cut at 180 degrees."""
    import shapely

    west, south, east, north = region.bounds
    boxes = [shapely.box(west, south, min(east, 180.0), north)]
    if east > 180:
        boxes.append(shapely.box(-180.0, south, east - 360.0, north))
    shape = boxes[0] if len(boxes) == 1 else shapely.MultiPolygon(boxes)
    return [west, south, east if east <= 180 else east - 360.0, north], json.loads(shapely.to_geojson(shape))
