"""`geotether predict`: predictions of a paired model from one sensor, with scores where labels are known."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from geotether.predict import PairedModel, Prediction
    from geotether.tables.table import Table

ENDINGS = (".parquet", ".csv")


def predict(
    model: Annotated[Path, typer.Argument(help="Model folder of `geotether paired train`.")],
    table: Annotated[Path, typer.Argument(help="Samples: a .npz of geotether, or a YAML with `paired:`.")],
    out: Annotated[Path, typer.Option(help="File to write: .parquet or .csv.")],
    modality: Annotated[
        str | None, typer.Option(help="Predict from this sensor alone; without it, from all together (fused models).")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Only rows of this split: train, validation or test.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Such as data=FOLDER; repeat.")
    ] = None,
) -> str:
    """Predict from any one sensor of a model that was trained with all; scores are shown where labels are known."""
    from geotether.predict import load_paired, rows_with

    if out.suffix not in ENDINGS:
        raise ValueError(f"Predictions are written as {' or '.join(ENDINGS)}, got {out.name}.")
    loaded = load_paired(model)
    samples = open_samples(table, overrides or [])
    if split is not None:
        samples = samples.part(split)
    wanted = loaded.modalities if modality is None else (modality,)
    rows = rows_with(samples, wanted)
    found = loaded.predict_fused(rows) if modality is None else loaded.predict(modality, rows)
    write_predictions(out, rows, found, None if loaded.answer is None else loaded.answer.target)
    said = f"{len(rows):,} predictions are in {out}"
    if len(rows) < len(samples):
        said += f"; {len(samples) - len(rows):,} rows without {' or '.join(wanted)} were omitted"
    return f"{said}.{known_score(loaded, rows, found)}"


def open_samples(source: Path, overrides: Sequence[str] = ()) -> "Table":
    """Open a .npz of geotether, or the samples that a YAML names under `paired:`; errors name the file."""
    from geotether.pairing.open import open_paired
    from geotether.training.config import own_layer

    if source.suffix not in (".yaml", ".yml"):
        return open_paired(source)
    layer = own_layer(source, overrides)
    if "paired" not in layer:
        raise ValueError(f"{source} does not say where the samples are: give `paired:`, a .npz or a mapping.")
    try:
        return open_paired(layer["paired"], layer["data"])
    except ValueError as error:
        raise ValueError(str(error) if str(source) in str(error) else f"{source}: {error}") from error


def write_predictions(out: Path, rows: "Table", found: "Prediction", target: str | None = None) -> None:
    """Write id, place (in Parquet also as points), split and predictions: a class, probabilities, or a number.

    The known values of `target` are written beside them, empty where unknown, so that errors can be inspected.
    """
    import pyarrow as pa

    from geotether.files.disk import replacing_file
    from geotether.files.geometry import with_geometry

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
    if rows.lonlat is not None and out.suffix == ".parquet":
        written = with_geometry(written, rows.lonlat)
    with replacing_file(out) as part:
        if out.suffix == ".csv":
            import pyarrow.csv

            pyarrow.csv.write_csv(written, str(part))
        else:
            import pyarrow.parquet

            pyarrow.parquet.write_table(written, str(part), compression="zstd")


def known_columns(rows: "Table", name: str) -> dict[str, Any]:
    """Return the known class or number of each row as one Arrow column, or one column per label; null where unknown."""
    import numpy as np
    import pyarrow as pa

    target = rows.target(name)
    unknown = ~target.known
    if target.kind == "labels":
        flags = np.nan_to_num(target.values).astype(bool)
        return {f"known {label}": pa.array(flags[:, at], mask=unknown) for at, label in enumerate(target.names)}
    values = np.array(target.names, dtype=object)[target.values] if target.kind == "classes" else target.values
    return {f"known {name}": pa.array(values, mask=unknown)}


def known_score(model: "PairedModel", rows: "Table", found: "Prediction") -> str:
    """Score the predictions of rows whose target is known; an empty text where there are none."""
    from geotether.probes.scores import paired_scores

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
