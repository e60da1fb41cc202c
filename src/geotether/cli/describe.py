"""`geotether describe`: summaries of models and tables."""

from pathlib import Path
from typing import Annotated, Any

import typer

NAMED_AT_MOST = 20
AXES = {"series": ("steps", "bands"), "chip": ("bands", "rows", "columns"), "vector": ("numbers",)}


def describe(
    thing: Annotated[Path, typer.Argument(metavar="MODEL|TABLE", help="A model folder or a .parquet table.")],
    out: Annotated[Path | None, typer.Option(help="Of a table: folder for figures, numbers and a page.")] = None,
    beside: Annotated[Path | None, typer.Option(help="Another table, to measure the overlap of the two.")] = None,
) -> str:
    """Describe a model or a feature table."""
    if is_table(thing):
        return describe_table(thing, out, beside)
    if thing.is_file():
        raise ValueError(
            f"{thing} is neither a model's folder nor a feature table (.parquet); `geotether table build` makes a "
            "table of a file of places."
        )
    if out is not None or beside is not None:
        raise ValueError(
            f"--out and --beside are for tables (.parquet), and {thing} is not one; try geotether diagnose."
        )
    return describe_model(thing)


def is_table(thing: Path) -> bool:
    """Check by its ending whether a file is a feature table, as `geotether table build` writes them."""
    from geotether.files.formats import PARQUET_ENDINGS

    return thing.suffix.lower() in PARQUET_ENDINGS


def describe_model(folder: Path) -> str:
    """Describe a model folder.

    Args:
        folder: From `pretrain`, `demo` or `paired train`.

    Returns:
        A few lines of plain text.

    Raises:
        FileNotFoundError: If it is not a model folder.
        ValueError: If it is damaged or foreign.
    """
    from geotether.checkpoint.model import load_model
    from geotether.encoder import Encoder

    parts = load_model(folder)
    if parts.paired is not None:
        return _describe_paired(parts)
    model = Encoder.of(parts)
    encoder, provenance = model.module.config, model.provenance
    weights = sum(parameter.numel() for parameter in model.module.parameters())
    lines = [
        f"A location encoder: longitude, latitude (degrees, WGS 84) -> {model.dim} numbers ({encoder['readout']}).",
        f"  positional encoding  {_spoken(encoder['positional'])}",
        f"  network              {_spoken(encoder['network'])}; {weights:,} weights",
    ]
    for name, facts in provenance.get("tables", {}).items():
        parts = ", ".join(f"{count:,} {part}" for part, count in facts["split"].items())
        lines.append(f"  modality             {name}: {facts['rows']:,} rows ({parts}) of {facts['dim']} features")
    if "steps" in provenance:
        lines.append(_training_line(provenance))
    return "\n".join(lines)


def describe_table(path: Path, out: Path | None = None, beside: Path | None = None) -> str:
    """Describe a feature table, alone or with its overlap with another.

    Args:
        path: GeoParquet, as `write_table` writes it, or anything else that `read_table` reads.
        out: Folder for `describe.html`, `describe.json` and `figures/`, or None.
        beside: Another table, for the overlap of the two.

    Returns:
        Plain text.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a feature table; the message says what is missing.
        OSError: If the disk is full or the folder cannot be written to.
    """
    from geotether.diagnostics.contents import contents
    from geotether.diagnostics.nearness import overlap
    from geotether.diagnostics.table_summary import contents_lines, headline, in_columns, overlap_lines
    from geotether.files.formats import PARQUET_ENDINGS
    from geotether.tables.store import read_table

    if beside is not None and not is_table(beside):
        raise ValueError(
            f"--beside takes another feature table ({', '.join(PARQUET_ENDINGS)}), and {beside} is not one; "
            f"`geotether table build {beside} --out {beside.stem}.parquet` makes one of a file of places."
        )
    table = read_table(path)
    found = contents(table)
    said = f"{headline(found)}\n{in_columns(contents_lines(found))}"
    both = None
    if beside is not None:
        other = read_table(beside)
        if other.name == table.name:
            other = read_table(beside, name=f"{other.name} in {beside.name}")
        both = overlap(table, other)
        said += f"\nBeside {other.name}, {len(other):,} rows:\n{in_columns(overlap_lines(both))}"
    if out is not None:
        from geotether.report.table import write_description  # drawing loads a lot

        said += f"\nThe page is {write_description(out, table, found, both)}"
    return said


def _describe_paired(parts: Any) -> str:
    """Describe a model of paired sensors."""
    module, about, provenance = parts.paired, parts.about, parts.provenance
    weights = sum(parameter.numel() for parameter in module.parameters())
    lines = [f"A model of paired sensors, method {about['method']}: {', '.join(about['modalities'])}."]
    for name, sensor in module.config["sensors"].items():
        kind, shape = sensor["kind"], sensor["shape"]
        axes = AXES.get(kind, ("",) * len(shape))
        size = " x ".join(f"{length} {axis}".strip() for length, axis in zip(shape, axes, strict=True))
        lines.append(f"  sensor               {name}: {kind} of {size}; {_spoken(sensor['config'])}")
    location = getattr(module, "location", None)
    if location is not None:
        lines.append(f"  location encoder     {_spoken(location.config['positional'])}; {location.config['readout']}")
    lines.append(f"  network              {type(module).__name__}; {weights:,} weights")
    answer = about["answer"]
    if answer is None:
        lines.append("  target               none: the model embeds, but does not predict")
    else:
        named = ", ".join(answer["names"][:NAMED_AT_MOST])
        more = len(answer["names"]) - NAMED_AT_MOST
        named += f" and {more} more" if more > 0 else ""
        counted = "a number" if answer["kind"] == "numbers" else f"{len(answer['names'])} {answer['kind']}"
        lines.append(f"  target               {answer['target']}: {counted} ({named})")
        enough = about["predicts_from"]
        needs = "all of its sensors at once" if not enough else ("any one of " * (len(enough) > 1)) + ", ".join(enough)
        lines.append(f"  predicts from        {needs}")
    for name, facts in provenance.get("tables", {}).items():
        parts = ", ".join(f"{count:,} {part}" for part, count in facts["split"].items())
        seen = ", ".join(f"{sensor['present']:,} with {modality}" for modality, sensor in facts["sensors"].items())
        lines.append(f"  table                {name}: {facts['rows']:,} rows ({parts}); {seen}")
    if "steps" in provenance:
        lines.append(_training_line(provenance))
    return "\n".join(lines)


def _training_line(provenance: dict[str, Any]) -> str:
    return (
        f"  training             recipe {provenance['recipe']}, {provenance['steps']:,} steps, "
        f"seed {provenance['seed']}, geotether {provenance['versions']['geotether']}"
    )


def _spoken(part: dict[str, object]) -> str:
    options = ", ".join(f"{key} {value}" for key, value in part.items() if key != "name" and value is not None)
    return f"{part['name']} ({options})" if options else str(part["name"])
