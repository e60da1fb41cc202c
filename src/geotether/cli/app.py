"""The command line: commands return their text, faults end in one line and a non-zero exit status."""

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile
from typing import Annotated, Any, NoReturn

import typer

from geotether.cli.adapt import adapt
from geotether.cli.compare import compare
from geotether.cli.contribution import contribution
from geotether.cli.data import data_app
from geotether.cli.demo import demo
from geotether.cli.describe import describe
from geotether.cli.diagnose import diagnose
from geotether.cli.encode import encode
from geotether.cli.evaluate import evaluate
from geotether.cli.export import export
from geotether.cli.map import map_labels
from geotether.cli.models import models
from geotether.cli.paired import paired_app
from geotether.cli.predict import predict
from geotether.cli.pretrain import pretrain
from geotether.cli.search import search
from geotether.cli.serve import serve
from geotether.cli.table import table_app
from geotether.cli.tasks import tasks_app
from geotether.version import __version__

# Faults that a user can mend; anything else is a defect of ours and keeps its traceback.
MENDABLE = (ValueError, TypeError, OSError, ImportError, FloatingPointError, MemoryError)


def main() -> None:
    """Run the command line and exit: 0 on success, 1 for a fault, 2 for a misspelt command, 130 for Ctrl-C."""
    # Threads of OpenMP wait for one another by spinning, which on a busy machine takes the core from the thread waited
    # for; benchmarks/wait_policy.py measures it. It is read when torch is loaded, which commands do after this.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")  # GNU's OpenMP: spin briefly before sleeping
    with suppress(ImportError):  # not a POSIX system
        import resource

        # Arrow's default pool reserves 1 GiB, which counts against `ulimit -d`; read when pyarrow is loaded.
        if resource.getrlimit(resource.RLIMIT_DATA)[0] != resource.RLIM_INFINITY:
            os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    log_to_stderr()
    process, count = process_of_torchrun()
    try:
        arguments = region_joined(plugins_first(sys.argv[1:]))
        if count > 1 and "pretrain" not in arguments:
            raise ValueError(f"{count} processes were started, but only `geotether pretrain` runs in several.")
        app(arguments)
    except MENDABLE as error:
        if os.environ.get("GEOTETHER_TRACEBACK"):
            raise
        if process == 0:
            typer.echo(f"geotether: {as_typed(str(error)) or type(error).__name__}", err=True)
        elif not getattr(error, "__notes__", ()):  # errors that the first process raises too have a note
            typer.echo(f"geotether, process {process + 1} of {count}: {error or type(error).__name__}", err=True)
        sys.exit(1)
    except KeyboardInterrupt as interrupt:
        _exit_interrupted(interrupt)
    except SystemExit as stop:  # typer turns Ctrl-C into an exit status and drops the run's message
        behind: BaseException | None = stop
        while behind is not None:
            if isinstance(behind, KeyboardInterrupt):
                _exit_interrupted(behind)
            behind = behind.__cause__ or behind.__context__
        raise


def as_typed(text: str, arguments: Sequence[str] | None = None) -> str:
    """Replace advice to callers of the library in a message by the options that the command has for it.

    Args:
        text: The message.
        arguments: Of the command line; by default those of this process.

    Example:
        >>> as_typed("row 0 is (nan, 1). Drop the rows without coordinates.", ["encode", "world", "towns.csv"])
        'row 0 is (nan, 1). Drop the rows without coordinates, or leave them out with --on-bad-row reject.'
    """
    from geotether.files.places import CRS_ADVICE, NAME_ADVICE, ROWS_ADVICE
    from geotether.geodesy.coordinates import DROP_ADVICE, METRES_ADVICE, SWAP_ADVICE

    # Advice, then options with its replacement; the first option that the command has is used.
    said = {
        SWAP_ADVICE: {
            "--near": "--near takes the longitude first, --near LON LAT",
            "--lon": "exchange the columns, --lon COLUMN --lat COLUMN",
            "--tolerance": "exchange the columns, --set lon=COLUMN --set lat=COLUMN",
            "": "exchange the names of the two columns",
        },
        DROP_ADVICE: {"--on-bad-row": f"{DROP_ADVICE}, or leave them out with --on-bad-row reject"},
        ROWS_ADVICE: {"--on-bad-row": "Correct such rows, or leave them out with --on-bad-row reject"},
        METRES_ADVICE: {
            "--crs": "the CRS of projected metres is stated with --crs, such as --crs EPSG:28992",
            "--tolerance": "the CRS of projected metres is stated with --set crs=..., such as --set crs=EPSG:28992",
        },
        CRS_ADVICE: {
            "--crs": "state it with --crs, such as --crs EPSG:4326 for degrees",
            "--tolerance": "state it with --set crs=..., such as --set crs=EPSG:4326 for degrees",
        },
        NAME_ADVICE: {
            "--lon": "name one with --lon and --lat",
            "--tolerance": "name one with --set lon=COLUMN --set lat=COLUMN",
        },
    }
    there = [advice for advice in said if advice in text]
    has = _options_of(sys.argv[1:] if arguments is None else arguments) if there else set()
    for advice in there:
        text = text.replace(advice, next((typed for key, typed in said[advice].items() if key in has), advice))
    return text


