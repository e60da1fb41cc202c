"""Sources whose rows are images: how they are decoded, and what is made of those that cannot be."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from geotether.sources.pictures.exif import NOWHERE
from geotether.sources.pictures.image_rows import label_values, moments
from geotether.sources.pictures.pixels import UNKNOWN_TIME, ImageError, Photo, check_image_options
from geotether.sources.source import Observations, refuse_places, usable


class Encoded(NamedTuple):
    """Some rows before their images are decoded.

    Attributes:
        images: One a row, in whatever form the source can decode.
        ids: One a row, or none where rows have no ids of their own.
        lonlat: Places in degrees, shape (n, 2), not all valid; None: each image says where it was taken.
        times: See `moments`; None: there is no column of times.
        labels: By name.
    """

    images: Sequence[Any]
    ids: Sequence[str]
    lonlat: np.ndarray | None
    times: pa.ChunkedArray | None
    labels: dict[str, pa.ChunkedArray]


class ImageSource(ABC):
    """A source of images; a subclass finds the rows in `prepare`, notes their number, and says where an image is.

    Args:
        labels: Columns to keep as labels.
        mode: See `read_photo`.
        size: See `read_photo`.
        max_pixels: See `read_photo`.

    Raises:
        ValueError: If an option is out of range.
    """

    kind: str = "images"
    features: str = "convolution"
    # Do images say when they were taken, where no column does?
    dated: ClassVar[bool] = False

    def __init__(self, labels: Sequence[str], mode: str | None, size: int | None, max_pixels: int) -> None:
        check_image_options(mode, size, max_pixels)
        self._options: dict[str, Any] = {"mode": mode, "size": size, "max_pixels": max_pixels}
        self._labels = [labels] if isinstance(labels, str) else list(labels)
        self._count: int | None = None

    def __len__(self) -> int:
        """Count the rows, usable or not. Called after `prepare`."""
        if self._count is None:
            raise ValueError("The source does not know its rows yet; call prepare(folder) first.")
        return self._count

    def read(self, start: int, stop: int) -> Observations:
        """Read and decode rows `start` to `stop`, `stop` not included."""
        rows = self._rows(start, max(start, min(stop, len(self))))
        times, late = (None, {}) if rows.times is None else moments(rows.times)
        photos: dict[int, Photo] = {}
        reasons: dict[int, str] = {}
        for at, image in enumerate(rows.images):
            try:
                if at in late:
                    raise ImageError(late[at])
                photos[at] = self._decoded(image)
            except ImageError as error:
                reasons[at] = str(error)
        every = range(len(rows.images))
        lonlat = rows.lonlat
        if lonlat is None:
            lonlat = np.array([photos[at].place if at in photos else NOWHERE for at in every]).reshape(-1, 2)
        if times is None and self.dated:
            times = np.array([photos[at].time if at in photos else UNKNOWN_TIME for at in every], "datetime64[ms]")
        row = start + np.arange(len(every), dtype=np.int64)
        seen = Observations(row, lonlat, None, np.array(rows.ids, dtype=np.str_), times, label_values(rows.labels))
        return usable(seen, refuse_places(lonlat) | reasons, lambda good: [photos[at].pixels for at in good.tolist()])

    @abstractmethod
    def _rows(self, start: int, stop: int) -> Encoded:
        """Read what there is of rows `start` to `stop`, both of them in range."""

    @abstractmethod
    def _decoded(self, image: Any) -> Photo:
        """Decode one of the images of `_rows`.

        Raises:
            ImageError: If it cannot be used.
        """
