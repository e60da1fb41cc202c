"""Models of the Hugging Face Hub: their names, download into its cache, upload. Nothing from there is executed."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

PREFIX = "hf:"
_REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"
_NAME = re.compile(rf"{_REPO}(@(?P<revision>[^@\s]+))?")
_SNAPSHOT = re.compile(r"models--(?P<user>[^/]+?)--(?P<name>[^/]+)/snapshots/(?P<commit>[0-9a-f]{40})")
# Kinds of files that belong to a model folder: numbers, JSON and the card.
_KINDS = (".safetensors", ".json", ".md")
# Names of licences that the Hub knows and a model's provenance may have; others are `other`.
_LICENCES = ("apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-4.0", "odc-by", "odbl")
_TAGS = ["geotether", "location-encoder", "geospatial"]
_log = logging.getLogger(__name__)


def hub_name(model: str | Path) -> tuple[str, str | None] | None:
    """Return the repository and the revision (or None) of `hf:user/name` or `hf:user/name@revision`.

    Returns:
        None for names without `hf:`.

    Raises:
        ValueError: If something else follows `hf:`.

    Example:
        >>> hub_name("hf:user/name@v1"), hub_name("user/name")
        (('user/name', 'v1'), None)
    """
    text = str(model)
    if not text.startswith(PREFIX):
        return None
    named = _NAME.fullmatch(text.removeprefix(PREFIX))
    if named is None:
        raise ValueError(f"{text!r} is not a model of the Hub; write {PREFIX}user/name or {PREFIX}user/name@revision.")
    return named["repo"], named["revision"]


def looks_like_hub_name(model: str | Path) -> bool:
    """Return whether a text is `user/name` where no such path exists, nor a folder `user`."""
    named = _NAME.fullmatch(model) if isinstance(model, str) else None
    return named is not None and not Path(model).exists() and not Path(named["repo"].partition("/")[0]).exists()


def hub_folder(repo: str, revision: str | None = None, local_files_only: bool = False) -> Path:
    """Return the folder of a model in the Hub's cache, after downloading what is missing there.

    Only the files of a model folder are fetched, by name; a repository that is not a model of geotether costs its
    `config.json`. Without a network, a revision that was downloaded before is used.

    Args:
        repo: "user/name".
        revision: Branch, tag or commit; by default the branch `main`.
        local_files_only: Use the cache only.

    Raises:
        FileNotFoundError: If there is no such model or revision, it is private, or it is neither in the cache nor to be
            had.
        ValueError: If the repository is not a model of geotether.
        PermissionError: If the Hub does not let you read it.
        ImportError: If huggingface_hub is not installed.
        OSError: If the Hub answers with another error.
    """
    from geotether.checkpoint.folder import CARD, CONFIG, FORMAT, PROVENANCE, WEIGHTS, read_json

    library = _library()

    def fetched(name: str, revision: str | None) -> Path:
        with _explaining(repo, revision, local_files_only):
            found = library.hf_hub_download(repo, name, revision=revision, local_files_only=local_files_only)
        return Path(found)

    try:
        config = fetched(CONFIG, revision)
        about = read_json(config)
    except (library.errors.RemoteEntryNotFoundError, ValueError) as error:
        if isinstance(error, library.errors.HFValidationError):
            raise
        raise ValueError(f"{repo} on the Hub is not a model of geotether: it has no {CONFIG} of one.") from error
    if about.get("format") != FORMAT:
        raise ValueError(f"{repo} on the Hub is not a model of geotether: {CONFIG} is of another kind.")
    folder, commit = config.parent, config.parent.name
    listed = about.get("files")
    listed = listed if isinstance(listed, dict) else {}
    further = [name for name in listed if Path(name).name == name and name.endswith(_KINDS)]
    missing = [name for name in (WEIGHTS, PROVENANCE, CARD, *further) if not (folder / name).is_file()]
    if WEIGHTS in missing and not local_files_only:
        _log.info("Downloading %s%s at revision %s from %s.", PREFIX, repo, commit[:12], library.constants.ENDPOINT)
    for name in missing:
        try:
            fetched(name, commit)
        except library.errors.EntryNotFoundError as error:
            if name != CARD:
                raise ValueError(f"{repo} at revision {commit[:12]} is incomplete: it has no {name}.") from error
        except FileNotFoundError:
            if name != CARD:
                raise
    return folder


def snapshot_of(path: Path) -> tuple[str, str] | None:
    """Return the repository and the commit of a folder in the Hub's cache; None for other folders."""
    found = _SNAPSHOT.search(path.absolute().as_posix())
    return found and (f"{found['user']}/{found['name']}", found["commit"])