def _options_of(arguments: Sequence[str]) -> set[str]:
    """Return the options of the command that arguments name, and "", which every command has."""
    command: Any = typer.main.get_command(app)
    for argument in arguments:
        command = getattr(command, "commands", {}).get(argument, command)
    return {"", *(option for one in command.params for option in one.opts)}


def process_of_torchrun() -> tuple[int, int]:
    """Return the number of this process among those that torchrun started, from 0, and how many there are."""
    count = int(os.environ.get("WORLD_SIZE", 1))
    return (int(os.environ.get("RANK", 0)), count) if count > 1 else (0, 1)


def plugins_first(arguments: list[str]) -> list[str]:
    """Move --plugin options in front of the command, so that they may be given anywhere.

    Example:
        >>> plugins_first(["pretrain", "run.yaml", "--plugin", "mine.py", "--plugin=yours.py"])
        ['--plugin', 'mine.py', '--plugin=yours.py', 'pretrain', 'run.yaml']
    """
    first: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--plugin":
            first += [argument, *[value for value in [next(waiting, None)] if value is not None]]
        else:
            (first if argument.startswith("--plugin=") else rest).append(argument)
    return first + rest


def region_joined(arguments: list[str]) -> list[str]:
    """Join the numbers after --region or --within into one value, so that a box needs no quotes.

    Example:
        >>> region_joined(["map", "world", "--region", "-10", "35", "30", "60", "--resolution", "0.1"])
        ['map', 'world', '--region', '-10 35 30 60', '--resolution', '0.1']
    """
    joined: list[str] = []
    place = 0
    while place < len(arguments):
        joined.append(arguments[place])
        place += 1
        if joined[-1] in ("--region", "--within"):
            numbers = list(takewhile(_is_number, arguments[place : place + 4]))
            joined += [" ".join(numbers)] if numbers else []
            place += len(numbers)
    return joined


def _is_number(argument: str) -> bool:
    try:
        float(argument.rstrip(","))
    except ValueError:
        return False
    return True


def _use_plugins(plugins: list[str] | None) -> None:
    if plugins:
        from geotether.plugins import use_plugins

        use_plugins(plugins)


def _exit_interrupted(interrupt: KeyboardInterrupt) -> NoReturn:
    """Exit after Ctrl-C with the run's own message, which says how to continue."""
    if process_of_torchrun()[0] == 0:
        typer.echo(f"geotether: {str(interrupt) or 'interrupted.'}", err=True)
    sys.exit(130)


class _StandardError(logging.Handler):
    """Handler that looks up standard error for each line, since it may be replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        text = self.format(record)
        print(as_typed(text) if record.levelno >= logging.WARNING else text, file=sys.stderr)  # noqa: T201


def log_to_stderr() -> None:
    """Show the library's progress and warnings as plain lines on standard error; called again, it changes nothing."""
    logger = logging.getLogger("geotether")
    if not any(isinstance(handler, _StandardError) for handler in logger.handlers):
        logger.addHandler(_StandardError())
    logger.setLevel(logging.INFO if process_of_torchrun()[0] == 0 else logging.ERROR)


def _print(text: str, **options: Any) -> None:
    if process_of_torchrun()[0] == 0:
        # Only what reads files gives such advice; loading its modules for other commands would take time.
        typer.echo(as_typed(text) if "geotether.files.places" in sys.modules else text)


def _version(wanted: bool | None) -> None:
    if wanted:
        typer.echo(f"geotether {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = None,
    plugin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE.PY|MODULE", callback=_use_plugins, help="Your own code that registers names; repeat."
        ),
    ] = None,
) -> None:
    """Pre-train, evaluate and use location encoders (longitude, latitude -> vector).

    Set GEOTETHER_TRACEBACK=1 to see where an error arose.
    """


app = typer.Typer(
    name="geotether",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich would triple the time to the first line
    callback=_options,
    result_callback=_print,
)
for command in (
    demo, pretrain, adapt, encode, export, evaluate, compare, contribution, diagnose, predict, search, serve,
    describe, models,
):  # fmt: skip
    app.command()(command)
app.command("map")(map_labels)
app.add_typer(table_app, name="table")
app.add_typer(tasks_app, name="tasks")
app.add_typer(data_app, name="data")
app.add_typer(paired_app, name="paired")
