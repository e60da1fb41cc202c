"""Unpack MapLibre GL JS into the page of `geotether serve`.

    npm pack maplibre-gl@6.17.0
    python scripts/build_page.py --tarball maplibre-gl-6.17.0.tgz

Writes the files that the page uses, unchanged, and their licence to src/geotether/serving/page/maplibre.
"""

import argparse
import hashlib
import tarfile
from pathlib import Path

OUT = Path(__file__).parents[1] / "src" / "geotether" / "serving" / "page" / "maplibre"
SHA256 = "587807d8d6c99349022e027fa310c16cfaa55392131f6263df080306db6809b0"
FILES = {
    "package/dist/maplibre-gl.mjs": "maplibre-gl.mjs",
    "package/dist/maplibre-gl-worker.mjs": "maplibre-gl-worker.mjs",
    "package/dist/maplibre-gl.css": "maplibre-gl.css",
    "package/LICENSE.txt": "LICENSE.txt",
}


def unpack(tarball: Path, out: Path = OUT) -> None:
    """Write the page's files of the tarball to a folder.

    Raises:
        SystemExit: If the tarball is not of the version that the page was written for.
    """
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    if digest != SHA256:
        raise SystemExit(f"{tarball} has the SHA-256 {digest}, not {SHA256}; run npm pack maplibre-gl@6.17.0")
    out.mkdir(parents=True, exist_ok=True)
    with tarfile.open(tarball) as archive:
        for name, target in FILES.items():
            member = archive.extractfile(name)
            assert member is not None
            (out / target).write_bytes(member.read())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tarball", type=Path, required=True, help="maplibre-gl-6.17.0.tgz from npm")
    unpack(parser.parse_args().tarball)
