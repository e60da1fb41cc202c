"""Estimate time, machines and storage for vectors of all land, from rates measured on this machine.

    OMP_NUM_THREADS=1 python benchmarks/planet_plan.py [--model world] [--dim 64] [--cores 64] [--price 0.04]

Regions are exported to a GeoTIFF at 1 km and at 100 m, with every number type. Their processor time and bytes per pixel
are multiplied by the number of pixels of 150 million km2. `--price` is your provider's price of a core per hour.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch
from measuring import machine

from geotether.exporting.export import export
from geotether.loading import load

LAND_KM2 = 150e6
# Metres per pixel, and region as W S E N in degrees.
AREAS = {1000: "5 45 11 49", 100: "5 45 5.9 45.7"}
DTYPES = ("float32", "float16", "int8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="world")
    parser.add_argument("--dim", default="64")
    parser.add_argument("--cores", type=int, default=64, help="cores per machine")
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--price", type=float, default=0.04, help="price of a core per hour")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    model = load(asked.model)
    print(machine())
    print(f"model {asked.model}, {asked.dim} numbers, {asked.cores} cores per machine, {asked.price:g} per core hour\n")
    days = " | ".join(f"{count} machine{'s' * (count > 1)}" for count in asked.machines)
    print(f"| land at | pixels | numbers | µs per pixel | bytes per pixel | core hours | price | {days} | storage |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |" + " ---: |" * (len(asked.machines) + 1))
    with tempfile.TemporaryDirectory() as folder:
        export(model, Path(folder) / "first.tif", region="5 45 6 46", resolution="5km", dim=int(asked.dim))
        for metres, region in AREAS.items():
            for dtype in DTYPES:
                out = Path(folder) / f"{metres}-{dtype}.tif"
                began = time.process_time()
                export(model, out, region=region, resolution=f"{metres}m", dim=int(asked.dim), dtype=dtype, workers=1)
                spent = time.process_time() - began
                pixels = pixels_of(out)
                total = LAND_KM2 * (1000 / metres) ** 2
                hours = spent / pixels * total / 3600
                waits = " | ".join(said(hours / asked.cores / count) for count in asked.machines)
                size = out.stat().st_size / pixels
                print(
                    f"| {metres} m | {total:.2g} | {dtype} | {1e6 * spent / pixels:.0f} | {size:.0f} | {hours:,.1f} | "
                    f"{hours * asked.price:,.2f} | {waits} | {size * total / 1e12:,.2f} TB |",
                    flush=True,
                )


def pixels_of(raster: Path) -> int:
    """Return the number of pixels of a raster that have a value."""
    import rasterio

    with rasterio.open(raster) as file:
        return int((file.dataset_mask() > 0).sum())


def said(hours: float) -> str:
    """Write a time with its unit."""
    return f"{60 * hours:.1f} min" if hours < 1 else f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


if __name__ == "__main__":
    main()
