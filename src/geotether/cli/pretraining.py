"""`geotether pretrain`: from a configuration and its tables to a model folder."""

from collections.abc import Sequence
from pathlib import Path

from geotether.cli.training import trained
from geotether.training.config import load_config
from geotether.training.modalities import open_tables
from geotether.training.pretraining import pretrain


def pretrain_model(
    config: Path, out: Path, overrides: Sequence[str], recipe: str | None, *, resume: bool, fresh: bool
) -> str:
    """Pre-train on the tables that a configuration names, and draw the losses.

    Args:
        config: YAML.
        out: Folder of the run.
        overrides: `key=value`, over the file.
        recipe: To start from.
        resume: Go on with the unfinished run in `out`.
        fresh: Begin anew, whatever is in `out`.

    Returns:
        What to say.
    """
    settings = load_config(config, overrides, recipe)
    return trained(
        lambda: pretrain(settings, open_tables(settings), out, resume=resume, fresh=fresh),
        out,
        lambda: f"The model is {out / 'model'}",
    )
