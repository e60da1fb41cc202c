"""Measure the page of `geotether serve` in a headless Chromium: bytes, first paint, and click to similarity layer.

    python benchmarks/serving_page.py [MODEL] [--times 10]

Each round opens a window with an empty cache and clicks at three random places; medians and largest values are printed.
"""

import argparse
import os
import time
from typing import Any

import numpy as np
from server_and_browser import Elsewhere, browser, compressed_bytes, running_server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="world")
    parser.add_argument("--times", type=int, default=10)
    asked = parser.parse_args()
    elsewhere, rng = Elsewhere(), np.random.default_rng(0)
    paints, layers = [], []
    with running_server(asked.model) as server, browser(elsewhere) as chromium:
        for _ in range(asked.times):
            context = chromium.new_context(viewport={"width": 1280, "height": 800})
            page = context.new_page()
            sent: set[str] = set()
            page.on("request", lambda request, sent=sent: sent.add(request.url))
            page.goto(server.url)
            page.locator("#map-1[aria-busy=false]").wait_for()
            files = {url for url in sent if "/tiles/" not in url}
            paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
            for x, y in rng.uniform((0.35, 0.3), (0.9, 0.7), (3, 2)) * (1280, 800):
                layers.append(time_of_click(page, float(x), float(y)))
            context.close()
        size = compressed_bytes(files)
        print(f"page, libraries and base map: {size / 1e6:.2f} MB; load average {os.getloadavg()[0]:.1f}")
        print(f"first contentful paint: median {np.median(paints):.0f} ms, largest {max(paints):.0f} ms")
        print(f"click to similarity layer: median {np.median(layers):.0f} ms, largest {max(layers):.0f} ms")
        print("requests to other hosts:", elsewhere.tried)


def time_of_click(page: Any, x: float, y: float) -> float:
    """Click on the map and return the milliseconds until its similarity layer is drawn."""
    page.evaluate("performance.clearMarks()")
    page.mouse.click(x, y)
    until = time.monotonic() + 30
    while not page.evaluate("performance.getEntriesByName('layer').length"):
        if time.monotonic() > until:
            raise RuntimeError(f"no layer after a click at {x:.0f}, {y:.0f}")
        page.wait_for_timeout(20)
    click, layer = page.evaluate("['click', 'layer'].map(name => performance.getEntriesByName(name)[0].startTime)")
    return float(layer - click)


if __name__ == "__main__":
    main()
