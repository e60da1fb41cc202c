"""Similarities of queries with all places, for many threads: queries that wait are compared in one product."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from jaxtyping import Float32

from geotether.searching import Index, Query
from geotether.serving.recent import Recent

KEPT = 32  # similarities that are kept, of the queries that were used last
MOST_AT_ONCE = 16


class Comparison:
    """Compare the places of an index with queries that come from several threads.

    A worker thread takes all queries that wait and compares them in one product: converting the stored vectors costs
    more than a further query. A query that is being compared already, or was among the last ones, is not compared
    again.

    Args:
        index: The places; its vectors should be computed before.

    Example:
        >>> from geotether.encoder import Encoder
        >>> from geotether.encoders.build import build_location_encoder
        >>> from geotether.searching import land_candidates, open_index, place_query
        >>> parts = {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": 8}
        >>> encoder = Encoder(build_location_encoder(parts, seed=0))
        >>> comparison = Comparison(open_index(encoder, land_candidates(500)))
        >>> comparison.similarity(place_query(encoder, 5.66, 51.97)).shape == (len(comparison.index),)
        True
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self._recent = Recent(KEPT)
        self._waiting: dict[tuple[str, bytes], tuple[Query, Future[np.ndarray]]] = {}
        self._compared: dict[tuple[str, bytes], Future[np.ndarray]] = {}
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="comparison")

    def similarity(self, query: Query) -> Float32[np.ndarray, " n"]:
        """Return the cosine similarity of every place with a query, read-only; waits for the worker.

        Raises:
            Exception: What the computation of missing vectors raises.
        """
        key = (query.space, query.vector.tobytes())
        found = self._recent.get(key)
        if found is not None:
            return found
        with self._lock:
            future = self._compared.get(key) or (self._waiting[key][1] if key in self._waiting else None)
            if future is None:
                future = Future()
                self._waiting[key] = query, future
                self._worker.submit(self._compare)
        return future.result()

    def _compare(self) -> None:
        """Compare the queries that wait, of one space; nothing if another call took them already."""
        with self._lock:
            if not self._waiting:
                return
            space = next(iter(self._waiting))[0]
            keys = [key for key in self._waiting if key[0] == space][:MOST_AT_ONCE]
            taken = {key: self._waiting.pop(key) for key in keys}
            self._compared |= {key: future for key, (_, future) in taken.items()}
        try:
            found = self.index.similarity(space, np.stack([query.vector for query, _ in taken.values()]))
        except BaseException as error:
            for key, (_, future) in taken.items():
                self._forget(key)
                future.set_exception(error)
            return
        found.flags.writeable = False
        for (key, (_, future)), values in zip(taken.items(), found, strict=True):
            self._recent.put(key, values)
            self._forget(key)
            future.set_result(values)

    def _forget(self, key: tuple[str, bytes]) -> None:
        with self._lock:
            self._compared.pop(key, None)
