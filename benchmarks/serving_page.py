"""Measure the page of `geotether serve` in a headless Chromium: bytes, first paint, and click to similarity layer.

    python benchmarks/serving_page.py [MODEL] [--times 10]

Every time is of a new window with an empty cache; medians and the largest are printed. Clicks are at random places, so
that nothing was asked before.
"""

import argparse
import os
import time
from typing import Any

import numpy as np
from server_and_browser import Elsewhere, browser, running_server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="world")
    parser.add_argument("--times", type=int, default=10)
    asked = parser.parse_args()
    elsewhere, rng = Elsewhere(), np.random.default_rng(0)
    paints, layers, sizes = [], [], []
    with running_server(asked.model) as server, browser(elsewhere) as chromium:
        for _ in range(asked.times):
            context = chromium.new_context(viewport={"width": 1280, "height": 800})
            page = context.new_page()
            sizes.append(bytes_of(page, server.url))
            paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
            for x, y in rng.uniform((0.35, 0.3), (0.9, 0.7), (3, 2)) * (1280, 800):
                layers.append(time_of_click(page, float(x), float(y)))
            context.close()
        print(f"page and libraries: {max(sizes) / 1e6:.2f} MB compressed; load average {os.getloadavg()[0]:.1f}")
        print(f"first contentful paint: median {np.median(paints):.0f} ms, largest {max(paints):.0f} ms")
        print(f"click to similarity layer: median {np.median(layers):.0f} ms, largest {max(layers):.0f} ms")
        print("tried elsewhere:", elsewhere.tried)


def bytes_of(page: Any, url: str) -> int:
    """Open the page, wait until its map is drawn, and return the bytes that came over the network, without tiles."""
    session, sizes, kinds = page.context.new_cdp_session(page), {}, {}
    session.send("Network.enable")
    session.on("Network.responseReceived", lambda sent: kinds.update({sent["requestId"]: sent["response"]["url"]}))
    session.on("Network.loadingFinished", lambda sent: sizes.update({sent["requestId"]: sent["encodedDataLength"]}))
    page.goto(url)
    settle(page)
    return int(sum(size for one, size in sizes.items() if "/tiles/" not in kinds.get(one, "")))


def settle(page: Any, seconds: float = 30) -> None:
    """Wait until the map is drawn whole."""
    until = time.monotonic() + seconds
    while page.locator("#map[aria-busy=false]").count() == 0:
        if time.monotonic() > until:
            raise RuntimeError(f"the map is not drawn after {seconds:g} seconds")
        page.wait_for_timeout(20)


def time_of_click(page: Any, x: float, y: float) -> float:
    """Click on the map and return the milliseconds until its similarity layer is drawn."""
    page.evaluate("performance.clearMarks()")
    page.mouse.click(x, y)
    until = time.monotonic() + 30
    while not page.evaluate("performance.getEntriesByName('layer').length"):
        if time.monotonic() > until:
            raise RuntimeError(f"no layer after a click at {x:.0f}, {y:.0f}")
        page.wait_for_timeout(20)
    return float(
        page.evaluate(
            "performance.getEntriesByName('layer')[0].startTime - performance.getEntriesByName('click')[0].startTime"
        )
    )


if __name__ == "__main__":
    main()
