"""Feed damaged files to the command line: no foreign exception, no hang, no memory beyond a limit.

`test_mutated_inputs.py` runs 1,500 of them. More, or one again with its traceback:

    python tests/contracts/mutated_inputs.py --count 30000 --seed 1
    python tests/contracts/mutated_inputs.py --only 1234
"""

import argparse
import contextlib
import faulthandler
import functools
import gzip
import io
import json
import logging
import os
import re
import resource
import shutil
import signal
import sqlite3
import struct
import sys
import tempfile
import traceback
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import typer
from right_inputs import fill, run_command, write_seeds

from geotether.featurizing import threads

SECONDS, MEMORY = 10, 500 * 2**20
SOURCE = Path(__file__).parents[2] / "src" / "geotether"


CELLS = (
    "", " ", "nan", "inf", "-inf", "1e400", "-1e308", "9" * 400, "18446744073709551616",
    "-9223372036854775809", '"', "'",
    "\x00", "é", "\u202e", "1_0", "0x10", "١٢", "2024-13-45", "2024/06/15", "20240615", "0000-00-00", "99999-01-01",
    "True", "None", "-0", ".", "n.a.", "\\N", "a" * 10000, "\r", "\n", ";", "|", "\t", ",", "=1+1", "51°58'N", "1,5",
)  # fmt: skip
VALUES = (
    None, True, -1, 0, 1, 1e308, -1e-308, 2**31, 2**63, 2**64, 10**400, float("nan"), float("inf"), "", "x", "nan", [],
    {}, [[]], [1, [2]], {"a": {"b": []}}, "y" * 5000, [1, 2, 3], [None], "é\x00", -(2**63) - 1, [0] * 100,
    "../../x", 0.5,
)  # fmt: skip
SCALARS = (
    "null", "!!int ''", "!!bool x", "!!timestamp x", "!!float ''", "!!binary x", "!!python/object:os.system x",
    "[]", "{}",
    "&a [*a]", "*b", "1e999", ".nan", ".inf", "-1", "0", "1" * 400, "2024-01-01", "yes", "'", '"', "{a: 1, a: 2}",
    "!!set {a}",
    "? a", "- a", "[" * 3000, "1:30:00", "~", "%", "@", "0x", "0o9", "!!omap [a]", "!!pairs x", "1000000000",
)  # fmt: skip


def pick(rng, things):
    return things[int(rng.integers(len(things)))]


def mutate_bytes(rng, data):
    """One change of bytes, whatever the format."""
    data, size = bytearray(data), len(data)
    at = int(rng.integers(size + 1))
    kind = pick(
        rng, ("flip", "flip", "set", "cut", "insert", "repeat", "drop", "number", "number", "zero", "swap", "head")
    )
    length = int(min(2 ** rng.integers(0, 11), max(size - at, 1)))
    if kind == "flip":
        for _ in range(int(2 ** rng.integers(0, 4))):
            if size:
                data[int(rng.integers(size))] ^= 1 << int(rng.integers(8))
    elif kind == "set" and size:
        data[at % size] = pick(rng, (0, 255, 127, 128, 10, 34, 44, 123, 91))
    elif kind == "cut":
        del data[at:]
    elif kind == "insert":
        data[at:at] = rng.bytes(length)
    elif kind == "repeat":
        data[at:at] = data[at : at + length] * int(rng.integers(1, 4))
    elif kind == "drop":
        del data[at : at + length]
    elif kind == "zero":
        data[at : at + length] = bytes(length)
    elif kind == "swap":
        data[at : at + length], data[:length] = data[:length], data[at : at + length]
    elif kind == "head" and size:  # most lengths and counts stand at the beginning
        data[int(rng.integers(min(size, 64)))] = int(rng.integers(256))
    elif kind == "number" and size > 8:
        at, width = int(rng.integers(min(size, 1 << int(rng.integers(4, 12))))) & ~3, pick(rng, (2, 4, 8))
        number = pick(rng, (0, 1, -1, 127, 2**15 - 1, 2**31 - 1, -(2**31), 2**24, 2**62)) & (256**width - 1)
        data[at : at + width] = number.to_bytes(width, pick(rng, ("little", "big")))
    return bytes(data), f"{kind} at {at}, {length} bytes"