def cached_models() -> dict[str, Path]:
    """List the models of geotether in the Hub's cache: `hf:user/name@commit` to folder."""
    from geotether.checkpoint.folder import CONFIG, FORMAT, WEIGHTS, read_json

    try:
        from huggingface_hub.constants import HF_HUB_CACHE
    except ImportError:
        return {}
    found = {}
    for config in sorted(Path(HF_HUB_CACHE).glob(f"models--*/snapshots/*/{CONFIG}")):
        snapshot = snapshot_of(config.parent)
        try:
            ours = read_json(config).get("format") == FORMAT
        except (OSError, ValueError):
            continue
        if snapshot and ours and (config.parent / WEIGHTS).is_file():
            found[f"{PREFIX}{snapshot[0]}@{snapshot[1][:12]}"] = config.parent
    return found


def push(
    model: Any,
    repo: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    licence: str | None = None,
    message: str = "Upload a model of geotether",
    token: str | None = None,
) -> str:
    """Upload a model to the Hub, as the files of a model folder in one commit.

    The model card gets the Hub's metadata and the name to load the model by.

    Args:
        model: An `Encoder` or a `PairedModel`.
        repo: "user/name"; made if it does not exist.
        private: Whether a new repository is private; by default as your account or organisation has it.
        revision: Branch to commit to, made if it does not exist; by default `main`.
        licence: As the Hub writes it, such as "cc-by-4.0"; by default from the provenance, if it is known.
        message: Of the commit.
        token: Of your account; by default that of `hf auth login` or HF_TOKEN.

    Returns:
        The name for `geotether.load`, with the commit: "hf:user/name@...".

    Raises:
        ImportError: If huggingface_hub is not installed.
        ValueError: If `repo` is not "user/name".
        PermissionError: If the Hub refuses the upload, as without a token that may write.
        OSError: If the Hub cannot be reached or answers with another error.
    """
    if not re.fullmatch(_REPO, repo):
        raise ValueError(f"{repo!r} is not the name of a repository; write user/name.")
    library = _library()
    api = library.HfApi(token=token, library_name="geotether")
    with TemporaryDirectory() as folder:
        model.save(folder)
        (Path(folder) / "README.md").write_text(hub_card(model.card, repo, model.provenance, licence), encoding="utf-8")
        added = [library.CommitOperationAdd(path.name, path) for path in sorted(Path(folder).iterdir())]
        with _explaining(repo, revision, False):
            api.create_repo(repo, private=private, exist_ok=True)
            if revision is not None:
                api.create_branch(repo, branch=revision, exist_ok=True)
            done = api.create_commit(repo, added, commit_message=message, revision=revision)
    return f"{PREFIX}{repo}@{done.oid}"


