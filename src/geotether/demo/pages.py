"""What the demo says in words: the report, and the scores on the model card."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from geotether.benchmark.outcome import Outcome
from geotether.benchmark.score_table import markdown_table
from geotether.encoder import Encoder
from geotether.files.disk import replacing_file
from geotether.report import write_report

LABELS = 2700
INTRODUCTION = (
    "Three sources that share no samples (satellite chips, night-light chips, names of places) were each tied to the "
    "places they were seen at, and so to one another. What came out is a location encoder: longitude and latitude in, "
    "a vector out. It was never shown a label.",
    "Here the frozen vectors are asked four questions about places that pre-training never used, and answer beside "
    "what any encoder has to beat: the labels' mean, the position itself in several encodings, the nearest labelled "
    "places, and the same network untrained. Test places lie in spatial blocks of 1000 km without a single label.",
)


def write_demo_report(
    out: Path, scores: Sequence[Outcome], figures: Mapping[str, Path], model: Encoder, seconds: float
) -> Path:
    """Write `report.html`.

    Args:
        out: The demo's folder.
        scores: Outcomes of `evaluate`.
        figures: Caption to file.
        model: The encoder trained on all modalities.
        seconds: How long the demo has taken so far.

    Returns:
        The path of the report.
    """
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
        introduction=INTRODUCTION,
        labels=labels,
    )


def write_card(folder: Path, scores: Sequence[Outcome], figures: Path) -> None:
    """Add the coverage map and the scores to the model card.

    Args:
        folder: The model folder.
        scores: Outcomes of `evaluate`.
        figures: Folder with `coverage.png`.
    """
    shutil.copyfile(figures / "coverage.png", folder / "coverage.png")
    labels = LABELS if any(one.labels == LABELS for one in scores) else max(one.labels for one in scores)
    draws = len({one.seed for one in scores})
    card = (folder / "README.md").read_text(encoding="utf-8").rstrip()
    addition = (
        "\n\n## Coverage\n\n![Where each modality was seen](coverage.png)\n\n"
        f"## Scores\n\nRidge probe, {labels:,} labels, test places in unseen spatial blocks of 1000 km; mean "
        f"over {draws} draws of the labels with 95 % interval (bootstrap over blocks), on the demo planet's four "
        "tasks.\n\n"
        f"{markdown_table(scores, 'ridge', 'own', labels)}\n"
    )
    with replacing_file(folder / "README.md") as part:
        part.write_text(card + addition, encoding="utf-8")
