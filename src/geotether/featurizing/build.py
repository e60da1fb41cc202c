"""The job that builds a feature table from a source; the same command continues after a kill."""

import logging
import os
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from geotether.featurizing.assembly import all_rejected, count_duplicates, gather_table, write_rejected
from geotether.featurizing.guess import guess_source
from geotether.featurizing.job import job_folder, mark_replacing, open_job, remove_job, sweep
from geotether.featurizing.parts import Work, read_tally
from geotether.featurizing.plan import Plan, is_up_to_date, renew_origin
from geotether.featurizing.progress import RowProgress, check_style, spoken_time
from geotether.featurizing.rows import choose_rows, rows_at_once, spoken_reasons
from geotether.featurizing.specification import TableSpec
from geotether.featurizing.transform import fit_transform, load_transform, save_transform, transform_path
from geotether.featurizing.workers import check_workers, run_parts
from geotether.files.disk import replacing_file, size_in_words
from geotether.files.places import BEYOND_LATITUDE, SWAPPED
from geotether.geodesy.coordinates import too_many_for_slips
from geotether.sources.source import Rejected
from geotether.tables.splits import assign_split
from geotether.tables.store import read_table, write_table
from geotether.tables.table import Table
from geotether.version import __version__

_log = logging.getLogger(__name__)


def build_table(
    spec: TableSpec | Mapping[str, Any],
    out: str | Path,
    *,
    name: str | None = None,
    workers: int | None = None,
    progress: str = "auto",
    resume: bool = True,
) -> Table:
    """Build a feature table from a source.

    Beside the table X.parquet are written X.rejected.parquet (row, id, reason) and X.transform.safetensors (what was
    fitted). Until the job is finished its parts are in the folder .X.job; the same call continues there, whatever
    ended the first. The files are the same, byte for byte, for any number of workers and after any number of kills.

    Args:
        spec: What to build from; a mapping is read by `TableSpec.of`.
        out: The table's file, ending in .parquet.
        name: Name of the modality; by default the file's name.
        workers: Number of processes, with one thread each; 1: this process only. None: one per core where the work is
            worth it.
        progress: "auto", "bar", "lines" or "none".
        resume: Whether to continue an unfinished job, and to leave an up-to-date table as it is.

    Returns:
        The table; the features of a large one are mapped from disk. Its `origin.made` says how many rows were read,
        used and rejected, why, and how many share a place; and, if it was just built, `seconds` and `megabytes`.

    Raises:
        FileNotFoundError: If the source's file is missing.
        ValueError: If the specification is wrong, source and features do not fit, more rows than tolerated are
            rejected (they are listed in .X.job/failed-rejected.parquet), or fewer than two rows are left.
        OSError: If the table cannot be written, a worker died, or another process builds the same table.
        ImportError: If an extra is missing; the message has the install command.
    """
    return _table(Plan.of(TableSpec.of(spec), out, name), workers, progress, resume)


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
    """Build a table of new rows with the features of an earlier table, without fitting anything.

    A row of the earlier table gets the same numbers, bit for bit.

    Args:
        transform: The earlier table, or its transform.
        spec: What to read. By default the source, its options and the encoding of time are those of the earlier
            table, and the new table has no split.
        out: The new table's file.
        name: As for `build_table`, as are the following.
        workers: Number of processes.
        progress: Style of progress.
        resume: Whether to continue.

    Raises:
        FileNotFoundError: If the transform or the source's file is missing.
        ValueError: If source and features do not fit; and as for `build_table`.
    """
    spec = TableSpec.of(spec)
    try:
        plan = Plan.of(_with_defaults(transform, spec), out, name, transform)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{error}{_other_source(spec, load_transform(transform).source)}") from error
    return _table(plan, workers, progress, resume)


def cached_table(
    spec: TableSpec | Mapping[str, Any],
    folder: str | Path,
    name: str,
    *,
    workers: int | None = None,
    progress: str = "auto",
) -> Path:
    """Return the path of `folder`/`name`.parquet, built only if nothing up to date is there.

    A key in the file decides: that of the specification, the source's fingerprint and the code that makes the
    features. Neither source nor table is read for that.

    Args:
        spec: What to build from.
        folder: The folder of tables, created if missing.
        name: Name of the modality and of its file.
        workers: As for `build_table`.
        progress: As for `build_table`.

    Raises:
        ValueError: As for `build_table`, whose other errors are raised too.
    """
    plan = Plan.of(TableSpec.of(spec), Path(folder) / f"{name}.parquet", name)
    _make_files(plan, workers, progress, resume=True)
    return plan.out


