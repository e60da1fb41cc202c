"""`geotether pretrain`: from a configuration and its tables to a model folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer


def pretrain(
    config: Annotated[Path, typer.Argument(help="YAML: `tables: {name: path}` and whatever differs from the recipe.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Such as encoder.positional.l_max=19; repeat."),
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Recipe to start from: default or paper.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the unfinished run in --out.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again, whatever is in --out.")] = False,
) -> str:
    """Pre-train a location encoder on your own feature tables."""
    from geotether.training.config import load_config
    from geotether.training.pretraining import open_tables, pretrain

    settings = load_config(config, overrides or (), recipe)
    return trained(
        lambda: pretrain(open_tables(settings), config=settings, out=out, resume=resume, fresh=fresh),
        out,
        lambda: f"The model is {out / 'model'}",
    )


def trained(run: Callable[[], Any], out: Path, describe: Callable[[], str]) -> str:
    """Train and draw the losses.

    Args:
        run: Trains into `out`.
        out: Folder of the run.
        describe: Says which model was trained and where it is.

    Returns:
        The text to print; for a run that had finished before, that it is finished.
    """
    from geotether.training.state import FinishedRunError

    try:
        run()
    except FinishedRunError as finished:  # the requested model exists: not a fault
        return str(finished)
    from geotether.maps import loss_curves, save_figure  # Matplotlib must not delay the start of training

    drawn = save_figure(loss_curves(out / "metrics.jsonl"), out / "losses.png")
    return f"{describe()}; its losses are drawn in {drawn}"