def hub_card(card: str, repo: str, provenance: Mapping[str, Any], licence: str | None = None) -> str:
    """Return a model card with the metadata that the Hub reads, and with the name to load the model by.

    Args:
        card: Markdown, with or without metadata; entries that are there stay, except those below.
        repo: "user/name".
        provenance: Of the model; `licence` in it is used if none is given.
        licence: Name of a licence as the Hub writes them, such as "cc-by-4.0".

    Example:
        >>> print(hub_card("# Mine", "me/mine", {}, "mit"))
        ---
        library_name: geotether
        license: mit
        tags:
        - geotether
        - location-encoder
        - geospatial
        ---
        <BLANKLINE>
        # Mine
    """
    from geotether.checkpoint.folder import licence_of

    before, text = _split(card)
    stated = licence_of(provenance)
    word = stated.partition(",")[0].strip().lower()
    if licence is not None:
        terms = {"license": licence}
    elif word in _LICENCES:
        terms = {"license": word}
    else:
        terms = {"license": "other", "license_name": "see-model-card"} if stated else {}
    if not terms and "license" not in before:
        _log.warning("No licence of %s is known, so others may not use it; pass licence=, such as 'cc-by-4.0'.", repo)
    if licence is not None:
        before = {key: value for key, value in before.items() if not key.startswith("license")}
    old = before.get("tags")
    tags = list(dict.fromkeys([*(old if isinstance(old, list) else []), *_TAGS]))
    metadata = {**terms, **before, "library_name": "geotether", "tags": tags}
    text = text or f'# {repo}\n\n```python\nimport geotether\n\nmodel = geotether.load("")\n```\n'
    text = re.sub(r'geotether\.load\("[^"]*"', f'geotether.load("{PREFIX}{repo}"', text, count=1)
    written = yaml.safe_dump(metadata, allow_unicode=True, sort_keys=True)
    return f"---\n{written}---\n\n{text}"


def _split(card: str) -> tuple[dict[str, Any], str]:
    """Split a card into its metadata, {} if there is none that can be read, and its text."""
    found = re.match(r"---\n(.*?)\n---\n+", card, re.S)
    if not found:
        return {}, card
    try:
        metadata = yaml.safe_load(found[1])
    except yaml.YAMLError:
        metadata = None
    return metadata if isinstance(metadata, dict) else {}, card[found.end() :]


def _library() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
    except ImportError as error:
        raise ImportError(f"Models of the Hub need huggingface_hub: pip install 'geotether[hub]'. ({error})") from None
    return huggingface_hub


@contextmanager
def _explaining(repo: str, revision: str | None, local_files_only: bool) -> Iterator[None]:
    """Turn the errors of huggingface_hub into errors that say what to do; a missing file stays `EntryNotFoundError`."""
    library = _library()
    errors, where = library.errors, library.constants.ENDPOINT
    login = "log in by `hf auth login` or set HF_TOKEN"
    try:
        yield
    except errors.GatedRepoError as error:
        raise PermissionError(f"{repo} is shared on request: ask at {where}/{repo}, then {login}.") from error
    except errors.RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"There is no model {repo} at {where}, or it is private and you are not logged in as someone who may use "
            f"it: check the name, or {login}."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise FileNotFoundError(
            f"{repo} has no revision {revision!r}; {where}/{repo}/commits lists them (branches, tags, commits)."
        ) from error
    except errors.LocalEntryNotFoundError as error:
        reason = f"{where} cannot be reached ({_last_line(error.__cause__ or error)})"
        if local_files_only or library.constants.HF_HUB_OFFLINE:
            reason = "only local files may be used (local_files_only or HF_HUB_OFFLINE)"
        raise FileNotFoundError(
            f"{repo}{f' at revision {revision}' if revision else ''} is not in the cache of the Hub "
            f"({library.constants.HF_HUB_CACHE}), and {reason}."
        ) from error
    except errors.RemoteEntryNotFoundError:
        raise
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            raise PermissionError(f"{where} refuses access to {repo} ({_last_line(error)}); {login}.") from error
        raise OSError(f"{where} answered with an error: {_last_line(error)}") from error
    except RuntimeError as error:  # while a file is uploaded
        raise OSError(f"{where} did not take the files of {repo}: {_last_line(error.__cause__ or error)}.") from error
    except Exception as error:
        if type(error).__module__.startswith(("httpx", "requests")):  # of the transport, which differs by version
            raise OSError(f"{where} cannot be reached ({_last_line(error)}).") from error
        raise


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].rstrip(".")
