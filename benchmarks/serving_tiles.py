"""Time cold tiles of every layer, and the comparison of queries with all places, on one core.

    OMP_NUM_THREADS=1 python benchmarks/serving_tiles.py [MODEL] [--resolution 0.5]

Processor times in milliseconds, medians and largest values. A cold tile draws its land mask, interpolates, colours and
writes the PNG; a cached tile is requested over HTTP without a socket.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from geotether.geodesy.mercator import square_of_lonlat
from geotether.loading import load
from geotether.searching import place_query, text_query
from geotether.serving.landmask import tile_land
from geotether.serving.served import Served
from geotether.serving.tiles import FROM_ENCODER, tile_png

TILES_PER_ZOOM, ZOOMS = 6, range(11)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="world")
    parser.add_argument("--resolution", type=float, default=0.5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    served = Served({"model": load(asked.model)}, resolution=asked.resolution)
    planet, layers = served.planet(), served.layers()
    began = time.perf_counter()
    layers.prepare()
    spent = time.perf_counter() - began
    print(f"{len(planet):,} places, {planet.near_land.sum():,} near land; layers made in {spent:.1f} s")
    compare(planet)
    shown: dict[str, Any] = {name: layers.get(name) for name in layers.ids}
    shown["similarity"] = layers.similarity(place_query(planet.encoder, 5.66, 51.97))
    if served.questions().asks()["text"]:
        shown["similarity, text"] = layers.similarity(text_query(planet.encoder, "volcano"))
    print(f"\ncold tiles          z < {FROM_ENCODER}: median, largest, kB    z >= {FROM_ENCODER}: median, largest")
    for name, layer in shown.items():
        coarse, fine, size = [], [], []
        for z, x, y in tiles(planet.lonlat[planet.land]):
            tile_land.cache_clear()
            spent, png = timed(lambda z=z, x=x, y=y, layer=layer: tile_png(layer, z, x, y, planet))
            (coarse if z < FROM_ENCODER else fine).append(spent)
            size.append(len(png) / 1000)
        print(
            f"{name:20} {np.median(coarse):6.1f} {max(coarse):6.1f} {np.mean(size[: len(coarse)]):6.0f}"
            f"            {np.median(fine):6.1f} {max(fine):6.1f}"
        )
    print(f"\na cached tile, over HTTP: {kept(served):.1f} ms; 304: {kept(served, again=True):.1f} ms")


def compare(planet: Any) -> None:
    """Print the times of comparing one or several queries with all places, and of reading the bytes alone."""
    queries = [place_query(planet.encoder, lon, 20.0).vector for lon in np.linspace(-170, 170, 16)]
    stored = planet.index.vectors("place")
    print(f"\nproduct of {stored.shape[0]:,} x {stored.shape[1]} float16 ({stored.nbytes / 1e6:.0f} MB) with")
    for count in (1, 2, 4, 8, 16):
        some = np.stack(queries[:count])
        spent = best(lambda some=some: planet.index.similarity("place", some))
        print(f"{count:>4} queries {spent:6.1f} ms, {spent / count:5.1f} each")
    words = stored.view(np.int64)
    print(f"bytes alone {best(words.sum):7.1f} ms (their sum as 64-bit integers)")


def tiles(land: np.ndarray) -> list[tuple[int, int, int]]:
    """Return tiles that contain land, of every zoom."""
    rng = np.random.default_rng(0)
    found = []
    for z in ZOOMS:
        square = square_of_lonlat(land[rng.choice(len(land), TILES_PER_ZOOM)]) * 2**z
        found += [(z, int(x), int(y)) for x, y in square if 0 <= y < 2**z]
    return found


def kept(served: Served, again: bool = False) -> float:
    """Return the median time of a tile that the server, or with `again` the client, has cached."""
    from fastapi.testclient import TestClient

    from geotether.serving.app import app_of

    with TestClient(app_of(served), base_url="http://127.0.0.1") as client:
        address = "/tiles/rgb/2/2/1.png"
        tag = client.get(address).headers["etag"]
        headers = {"If-None-Match": tag} if again else {}
        return float(np.median([timed(lambda: client.get(address, headers=headers))[0] for _ in range(50)]))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor time of a call in milliseconds, and its result."""
    began = time.process_time()
    result = work()
    return (time.process_time() - began) * 1000, result


def best(work: Callable[[], Any], times: int = 9) -> float:
    """Return the least processor time of several calls in milliseconds."""
    return min(timed(work)[0] for _ in range(times))


if __name__ == "__main__":
    main()
