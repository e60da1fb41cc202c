"""What `geotether paired train` does: a configuration in, a model out."""

from collections.abc import Sequence
from pathlib import Path

from geotether.cli.training import trained
from geotether.pairing.open import open_paired
from geotether.predict import load_paired
from geotether.tables.paired import PairedTable
from geotether.training.cotraining import cotrain
from geotether.training.paired_config import PairedConfig, load_paired_config


def train_model(
    config: Path, out: Path, overrides: Sequence[str], recipe: str | None, *, resume: bool, fresh: bool
) -> str:
    """Train one model.

    Args:
        config: YAML.
        out: Folder of the run.
        overrides: Such as `["data=FOLDER"]`, over the file.
        recipe: In place of the file's.
        resume: Go on with the unfinished run in `out`.
        fresh: Begin anew, whatever is in `out`.

    Returns:
        What to say.

    Raises:
        ValueError: If the configuration does not say where the samples are.
    """
    settings = load_paired_config(config, overrides, recipe)
    table = samples(config, settings)
    return trained(
        lambda: cotrain(settings, table, out, resume=resume, fresh=fresh),
        out,
        lambda: f"{load_paired(out / 'model')!r} is in {out / 'model'}",
    )


def samples(config: Path, settings: PairedConfig) -> PairedTable:
    """Open the samples that a configuration names.

    Args:
        config: Its file, for the message.
        settings: What it says.

    Raises:
        ValueError: If it does not say where the samples are.
    """
    if settings.paired is None:
        raise ValueError(f"{config} does not say where the samples are: give `paired:`, a .npz or a mapping.")
    return open_paired(settings.paired, settings.data)
