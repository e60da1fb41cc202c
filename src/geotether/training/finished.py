"""A run that is finished: found again by what it was trained with, and never replaced unasked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geotether.checkpoint.folder import CONFIG, PROVENANCE, read_json
from geotether.training.state import MODEL_FOLDER, differences


class FinishedRunError(FileExistsError):
    """The folder holds this very run, finished: the same configuration on the same data."""


def check_finished(folder: Path, identity: Mapping[str, Any]) -> None:
    """See that no finished run is in the way.

    Args:
        folder: The run's folder, which holds no unfinished run.
        identity: `config` and `tables` (modality to content hash) of the run that wants to begin.

    Raises:
        FinishedRunError: If the folder's model comes from the same configuration and data.
        FileExistsError: If it comes from others; what differs is named.
    """
    model = folder / MODEL_FOLDER
    if not (model / CONFIG).is_file():
        return
    try:
        tables = read_json(model / PROVENANCE).get("tables", {})
        saved = {
            "config": dict(read_json(model / CONFIG)["config"]),
            "tables": {name: facts["sha256"] for name, facts in tables.items()},
        }
        differing = differences(saved, identity)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        differing = [f"  what it was trained with cannot be read from {model}"]
    if not differing:
        raise FinishedRunError(
            f"{folder} holds this run already, and it is finished: the model is {model}. "
            "To train it anew, add --fresh (in Python fresh=True)."
        )
    raise FileExistsError(
        f"{folder} holds a finished run of another configuration or of other data, which is not replaced unasked. "
        "Choose another folder, or replace it with --fresh (in Python fresh=True). What differs:\n"
        + "\n".join(differing)
    )
