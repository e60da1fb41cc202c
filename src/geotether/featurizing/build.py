"""The job that builds a feature table from a source; the same command continues after a kill."""

import logging
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from geotether.featurizing.cluster import check_cluster, make_parts
from geotether.featurizing.guess import guess_source
from geotether.featurizing.job import Job
from geotether.featurizing.parts import Work, count_duplicates, write_rejected
from geotether.featurizing.progress import STYLES, row_progress, spoken_time
from geotether.featurizing.rows import choose_rows, rows_at_once, spoken_reasons
from geotether.featurizing.specification import TableSpec
from geotether.featurizing.transform import fit_transform, load_transform, save_transform, transform_path
from geotether.files.disk import naming, path_bytes, replace_path, replacing_file, size_in_words
from geotether.files.places import BEYOND_LATITUDE, SWAPPED, doubts_of
from geotether.geodesy.coordinates import too_many_for_slips
from geotether.sources.source import Rejected
from geotether.tables.matrix import refuse_too_many
from geotether.tables.modality import set_fields
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
    scheduler: str | None = None,
    progress: str = "auto",
    resume: bool = True,
) -> Table:
    """Build a feature table from a source.

    Beside the table X.parquet are written X.rejected.parquet (row, id, reason) and X.transform.safetensors (what was
    fitted). Until the job is finished its parts are in the folder .X.job; the same call continues there, whatever
    ended the first. The files are the same, byte for byte, for any number of workers and after any number of kills.

    Args:
        spec: What to build from; a mapping is read by `TableSpec.of`.
        out: The table's file, ending in .parquet; a folder of that name if it is written in shards, because it is
            large or `shard_rows` of the specification says so.
        name: Name of the modality; by default the file's name.
        workers: Number of processes, with one thread each; 1: this process only. None: one per core where the work is
            worth it.
        scheduler: A Dask cluster that makes the parts: the address of its scheduler, the path of its scheduler file, or
            "local" for `workers` processes here. Source and output must be on a file system that all workers share.
        progress: "auto", "bar", "lines" or "none".
        resume: Whether to continue an unfinished job, and to leave an up-to-date table as it is.

    Returns:
        The table; the features of a large one are mapped from disk. Its `origin.made` says how many rows were read,
        used and rejected, why, and how many share a place; and, if it was just built, `seconds` and `megabytes`.

    Raises:
        FileNotFoundError: If the source's file is missing.
        FileExistsError: If a file to be written is one that is read.
        ValueError: If the specification is wrong, source and features do not fit, more rows than tolerated are
            rejected (they are listed in .X.job/failed-rejected.parquet), or fewer than two rows are left.
        OSError: If the table cannot be written, a worker died, or another process builds the same table.
        ImportError: If an extra is missing; the message has the install command.
    """
    return _table(_planned(spec, out, name, scheduler=scheduler), workers, scheduler, progress, resume)


