"""`geotether table`: feature tables from the user's files."""

from pathlib import Path
from typing import Annotated, Any

import typer

table_app = typer.Typer(help="Feature tables from your files.", no_args_is_help=True)

Out = Annotated[Path, typer.Option(help="The table to write, ending in .parquet.")]
Source = Annotated[str | None, typer.Option("--source", help="The source that reads the file; by default inferred.")]
Features = Annotated[str | None, typer.Option(help="Name of the features; by default those that suit the source.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any key of a specification, such as features.dim=64; repeat."),
]
Name = Annotated[str | None, typer.Option(help="Of the modality; by default the name of the file.")]
Workers = Annotated[int | None, typer.Option(help="Processes; by default chosen from the size of the job.", min=1)]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS|FILE|local",
        help="A Dask cluster: its scheduler's address or file; local: a cluster of --workers processes here.",
    ),
]
Tolerance = Annotated[float | None, typer.Option(help="Share of rows that may be rejected; 0.05 by default.")]
Licence = Annotated[str | None, typer.Option(help='Of the data, such as "CC BY 4.0"; travels with the table.')]
Origin = Annotated[str | None, typer.Option(help="Whose data they are.")]
Citation = Annotated[str | None, typer.Option(help="What to cite.")]
ShardRows = Annotated[
    int | None,
    typer.Option(help="Rows per file of a folder of files; by default one file unless features exceed 4 GiB.", min=1),
]
Half = Annotated[bool, typer.Option("--half", help="Store features as float16: half the size, three digits.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start again, whatever is there.")]


@table_app.command("build")
def build(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A file or folder, or a YAML specification.")],
    out: Out,
    reader: Source = None,
    features: Features = None,
    settings: Settings = None,
    name: Name = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    tolerance: Tolerance = None,
    licence: Licence = None,
    origin: Origin = None,
    citation: Citation = None,
    shard_rows: ShardRows = None,
    half: Half = False,
    fresh: Fresh = False,
) -> str:
    """Build a feature table; run the same command again to continue after a crash."""
    from geotether.featurizing.build import build_table

    spec = _spec(
        source, settings, source=reader, features=features and {"name": features},
        tolerance=tolerance, licence=licence, origin=origin, citation=citation,
        shard_rows=shard_rows, dtype="float16" if half else None,
    )  # fmt: skip
    table = build_table(spec, out, name=name, workers=workers, scheduler=scheduler, resume=not fresh)
    return _summary(out, table)


@table_app.command("apply")
def apply(
    table: Annotated[Path, typer.Argument(help="A table from `table build`, with its transform file beside it.")],
    source: Annotated[str, typer.Argument(metavar="NEW", help="A file or folder, or a YAML specification.")],
    out: Out,
    reader: Source = None,
    settings: Settings = None,
    name: Name = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    tolerance: Tolerance = None,
    licence: Licence = None,
    origin: Origin = None,
    citation: Citation = None,
    shard_rows: ShardRows = None,
    half: Half = False,
    fresh: Fresh = False,
) -> str:
    """Give new rows the same features as those of an earlier table."""
    from geotether.featurizing.build import apply_transform

    spec = _spec(
        source, settings, source=reader, tolerance=tolerance, licence=licence, origin=origin, citation=citation,
        shard_rows=shard_rows, dtype="float16" if half else None,
    )  # fmt: skip
    done = apply_transform(table, spec, out, name=name, workers=workers, scheduler=scheduler, resume=not fresh)
    return _summary(out, done)


@table_app.command("sources")
def list_sources() -> str:
    """List sources and features, built in and from other packages, with all options."""
    from geotether.features.catalogue import FEATURES, features_class
    from geotether.sources.catalogue import source_class, source_names

    lines = ["Sources (source: NAME, and its options beside it):"]
    for name in source_names():
        lines += _listed(name, source_class, skip=("path",))
    lines.append("\nFeatures (features: {name: NAME, and its options}):")
    for name in FEATURES:
        lines += _listed(name, features_class)
    return "\n".join(lines)


def _listed(name: str, find: Any, skip: tuple[str, ...] = ()) -> list[str]:
    import inspect

    try:
        kind = find(name)
    except (ImportError, AttributeError, TypeError) as error:  # of others, whatever is wrong with them
        return [f"  {name}", f"    not available: {error}"]
    asks = (inspect.getdoc(kind) or "").splitlines()
    options = [
        option if given.default is inspect.Parameter.empty else f"{option}={given.default!r}"
        for option, given in inspect.signature(kind).parameters.items()
        if option not in skip
    ]
    takes = f" [{kind.takes}]" if hasattr(kind, "takes") else ""
    return [
        f"  {name}{takes}",
        *(f"    {line}" for line in asks[:1] if line),
        f"    {', '.join(options) or 'no options'}",
    ]


def _spec(given: str, settings: list[str] | None, **typed: Any) -> Any:
    """Read the specification; options override it (None: not given), and `settings` override both."""
    from geotether.featurizing.specification import TableSpec, flatten_source
    from geotether.settings import overlay, parse_override, read_layer

    path = Path(given)
    is_yaml = path.suffix.lower() in (".yaml", ".yml")
    layer: dict[str, Any] = flatten_source(read_layer(path)) if is_yaml else {"path": given}
    if isinstance(layer.get("features"), str):  # options may follow by --set
        layer["features"] = {"name": layer["features"]}
    options = {key: value for key, value in typed.items() if value is not None}
    for over in [options, *map(parse_override, settings or ())]:
        layer = overlay(layer, flatten_source(over))
    try:
        return TableSpec.of(layer, path.parent if is_yaml else ".")
    except ValueError as error:
        raise ValueError(f"{given}: {error}" if given not in str(error) else str(error)) from error


def _summary(out: Path, table: Any) -> str:
    return f"{out} contains {table.name}: {len(table):,} rows of {table.dim:,} features"
