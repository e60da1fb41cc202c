"""Models and tables in plain words, for `geotether describe`."""

from pathlib import Path

import numpy as np


def describe_model(folder: Path) -> str:
    """Describe a model folder.

    Args:
        folder: From `pretrain` or `demo`.

    Returns:
        A few lines of plain text.

    Raises:
        FileNotFoundError: If it is no model folder.
        ValueError: If it is damaged or foreign.
    """
    from geotether.embed import load

    model = load(folder)
    encoder, provenance = model.location.config, model.provenance
    weights = sum(parameter.numel() for parameter in model.location.parameters())
    lines = [
        f"A location encoder: longitude, latitude (degrees, WGS 84) -> {model.dim} numbers ({encoder['readout']}).",
        f"  positional encoding  {_spoken(encoder['positional'])}",
        f"  network              {_spoken(encoder['network'])}; {weights:,} weights",
    ]
    for name, facts in provenance.get("tables", {}).items():
        parts = ", ".join(f"{count:,} {part}" for part, count in facts["split"].items())
        lines.append(f"  modality             {name}: {facts['rows']:,} rows ({parts}) of {facts['dim']} features")
    if "steps" in provenance:
        lines.append(
            f"  training             recipe {provenance['recipe']}, {provenance['steps']:,} steps, "
            f"seed {provenance['seed']}, geotether {provenance['versions']['geotether']}"
        )
    return "\n".join(lines)


def describe_table(path: Path) -> str:
    """Describe a feature table.

    Args:
        path: GeoParquet, as `write_table` writes it, or anything else that `read_table` reads.

    Returns:
        A few lines of plain text.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no feature table; the message says what is missing.
    """
    from geotether.tables.store import read_table

    table = read_table(path)
    west, south = table.lonlat.min(axis=0)
    east, north = table.lonlat.max(axis=0)
    lines = [
        f"A feature table, {table.name}: {len(table):,} rows of {table.dim} features.",
        f"  places        longitude {west:.2f} to {east:.2f}, latitude {south:.2f} to {north:.2f}",
    ]
    if table.time is not None:
        lines.append(f"  time          {table.time.min()} to {table.time.max()}")
    if table.split is not None:
        names, counts = np.unique(np.asarray(table.split, dtype=str), return_counts=True)
        lines.append("  split         " + ", ".join(f"{n:,} {s}" for s, n in zip(names, counts, strict=True)))
    for name, values in table.labels.items():
        if values.dtype.kind in "OUSb":
            content = f"{len(set(values.tolist()))} classes"
        else:
            content = f"{np.nanmin(values):g} to {np.nanmax(values):g}"
        lines.append(f"  label         {name}: {content}")
    lines.append(f"  content hash  {table.content_hash}")
    return "\n".join(lines)


def _spoken(part: dict[str, object]) -> str:
    options = ", ".join(f"{key} {value}" for key, value in part.items() if key != "name" and value is not None)
    return f"{part['name']} ({options})" if options else str(part["name"])
