"""Models that are found by their name: those in the package, and those in the user's data folder."""

import logging
from pathlib import Path

from geotether.checkpoint.hub import PREFIX, hub_folder, hub_name, looks_like_hub_name, snapshot_of
from geotether.suggestions import closest
from geotether.user_folders import user_data

SHIPPED = Path(__file__).parents[1] / "models"
_CONFIG = "config.json"
_log = logging.getLogger(__name__)


def user_models() -> Path:
    """Return the folder in which the user's own models are found by name; it may not exist."""
    return user_data() / "models"


def named_models() -> dict[str, Path]:
    """List the models that are found by name.

    Returns:
        Name to path, the shipped ones first: model folders, called as they are, and in the user's folder also files
        (checkpoints, embeddings), called without their ending. A shipped model comes before another of its name.
    """
    found: dict[str, Path] = {}
    for home in (SHIPPED, user_models()):
        for path in sorted(home.iterdir()) if home.is_dir() else ():
            if (path / _CONFIG).is_file():
                found.setdefault(path.name, path)
            elif path.is_file() and not path.name.startswith(".") and home != SHIPPED:
                found.setdefault(path.stem, path)
    return found


def model_path(model: str | Path) -> Path:
    """Return the path of a model, given by its path or its name.

    A file, a model folder or the folder of a run that has that name in the working directory comes before a named
    model, with a warning; other folders do not. Anything with a separator, such as `./world`, is a path.

    Args:
        model: Path or name; `hf:user/name@revision` is a model of the Hub, which is downloaded if it is not in the
            Hub's cache. What is neither is returned as it is, for its reader to report; see `names_hint`.

    Raises:
        As `hub_folder`, for models of the Hub.
    """
    if on_hub := hub_name(model):
        return hub_folder(*on_hub)
    path = Path(model)
    if not _is_name(model):
        return path.absolute() if _is_name(path) else path  # Path drops the separator of "./world"
    if path.is_file() or (path / _CONFIG).is_file() or (path / "model" / _CONFIG).is_file():
        if path.name in named_models():
            _log.warning(
                "%s is read from the working directory; the model of that name is in %s.",
                path, named_models()[path.name],
            )  # fmt: skip
        return path.absolute()
    return named_models().get(path.name, path)


def names_hint(model: str | Path) -> str:
    """Return the last sentences of an error about a name that is not known: the known names; "" for paths."""
    if looks_like_hub_name(str(model)):
        return f" A model of the Hub is called {PREFIX}{model}."
    known = named_models()
    if not known or not _is_name(model):
        return ""
    return f" Models that are found by name: {', '.join(known)}.{closest(model, known)}"


def name_of(path: Path) -> str:
    """Return the name of a file or folder; for a folder called `model`, that of the run around it.

    For a model of the Hub, the name of its repository, without the user.
    """
    if snapshot := snapshot_of(path):
        return snapshot[0].partition("/")[2]
    resolved = path.resolve()
    if path.is_dir() and resolved.name == "model" and resolved.parent.name:
        return resolved.parent.name
    return resolved.name if path.is_dir() else resolved.stem


def _is_name(model: str | Path) -> bool:
    return str(model) == Path(model).name != ""
