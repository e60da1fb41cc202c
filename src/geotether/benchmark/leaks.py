"""Labels that a model was trained on, found by name and by correlation at the same places."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from geotether.benchmark.plan import Plan
from geotether.geodesy.coordinates import unit_vectors
from geotether.geodesy.distance import chord_of_km, sphere_tree
from geotether.tables.table import Table
from geotether.tasks.task import Task

# A judged place is one of training if it lies this near; a label is a training feature from this correlation on.
SAME_KM, ALIKE = 1.0, 0.95
FEWEST_ROWS, MOST_ROWS = 20, 5000
TRAINED_PARTS = ("train", "validation")


def leak_notes(
    encoders: Mapping[str, Any], plans: Sequence[Plan], trained_tables: Callable[[Any], Mapping[str, Table]]
) -> list[str]:
    """Say which tasks judge a label that a model was trained on.

    Where a training table is found, the labels of the judged places are correlated with the features of training rows
    at the same places (1 km): a renamed or rescaled column is found, as is a label that the features give linearly.
    Where it is gone, names are compared with those in the model's provenance.

    Args:
        encoders: Name to encoder, from `load_encoders`; those without a model of this package cannot be checked.
        plans: The tasks with their judged rows.
        trained_tables: Finds the tables that a model was trained on, by modality.
    """
    notes = []
    for name, encoder in encoders.items():
        model = getattr(encoder, "model", None)
        recorded = (getattr(model, "provenance", None) or {}).get("tables") or {}
        found = trained_tables(model) if recorded else {}
        for modality, facts in recorded.items():
            table = found.get(modality)
            for plan in plans:
                judged = np.unique(np.concatenate([part.judged for one in plan.problems for part in one.partings]))
                for task in plan.group:
                    why = _by_name(task, facts) if table is None else _by_values(task, judged, table)
                    if why:
                        sure = "its" if table is not None else "unless these are other places or another column, its"
                        notes.append(
                            f"LEAK: the label of task {task.name!r} {why} of the table {modality!r}, on which {name} "
                            f"was trained: {sure} scores there do not show what it can predict."
                        )
    return notes


def _by_name(task: Task, facts: Mapping[str, Any]) -> str:
    """Compare the name of a task, and of its label, with the names of the training features."""
    for feature in facts.get("features") or ():
        if _plain(str(feature).split("=")[0].removeprefix("log ")) == _plain(task.name):
            return f"has the name of the feature {feature!r} (the table is gone, so values cannot be compared)"
    return ""


def _plain(name: str) -> str:
    return "".join(sign for sign in name.casefold() if sign.isalnum())


def _by_values(task: Task, judged: Integer[np.ndarray, " m"], table: Table) -> str:
    """Correlate labels with the features of training rows at the same places."""
    trained = np.arange(len(table)) if table.split is None else np.flatnonzero(np.isin(table.split, TRAINED_PARTS))
    if not len(trained) or not len(judged):
        return ""
    chord, nearest = sphere_tree(table.lonlat[trained]).query(unit_vectors(task.lonlat[judged].astype(np.float64)))
    same = chord <= chord_of_km(SAME_KM)
    if same.sum() < FEWEST_ROWS:
        return ""
    there, rows = judged[same][:MOST_ROWS], trained[nearest[same]][:MOST_ROWS]
    features = np.asarray(table.features[rows], dtype=np.float64)
    labels = task.targets(there).columns
    often = labels[:, np.minimum((labels != 0).sum(axis=0), (labels == 0).sum(axis=0)) >= 5]
    labels = labels if task.kind == "regression" else often
    alike = np.abs(_ranks(labels).T @ _ranks(features))
    count = f"at {len(there)} of {min(len(judged), MOST_ROWS)} judged places"
    if alike.size and alike.max() >= ALIKE:
        feature = int(np.unravel_index(alike.argmax(), alike.shape)[1])
        made = table.origin.made.get("features") or []
        name = repr(made[feature]) if feature < len(made) else str(feature)
        return f"is (nearly) the feature {name} (rank correlation {alike.max():.2f} {count})"
    found = _linear(labels, features)
    return f"is (nearly) a sum of the features (correlation {found:.2f} {count})" if found >= ALIKE else ""


def _ranks(values: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Return centred ranks of each column, scaled to length 1; constant columns become 0."""
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=0) - (len(values) + 1) / 2
    length = np.linalg.norm(ranks, axis=0)
    return np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 0)


def _linear(labels: Float[np.ndarray, "n t"], features: Float[np.ndarray, "n d"]) -> float:
    """Return the highest correlation of labels with a linear fit, on rows that were not fitted."""
    half = len(features) // 2
    if half < 3 * features.shape[1] or not labels.shape[1]:
        return 0.0
    wide = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    order = np.random.default_rng(0).permutation(len(wide))
    fitted, tested = order[:half], order[half:]
    predicted = wide[tested] @ np.linalg.lstsq(wide[fitted], labels[fitted], rcond=None)[0]
    found = [np.corrcoef(a, b)[0, 1] for a, b in zip(predicted.T, labels[tested].T, strict=True) if a.std() * b.std()]
    return max(found, default=0.0)
