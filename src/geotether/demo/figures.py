"""The demo's pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from geotether.benchmark.baselines import is_joined
from geotether.benchmark.everywhere import predict_together_everywhere
from geotether.benchmark.outcome import Outcome
from geotether.loading import EncoderFunction
from geotether.maps import accuracy_against_labels, coverage_map, loss_curves, predicted_and_true, save_figure
from geotether.probes.scores import accuracy, r2
from geotether.tables.table import Table
from geotether.tasks.task import Task


def draw_figures(
    out: Path,
    tables: Mapping[str, Table],
    tasks: Sequence[Task],
    encoder: EncoderFunction,
    scores: Sequence[Outcome],
    name: str,
) -> dict[str, Path]:
    """Draw where the data lie, how training went, maps beside the truth, and scores against labels.

    Args:
        out: The demo's folder, with `metrics.jsonl`; pictures go to `figures/`.
        tables: The modalities.
        tasks: The tasks, at the same places.
        encoder: The one whose predictions are mapped.
        scores: Outcomes of `evaluate`.
        name: What the encoder is called in the titles.

    Returns:
        Caption to file, in reading order.
    """
    figures: dict[str, Path] = {}

    def keep(file: str, caption: str, figure: Figure) -> None:
        figures[caption] = save_figure(figure, out / "figures" / file)

    rows, predictions = predict_together_everywhere(encoder, tasks)
    for task, predicted in zip(tasks, predictions, strict=True):
        true = task.values[rows]
        score = accuracy(true, predicted) if task.kind == "classification" else r2(true, predicted)
        caption = (
            f"{task.name}: predicted (left) and true (right). Every place is predicted by a ridge probe that saw no "
            f"label from its block of 1000 km; over all places {task.metric} = {score:.2f}."
        )
        figure = predicted_and_true(task.lonlat[rows], predicted, true, task.label, f"{task.name} by {name}")
        keep(f"map_{task.name}.png", caption, figure)
    plain = [one for one in scores if not is_joined(one.encoder)]
    caption = "Scores against the number of labels, ridge probe, unseen blocks; bands are 95 % intervals."
    keep("accuracy_against_labels.png", caption, accuracy_against_labels(plain, "ridge", "own"))
    keep("losses.png", "Loss of each modality while pre-training, in nats.", loss_curves(out / "metrics.jsonl"))
    places = {modality: table.lonlat for modality, table in tables.items()}
    keep("coverage.png", "Where each modality was seen; no place is shared.", coverage_map(places))
    return figures
