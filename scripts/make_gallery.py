"""Write the pictures of docs/gallery.md: the page of `geotether serve world` in a headless Chromium.

    python scripts/make_gallery.py [--out docs/images] [NAME ...]

Needs Chromium on PATH and the packages playwright and Pillow. Pictures are WebP of at most 150 kB.
"""

import argparse
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
from server_and_browser import Elsewhere, browser, running_server  # noqa: E402

MAX_BYTES = 150_000
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@dataclass(frozen=True)
class Picture:
    """A view of the page: the part of its address after #, actions on it, and the layer to wait for."""

    name: str
    fragment: str
    layer: str
    act: Callable[[Any], None] | None = None
    dark: bool = False
    viewport: dict[str, int] = field(default_factory=lambda: DESK)


def predict_july(page: Any) -> None:
    """Upload labelled points and make their map."""
    page.locator("#tab-data").click()
    page.locator("#points-file").set_input_files(
        {"name": "probe_places.csv", "mimeType": "text/csv", "buffer": probe_places()}
    )
    page.locator("#predict-label").select_option("july_temperature_c")
    page.locator("#predict-unit").fill("°C")
    page.locator("#predict-submit").click()
    page.locator("#prediction[aria-busy=false] .score").wait_for(timeout=300_000)


def probe_places() -> bytes:
    """Return labelled points of the demo planet as CSV, as in docs/map.md."""
    import pyarrow as pa
    import pyarrow.csv

    from geotether.sources.planet import read_probe_places

    probe = read_probe_places()
    columns = {"lon": probe.lonlat[:, 0], "lat": probe.lonlat[:, 1], **probe.labels}
    out = io.BytesIO()
    pyarrow.csv.write_csv(pa.table(columns).slice(0, 3000), out)
    return out.getvalue()


PICTURES = [
    Picture("serve_similar", "#place=8.10,46.60&view=30,25,1.6", "similarity"),
    Picture("serve_text", "#text=landslide after monsoon rain&view=30,20,1.6", "similarity", dark=True),
    Picture("serve_globe", "#layer=rgb&globe=1&view=20,10,1.9", "rgb"),
    Picture("serve_compare", "#place=-60,-3&compare=1&layer2=clusters&view=-60,0,1.2", "similarity"),
    Picture("serve_labels", "#view=20,15,1.6", "prediction.value", act=predict_july),
    Picture("serve_phone", "#place=139.69,35.68&view=112,28,1.3", "similarity", dark=True, viewport=PHONE),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(one.name for one in PICTURES))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    asked = parser.parse_args()
    with running_server("world", wait=300) as server, browser(Elsewhere()) as chromium:
        for picture in PICTURES:
            if not asked.names or picture.name in asked.names:
                path = asked.out / f"{picture.name}.webp"
                path.write_bytes(compressed(taken(chromium, server.url, picture)))
                print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def taken(chromium: Any, url: str, picture: Picture) -> Image.Image:
    """Return a screenshot of the page after its layer is drawn."""
    context = chromium.new_context(
        viewport=picture.viewport,
        color_scheme="dark" if picture.dark else "light",
        device_scale_factor=2 if picture.viewport is PHONE else 1,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(f"{url}/{picture.fragment}")
    page.locator("body[data-ready]").wait_for()
    if picture.act:
        picture.act(page)
    if "place=" in picture.fragment or "text=" in picture.fragment:
        page.locator("#answers > li").first.wait_for()
    page.locator(f"#map-1[data-layer='{picture.layer}'][aria-busy=false]").wait_for(timeout=60_000)
    page.wait_for_timeout(500)
    image = Image.open(io.BytesIO(page.screenshot()))
    context.close()
    return image.convert("RGB")


def compressed(image: Image.Image) -> bytes:
    """Return an image as WebP, with the best quality that fits the limit."""
    for quality in (90, 80, 70, 60, 50, 40):
        out = io.BytesIO()
        image.save(out, "WEBP", quality=quality, method=6)
        if out.tell() <= MAX_BYTES:
            break
    return out.getvalue()


if __name__ == "__main__":
    main()
