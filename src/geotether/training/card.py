"""The provenance of a model, and the model card that is written from it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from geotether.objectives.negatives import OBJECTIVES
from geotether.plugins import origins
from geotether.tables.origin import Origin
from geotether.tables.table import Table
from geotether.training.config import METHODS, LoopConfig, RunConfig
from geotether.training.recipes import LOCATION_TIES
from geotether.training.state import RunState
from geotether.version import __version__

NAMED_FEATURES = 1000


def model_card(
    settings: Mapping[str, Any], provenance: Mapping[str, Any], about: Mapping[str, Any], notes: str = ""
) -> str:
    """Write the model card of any method in Markdown.

    Args:
        settings: Of the run, plain values.
        provenance: From `run_provenance`.
        about: `handout_dim` of a location encoder; of paired sensors `modalities`, `predicts_from` and `answer`.
        notes: Markdown to insert before the settings, such as a coverage map or scores.
    """
    part = _location_card if settings["method"] == LOCATION_TIES else _paired_card
    title, calls, explained, data, made = part(settings, provenance, about)
    averaged = f", weights averaged with decay {settings['ema_decay']}" if settings["ema_decay"] else ""
    labels = f", labels of {settings['labels']:.0%} of the training rows" if settings.get("labels", 1) < 1 else ""
    length = (
        f"- Recipe `{provenance['recipe']}`, seed {provenance['seed']}, {provenance['steps']:,} steps of up to "
        f"{settings['batch_size']:,} rows{labels}{averaged}"
        + (f", taken after {provenance['best_step']:,} steps" if settings["keep"] == "best" else "")
        + " (lowest validation loss)" * (settings["keep"] == "best")
        + "."
    )
    lines = [
        *title,
        "",
        *["## Use", "", "```python", "import geotether", ""],
        'model = geotether.load("path/to/this/folder")',
        *calls,
        *["```", ""],
        *explained,
        *data,
        "",
        *origin_lines({**provenance["tables"], **earlier_tables(provenance)}),
        *context_lines(provenance.get("context") or {}),
        *([notes.strip(), ""] if notes.strip() else []),
        *["## How it was made", ""],
        f"- Method `{settings['method']}`: {METHODS[settings['method']]}.",
        *made,
        length,
        "",
        "The complete record is in `provenance.json`.",
        "",
    ]
    return "\n".join(lines)


_Parts = tuple[list[str], list[str], list[str], list[str], list[str]]


def _location_card(settings: Mapping[str, Any], provenance: Mapping[str, Any], about: Mapping[str, Any]) -> _Parts:
    dim, encoder = about["handout_dim"], settings["encoder"]
    title = [
        "# A location encoder by geotether",
        "",
        f"Turns a place (longitude, latitude) into {dim:,} numbers that describe it.",
    ]
    title += adapted_lines(provenance.get("adapted") or {})
    calls = [f"embedding = model.encode(lon=[5.66, -74.01], lat=[51.97, 40.71])  # float32 array, shape (2, {dim})"]
    explained = ["**Coordinate order: longitude, then latitude**, in degrees, WGS 84.", ""]
    data = [
        "## Modalities",
        "",
        "They share no samples; each is tied to the places of its rows. Validation and test rows were not used",
        "for training.",
        "",
        "| modality | rows | training | validation | width | sha256 |",
        "|---|---|---|---|---|---|",
    ]
    for modality, facts in provenance["tables"].items():
        parts = [facts["rows"], facts["split"].get("train", 0), facts["split"].get("validation", 0), facts["dim"]]
        counts = " | ".join(f"{count:,}" for count in parts)
        data.append(f"| {modality} | {counts} | `{facts['sha256'][:12]}` |")
    if cell_km := settings.get("seen_cell_km"):
        data += [
            "",
            f"The folder keeps in which cells of {cell_km:g} km the training rows lie, and nothing finer.",
            "`model.coverage(lon=, lat=)` tells how near and how similar places are to them.",
        ]
    objective = OBJECTIVES[settings["objective"]["reading"]]
    named = objective if isinstance(objective, str) else f"`{settings['objective']['reading']}` of a plug-in"
    made = [
        f"- Encoder: {summary(encoder['positional'])}; {summary(encoder['network'])}; output: {encoder['readout']}.",
        f"- Objective: {named}; schedule: {summary(settings['schedule'])}.",
        f"- Places were jittered by {settings['jitter_m']:g} m (standard deviation along each axis) in every step.",
    ]
    return title, calls, explained, data, made


def _paired_card(settings: Mapping[str, Any], provenance: Mapping[str, Any], about: Mapping[str, Any]) -> _Parts:
    answer, one, modalities = about["answer"], list(about["predicts_from"]), list(about["modalities"])
    (name, facts), *_ = provenance["tables"].items()
    first = (one or modalities)[0]
    shape = ", ".join(map(str, facts["sensors"][first]["shape"]))
    calls = [f'model.embed("{first}", values)  # (n, {settings["dim"]})']
    explained = []
    if answer:
        together = "{" + ", ".join(f'"{each}": {each}_values' for each in modalities) + "}"
        alone = f'model.predict("{first}", values)  # values of shape (n, {shape})'
        calls.insert(0, alone if one else f"model.predict_fused({together})")
        which = f"any one of {', '.join(one)}" if one else "all of its sensors together"
        names = ", ".join(answer["names"])
        explained = [f"Predicts `{answer['target']}` ({answer['kind']}: {names}) from {which}.", ""]
    counts = ", ".join(f"{count:,} {part}" for part, count in facts["split"].items())
    data = [
        "## Data",
        "",
        f"`{name}`, {facts['rows']:,} rows ({counts}), sha256 `{facts['sha256'][:12]}`.",
        "",
        "| modality | kind | shape per row | rows with it |",
        "|---|---|---|---|",
        *(
            f"| {each} | {sensor['kind']} | {sensor['shape']} | {sensor['present']:,} |"
            for each, sensor in facts["sensors"].items()
        ),
    ]
    named = settings["encoders"] or {}
    made = [f"- Encoder of {each}: {summary(named[each])}." for each in modalities if each in named]
    title = ["# A model of paired sensors by geotether", "", f"Sensors: {', '.join(modalities)}."]
    return title, calls, explained, data, made


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


def earlier_tables(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables of the model that an adapted one started from, each under the name of both."""
    adapted = provenance.get("adapted") or {}
    tables = adapted.get("from", {}).get("tables") or {}
    return {f"{name} ({adapted['model']})": facts for name, facts in tables.items()}


