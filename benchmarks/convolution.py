"""Compare random convolutional features with the bare `conv2d` calls with the same filters on the same images.

    python benchmarks/convolution.py [PARQUET] [--images 40000] [--threads 1 2]

PARQUET holds encoded images in a column (JPEG or PNG); without it, random pixels are used. Everything except decoding
is timed on pixels in memory. The bare calls get pixels that are floating-point numbers already, in the layout and with
the number of images per call that are fastest here; both sides alternate, a thousand images each.
"""

import argparse
import platform
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from geotether.features.convolution import RandomConvolution
from geotether.sources.pictures.image_column import ImageColumnSource

TURN = 1000


def load(path: str | None, count: int) -> tuple[np.ndarray, float]:
    """Return the pixels of a number of images, and the seconds that reading and decoding took."""
    if path is None:
        return np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8), 0.0
    with TemporaryDirectory() as folder:
        source = ImageColumnSource(path)
        source.prepare(Path(folder))
        started = time.perf_counter()
        images = [
            image
            for start in range(0, min(count, len(source)), TURN)
            for image in source.read(start, min(start + TURN, count, len(source))).content
        ]
        return np.stack(images), time.perf_counter() - started


def bare(pixels: torch.Tensor, filters: torch.Tensor, offsets: torch.Tensor, layout: torch.memory_format, size: int):
    """Compute the convolutions alone; return them and the seconds they took."""
    pixels, filters = pixels.contiguous(memory_format=layout), filters.contiguous(memory_format=layout)
    started = time.perf_counter()
    for start in range(0, len(pixels), size):
        torch.nn.functional.conv2d(pixels[start : start + size], filters, offsets)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parquet", nargs="?")
    parser.add_argument("--images", type=int, default=40_000)
    parser.add_argument("--filters", type=int, default=256)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    images, decoding = load(arguments.parquet, arguments.images)
    features = RandomConvolution(num_filters=arguments.filters).fit(images[:: max(1, len(images) // 500)])
    filters = torch.from_numpy((features.filters_ / features.scales_).transpose(0, 3, 1, 2).copy())
    offsets = torch.from_numpy(-features.offsets_)
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, {len(images)} images of", end=" ")
    print(f"{' x '.join(map(str, images.shape[1:]))}, {arguments.filters} filters of 3 x 3")
    print("threads | bare conv2d (layout, images per call) | features | features / bare | decoding / all")
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        sample = torch.from_numpy(images[:256]).permute(0, 3, 1, 2).float()
        ways = [(layout, size) for layout in (torch.contiguous_format, torch.channels_last) for size in (1, 2, 4, 64)]
        trials = {way: min(bare(sample, filters, offsets, *way) for _ in range(3)) for way in ways}
        layout, size = min(trials, key=trials.__getitem__)
        ours = theirs = 0.0
        for start in range(0, len(images), TURN):
            turn = images[start : start + TURN]
            theirs += bare(torch.from_numpy(turn).permute(0, 3, 1, 2).float(), filters, offsets, layout, size)
            started = time.perf_counter()
            features.transform(turn)
            ours += time.perf_counter() - started
        name = "channels last" if layout is torch.channels_last else "channels first"
        print(
            f"{threads} | {len(images) / theirs:,.0f} a second ({name}, {size}) | {len(images) / ours:,.0f} a second | "
            f"{theirs / ours:.0%} | {decoding / (decoding + ours):.1%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
