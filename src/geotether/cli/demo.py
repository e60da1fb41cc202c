"""`geotether demo`: the whole way on the demo planet."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("demo-out"),
    seed: Annotated[int, typer.Option(help="Decides weights, batches and which labels are drawn.", min=0)] = 0,
    quick: Annotated[bool, typer.Option(help="Take a few steps only, to check that everything works.")] = False,
) -> str:
    """Tie three unpaired sources to the Earth, probe the encoder on four tasks, write a report."""
    from geotether.demo.run import run_demo

    report = run_demo(out, seed=seed, quick=quick)
    command = f"{as_typed()} serve {shlex.quote(str(out / 'model'))}"
    return f"\nThe report is {report}\nOpen the planet in the browser with: {command}"


def as_typed() -> str:
    """Return how this program was called, for a command to copy: `geotether`, its path, or `python -m geotether`."""
    called = Path(sys.argv[0])
    if called.stem != "geotether":
        return f"{shlex.quote(sys.executable)} -m geotether"
    found = shutil.which("geotether")
    return "geotether" if found and called.absolute() == Path(found).absolute() else shlex.quote(str(called))
