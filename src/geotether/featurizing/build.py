"""The job: from a source to a feature table, killed at any point and gone on with by the same command."""

import logging
import os
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from geotether.featurizing.assembly import (
    all_rejected,
    count_duplicates,
    failed_path,
    gather_table,
    rejected_path,
    spoken_reasons,
    write_rejected,
)
from geotether.featurizing.fitting import choose_rows, fit_transform, rows_at_once
from geotether.featurizing.job import job_folder, mark_replacing, open_job, remove_job, sweep
from geotether.featurizing.parts import Tally, Work, read_tally
from geotether.featurizing.plan import Plan
from geotether.featurizing.progress import RowProgress, check_style, spoken_time
from geotether.featurizing.specification import TableSpec
from geotether.featurizing.standing import is_up_to_date, renew_origin
from geotether.featurizing.times import time_names
from geotether.featurizing.transform_file import load_transform, save_transform, transform_path
from geotether.featurizing.workers import check_workers, run_parts
from geotether.files.disk import replacing_file, size_in_words
from geotether.files.places import BEYOND_LATITUDE, SWAPPED
from geotether.geodesy.coordinates import too_many_for_slips
from geotether.sources.source import Rejected
from geotether.tables.splits import assign_split
from geotether.tables.store import read_origin, read_table, write_table
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

    Beside the table X.parquet come X.rejected.parquet (row, id, reason) and X.transform.safetensors (what was fitted).
    While the job is unfinished its parts are in the folder .X.job; the same call goes on there, whatever ended the
    first. The files are the same, byte for byte, for any number of workers and however often the job was killed.

    Args:
        spec: What to build from; a mapping is read by `TableSpec.of`.
        out: The table's file, ending in .parquet.
        name: Of the modality; by default the file's name.
        workers: Processes, one thread each; 1: this process only. None: one a core where the work is worth it.
        progress: "auto", "bar", "lines" or "none".
        resume: Whether to go on with an unfinished job, and to leave a table that is up to date as it is.

    Returns:
        The table; of a large one the features are mapped from disk. Its `origin.made` says how many rows were read,
        used and rejected, why, and how many share a place; and, of the work just done, `seconds` and `megabytes`.

    Raises:
        FileNotFoundError: If the source's file is missing.
        ValueError: If the specification is wrong, source and features do not fit, more rows than tolerated are
            rejected (they are listed in .X.job/failed-rejected.parquet), or fewer than two rows are left.
        OSError: If the table cannot be written, a worker died, or another process is at work on the same table.
        ImportError: If an extra is missing; the message has the install command.
    """
    plan = Plan.of(TableSpec.of(spec), out, name)
    facts = make_table(plan, workers=workers, progress=progress, resume=resume)
    return built_table(plan, facts)


def built_table(plan: Plan, facts: Mapping[str, Any]) -> Table:
    """Read a table that was just made, and add what is true of the making only."""
    table = read_table(plan.out, plan.name)
    table.origin.made.update(facts)
    return table


def make_table(
    plan: Plan, *, workers: int | None = None, progress: str = "auto", resume: bool = True
) -> dict[str, Any]:
    """Make the files of a table; the arguments are those of `build_table`.

    Args:
        plan: What to make.
        workers: Processes.
        progress: How it is shown.
        resume: Whether to go on.

    Returns:
        `seconds` and `megabytes`; empty if the table was up to date.
    """
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
            _finish(plan, work)
            remove_job(folder)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Stopped. What is done is kept in {job_folder(plan.out)}: run the same command to go on."
        ) from None
    seconds, megabytes = time.monotonic() - began, plan.out.stat().st_size / 1e6
    _report(plan, seconds)
    return {"seconds": round(seconds, 1), "megabytes": round(megabytes, 3)}


def _prepared(plan: Plan, folder: Path) -> Work:
    """Prepare the source and fit the features, or find them fitted."""
    own = folder / "source"
    own.mkdir(exist_ok=True)
    (folder / "parts").mkdir(exist_ok=True)
    plan.source.prepare(own)
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
            with replacing_file(fitted) as part:
                part.write_bytes(plan.transform.read_bytes())
    transform = load_transform(fitted)  # also just after the fit, so that a killed job cannot differ
    return Work(
        source=plan.source,
        featurizer=transform.featurizer,
        names=transform.featurizer.names(),
        encode_time=transform.encode_time,
        folder=folder / "parts",
        count=count,
        at_once=rows_at_once(plan.source, count),
        chosen=chosen,
    )


def _run(plan: Plan, work: Work, workers: int | None, progress: str) -> None:
    """Compute the parts that are missing."""
    tallies = {n: read_tally(file) for n in range(work.part_count) if (file := work.part_file(n)).is_file()}

    def rows_done() -> int:
        return sum(tally.used + tally.rejected for tally in tallies.values())

    def rejected() -> int:
        return sum(tally.rejected for tally in tallies.values())

    def done(number: int, tally: Tally) -> None:
        tallies[number] = tally
        shown.show(rows_done(), rejected())
        if not plan.tolerates(rejected(), work.row_count):
            raise _refusal(plan, all_rejected(work), work.row_count, rows_done())

    if tallies:
        _log.info("%s: going on; %d of %d parts are complete.", plan.name, len(tallies), work.part_count)
    missing = [number for number in range(work.part_count) if number not in tallies]
    with RowProgress(plan.name, work.row_count, rows_done(), progress) as shown:
        run_parts(work, missing, workers, done)
    if not plan.tolerates(rejected(), work.row_count):
        raise _refusal(plan, all_rejected(work), work.row_count, rows_done())


def _finish(plan: Plan, work: Work) -> None:
    """Write the three files; the table comes last, so that it is never there without the others."""
    folder = work.folder.parent
    rejected = all_rejected(work)
    reasons = Counter(row.reason for row in rejected)
    try:
        table, changed = gather_table(work, plan.name)
    except ValueError as error:
        listed = failed_path(folder)
        write_rejected(rejected, listed)
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
        "features": work.names + time_names(work.encode_time),
    }
    object.__setattr__(table, "split", _split(plan, table))
    object.__setattr__(table, "origin", plan.origin(made))
    # First all are complete in the job's folder, then each takes its place in one step.
    write_rejected(rejected, folder / "rejected.parquet")
    write_table(table, folder / "table.parquet")
    with replacing_file(folder / "transform.safetensors") as part:
        part.write_bytes((folder / "fitted.transform.safetensors").read_bytes())
    mark_replacing(folder)
    os.replace(folder / "rejected.parquet", rejected_path(plan.out))
    os.replace(folder / "transform.safetensors", transform_path(plan.out))
    os.replace(folder / "table.parquet", plan.out)


def _split(plan: Plan, table: Table) -> np.ndarray | None:
    """Split the rows, or say why not: the split by default is no reason to fail after all the work."""
    split = plan.spec.split
    if split is None:
        return None
    try:
        parts = assign_split(table.lonlat, split.block_km, split.shares, split.seed, split.buffer_km)
        # With so few for training, the rows that were drawn for the fit may all have been others.
        if plan.spec.split_asked or (parts == "train").mean() >= 0.5:
            return parts
    except ValueError as error:
        if plan.spec.split_asked:
            raise ValueError(
                f"{error} It is set by split: {{block_km: ...}} in the specification or --set split.block_km=...; "
                "split: null is no split."
            ) from error
    _log.warning(
        "%s: The table has no split, so all rows are for training: they lie in too few blocks of %g km for the "
        "split by default. --set split.block_km=... makes one of smaller blocks; --set split=null says that none "
        "is wanted.",
        plan.name,
        split.block_km,
    )
    return None


def _refusal(plan: Plan, rejected: list[Rejected], total: int, looked_at: int) -> ValueError:
    """List the rejected rows and say why the job stops; the list of an older table stays with it."""
    listed = failed_path(job_folder(plan.out))
    write_rejected(rejected, listed)
    counts = Counter(row.reason for row in rejected)
    swapped = ""
    if counts[SWAPPED] > counts[BEYOND_LATITUDE] and too_many_for_slips(counts[SWAPPED], looked_at):
        swapped = " This looks like (latitude, longitude): --set lon=COLUMN --set lat=COLUMN swapped. Otherwise:"
    reasons = spoken_reasons(counts)
    return ValueError(
        f"{len(rejected):,} of {total:,} rows cannot be used ({looked_at:,} were looked at), more than the tolerated "
        f"{plan.spec.tolerance:.0%}: {reasons}. They are listed in {listed}.{swapped} Mend them, or set "
        "tolerance (--tolerance) higher: what is done is kept."
    )


def _report(plan: Plan, seconds: float) -> None:
    made = read_origin(plan.out).made
    rows, twice = made["rows"], made["duplicated_places"]
    lines = [f"{rows['used']:,} of {rows['read']:,} rows used, {len(made['features']):,} features."]
    if rows["rejected"]:
        reasons = spoken_reasons(Counter(made["rejected"]))
        lines.append(f"{rows['rejected']:,} rows rejected, listed in {rejected_path(plan.out)}: {reasons}.")
    if twice["rows"]:
        lines.append(f"{twice['rows']:,} rows share {twice['places']:,} places.")
    if made["ids_changed"]:
        lines.append(f"{made['ids_changed']:,} ids were empty or taken; these rows got new ones.")
    for line in [*lines, f"{plan.out}, {size_in_words(plan.out.stat().st_size)}, in {spoken_time(seconds)}."]:
        _log.info("%s: %s", plan.name, line)
