"""`geotether demo`: the whole way on the demo planet."""

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

    return f"\nThe report is {run_demo(out, seed=seed, quick=quick)}"