def mutate_text(rng, data):
    """One cell of delimited text, or one line."""
    text = data.decode("utf-8", "surrogateescape")
    lines = text.split("\n")
    mark = max(",;\t|", key=lines[0].count)
    row = 0 if rng.random() < 0.2 else int(rng.integers(len(lines)))
    cells, kind = (
        lines[row].split(mark),
        pick(rng, ("cell", "cell", "cell", "drop", "double", "line", "column", "quote", "long")),
    )
    at = int(rng.integers(len(cells)))
    if kind == "cell":
        cells[at] = pick(rng, CELLS)
    elif kind == "drop":
        del cells[at]
    elif kind == "double":
        cells.insert(at, cells[at])
    elif kind == "quote":
        cells[at] = '"' + cells[at]
    elif kind == "long":
        cells[at] = "0" * int(10 ** rng.integers(2, 7))
    lines[row] = mark.join(cells)
    if kind == "line":
        lines.insert(row, pick(rng, lines))
    if kind == "column":
        value = pick(rng, CELLS)
        lines = [
            lines[0],
            *(mark.join([*line.split(mark)[:at], value, *line.split(mark)[at + 1 :]]) for line in lines[1:] if line),
        ]
    return "\n".join(lines).encode("utf-8", "surrogateescape"), f"{kind} {at} of line {row}"


def spots(value, path=()):
    """All places in a JSON value."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield from spots(part, (*path, key))


def mutate_json(rng, data):
    """One value, name or level of a JSON text, of one line or as a whole."""
    whole = data.decode("utf-8", "surrogateescape")
    lines = whole.split("\n")
    by_line = len(lines) > 2 and lines[0].startswith("{") and lines[0].rstrip().endswith("}")
    row = int(rng.integers(len(lines) - 1)) if by_line else 0
    value = json.loads(lines[row] if by_line else whole)
    path = pick(rng, list(spots(value)))
    kind = pick(rng, ("value", "value", "value", "drop", "name", "deep", "wrap"))
    new = pick(rng, VALUES)
    marker = "\x01deep\x01"
    if not path:
        value = marker if kind == "deep" else [value] if kind == "wrap" else new
    else:
        *above, last = path
        parent = value
        for key in above:
            parent = parent[key]
        if kind == "drop":
            del parent[last]
        elif kind == "name" and isinstance(parent, dict):
            parent[pick(rng, ("", "x", "type", "id", "lon", "__fault__", "geometry", *parent))] = parent.pop(last)
        else:
            parent[last] = marker if kind == "deep" else [parent[last]] if kind == "wrap" else new
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    text = json.dumps(value).replace(json.dumps(marker), "[" * 5000 + "]" * 5000)
    sys.set_int_max_str_digits(limit)
    lines[row] = text
    return ("\n".join(lines) if by_line else text).encode(
        "utf-8", "surrogateescape"
    ), f"{kind} {path} {str(new)[:20]!r}"


def mutate_yaml(rng, data):
    """One scalar or name of a YAML text."""
    text = data.decode()
    words = list(re.finditer(r"[\w./ü-]+", text))
    word, new = pick(rng, words), pick(rng, SCALARS)
    if rng.random() < 0.2:
        new = pick(rng, words)[0]
    return (text[: word.start()] + new + text[word.end() :]).encode(), f"{word[0]!r} becomes {new[:20]!r}"


def mutate_gzip(rng, data):
    inner, said = mutate(rng, gzip.decompress(data), ".csv" if b"lon,lat" in gzip.decompress(data) else ".jsonl")
    return gzip.compress(inner), f"in gzip: {said}"


def mutate_zip(rng, data):
    """One member of an archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = pick(rng, list(members))
    kind = pick(rng, ("content", "content", "content", "drop", "name"))
    said = ""
    if kind == "drop":
        del members[name]
    elif kind == "name":
        members[pick(rng, ("", "../x", "/x", "x", name.upper(), *members))] = members.pop(name)
    else:
        ending = ".csv" if name == "occurrence.txt" else Path(name).suffix
        members[name], said = mutate(rng, members[name], ending)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
            for key, content in members.items():
                archive.writestr(key, content)
    return file.getvalue(), f"{kind} of {name}: {said}"