def _table(plan: Plan, workers: int | None, progress: str, resume: bool) -> Table:
    facts = _make_files(plan, workers, progress, resume)
    table = read_table(plan.out, plan.name)
    table.origin.made.update(facts)
    return table


def _make_files(plan: Plan, workers: int | None, progress: str, resume: bool) -> dict[str, Any]:
    """Make the files of a table; returns `seconds` and `megabytes`, or nothing if the table was up to date."""
    check_workers(workers)
    check_style(progress)
    sweep(plan.out)
    if resume and is_up_to_date(plan):
        renew_origin(plan)
        return {}
    began = time.monotonic()
    try:
        with open_job(plan.out, plan.facts, resume) as folder:
            work = _prepared(plan, folder)
            _run(plan, work, workers, progress)
            made = _finish(plan, work)
            remove_job(folder)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Stopped. Finished parts are kept in {job_folder(plan.out)}: run the same command to continue."
        ) from None
    seconds, size = time.monotonic() - began, plan.out.stat().st_size
    _report(plan, made)
    _log.info("%s: %s, %s, in %s.", plan.name, plan.out, size_in_words(size), spoken_time(seconds))
    return {"seconds": round(seconds, 1), "megabytes": round(size / 1e6, 3)}


def _prepared(plan: Plan, folder: Path) -> Work:
    """Prepare the source and fit the features, unless a killed job has fitted them."""
    for name in ("source", "parts"):
        (folder / name).mkdir(exist_ok=True)
    plan.source.prepare(folder / "source")
    count = len(plan.source)
    if count == 0:
        raise ValueError(f"The source {plan.spec.source!r} has no rows in {plan.spec.path}.")
    chosen = choose_rows(count, plan.spec.rows, plan.spec.seed)
    fitted = folder / "fitted.transform.safetensors"
    if not fitted.is_file():
        if plan.transform is None:
            transform, rejected, drawn = fit_transform(plan, count, chosen)
            rows = count if chosen is None else len(chosen)
            if transform is None or not plan.tolerates(len(rejected), rows):
                raise _refusal(plan, rejected, rows, drawn)
            save_transform(transform, fitted)
        else:
            _copy(plan.transform, fitted)
    # Loaded even just after the fit, so that a killed job does not differ from an undisturbed one.
    return Work(plan.source, load_transform(fitted), folder / "parts", count, rows_at_once(plan.source, count), chosen)


def _run(plan: Plan, work: Work, workers: int | None, progress: str) -> None:
    """Make the missing parts."""
    complete = work.complete
    rows = rejected = 0

    def count(number: int) -> None:
        nonlocal rows, rejected
        tally = read_tally(work.part_file(number))
        rows, rejected = rows + tally.used + len(tally.rejected), rejected + len(tally.rejected)

    def done(number: int) -> None:
        count(number)
        shown.show(rows, rejected)
        check()

    def check() -> None:
        if not plan.tolerates(rejected, work.row_count):
            raise _refusal(plan, all_rejected(work), work.row_count, rows)

    for number in complete:
        count(number)
    if complete:
        _log.info("%s: continuing; %d of %d parts are complete.", plan.name, len(complete), work.part_count)
    missing = sorted(set(range(work.part_count)) - set(complete))
    with RowProgress(plan.name, work.row_count, rows, progress) as shown:
        run_parts(work, missing, workers, done)
    check()


