"""The training observations nearest to answers, from the tables that a model was trained on, where they are at hand."""

import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from geotether.featurizing.rows import PART_ROWS, read_runs
from geotether.featurizing.specification import TableSpec
from geotether.geodesy.coordinates import unit_vectors
from geotether.geodesy.distance import EARTH_RADIUS_KM, sphere_tree
from geotether.tables.table import Table

_TEXT_WIDTH = 100


class Nearest(NamedTuple):
    """The training observation nearest to a place: its id, its distance in km, and its text ("" unless it is one)."""

    id: str
    km: float
    text: str = ""


def nearest_observations(
    lonlat: Float[np.ndarray, "k 2"], tables: Mapping[str, Table], data: Path | None = None
) -> dict[str, list[Nearest]]:
    """Find the training observation of each modality that is nearest to each place.

    Args:
        lonlat: Degrees, shape (k, 2).
        tables: Modality to its table.
        data: Folder of the raw data, from which texts are read; None, or files that are gone: no texts.

    Returns:
        Modality to one observation per place.
    """
    found = {}
    for name, table in tables.items():
        rows = table.numbers("train")
        chord, at = sphere_tree(table.lonlat[rows]).query(unit_vectors(lonlat.astype(np.float64)))
        km = 2 * EARTH_RADIUS_KM * np.arcsin(np.clip(chord / 2, 0, 1))
        ids = [str(table.id[row]) for row in rows[at]]
        texts = texts_of(table, set(ids), data)
        found[name] = [Nearest(one, float(far), texts.get(one, "")) for one, far in zip(ids, km, strict=True)]
    return found


def texts_of(table: Table, ids: set[str], data: Path | None) -> dict[str, str]:
    """Read the texts of some rows of a table from the file that it was built from; {} if it is not at hand."""
    given: Any = table.origin.made.get("specification")
    if not given:
        return {}
    try:
        spec = TableSpec.of(given, data or Path())
        source = spec.open()
        if source.kind != "texts":
            return {}
        with tempfile.TemporaryDirectory() as folder:
            source.prepare(Path(folder))
            texts: dict[str, str] = {}
            for found in read_runs(source, 0, len(source), PART_ROWS["texts"]):
                own = found.id if len(found.id) else found.row.astype(str)
                texts |= {str(one): text for one, text in zip(own, found.content, strict=True) if str(one) in ids}
            return {one: textwrap.shorten(text, _TEXT_WIDTH, placeholder=" ...") for one, text in texts.items()}
    except (OSError, ValueError, ImportError, TypeError, LookupError):
        return {}
