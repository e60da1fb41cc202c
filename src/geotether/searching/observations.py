"""The training observations nearest to answers, from the tables that a model was trained on, where they are at hand."""

import tempfile
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from geotether.featurizing.rows import PART_ROWS, read_runs
from geotether.featurizing.specification import TableSpec
from geotether.geodesy.distance import nearest_in_tree, sphere_tree
from geotether.sources.planet import CHIP_MODALITIES, TEXT_MODALITY, read_chips, read_place_texts
from geotether.tables.table import Table

_TEXT_WIDTH = 100


class Nearest(NamedTuple):
    """The training observation nearest to a place: its id, its distance in km, and its text ("" unless it is one)."""

    id: str
    km: float
    text: str = ""


@dataclass(frozen=True, eq=False)
class Observed:
    """Training rows of one modality.

    Attributes:
        lonlat: Degrees, shape (n, 2), at least one.
        id: One text per row, shape (n,).
        texts: Returns the beginnings of their texts by id; {} if they have none or these are not at hand.
    """

    lonlat: Float64[np.ndarray, "n 2"]
    id: np.ndarray
    texts: Callable[[], dict[str, str]]


class TrainingObservations:
    """The training observations of a model, to be looked up by place any number of times.

    Texts are read when they are first needed, all of a modality at once.

    Args:
        observed: Modality to its training rows.
    """

    def __init__(self, observed: Mapping[str, Observed]) -> None:
        self.observed = dict(observed)
        self._trees = {name: sphere_tree(one.lonlat) for name, one in self.observed.items()}
        self._texts: dict[str, dict[str, str]] = {}

    @classmethod
    def of_tables(cls, tables: Mapping[str, Table], data: Path | None = None) -> "TrainingObservations":
        """Take them from the tables that the model was trained on.

        Args:
            tables: Modality to its table.
            data: Folder of the raw data, from which texts are read; None, or files that are gone: no texts.
        """
        observed = {}
        for name, table in tables.items():
            rows = table.numbers("train")
            observed[name] = Observed(table.lonlat[rows], table.id[rows], partial(texts_of, table, data))
        return cls(observed)

    @classmethod
    def of_planet(cls, facts: Mapping[str, Mapping[str, Any]]) -> "TrainingObservations | None":
        """Take them from the demo planet, without computing features, if that is what the model was trained on.

        Args:
            facts: The tables in the provenance of the model.

        Returns:
            None if the modalities, or their numbers of rows and of training rows, are others.
        """
        if not facts or not set(facts) <= {*CHIP_MODALITIES, TEXT_MODALITY}:
            return None
        observed = {}
        for name, fact in facts.items():
            texts = read_place_texts() if name == TEXT_MODALITY else None
            data = texts or read_chips(name)
            rows = np.flatnonzero(data.split == "train")
            if fact.get("rows") != len(data.lonlat) or fact.get("split", {}).get("train") != len(rows):
                return None
            id = rows.astype(str)
            known = {} if texts is None else dict(zip(id, (_short(texts.texts[row]) for row in rows), strict=True))
            observed[name] = Observed(data.lonlat[rows], id, partial(dict, known))
        return cls(observed)

    def nearest(self, lonlat: Float[np.ndarray, "k 2"]) -> dict[str, list[Nearest]]:
        """Find the training observation of each modality that is nearest to each place.

        Args:
            lonlat: Degrees, shape (k, 2).

        Returns:
            Modality to one observation per place.
        """
        found = {}
        for name, one in self.observed.items():
            km, at = nearest_in_tree(self._trees[name], lonlat)
            texts = self.texts(name)
            ids = map(str, one.id[at])
            found[name] = [Nearest(id, float(far), texts.get(id, "")) for id, far in zip(ids, km, strict=True)]
        return found

    def texts(self, modality: str) -> dict[str, str]:
        """Return the beginnings of the texts of a modality by id; {} if it has none or they are not at hand."""
        if modality not in self._texts:
            self._texts[modality] = self.observed[modality].texts()
        return self._texts[modality]


def texts_of(table: Table, data: Path | None) -> dict[str, str]:
    """Read the beginnings of the texts of a table from the file that it was built from; {} if it is not at hand."""
    given: Any = table.origin.made.get("specification")
    if not given:
        return {}
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


def _short(text: str) -> str:
    return textwrap.shorten(text, _TEXT_WIDTH, placeholder=" ...")