def mutate_parquet(rng, data):
    """A column's type, name or values; the notes about geometry; the rows."""
    table = pq.read_table(io.BytesIO(data))
    at = int(rng.integers(table.num_columns))
    name, rows = table.column_names[at], table.num_rows
    kind = pick(rng, ("type", "type", "type", "name", "notes", "empty", "nulls", "drop"))
    half, day = rows // 2, pa.date32()
    types = (
        pa.array([float("inf")] * rows), pa.array([2**64 - 1] * rows, pa.uint64()), pa.nulls(rows),
        pa.array(["x"] * rows), pa.array(["1", "n.a."] * half), pa.array(["5"] * rows).cast(pa.string_view()),
        pa.array([b"\xff"] * rows), pa.array([[1.0, None]] * rows),
        pa.array([{"a": 1}] * rows), pa.array([True] * rows),
        pa.array([10**18] * rows, pa.timestamp("s")), pa.array([-(2**62)] * rows, pa.timestamp("us", "UTC")),
        pa.array([2**31 - 1] * rows, pa.int32()).cast(day), pa.array([1] * rows, pa.duration("ns")),
        pa.array([1] * rows, pa.decimal128(38, 30)), pa.array(["a"] * rows).dictionary_encode(),
        pa.array([1.5] * rows, pa.float16()), pa.array([[1], []] * half), pa.array([5] * rows, pa.time64("us")),
        pa.array([[("a", 1)]] * rows, pa.map_(pa.string(), pa.int32())), pa.array([0] * rows, pa.uint8()),
        pa.array([9 * 10**37] * rows, pa.decimal256(76, 10)), pa.array([None, "b"] * half).dictionary_encode(),
    )  # fmt: skip
    if kind == "type":
        column = pick(rng, types)
        try:
            table = table.set_column(at, name, column)
            kind = f"type {column.type}"
        except (pa.ArrowInvalid, IndexError):
            kind = "type unchanged"
    elif kind == "name":
        names = list(table.column_names)
        names[at] = pick(rng, ("", "x", "lon", "LAT", "geometry", "features", "embedding", "é\x00", *names))
        table = table.rename_columns(names)
    elif kind == "notes":
        notes = dict(table.schema.metadata or {})
        key = pick(rng, [*notes, b"geo", b"geotether", b"pandas"])
        try:
            notes[key] = mutate_json(
                rng, notes.get(key, b'{"columns": {"lon": {"encoding": "WKB", "crs": null}}, "primary_column": "lon"}')
            )[0]
        except ValueError:
            notes[key] = b"\xff"
        table = table.replace_schema_metadata(notes)
    elif kind == "empty":
        table = table.slice(0, int(rng.integers(2)))
    elif kind == "nulls":
        table = table.set_column(at, name, pa.nulls(rows, table.schema.field(at).type))
    elif kind == "drop":
        table = table.drop_columns([name])
    pq.write_table(table, file := io.BytesIO())
    return file.getvalue(), f"{kind} of {name!r}"


def mutate_safetensors(rng, data):
    """One value of the header, with a length that fits."""
    (length,) = struct.unpack("<Q", data[:8])
    header, said = mutate_json(rng, data[8 : 8 + length])
    return struct.pack("<Q", len(header)) + header + data[8 + length :], f"header: {said}"


def mutate_sqlite(rng, data):
    """One cell of a table, or the table itself."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.sqlite"
        path.write_bytes(data)
        with contextlib.closing(sqlite3.connect(path)) as base, base:
            tables = [name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            table = pick(rng, tables)
            names = [row[1] for row in base.execute(f'PRAGMA table_info("{table}")')]
            name, value = (
                pick(rng, names),
                pick(rng, (None, "", "x", 5, b"\xff", "{}", "[1]", "9" * 30, 1e308, b"", '{"value": []}')),
            )
            said = f"{table}.{name} = {str(value)[:20]!r}"
            with contextlib.suppress(sqlite3.Error):
                if rng.random() < 0.1:
                    base.execute(f'ALTER TABLE "{table}" RENAME COLUMN "{name}" TO "other"')
                    said = f"column {table}.{name} renamed"
                else:
                    base.execute(f'UPDATE "{table}" SET "{name}" = ?', [value])
        return path.read_bytes(), said


KINDS = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".xml", ".vrt", ".prj", ".cpg"), mutate_text),
    **dict.fromkeys((".geojson", ".json", ".jsonl", ".ndjson", ".geojsonl", ".geojsons", ".geojsonseq"), mutate_json),
    **dict.fromkeys((".zgroup", ".zattrs", ".zarray", ".zmetadata"), mutate_json),
    **dict.fromkeys((".parquet", ".geoparquet", ".pq"), mutate_parquet),
    **dict.fromkeys((".zip", ".npz", ".ckpt", ".pt"), mutate_zip),
    **dict.fromkeys((".gpkg", ".sqlite"), mutate_sqlite),
    **dict.fromkeys((".yaml", ".yml"), mutate_yaml),
    ".gz": mutate_gzip,
    ".safetensors": mutate_safetensors,
}  # fmt: skip


def mutate(rng, data, ending):
    """Change a file: half of the time knowing its format, else byte by byte."""
    known = KINDS.get(ending)
    if known is not None and rng.random() < 0.6:
        return known(rng, data)
    return mutate_bytes(rng, data)


class HangError(BaseException):
    """Raised by the watchdog."""


def where_raised(error):
    """The exception and the last line of the package that it passed."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if str(SOURCE) in f.filename]
    last = frames[-1] if frames else traceback.extract_tb(error.__traceback__)[-1]
    place = Path(last.filename).relative_to(SOURCE) if frames else last.filename
    return f"{type(error).__name__} at {place}:{last.lineno}: {str(error)[:150]}"


