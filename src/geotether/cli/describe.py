"""`geotether describe`: summaries of models, feature tables and any file that can become one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

NAMED_AT_MOST = 20
CHECKPOINTS = (".ckpt", ".pt", ".pth", ".bin", ".safetensors")
AXES = {"series": ("steps", "bands"), "chip": ("bands", "rows", "columns"), "vector": ("numbers",)}


def describe(
    given: Annotated[
        str,
        typer.Argument(
            metavar="FILE|MODEL|TABLE",
            help="Any file or folder of data, a model or its name, or a table or its address.",
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Of a table: folder for figures, numbers and a page.")] = None,
    beside: Annotated[Path | None, typer.Option(help="Another table, to measure the overlap of the two.")] = None,
    drawing: Annotated[Path | None, typer.Option("--map", help="Of a file: PNG of where its rows lie.")] = None,
    source: Annotated[str | None, typer.Option(help="Of a file: the source that reads it; else inferred.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Of a file: options as of table build; repeat."),
    ] = None,
) -> str:
    """Describe what `table build` would read of a file, or a model, or a feature table."""
    from geotether.checkpoint.named import model_path, names_hint
    from geotether.files.formats import is_address

    if is_address(given) and is_table(given):
        return describe_table(given, out, beside)
    thing = Path(given)
    if not thing.exists():
        thing = model_path(thing)
    if is_table(thing):
        return describe_table(thing, out, beside)
    if out is not None or beside is not None:
        raise ValueError(
            f"--out and --beside are for tables (.parquet), and {thing} is not one; try geotether diagnose."
        )
    if not thing.exists():
        raise FileNotFoundError(f"There is no file or folder {thing}.{names_hint(thing)}")
    if thing.suffix.lower() in CHECKPOINTS or (thing / "config.json").is_file():
        return describe_model(thing)
    if thing.suffix.lower() in (".yaml", ".yml"):
        raise ValueError(f"{thing} is a configuration or specification; table build, tasks build or pretrain read it.")
    from geotether.cli.describe_file import describe_file
    from geotether.settings import overlay, parse_override

    options: dict[str, Any] = {}
    for setting in settings or ():
        options = overlay(options, parse_override(setting))
    return describe_file(thing, source, options, drawing)


def is_table(thing: str | Path) -> bool:
    """Whether a file, a folder of shards or an address is a feature table; ValueError if it is damaged."""
    from geotether.files.formats import PARQUET_ENDINGS, is_address
    from geotether.files.parquet_files import ParquetFiles, is_sharded

    is_file = not is_address(thing) and Path(thing).suffix.lower() in PARQUET_ENDINGS and Path(thing).is_file()
    if not (is_file or is_address(thing) or is_sharded(thing)):
        return False
    schema = ParquetFiles(thing).schema
    return b"geotether" in (schema.metadata or {}) or "features" in schema.names


def describe_model(folder: Path) -> str:
    """Describe a model folder.

    Args:
        folder: From `pretrain`, `demo` or `paired train`; or a checkpoint of SatCLIP or GeoCLIP.

    Returns:
        A few lines of plain text.

    Raises:
        FileNotFoundError: If it is not a model folder.
        ValueError: If it is damaged or foreign.
    """
    from geotether.checkpoint.model import load_model
    from geotether.encoder import Encoder
    from geotether.loading import load

    if folder.is_file():
        model: Any = load(folder)
    else:
        parts = load_model(folder)
        with _reading_provenance(folder):
            if parts.paired is not None:
                return _describe_paired(parts)
            model = Encoder.of(parts)
    with _reading_provenance(folder):
        return _describe_encoder(model)


@contextmanager
def _reading_provenance(folder: Path) -> Iterator[None]:
    """Raise ValueError where provenance.json, which decides nothing, is not as written."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{folder / 'provenance.json'} is damaged: {type(error).__name__}: {error}.") from error


