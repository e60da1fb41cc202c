"""The provenance of a model, and the model card that is written from it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from geotether.objectives.negatives import OBJECTIVES
from geotether.plugins import origins
from geotether.tables.origin import Origin
from geotether.tables.table import Table
from geotether.training.config import LoopConfig, RunConfig
from geotether.training.paired_config import METHODS
from geotether.training.state import RunState
from geotether.version import __version__


def model_card(settings: Mapping[str, Any], provenance: Mapping[str, Any], handout_dim: int, notes: str = "") -> str:
    """Write the model card of a location encoder in Markdown.

    Args:
        settings: From `plain_settings`.
        provenance: From `run_provenance`.
        handout_dim: Width of what `encode` returns.
        notes: Markdown to insert before the settings, such as a coverage map or scores.
    """
    positional, network = settings["encoder"]["positional"], settings["encoder"]["network"]
    rows = [
        f"| {modality} | {facts['rows']:,} | {facts['split'].get('train', 0):,} "
        f"| {facts['split'].get('validation', 0):,} | {facts['dim']:,} | `{facts['sha256'][:12]}` |"
        for modality, facts in provenance["tables"].items()
    ]
    averaged = f", weights averaged with decay {settings['ema_decay']}" if settings["ema_decay"] else ""
    kept_best = settings["keep"] == "best"
    best = f", taken after {provenance['best_step']:,} steps (lowest validation loss)" if kept_best else ""
    lines = [
        "# A location encoder by geotether",
        "",
        f"Turns a place (longitude, latitude) into {handout_dim:,} numbers that describe it.",
        "",
        "## Use",
        "",
        "```python",
        "import geotether",
        "",
        'model = geotether.load("path/to/this/folder")',
        f"embedding = model.encode(lon=[5.66, -74.01], lat=[51.97, 40.71])  # float32 array, shape (2, {handout_dim})",
        "```",
        "",
        "**Coordinate order: longitude, then latitude**, in degrees, WGS 84.",
        "",
        "## Modalities",
        "",
        "They share no samples; each is tied to the places of its rows. Validation and test rows were not used",
        "for training.",
        "",
        "| modality | rows | training | validation | width | sha256 |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        *origin_lines(provenance["tables"]),
        *([notes.strip(), ""] if notes.strip() else []),
        "## How it was made",
        "",
        f"- Encoder: {summary(positional)}; {summary(network)}; output: {settings['encoder']['readout']}.",
        f"- Objective: {_objective(settings['objective']['reading'])}; schedule: {summary(settings['schedule'])}.",
        f"- Recipe `{provenance['recipe']}`, seed {provenance['seed']}, {provenance['steps']:,} steps of "
        f"{settings['batch_size']:,} rows{averaged}{best}.",
        f"- Places were jittered by {settings['jitter_m']:g} m (standard deviation along each axis) in every step.",
        "",
        "The complete record is in `provenance.json`.",
        "",
    ]
    return "\n".join(lines)


def origin_lines(tables: Mapping[str, Any]) -> list[str]:
    """Write sources and licences of the training data, whose terms may apply to the model."""
    known = {modality: facts["origin"] for modality, facts in tables.items() if facts.get("origin")}
    if not known:
        return []
    lines = ["Sources of the data:", "", "| modality | licence | source | citation |", "|---|---|---|---|"]
    for modality, origin in known.items():
        source = origin.get("source") or "not stated"
        linked = f"[{source}]({origin['url']})" if origin.get("url") else source
        licence, citation = origin.get("licence") or "not stated", origin.get("citation", "")
        lines.append(f"| {modality} | {licence} | {linked} | {citation} |")
    unknown = [modality for modality in tables if modality not in known]
    return [*lines, "", *([f"Not stated for {', '.join(unknown)}.", ""] if unknown else [])]


def summary(options: Mapping[str, Any]) -> str:
    """Write a part's name and its options, such as "mlp (hidden_dim 512)"."""
    details = ", ".join(f"{key} {value}" for key, value in options.items() if key != "name" and value is not None)
    return f"{options['name']} ({details})" if details else str(options["name"])