def virtual_size():
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def prepare_process():
    """Warnings, logs, flushing to disk and making the command line anew cost time and change nothing here."""
    torch.set_num_threads(1)
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    os.environ["GDAL_NUM_THREADS"] = "1"
    os.fsync = lambda descriptor: None
    warnings.simplefilter("ignore")
    logging.getLogger("geotether").setLevel(logging.WARNING)
    # The tree of commands, made for each call, and the thread pools, searched for each table; all have one thread.
    typer.main.get_command = functools.cache(typer.main.get_command)
    threads.ThreadpoolController = functools.cache(threads.ThreadpoolController)


def check_right(seeds, root, work):
    """Run every command on its right input; returns what went wrong."""
    wrong = []
    for seed in seeds:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(root / seed.name, work / "in")
        status, words, error = run_command(fill(seed.command, work / "in", work / "o"))
        if status != 0:
            wrong.append(f"right input {seed.name}: {' '.join(seed.command)}: {error or words[-300:]}")
    return wrong


def one_input(number, rng_seed, seeds, root, work, show=False):
    """Mutate one input, run its command, and return what is wrong, or None."""
    rng = np.random.default_rng([rng_seed, number])
    weights = np.array([seed.times for seed in seeds], float)
    seed = seeds[int(rng.choice(len(seeds), p=weights / weights.sum()))]
    folder = work / "in"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(root / seed.name, folder)
    file = pick(rng, sorted(path for path in folder.glob(seed.mutated) if path.is_file()))
    try:
        data, said = mutate(rng, file.read_bytes(), file.suffix or file.name)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        data, said = mutate_bytes(rng, file.read_bytes())
        said += f" ({type(error).__name__})"
    file.write_bytes(data)
    resource.setrlimit(resource.RLIMIT_AS, (virtual_size() + MEMORY, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    faulthandler.dump_traceback_later(3 * SECONDS, exit=True)
    try:
        status, words, error = run_command(fill(seed.command, folder, work / "o"))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    what = f"{seed.name}: {' '.join(seed.command[:2])}; {file.relative_to(folder)}: {said}"
    about = f"\n    input {number} (seed {rng_seed}), {what}"
    if show:
        sys.stderr.write(f"{about}\n{status}\n{words}\n")
        if error is not None:
            traceback.print_exception(error)
    if error is not None:
        return where_raised(error) + about
    if status not in (0, 1, 2):
        return f"exit status {status}" + about
    if status == 1 and not any(name in words for name in (*seed.named, file.name)):
        return f"no file is named in: {words.strip()[-200:]}" + about
    return None


def work_through(numbers, rng_seed, seeds, root, work, out):
    """Do the numbers in turn; `out` gets a line before and, where something is wrong, after each."""

    def bark(*_):
        raise HangError(f"longer than {SECONDS} s")

    signal.signal(signal.SIGALRM, bark)
    with out.open("a") as file:
        for number in numbers:
            print(json.dumps([number, None]), file=file, flush=True)
            if wrong := one_input(number, rng_seed, seeds, root, work):
                print(json.dumps([number, wrong]), file=file, flush=True)
        print(json.dumps([None, None]), file=file, flush=True)


def share_work(numbers, workers, rng_seed, seeds, root, home):
    """Do the numbers in forked processes; one that dies is replaced, and the input that it had is wrong."""
    waiting, wrong, outs = {}, [], []

    def start(numbers):
        outs.append(home / f"out-{len(outs)}")
        if child := os.fork():
            waiting[child] = numbers, outs[-1]
            return
        with contextlib.suppress(BaseException):
            work_through(numbers, rng_seed, seeds, root, home / f"work-{os.getpid()}", outs[-1])
        os._exit(0)

    for worker in range(workers):
        start(numbers[worker::workers])
    while waiting:
        child, status = os.wait()
        mine, out = waiting.pop(child)
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        wrong += [said for _, said in lines if said]
        if lines[-1][0] is not None:
            at = mine.index(lines[-1][0])
            wrong.append(f"input {mine[at]}: the process ended with {os.waitstatus_to_exitcode(status)}")
            start(mine[at + 1 :])
    return wrong


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--count", type=int, default=3000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--start", type=int, default=0)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--only", type=int, help="Repeat this input and show its traceback.")
    options.add_argument("--folder", type=Path, help="Keep inputs here.")
    given = options.parse_args()
    prepare_process()
    home = given.folder or Path(tempfile.mkdtemp(prefix="mutated-"))
    seeds = write_seeds(home / "right")
    if given.only is not None:
        wrong = [one_input(given.only, given.seed, seeds, home / "right", home / "only", show=True)]
    else:
        wrong = check_right(seeds, home / "right", home / "only")
        numbers = range(given.start, given.start + given.count)
        wrong += share_work(numbers, given.workers, given.seed, seeds, home / "right", home)
    sys.stdout.write("".join(f"{said}\n" for said in wrong if said))
    if given.folder is None:
        shutil.rmtree(home)
    sys.exit(bool(any(wrong)))


if __name__ == "__main__":
    main()