def _describe_encoder(model: Any) -> str:
    encoder, provenance = model.module.config, model.provenance
    weights = sum(parameter.numel() for parameter in model.module.parameters())
    lines = [
        f"A location encoder: longitude, latitude (degrees, WGS 84) -> {model.dim} numbers ({encoder['readout']}"
        + (f", up to {model.full_dim})." if model.full_dim > model.dim else ")."),
        f"  positional encoding  {_spoken(encoder['positional'])}",
        f"  network              {_spoken(encoder['network'])}; {weights:,} weights",
    ]
    context = model.module.context
    for level in [] if context is None else context.levels:
        shown = ", ".join(f"{name} ({width})" for name, width in level["groups"].items())
        lines.append(f"  context              {level['source']} at {level['scale_km']:g} km: {shown}")
    for name, facts in (provenance.get("tables") or {}).items():
        parts = ", ".join(f"{count:,} {part}" for part, count in facts["split"].items())
        lines.append(f"  modality             {name}: {facts['rows']:,} rows ({parts}) of {facts['dim']} features")
    lines += _coverage_lines(model.seen)
    if "steps" in provenance:
        lines.append(_training_line(provenance))
    lines += _hub_lines(provenance)
    return "\n".join(lines)


def _coverage_lines(seen: Any) -> list[str]:
    """Say where a model was trained, as far as its folder tells."""
    if seen is None:
        return ["  training places      unknown: the model does not say where it was trained"]
    counts = ", ".join(f"{name} {len(cells):,}" for name, cells in seen.cells.items())
    lines = [f"  training places      in cells of {seen.cell_km:g} km: {counts}"]
    if seen.threshold is not None:
        lines.append(
            f"  outside of them      dissimilarity above {seen.threshold:.3f}, or {seen.threshold_km:,.0f} km from any"
        )
    return lines


def describe_table(path: str | Path, out: Path | None = None, beside: Path | None = None) -> str:
    """Describe a feature table, alone or with its overlap with another.

    Args:
        path: GeoParquet, as `write_table` writes it, in one file or in shards, or anything else that `read_table`
            reads.
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
    from geotether.files.formats import PARQUET_ENDINGS, is_address
    from geotether.files.parquet_files import is_sharded
    from geotether.files.rows import naming
    from geotether.tables.store import read_table

    if beside is not None and not is_table(beside):
        raise ValueError(
            f"--beside takes another feature table ({', '.join(PARQUET_ENDINGS)}), and {beside} is not one; "
            f"`geotether table build {beside} --out {beside.stem}.parquet` makes one of a file of places."
        )
    with naming(path, "table"):
        table = read_table(path)
    found = contents(table)
    stored = [("stored", _stored(path, table))] if is_address(path) or is_sharded(path) else []
    said = f"{headline(found)}\n{in_columns([*stored, *contents_lines(found)])}"
    both = None
    if beside is not None:
        with naming(beside, "table"):
            other = read_table(beside)
        if other.name == table.name:
            other = read_table(beside, name=f"{other.name} in {beside.name}")
        both = overlap(table, other)
        said += f"\nBeside {other.name}, {len(other):,} rows:\n{in_columns(overlap_lines(both))}"
    if out is not None:
        from geotether.report.table import write_description  # drawing loads a lot

        said += f"\nThe page is {write_description(out, table, found, both)}"
    return said


def _stored(path: str | Path, table: Any) -> str:
    """Describe the files of a table."""
    from geotether.files.disk import size_in_words
    from geotether.files.parquet_files import ParquetFiles

    files = ParquetFiles(path)
    each = [footer.num_rows for footer in files.footers]
    count = f"{len(each)} shards of up to {max(each):,} rows" if len(each) > 1 else "one file"
    form = "float16" if "halffloat" in str(files.schema.field("features").type) else "float32"
    drawn = f"; batches are drawn by blocks of {table.block_rows:,} rows" if table.block_rows else ""
    return f"{count}, {size_in_words(files.bytes)}, features as {form}{drawn}"


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
    lines += _hub_lines(provenance)
    return "\n".join(lines)


def _hub_lines(provenance: dict[str, Any]) -> list[str]:
    hub = provenance.get("hub")
    return [f"  downloaded from      {hub['repo']} on the Hub, revision {hub['revision']}"] if hub else []


def _training_line(provenance: dict[str, Any]) -> str:
    return (
        f"  training             recipe {provenance['recipe']}, {provenance['steps']:,} steps, "
        f"seed {provenance['seed']}, geotether {provenance['versions']['geotether']}"
    )


def _spoken(part: dict[str, object]) -> str:
    options = ", ".join(f"{key} {value}" for key, value in part.items() if key != "name" and value is not None)
    return f"{part['name']} ({options})" if options else str(part["name"])