def apply_transform(
    transform: str | Path,
    spec: TableSpec | Mapping[str, Any],
    out: str | Path,
    *,
    name: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: str = "auto",
    resume: bool = True,
) -> Table:
    """Build a table of new rows with the features of an earlier table, without fitting anything.

    A row of the earlier table gets the same numbers, bit for bit. Other arguments, and errors, are those of
    `build_table`.

    Args:
        transform: The earlier table, or its transform.
        spec: What to read. By default the source, its options and the encoding of time are those of the earlier
            table, and the new table has no split.
        out: The new table's file.
        name: Name of the new modality.
        workers: Number of processes.
        scheduler: A Dask cluster.
        progress: Style of progress.
        resume: Whether to continue.
    """
    spec = TableSpec.of(spec)
    try:
        job = _planned(_with_defaults(transform, spec), out, name, transform, scheduler)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{error}{_other_source(spec, load_transform(transform).source)}") from error
    return _table(job, workers, scheduler, progress, resume)


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
        workers: As for `build_table`, which raises the same errors.
        progress: As for `build_table`.
    """
    job = _planned(spec, Path(folder) / f"{name}.parquet", name)
    _make_files(job, workers, None, progress, resume=True, wait=True)
    return job.out


def _planned(
    spec: TableSpec | Mapping[str, Any],
    out: str | Path,
    name: str | None,
    transform: str | Path | None = None,
    scheduler: str | None = None,
) -> Job:
    spec = TableSpec.of(spec)
    if scheduler is not None:  # workers have other current folders
        spec = spec.model_copy(update={"base": spec.base.absolute()})
    with naming(spec.place):
        return Job.of(spec, out, name, transform)


def _table(job: Job, workers: int | None, scheduler: str | None, progress: str, resume: bool) -> Table:
    facts = _make_files(job, workers, scheduler, progress, resume)
    table = read_table(job.out, job.name)
    table.origin.made.update(facts)
    return table


def _make_files(
    job: Job, workers: int | None, scheduler: str | None, progress: str, resume: bool, wait: bool = False
) -> dict[str, Any]:
    """Make the files of a table; returns `seconds` and `megabytes`, or nothing if the table was up to date."""
    check_cluster(scheduler, workers)
    if progress not in STYLES:
        raise ValueError(f"Progress is shown as one of {', '.join(STYLES)}; got {progress!r}.")
    began = time.monotonic()
    try:
        with job.locked(wait), naming(job.spec.place):
            if resume and job.is_up_to_date():
                job.remove_folder()
                job.renew_origin()
                return {}
            job.open_folder(resume)
            work = _prepared(job)
            _run(job, work, workers, scheduler, progress)
            made = _finish(job, work)
            job.remove_folder()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Stopped. Finished parts are kept in {job.folder}: run the same command to continue."
        ) from None
    seconds, size = time.monotonic() - began, path_bytes(job.out)
    _report(job, made)
    _log.info("%s: %s, %s, in %s.", job.name, job.out, size_in_words(size), spoken_time(seconds))
    return {"seconds": round(seconds, 1), "megabytes": round(size / 1e6, 3)}


def _prepared(job: Job) -> Work:
    """Prepare the source and fit the features, unless a killed job has fitted them."""
    for name in ("source", "parts"):
        (job.folder / name).mkdir(exist_ok=True)
    job.source.prepare(job.folder / "source")
    count = len(job.source)
    if count == 0:
        raise ValueError(f"The source {job.spec.source!r} has no rows in {job.spec.path}.")
    refuse_too_many(count if job.spec.rows is None else min(count, job.spec.rows))
    chosen = choose_rows(count, job.spec.rows, job.spec.seed)
    fitted = job.folder / "fitted.transform.safetensors"
    if not fitted.is_file():
        if job.transform is None:
            transform, rejected, drawn = fit_transform(job, count, chosen)
            rows = count if chosen is None else len(chosen)
            if transform is None or not job.tolerates(len(rejected), rows):
                raise _refusal(job, rejected, rows, drawn)
            save_transform(transform, fitted)
        else:
            _copy(job.transform, fitted)
    # Loaded even just after the fit, so that a killed job does not differ from an undisturbed one.
    return Work(job.source, load_transform(fitted), job.folder, count, rows_at_once(job.source, count), chosen)


def _run(job: Job, work: Work, workers: int | None, scheduler: str | None, progress: str) -> None:
    """Make the missing parts."""
    complete = work.complete
    rows = rejected = 0

    def count(number: int) -> None:
        nonlocal rows, rejected
        used, refused = work.tally(number)
        rows, rejected = rows + used + len(refused), rejected + len(refused)

    def done(number: int) -> None:
        count(number)
        show(rows, rejected)
        check()

    def check() -> None:
        if not job.tolerates(rejected, work.row_count):
            raise _refusal(job, work.rejected(), work.row_count, rows)

    for number in complete:
        count(number)
    if complete:
        _log.info("%s: continuing; %d of %d parts are complete.", job.name, len(complete), work.part_count)
    missing = sorted(set(range(work.part_count)) - set(complete))
    with row_progress(job.name, work.row_count, rows, progress) as show:
        make_parts(work, missing, done, workers, scheduler)
    check()


def _finish(job: Job, work: Work) -> dict[str, Any]:
    """Write the three files; returns `origin.made`."""
    folder = job.folder
    rejected = work.rejected()
    reasons = Counter(row.reason for row in rejected)
    try:
        table, changed = work.gather(job.name)
    except ValueError as error:
        listed = _list_failed(job, rejected)
        why = f" Rejected: {spoken_reasons(reasons)}; see {listed}." if rejected else ""
        raise ValueError(f"{job.spec.path}: {error}{why}") from error
    made = {
        "key": job.key,
        "specification": job.spec.plain(),
        "fingerprint": job.facts["fingerprint"],
        "geotether": __version__,
        "rows": {"read": work.row_count, "used": len(table), "rejected": len(rejected)},
        "rejected": dict(sorted(reasons.items())),
        "duplicated_places": count_duplicates(table.lonlat),
        "ids_changed": changed,
        "features": work.transform.names,
    }
    for doubt in doubts_of(table.lonlat):
        _log.warning("%s: %s", job.name, doubt)
    set_fields(table, split=_split(job, table), origin=job.origin(made))
    # All files are complete in the job's folder before each takes its place in one step. A table without its
    # transform is not up to date, so a kill among these steps never leaves files of two jobs that pass for one.
    write_rejected(rejected, folder / "rejected.parquet")
    write_table(table, folder / "table.parquet", job.spec.shard_rows, job.spec.dtype)
    _copy(folder / "fitted.transform.safetensors", folder / "transform.safetensors")
    transform_path(job.out).unlink(missing_ok=True)
    replace_path(folder / "rejected.parquet", job.rejected_path)
    replace_path(folder / "table.parquet", job.out)
    replace_path(folder / "transform.safetensors", transform_path(job.out))
    return made


def _split(job: Job, table: Table) -> np.ndarray | None:
    """Split the rows; a default split that is impossible is a warning, since all the work is done."""
    split = job.spec.split
    if split is None:
        return None
    try:
        parts = assign_split(table.lonlat, split.block_km, split.shares, split.seed, split.buffer_km)
        # With fewer training rows than that, all rows sampled for the fit may have been others.
        if job.spec.split_asked or (parts == "train").mean() >= 0.5:
            return parts
    except ValueError as error:
        if job.spec.split_asked:
            raise ValueError(
                f"{error} It is set by split: {{block_km: ...}} in the specification or --set split.block_km=...; "
                "split: null means no split."
            ) from error
    _log.warning(
        "%s: The table has no split, so all rows are for training: they lie in too few blocks of %g km for the "
        "default split. --set split.block_km=... makes smaller blocks; --set split=null asks for no split.",
        job.name,
        split.block_km,
    )
    return None


def _refusal(job: Job, rejected: list[Rejected], total: int, looked_at: int) -> ValueError:
    """List the rejected rows and compose the error; the list of an older table is unchanged."""
    listed = _list_failed(job, rejected)
    counts = Counter(row.reason for row in rejected)
    swapped = ""
    if counts[SWAPPED] > counts[BEYOND_LATITUDE] and too_many_for_slips(counts[SWAPPED], looked_at):
        swapped = " This looks like (latitude, longitude): --set lon=COLUMN --set lat=COLUMN swapped. Otherwise:"
    return ValueError(
        f"{len(rejected):,} of {total:,} rows cannot be used ({looked_at:,} were looked at), more than the tolerated "
        f"{job.spec.tolerance:.0%}: {spoken_reasons(counts)}. They are listed in {listed}.{swapped} Correct them, or "
        "set tolerance (--tolerance) higher: finished parts are kept."
    )


def _list_failed(job: Job, rejected: list[Rejected]) -> Path:
    listed = job.folder / "failed-rejected.parquet"
    write_rejected(rejected, listed)
    return listed


def _report(job: Job, made: Mapping[str, Any]) -> None:
    rows, twice = made["rows"], made["duplicated_places"]
    lines = [f"{rows['used']:,} of {rows['read']:,} rows used, {len(made['features']):,} features."]
    if rows["rejected"]:
        reasons = spoken_reasons(Counter(made["rejected"]))
        lines.append(f"{rows['rejected']:,} rows rejected, listed in {job.rejected_path}: {reasons}.")
    if place := getattr(getattr(job.source, "finder", None), "place", ""):
        lines[0] += f" Places: {place}."
    if twice["rows"]:
        lines.append(f"{twice['rows']:,} rows share {twice['places']:,} places.")
    if made["ids_changed"]:
        lines.append(f"{made['ids_changed']:,} ids were empty or repeated; these rows got new ones.")
    for line in lines:
        _log.info("%s: %s", job.name, line)


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
