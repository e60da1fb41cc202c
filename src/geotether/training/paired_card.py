"""The model card of a model of paired sensors."""

from collections.abc import Mapping
from typing import Any

from geotether.training.card import origin_lines, spoken
from geotether.training.paired_config import METHODS


def paired_card(settings: Mapping[str, Any], provenance: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Write a model card in Markdown.

    Args:
        settings: The run's configuration, plain.
        provenance: From `paired_provenance`.
        about: What the model answers, and from which sensors.
    """
    answer, one = about["answer"], list(about["predicts_from"])
    modalities = list(about["modalities"])
    (name, facts), *_ = provenance["tables"].items()
    lines = [
        "# A model of paired sensors by geotether",
        "",
        f"Method `{settings['method']}`: {METHODS[settings['method']]}. Sensors: {', '.join(modalities)}.",
        "",
        "## Use",
        "",
        "```python",
        "from geotether.predict import load_paired",
        "",
        'model = load_paired("path/to/this/folder")',
    ]
    first = (one or modalities)[0]
    shape = ", ".join(map(str, facts["sensors"][first]["shape"]))
    if answer and one:
        lines.append(f'model.predict("{first}", values)  # values of shape (n, {shape})')
    elif answer:
        lines.append("model.predict_fused({" + ", ".join(f'"{each}": {each}_values' for each in modalities) + "})")
    lines += [f'model.embed("{first}", values)  # (n, {settings["dim"]})', "```", ""]
    if answer:
        which = f"any one of {', '.join(one)}" if one else "all of its sensors together"
        names = ", ".join(answer["names"])
        lines += [f"Predicts `{answer['target']}` ({answer['kind']}: {names}) from {which}.", ""]
    lines += ["## Data", "", f"`{name}`, {facts['rows']:,} rows ({_counts(facts['split'])}),"]
    lines += [f"sha256 `{facts['sha256'][:12]}`.", "", "| modality | kind | shape of a row | rows that have it |"]
    lines.append("|---|---|---|---|")
    for each, sensor in facts["sensors"].items():
        lines.append(f"| {each} | {sensor['kind']} | {sensor['shape']} | {sensor['present']:,} |")
    lines += ["", *origin_lines(provenance["tables"]), "## How it was made", ""]
    named = settings["encoders"] or {}
    lines += [f"- Encoder of {each}: {spoken(named[each])}." for each in modalities if each in named]
    labels = f", labels of {settings['labels']:.0%} of the training rows" if settings["labels"] < 1 else ""
    lines.append(
        f"- Recipe `{provenance['recipe']}`, seed {provenance['seed']}, {provenance['steps']:,} steps of up to "
        f"{settings['batch_size']:,} rows{labels}"
        + (f", taken after {provenance['best_step']:,} steps" if settings["keep"] == "best" else "")
        + "."
    )
    return "\n".join([*lines, "", "The whole record is in `provenance.json`.", ""])


def _counts(split: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in split.items())
