"""`geotether pretrain`: from a configuration and its tables to a model folder."""

from pathlib import Path
from typing import Annotated

import typer


def pretrain(
    config: Annotated[Path, typer.Argument(help="YAML: `tables: {name: path}` or `paired:`, and what differs.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Such as encoder.positional.l_max=19; repeat."),
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Recipe to start from, such as default, paper or mdico.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the unfinished run in --out.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again, whatever is in --out.")] = False,
) -> str:
    """Pre-train a location encoder on your own feature tables, or a model on paired sensors.

    In several processes: torchrun --nproc-per-node 4 -m geotether pretrain ...
    """
    from geotether.cli.app import process_of_torchrun
    from geotether.training.config import load_config
    from geotether.training.pretraining import pretrain
    from geotether.training.state import FinishedRunError

    settings = load_config(config, overrides or (), recipe)
    losses = out / "losses.png"
    try:
        said = f"{pretrain(config=settings, out=out, resume=resume, fresh=fresh)!r} is in {out / 'model'}"
    except FinishedRunError as finished:  # the requested model exists: not a fault
        if losses.exists():
            return str(finished)
        said = str(finished)
    if process_of_torchrun()[0] > 0:
        return said
    from geotether.maps import loss_curves, save_figure  # Matplotlib must not delay the start of training

    return f"{said}; its losses are drawn in {save_figure(loss_curves(out / 'metrics.jsonl'), losses)}"
