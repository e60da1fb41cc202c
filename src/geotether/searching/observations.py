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
from geotether.geodesy.distance import nearest_in_tree, sphere_tree
from geotether.sources.planet import TEXT_MODALITY, read_place_texts
from geotether.tables.table import Table

_TEXT_WIDTH = 100


class Nearest(NamedTuple):
    """The training observation nearest to a place: its id, its distance in km, and its text ("" unless it is one)."""

    id: str
    km: float
    text: str = ""


class TrainingObservations:
    """The training observations of a model, to be looked up by place any number of times.

    Texts are read when they are first needed, all of a table at once.

    Args:
        tables: Modality to its table.
        data: Folder of the raw data, from which texts are read; None, or files that are gone: no texts.
    """

    def __init__(self, tables: Mapping[str, Table], data: Path | None = None) -> None:
        self.tables, self.data = dict(tables), data
        self._rows = {name: table.numbers("train") for name, table in self.tables.items()}
        self._trees = {name: sphere_tree(table.lonlat[self._rows[name]]) for name, table in self.tables.items()}
        self._texts: dict[str, dict[str, str]] = {}

    def nearest(self, lonlat: Float[np.ndarray, "k 2"]) -> dict[str, list[Nearest]]:
        """Find the training observation of each modality that is nearest to each place.

        Args:
            lonlat: Degrees, shape (k, 2).

        Returns:
            Modality to one observation per place.
        """
        found = {}
        for name, table in self.tables.items():
            km, at = nearest_in_tree(self._trees[name], lonlat)
            ids, texts = [str(table.id[row]) for row in self._rows[name][at]], self.texts(name)
            found[name] = [Nearest(one, float(far), texts.get(one, "")) for one, far in zip(ids, km, strict=True)]
        return found

    def texts(self, modality: str) -> dict[str, str]:
        """Return the beginnings of the texts of a modality by id; {} if it has none or they are not at hand."""
        if modality not in self._texts:
            self._texts[modality] = texts_of(self.tables[modality], self.data)
        return self._texts[modality]


def texts_of(table: Table, data: Path | None) -> dict[str, str]:
    """Read the beginnings of the texts of a table from the file that it was built from; {} if it is not at hand."""
    given: Any = table.origin.made.get("specification")
    if not given:
        return _texts_of_planet(table)
    try:
        spec = TableSpec.of(given, data or Path())
        source = spec.open()
        if source.kind != "texts":
            return {}
        known = set(table.id.tolist())
        with tempfile.TemporaryDirectory() as folder:
            source.prepare(Path(folder))
            texts: dict[str, str] = {}
            for found in read_runs(source, 0, len(source), PART_ROWS["texts"]):
                own = found.id if len(found.id) else found.row.astype(str)
                pairs = zip(map(str, own), found.content, strict=True)
                texts |= {one: _short(text) for one, text in pairs if one in known}
            return texts
    except (OSError, ValueError, ImportError, TypeError, LookupError):
        return {}


def _texts_of_planet(table: Table) -> dict[str, str]:
    """Return the texts of the demo planet, whose table is made without a file."""
    if table.name != TEXT_MODALITY:
        return {}
    planet = read_place_texts()
    if not np.array_equal(planet.lonlat, table.lonlat):
        return {}
    return {str(one): _short(text) for one, text in zip(table.id, planet.texts, strict=True)}


def _short(text: str) -> str:
    return textwrap.shorten(text, _TEXT_WIDTH, placeholder=" ...")
