"""The same features for new rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geotether.featurizing.build import built_table, make_table
from geotether.featurizing.guess import guess_source
from geotether.featurizing.plan import Plan
from geotether.featurizing.specification import TableSpec
from geotether.featurizing.transform_file import load_transform
from geotether.tables.table import Table


def apply_transform(
    transform: str | Path,
    spec: TableSpec | Mapping[str, Any],
    out: str | Path,
    *,
    name: str | None = None,
    workers: int | None = None,
    progress: str = "auto",
    resume: bool = True,
) -> Table:
    """Build a table of new rows with the features of an earlier table; nothing is fitted.

    A row that stood in the earlier table gets the same numbers, bit for bit. The job is that of `build_table`.

    Args:
        transform: The earlier table, beside which its transform lies, or the transform.
        spec: What to read. Where a mapping says nothing, source, its options and the encoding of time are those of the
            earlier table, and there is no split.
        out: The new table's file.
        name: Of the modality; by default the file's name.
        workers: As for `build_table`, as are the next two.
        progress: How it is shown.
        resume: Whether to go on.

    Returns:
        The new table.

    Raises:
        FileNotFoundError: If the transform or the source's file is missing.
        ValueError: If source and features do not fit; and as for `build_table`.
    """
    spec = TableSpec.of(spec)
    try:
        plan = Plan.of(spec_for(transform, spec), out, name, transform)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{error}{_other_source(spec, load_transform(transform).source)}") from error
    return built_table(plan, make_table(plan, workers=workers, progress=progress, resume=resume))


def _other_source(spec: TableSpec, taken: str) -> str:
    """What to say of a source that was taken over and does not read the new file."""
    if spec.source is not None or not Path(spec.place).exists():
        return ""
    try:
        guess = guess_source(spec.place)
    except ValueError:
        guess = ""
    if guess == taken:
        return ""
    another = f"--source {guess}, in a specification source: {guess}" if guess else "--source, or source: in YAML"
    return (
        f" (The source {taken!r} is that of the earlier table. If the new rows are in another kind of file, say what "
        f"reads it: {another}.)"
    )


def spec_for(transform: str | Path, spec: TableSpec | Mapping[str, Any]) -> TableSpec:
    """Fill in what the specification of new rows does not say.

    Args:
        transform: As for `apply_transform`.
        spec: A mapping, or a specification that is taken as it is but for the encoding of time.
    """
    fitted = load_transform(transform)
    spec = TableSpec.of(spec)
    changes: dict[str, Any] = {"encode_time": fitted.encode_time}
    if spec.encode_time not in ((), fitted.encode_time):
        raise ValueError(
            f"The features were made with encode_time {list(fitted.encode_time)}; new rows get the same, so leave "
            "encode_time out."
        )
    if spec.source in (None, fitted.source):
        changes |= {"source": fitted.source, "options": {**fitted.options, **spec.options}}
    if "split" not in spec.model_fields_set:
        changes["split"] = None
    return spec.model_copy(update=changes)
