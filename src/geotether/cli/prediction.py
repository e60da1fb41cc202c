"""What `geotether predict` does: rows in, predictions out, and how good they are where that is known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from geotether.pairing.open import open_paired
from geotether.predict import PairedModel, Prediction, load_paired
from geotether.sources.disk import replacing_file
from geotether.tables.paired import PairedTable
from geotether.training.paired_config import own_layer

ENDINGS = (".parquet", ".csv")


def predict_table(
    model: Path, source: Path, out: Path, modality: str | None, split: str | None, overrides: Sequence[str]
) -> str:
    """Predict for the rows of a file that have the sensor, and write a row each.

    Returns:
        What was done, in a line or two.

    Raises:
        ValueError: If the file's ending is unknown, the model cannot predict so, or no row can be predicted.
    """
    if out.suffix not in ENDINGS:
        raise ValueError(f"Predictions are written as {' or '.join(ENDINGS)}, got {out.name}.")
    loaded = load_paired(model)
    table = open_samples(source, overrides)
    if split is not None:
        table = table.part(split)
    wanted = loaded.modalities if modality is None else (modality,)
    there = np.stack([table.sensor(name).present for name in wanted]).all(0)
    if not there.any():
        raise ValueError(f"None of {len(table)} rows has {' and '.join(wanted)}, so there is nothing to predict from.")
    rows = table.rows(np.flatnonzero(there))
    values = {name: rows.sensor(name).values for name in wanted}
    found = loaded.predict_fused(values) if modality is None else loaded.predict(modality, values[modality])
    write_predictions(out, rows, found, None if loaded.answer is None else loaded.answer.target)
    said = f"{len(rows):,} predictions are in {out}"
    if len(rows) < len(table):
        said += f"; {len(table) - len(rows):,} rows without {' or '.join(wanted)} were left out"
    return f"{said}.{known_score(loaded, rows, found)}"


def open_samples(source: Path, overrides: Sequence[str] = ()) -> PairedTable:
    """Open a .npz of geotether, or what a YAML with `paired:` names."""
    if source.suffix not in (".yaml", ".yml"):
        return open_paired(source)
    layer = own_layer(source, overrides)
    if "paired" not in layer:
        raise ValueError(f"{source} does not say where the samples are: give `paired:`, a .npz or a mapping.")
    return open_paired(layer["paired"], layer["data"])


def write_predictions(out: Path, rows: PairedTable, found: Prediction, target: str | None = None) -> None:
    """Write id, place, split and predictions: a class and its probability, a column a label, or a number.

    What is known of `target` stands beside them, empty where it is not known, so that errors can be looked at.
    """
    columns: dict[str, Any] = {"id": rows.id}
    if rows.lonlat is not None:
        columns |= {"lon": rows.lonlat[:, 0], "lat": rows.lonlat[:, 1]}
    columns |= {"split": rows.split} if rows.split is not None else {}
    columns |= known_columns(rows, target) if target is not None and target in rows.targets else {}
    if found.kind == "numbers":
        columns[found.names[0]] = found.scores
    else:
        columns |= {"prediction": found.best} if found.kind == "classes" else {}
        columns |= {f"probability {name}": found.scores[:, at] for at, name in enumerate(found.names)}
    written = pa.table({name: pa.array(column) for name, column in columns.items()})
    with replacing_file(out) as part:
        if out.suffix == ".csv":
            import pyarrow.csv

            pyarrow.csv.write_csv(written, str(part))
        else:
            import pyarrow.parquet

            pyarrow.parquet.write_table(written, str(part), compression="zstd")


def known_columns(rows: PairedTable, name: str) -> dict[str, pa.Array]:
    """The known class or number of each row in a column, or a column a label; null where unknown."""
    target = rows.target(name)
    unknown = ~target.known
    if target.kind == "labels":
        flags = np.nan_to_num(target.values).astype(bool)
        return {f"known {label}": pa.array(flags[:, at], mask=unknown) for at, label in enumerate(target.names)}
    values = np.array(target.names)[target.values] if target.kind == "classes" else target.values
    return {f"known {name}": pa.array(values, mask=unknown)}


def known_score(model: PairedModel, rows: PairedTable, found: Prediction) -> str:
    """How good the predictions are on rows whose target is known; an empty text where none is."""
    from geotether.probes.paired_scores import paired_scores

    answer = model.answer
    if answer is None or answer.target not in rows.targets or not rows.target(answer.target).known.any():
        return ""
    target = rows.target(answer.target)
    answer.encode(target)  # other names are refused
    known = target.known
    scores = paired_scores(answer.kind, target.values[known], found.scores[known])
    return f" On {int(known.sum()):,} rows with {answer.target}: " + ", ".join(
        f"{name} {value:.3f}" for name, value in scores.items()
    )
