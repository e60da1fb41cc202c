"""`geotether pretrain`: from a configuration and its tables to a model folder."""

from collections.abc import Sequence
from pathlib import Path

from geotether.training.chance import last_word
from geotether.training.config import load_config
from geotether.training.finished import FinishedRunError
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
    try:
        pretrain(settings, open_tables(settings), out, resume=resume, fresh=fresh)
    except FinishedRunError as finished:  # what was asked for is there: no fault
        return str(finished)
    from geotether.maps import loss_curves, save_figure  # Matplotlib must not keep training from starting

    drawn = save_figure(loss_curves(out / "metrics.jsonl"), out / "losses.png")
    said = f"The model is {out / 'model'}; its losses are drawn in {drawn}"
    return "\n".join(filter(None, [said, last_word(out, best=settings.keep == "best")]))
