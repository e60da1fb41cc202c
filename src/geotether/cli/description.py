"""Models and tables in plain words, for `geotether describe`."""

from pathlib import Path


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


def describe_table(path: Path, out: Path | None = None, beside: Path | None = None) -> str:
    """Describe a feature table, alone or beside another.

    Args:
        path: GeoParquet, as `write_table` writes it, or anything else that `read_table` reads.
        out: Folder for `describe.html`, `describe.json` and `figures/`, or None.
        beside: Another table, for the overlap of the two.

    Returns:
        Plain text.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no feature table; the message says what is missing.
        OSError: If the disk is full or the folder cannot be written to.
    """
    from geotether.diagnostics.contents import contents
    from geotether.diagnostics.overlap import overlap
    from geotether.diagnostics.table_words import contents_lines, headline, in_columns, overlap_lines
    from geotether.tables.store import read_table

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
        from geotether.cli.table_page import write_description  # drawing loads a lot

        said += f"\nThe page is {write_description(out, table, found, both)}"
    return said


def _spoken(part: dict[str, object]) -> str:
    options = ", ".join(f"{key} {value}" for key, value in part.items() if key != "name" and value is not None)
    return f"{part['name']} ({options})" if options else str(part["name"])