def adapted_lines(adapted: Mapping[str, Any]) -> list[str]:
    """Write which model was adapted, and where."""
    if not adapted:
        return []
    edges = ", ".join(f"{edge:g}" for edge in adapted["bounds"])
    return [
        "",
        f"Adapted from the model `{adapted['model']}` (weights sha256 `{adapted['weights_sha256'][:12]}`) to "
        f"{adapted['region']} (west, south, east, north: {edges}), by the modalities below. Elsewhere its vectors are "
        "close to those of that model, which saw "
        f"{', '.join(adapted['from'].get('tables', {})) or 'unknown data'}; the terms of these data apply too.",
    ]


def context_lines(context: Mapping[str, Any]) -> list[str]:
    """Write what the local context is made of, with sources and licences."""
    if not context:
        return []
    lines = ["## Local context", "", "Beside the position, the encoder reads what there is around a place.", ""]
    land = {"land (polygons)": context["land"]} if context.get("land") else {}
    if files := {**context.get("rasters", {}), **land}:
        lines += ["| raster | file | bands | licence | source | sha256 |", "|---|---|---|---|---|---|"]
        for name, facts in files.items():
            bands = ", ".join(map(str, facts.get("bands") or []))
            licence, origin = facts.get("licence") or "not stated", facts.get("origin") or "not stated"
            sha256 = f"`{facts['sha256'][:12]}`" if facts.get("sha256") else ""
            lines.append(f"| {name} | {facts.get('file', '')} | {bands} | {licence} | {origin} | {sha256} |")
        lines.append("")
    if tables := context.get("observations", {}).get("tables"):
        lines += [f"Observations of training rows: {', '.join(tables)}.", ""]
    if coverage := context.get("coverage"):
        shares = ", ".join(f"{one['source']} at {one['scale_km']:g} km {one['share']:.0%}" for one in coverage)
        lines += [f"Share of the training places (evenly by area) that have data: {shares}.", ""]
    return lines


def summary(options: Mapping[str, Any]) -> str:
    """Write a part's name and its options, such as "mlp (hidden_dim 512)"."""
    details = ", ".join(f"{key} {value}" for key, value in options.items() if key != "name" and value is not None)
    return f"{options['name']} ({details})" if details else str(options["name"])


def plain_settings(config: LoopConfig) -> dict[str, Any]:
    """Return the configuration as plain values, without paths of data; their hashes are in the provenance."""
    context = {"land": {"path"}, "rasters": {"__all__": {"path"}}}
    adapt = {"model", "region"}  # their hashes are in the provenance, too
    hidden: Any = {"adapt": adapt, "tables": True, "data": True, "cache": True, "paired": True, "context": context}
    return config.model_dump(mode="json", exclude=hidden)


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
        **({} if table.block_rows is None else {"block_rows": table.block_rows}),
        "split": dict(sorted(table.split_counts.items())),
        "features": [str(name) for name in table.origin.made.get("features") or []][:NAMED_FEATURES],
        "labels": list(table.targets),
        **_origin_facts(table.origin),
    }


def _origin_facts(origin: Origin) -> dict[str, Any]:
    if origin.is_empty:
        return {}
    plain = origin.plain()
    # Names of features stay in the table: there can be thousands.
    made = {key: value for key, value in plain.pop("made", {}).items() if key != "features"}
    return {"origin": {**plain, **({"made": made} if made else {})}}


def run_provenance(
    config: LoopConfig, tables: Mapping[str, Table], state: RunState, context: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Collect where a trained model comes from.

    Args:
        config: Of the run.
        tables: Modality to table.
        state: Of the finished run.
        context: Files, hashes and coverage of the local context.

    Returns:
        Plain values, ready for JSON: `tables`, `context` (its rasters and observations), `recipe`, `seed`, `steps`,
        `seconds`, `versions` and more.
    """
    paired = not isinstance(config, RunConfig)
    plugins = origins([("objective", config.objective.reading)]) if isinstance(config, RunConfig) else []
    return {
        "tables": {name: table_facts(table, paired) for name, table in tables.items()},
        **({"context": dict(context)} if context else {}),
        "recipe": config.recipe,
        "seed": config.seed,
        "steps": state.step,
        "best_step": state.best_step,
        "stopped_early": state.stopped,
        "seconds": round(state.seconds, 1),
        "versions": {"geotether": __version__, "torch": str(torch.__version__), "numpy": np.__version__},
        **({"plugins": plugins} if plugins else {}),
    }
