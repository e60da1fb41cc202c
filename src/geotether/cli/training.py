"""What every training command does around its run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from geotether.training.finished import FinishedRunError


def trained(run: Callable[[], Any], out: Path, describe: Callable[[], str]) -> str:
    """Train, and draw the losses.

    Args:
        run: Trains into `out`.
        out: Folder of the run.
        describe: What the model is and where, once it is there.

    Returns:
        What to say; of a run that was finished before, that it was.
    """
    try:
        run()
    except FinishedRunError as finished:  # what was asked for is there: no fault
        return str(finished)
    from geotether.maps import loss_curves, save_figure  # Matplotlib must not keep training from starting

    drawn = save_figure(loss_curves(out / "metrics.jsonl"), out / "losses.png")
    return f"{describe()}; its losses are drawn in {drawn}"