def paired_card(settings: Mapping[str, Any], provenance: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Write the model card of a model of paired sensors in Markdown."""
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
        "import geotether",
        "",
        'model = geotether.load("path/to/this/folder")',
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
    lines += [f"sha256 `{facts['sha256'][:12]}`.", "", "| modality | kind | shape per row | rows with it |"]
    lines.append("|---|---|---|---|")
    for each, sensor in facts["sensors"].items():
        lines.append(f"| {each} | {sensor['kind']} | {sensor['shape']} | {sensor['present']:,} |")
    lines += ["", *origin_lines(provenance["tables"]), "## How it was made", ""]
    named = settings["encoders"] or {}
    lines += [f"- Encoder of {each}: {summary(named[each])}." for each in modalities if each in named]
    labels = f", labels of {settings['labels']:.0%} of the training rows" if settings["labels"] < 1 else ""
    lines.append(
        f"- Recipe `{provenance['recipe']}`, seed {provenance['seed']}, {provenance['steps']:,} steps of up to "
        f"{settings['batch_size']:,} rows{labels}"
        + (f", taken after {provenance['best_step']:,} steps" if settings["keep"] == "best" else "")
        + "."
    )
    return "\n".join([*lines, "", "The complete record is in `provenance.json`.", ""])


def _counts(split: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in split.items())


def _objective(name: str) -> str:
    found = OBJECTIVES[name]
    return found if isinstance(found, str) else f"`{name}`, a function of {found.__module__}"


def plain_settings(config: RunConfig) -> dict[str, Any]:
    """Return the configuration as plain values, without the tables' paths; their hashes are in the provenance."""
    return config.model_dump(mode="json", exclude={"tables", "data", "cache"})


def table_facts(table: Table, paired: bool = False) -> dict[str, Any]:
    """Identify a table by its content hash, and count its rows by split; without a split all are training rows."""
    sensors = {
        name: {"kind": sensor.kind, "shape": list(sensor.shape), "present": int(sensor.present.sum())}
        for name, sensor in table.modalities.items()
    }
    return {
        "sha256": table.content_hash,
        "rows": len(table),
        **({"sensors": sensors} if paired else {"dim": table.dim}),
        "split": _split_counts(table.split, len(table)),
        **_origin_facts(table.origin),
    }


def _split_counts(split: np.ndarray | None, rows: int) -> dict[str, int]:
    if split is None:
        return {"train": rows}
    names, counts = np.unique(np.asarray(split, dtype=str), return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def _origin_facts(origin: Origin) -> dict[str, Any]:
    if origin.is_empty:
        return {}
    plain = origin.plain()
    # Names of features stay in the table: there can be thousands.
    made = {key: value for key, value in plain.pop("made", {}).items() if key != "features"}
    return {"origin": {**plain, **({"made": made} if made else {})}}


def run_provenance(config: LoopConfig, tables: Mapping[str, Table], state: RunState) -> dict[str, Any]:
    """Collect where a trained model comes from.

    Returns:
        Plain values, ready for JSON: `tables`, `recipe`, `seed`, `steps`, `seconds`, `versions` and more.
    """
    paired = not isinstance(config, RunConfig)
    plugins = origins([("objective", config.objective.reading)]) if isinstance(config, RunConfig) else []
    return {
        "tables": {name: table_facts(table, paired) for name, table in tables.items()},
        "recipe": config.recipe,
        "seed": config.seed,
        "steps": state.step,
        "best_step": state.best_step,
        "stopped_early": state.stopped,
        "seconds": round(state.seconds, 1),
        "versions": {"geotether": __version__, "torch": str(torch.__version__), "numpy": np.__version__},
        **({"plugins": plugins} if plugins else {}),
    }