def _finish(plan: Plan, work: Work) -> dict[str, Any]:
    """Write the three files, the table last, so that it never exists without the others; returns `origin.made`."""
    folder = work.folder.parent
    rejected = all_rejected(work)
    reasons = Counter(row.reason for row in rejected)
    try:
        table, changed = gather_table(work, plan.name)
    except ValueError as error:
        listed = _list_failed(plan, rejected)
        why = f" Rejected: {spoken_reasons(reasons)}; see {listed}." if rejected else ""
        raise ValueError(f"{plan.spec.path}: {error}{why}") from error
    made = {
        "key": plan.key,
        "specification": plan.spec.plain(),
        "fingerprint": plan.facts["fingerprint"],
        "geotether": __version__,
        "rows": {"read": work.row_count, "used": len(table), "rejected": len(rejected)},
        "rejected": dict(sorted(reasons.items())),
        "duplicated_places": count_duplicates(table.lonlat),
        "ids_changed": changed,
        "features": work.transform.names,
    }
    object.__setattr__(table, "split", _split(plan, table))
    object.__setattr__(table, "origin", plan.origin(made))
    # All files are complete in the job's folder before each takes its place in one step.
    write_rejected(rejected, folder / "rejected.parquet")
    write_table(table, folder / "table.parquet")
    _copy(folder / "fitted.transform.safetensors", folder / "transform.safetensors")
    mark_replacing(folder)
    os.replace(folder / "rejected.parquet", plan.rejected_path)
    os.replace(folder / "transform.safetensors", transform_path(plan.out))
    os.replace(folder / "table.parquet", plan.out)
    return made


def _split(plan: Plan, table: Table) -> np.ndarray | None:
    """Split the rows; a default split that is impossible is a warning, since all the work is done."""
    split = plan.spec.split
    if split is None:
        return None
    try:
        parts = assign_split(table.lonlat, split.block_km, split.shares, split.seed, split.buffer_km)
        # With fewer training rows than that, all rows sampled for the fit may have been others.
        if plan.spec.split_asked or (parts == "train").mean() >= 0.5:
            return parts
    except ValueError as error:
        if plan.spec.split_asked:
            raise ValueError(
                f"{error} It is set by split: {{block_km: ...}} in the specification or --set split.block_km=...; "
                "split: null means no split."
            ) from error
    _log.warning(
        "%s: The table has no split, so all rows are for training: they lie in too few blocks of %g km for the "
        "default split. --set split.block_km=... makes smaller blocks; --set split=null asks for no split.",
        plan.name,
        split.block_km,
    )
    return None


def _refusal(plan: Plan, rejected: list[Rejected], total: int, looked_at: int) -> ValueError:
    """List the rejected rows and compose the error; the list of an older table is unchanged."""
    listed = _list_failed(plan, rejected)
    counts = Counter(row.reason for row in rejected)
    swapped = ""
    if counts[SWAPPED] > counts[BEYOND_LATITUDE] and too_many_for_slips(counts[SWAPPED], looked_at):
        swapped = " This looks like (latitude, longitude): --set lon=COLUMN --set lat=COLUMN swapped. Otherwise:"
    return ValueError(
        f"{len(rejected):,} of {total:,} rows cannot be used ({looked_at:,} were looked at), more than the tolerated "
        f"{plan.spec.tolerance:.0%}: {spoken_reasons(counts)}. They are listed in {listed}.{swapped} Correct them, or "
        "set tolerance (--tolerance) higher: finished parts are kept."
    )


def _list_failed(plan: Plan, rejected: list[Rejected]) -> Path:
    listed = job_folder(plan.out) / "failed-rejected.parquet"
    write_rejected(rejected, listed)
    return listed


def _report(plan: Plan, made: Mapping[str, Any]) -> None:
    rows, twice = made["rows"], made["duplicated_places"]
    lines = [f"{rows['used']:,} of {rows['read']:,} rows used, {len(made['features']):,} features."]
    if rows["rejected"]:
        reasons = spoken_reasons(Counter(made["rejected"]))
        lines.append(f"{rows['rejected']:,} rows rejected, listed in {plan.rejected_path}: {reasons}.")
    if twice["rows"]:
        lines.append(f"{twice['rows']:,} rows share {twice['places']:,} places.")
    if made["ids_changed"]:
        lines.append(f"{made['ids_changed']:,} ids were empty or repeated; these rows got new ones.")
    for line in lines:
        _log.info("%s: %s", plan.name, line)


def _copy(source: Path, target: Path) -> None:
    with replacing_file(target) as part:
        part.write_bytes(source.read_bytes())


def _with_defaults(transform: str | Path, spec: TableSpec) -> TableSpec:
    """Complete the specification of new rows from that of the earlier table."""
    fitted = load_transform(transform)
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


def _other_source(spec: TableSpec, taken: str) -> str:
    """Suggest another source where that of the earlier table does not read the new file."""
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
        f" (The source {taken!r} is that of the earlier table. If the new rows are in another kind of file, name the "
        f"source that reads it: {another}.)"
    )
