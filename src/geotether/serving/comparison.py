"""Similarities of queries with all places, for many threads: queries that wait are compared in one product."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float32

from geotether.searching import Index, Query
from geotether.serving.together import Together

KEPT = 32  # similarities that are kept, of the queries that were used last


class Comparison:
    """Compare the places of an index with queries that come from several threads.

    Queries that wait are compared in one product (see `Together`): converting the stored vectors costs more than a
    further query.

    Args:
        index: The places; its vectors should be computed before.
        worker: A pool of one thread, in which queries are compared.

    Example:
        >>> from geotether.encoder import Encoder
        >>> from geotether.encoders.build import build_location_encoder
        >>> from geotether.searching import land_candidates, open_index, place_query
        >>> parts = {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": 8}
        >>> encoder = Encoder(build_location_encoder(parts, seed=0))
        >>> comparison = Comparison(open_index(encoder, land_candidates(500)), ThreadPoolExecutor(1))
        >>> comparison.similarity(place_query(encoder, 5.66, 51.97)).shape == (len(comparison.index),)
        True
    """

    def __init__(self, index: Index, worker: ThreadPoolExecutor) -> None:
        self.index = index
        self._together: Together[Query, np.ndarray] = Together(self._compared, KEPT, worker)

    def similarity(self, query: Query) -> Float32[np.ndarray, " n"]:
        """Return the cosine similarity of every place with a query, read-only; waits for the worker.

        Raises:
            Exception: What the computation of missing vectors raises.
        """
        return self._together.get((query.space, query.vector.tobytes()), query)

    def _compared(self, queries: list[Query]) -> list[np.ndarray]:
        """Compare queries, in one product for each space."""
        found: dict[int, np.ndarray] = {}
        for space in {query.space for query in queries}:
            rows = [at for at, query in enumerate(queries) if query.space == space]
            similarity = self.index.similarity(space, np.stack([queries[at].vector for at in rows]))
            for at, values in zip(rows, similarity, strict=True):
                found[at] = values.copy()  # a view would keep those of all queries in memory
                found[at].flags.writeable = False
        return [found[at] for at in range(len(queries))]
