"""The demo's output: figures, the report, and the scores on the model card."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from geotether.benchmark.baselines import is_joined
from geotether.benchmark.out_of_block import predict_out_of_block
from geotether.benchmark.outcome import Outcome
from geotether.benchmark.score_table import markdown_rows, markdown_table
from geotether.encoder import Encoder
from geotether.files.disk import replacing_file
from geotether.loading import EncoderFunction
from geotether.maps import accuracy_against_labels, coverage_map, loss_curves, predicted_and_true, save_figure
from geotether.report import write_report
from geotether.searching.recall import CrossModalRecall, recall_rows
from geotether.tables.table import Table
from geotether.tasks.task import Task

LABELS = 2700
INTRODUCTION = (
    "Three sources that share no samples (satellite chips, night-light chips, names of places) were each tied to the "
    "places of their samples, and so to one another. The result is a location encoder: it maps longitude and latitude "
    "to a vector. It reads what satellite and night-light images show around a place, and was trained without labels.",
    "Here, probes predict four labels from the frozen vectors, at places that pre-training never used. They are "
    "compared with baselines: the mean of the labels, the position itself in several encodings, the nearest labelled "
    "places, what images show around a place, and the same network untrained. Test places lie in spatial blocks of "
    "1000 km without any label.",
)


def draw_figures(
    out: Path,
    tables: Mapping[str, Table],
    tasks: Sequence[Task],
    encoder: EncoderFunction,
    scores: Sequence[Outcome],
    name: str,
) -> dict[str, Path]:
    """Draw places, losses, predictions beside true values, and scores; return caption to file, in reading order."""
    from sklearn.metrics import accuracy_score, r2_score

    figures: dict[str, Path] = {}

    def keep(file: str, caption: str, figure: Figure) -> None:
        figures[caption] = save_figure(figure, out / "figures" / file)

    rows, predictions = predict_out_of_block(encoder, tasks)
    for task, predicted in zip(tasks, predictions, strict=True):
        true = task.values[rows]
        score = float((accuracy_score if task.kind == "classification" else r2_score)(true, predicted))
        caption = (
            f"{task.name}: predicted (left) and true (right). Every place is predicted by a ridge probe without "
            f"labels from its block of 1000 km; over all places {task.metric} = {score:.2f}."
        )
        figure = predicted_and_true(task.lonlat[rows], predicted, true, task.label, f"{task.name} by {name}")
        keep(f"map_{task.name}.png", caption, figure)
    plain = [one for one in scores if not is_joined(one.encoder)]
    caption = "Scores against the number of labels, ridge probe, unseen blocks; band: the 95 % interval of MELT."
    keep("accuracy_against_labels.png", caption, accuracy_against_labels(plain, "ridge", "own"))
    keep(
        "losses.png",
        "Loss of each modality while pre-training, minus the loss at chance.",
        loss_curves(out / "metrics.jsonl"),
    )
    places = {modality: table.lonlat for modality, table in tables.items()}
    keep("coverage.png", "Places of each modality; no place is shared.", coverage_map(places))
    return figures


def write_demo_report(
    out: Path,
    scores: Sequence[Outcome],
    figures: Mapping[str, Path],
    model: Encoder,
    seconds: float,
    recall: Sequence[CrossModalRecall] = (),
) -> Path:
    """Write `report.html` about the encoder trained on all modalities and return its path."""
    provenance = {
        "command": "geotether demo",
        "seconds": round(seconds),
        "data": "the demo planet of the package; see docs/demo-planet.md for sources and licences",
        **model.provenance,
    }
    labels = LABELS if any(one.labels == LABELS for one in scores) else None
    return write_report(
        out,
        "What is a place like?",
        scores,
        figures,
        provenance,
        subtitle="A location encoder pre-trained on the demo planet, judged on four tasks",
        introduction=INTRODUCTION + ((recall_sentence(recall),) if recall else ()),
        labels=labels,
        own_split="Whole spatial blocks of 1000 km, fixed before anything was trained.",
    )


def recall_sentence(found: Sequence[CrossModalRecall], km: float = 750.0) -> str:
    """Say how often held-out observations lead to within a distance of their place, and how far half lead."""
    said, half = [], []
    for one in found:
        plain = one.plain()
        model, chance = (plain[part]["within_km"][f"{km:g}"] for part in ("model", "chance"))
        said.append(f"{one.modality} {model:.1%} (chance {chance:.1%})")
        half.append(f"{one.modality} {plain['model']['median_km']:,.0f} km")
    return (
        f"Held-out observations lead to a place within {km:g} km of their own: {', '.join(said)}. Half of them lead "
        f"further away than this: {', '.join(half)}; they find a kind of region rather than the place."
    )


def write_card(folder: Path, scores: Sequence[Outcome], figures: Path, recall: Sequence[CrossModalRecall] = ()) -> None:
    """Add scores, recall and the coverage map, from a folder of figures, to the card of a model folder."""
    shutil.copyfile(figures / "coverage.png", folder / "coverage.png")
    labels = LABELS if any(one.labels == LABELS for one in scores) else max(one.labels for one in scores)
    draws = len({one.seed for one in scores})
    card = (folder / "README.md").read_text(encoding="utf-8").rstrip()
    addition = (
        "\n\n## Coverage\n\n![Places of each modality](coverage.png)\n\n"
        f"## Scores\n\nRidge probe, {labels:,} labels, test places in unseen spatial blocks of 1000 km; mean "
        f"over {draws} draws of the labels with 95 % interval (bootstrap over blocks), on the demo planet's four "
        "tasks.\n\n"
        f"{markdown_table(scores, 'ridge', 'own', labels)}\n"
    )
    if recall:
        head, *rows = recall_rows(recall)
        addition += (
            "\n## Search\n\nHow far held-out observations lead from their place, by `geotether search`; `another row's "
            f"answer` is what is gained without reading the one at hand.\n\n{markdown_rows(head[:2], head[2:], rows)}\n"
        )
    with replacing_file(folder / "README.md") as part:
        part.write_text(card + addition, encoding="utf-8")
