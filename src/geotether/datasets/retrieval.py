"""A data set brought to this machine: asked about, fetched, verified, unpacked, and said where to put by hand."""

import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from geotether.datasets.checksums import Checksums
from geotether.datasets.download import TIMEOUT, WAITS, Downloader, asked_size
from geotether.datasets.headers import with_header
from geotether.datasets.registry import Dataset, RemoteFile, find_dataset, read_registry
from geotether.datasets.unpacking import unpack

FOLDER_VARIABLE = "GEOTETHER_DATA"
UNASKED_BYTES = 10**9
_log = logging.getLogger(__name__)


def data_folder(folder: str | Path | None = None) -> Path:
    """Say where data sets are kept, each in a folder of its own name.

    Args:
        folder: Where the user wants them. None: what the environment variable GEOTETHER_DATA says, or else `geotether`
            in the user's data folder (~/.local/share on Linux).

    Raises:
        ImportError: If neither is given and the extra `data` is missing.
    """
    if folder or os.environ.get(FOLDER_VARIABLE):
        return Path(folder or os.environ[FOLDER_VARIABLE]).expanduser()
    _pooch()
    import platformdirs  # comes with pooch

    return Path(platformdirs.user_data_dir("geotether", appauthor=False))


def get_dataset(
    name: str,
    folder: str | Path | None = None,
    registry: str | Path | None = None,
    agree: Callable[[str], bool] | None = None,
    unasked_bytes: int = UNASKED_BYTES,
    renew: bool = False,
    waits: Sequence[float] = WAITS,
    timeout: tuple[float, float] = TIMEOUT,
    report: Callable[[str, int, int | None], None] | None = None,
) -> Path:
    """Fetch a data set, or verify that it is there.

    A file that is there is verified and not fetched again. One without a known hash is trusted when it is first seen:
    its SHA-256 is logged and written into `SHA256SUMS` beside it, and must be the same from then on.

    Args:
        name: As `geotether data list` has it.
        folder: As for `data_folder`.
        registry: As for `read_registry`.
        agree: Asked in words before more than `unasked_bytes`, or an unknown number of bytes, are fetched. None: such
            a download is refused.
        unasked_bytes: Most bytes to fetch without asking.
        renew: Fetch all files anew and trust what comes, where no hash is in the registry.
        waits: Seconds before each further try at a connection that breaks.
        timeout: Seconds to wait for a connection, and between two chunks of data.
        report: Called while fetching with a file's name, the bytes that are there, and its size or None.

    Returns:
        What the builder reads: a file, or a folder.

    Raises:
        ValueError: If there is no such data set, what came or is there has another hash or size than known, or the
            download was not agreed to.
        FileNotFoundError: If a file must be fetched by hand; the message says how, and where to put it.
        ConnectionError: If the network failed; the message says where to put the file by hand.
        PermissionError: If a server wants a login.
        OSError: If the disk is full.
        ImportError: If the extra `data` is missing.
    """
    dataset = find_dataset(read_registry(registry), name)
    home = data_folder(folder) / dataset.name
    sums = Checksums(home)
    if not any((home / file.name).is_file() for file in dataset.files) and (home / dataset.data).is_file():
        _log.info("%s is there already; there is no file of the registry to verify it by.", home / dataset.data)
        return home / dataset.data
    files = [one for given in dataset.files for one in given.expanded()]
    missing = [file for file in files if (renew and file.address) or not _present(file, home, sums)]
    if missing:
        _fetch_all(dataset, missing, home, sums, agree, unasked_bytes, renew, waits, timeout, report)
    for file in dataset.files:
        fresh = any(one.name == file.name for one in missing)
        if file.unpack and (fresh or not (home / file.unpack).is_dir()):
            unpack(home / file.name, home / file.unpack)
        if file.table and (fresh or not (home / file.table.to).is_file()):
            with_header(file.table, home)
    found = home / dataset.data
    if not found.exists():
        raise FileNotFoundError(
            f"{dataset.name} is fetched, but holds no {dataset.data}; its publisher may have changed it. Look into "
            f"{home}, and correct `data` in a registry of yours."
        )
    return found


def _fetch_all(
    dataset: Dataset,
    missing: list[RemoteFile],
    home: Path,
    sums: Checksums,
    agree: Callable[[str], bool] | None,
    unasked_bytes: int,
    renew: bool,
    waits: Sequence[float],
    timeout: tuple[float, float],
    report: Callable[[str, int, int | None], None] | None,
) -> None:
    by_hand = [file for file in missing if not file.address]
    if by_hand:
        wanted = " and ".join(str(home / file.name) for file in by_hand)
        raise FileNotFoundError(
            f"{dataset.name} must be fetched by hand. {dataset.how_to} Put it at {wanted}; "
            "the command then verifies it."
        )
    _pooch()
    import requests

    with requests.Session() as session:
        sizes = {file.name: file.bytes for file in missing}
        if len(missing) <= 8:  # thousands of tiles are not asked about one by one
            for file in missing:
                if file.bytes is None:
                    sizes[file.name] = _asked(file, timeout, session)
        total = None if None in sizes.values() else sum(size for size in sizes.values() if size is not None)
        agreed = _agree(dataset, len(missing), total, home, agree, unasked_bytes)
        _refuse_full_disk(total, home)
        for file in missing:

            def tell(done: int, size: int | None, file: RemoteFile = file) -> None:
                if report is not None:
                    report(file.name, done, size)

            options = {"waits": waits, "timeout": timeout, "report": tell, "session": session}
            options["limit"] = None if agreed else unasked_bytes
            known = file.sha256 or (None if renew else sums.get(file.name))
            sha256 = _fetch(file, home / file.name, known, options)
            if file.sha256 is None and known is None:
                _log.info("%s: SHA-256 %s, trusted on first use and recorded.", home / file.name, sha256)
            sums.record(file.name, sha256)


def _asked(file: RemoteFile, timeout: tuple[float, float], session: Any) -> int | None:
    """Size of a file as the first server says that has it; 0 where none does, since nothing will come then."""
    for address in file.address:
        try:
            return asked_size(address, timeout, session)
        except ConnectionError as error:
            _log.debug("%s", error)
    return 0


def _fetch(file: RemoteFile, path: Path, known: str | None, options: dict[str, Any]) -> str:
    """Fetch a file from the first address that has it; returns its hash."""
    pooch = _pooch()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Pooch's own temporary files stay in here, so that a killed run leaves nothing strange among the data.
    fresh = path.with_name(f".{path.name}.fetching") / path.name
    faults: list[OSError | ValueError] = []
    for address in file.address:
        downloader = Downloader(path, size=file.bytes, verified=known is not None, **options)
        try:
            with _quiet(pooch):
                fresh.unlink(missing_ok=True)  # pooch would take it for the file
                pooch.retrieve(address, known, fname=fresh.name, path=fresh.parent, downloader=downloader)
            sha256 = known or pooch.file_hash(str(fresh))
            os.replace(fresh, path)  # only now: until here an older file was as it was
            shutil.rmtree(fresh.parent)
            for fault in faults:  # where no address has the file, the error tells them
                _log.info("%s. The next address had it.", str(fault).rstrip("."))
            return sha256
        except (ConnectionError, PermissionError, FileNotFoundError, ValueError) as error:
            if isinstance(error, FileExistsError):
                raise
            faults.append(_explained(error, address, known))
            shutil.rmtree(fresh.parent, ignore_errors=True)
    said = " ".join(str(fault) if str(fault).endswith(".") else f"{fault}." for fault in faults)
    raise type(faults[0])(f"{said} Or fetch it by other means and put it at {path}; the command then verifies it.")


def _explained(error: OSError | ValueError, address: str, known: str | None) -> OSError | ValueError:
    """Pooch's word on a wrong hash, with what may lie behind it."""
    found = re.search(r"but got ([0-9a-f]{64})", str(error))
    if found is None or known is None:
        return type(error)(f"{address}: {error}" if address not in str(error) else str(error))
    return ValueError(
        f"{address} sent other bytes than expected: SHA-256 {found[1]} instead of {known}. They were deleted. The "
        "download may have been tampered with or cut, or the publisher has replaced the file: compare with the "
        "homepage, then correct the registry, or use --renew where the hash was only recorded here"
    )


def _present(file: RemoteFile, home: Path, sums: Checksums) -> bool:
    """Whether a file is there and right; one that was unpacked may have been deleted since."""
    path = home / file.name
    if not path.is_file():
        return bool(file.unpack and sums.get(file.name) and (home / file.unpack).is_dir())
    known = file.sha256 or sums.get(file.name)
    size = path.stat().st_size
    if file.bytes is not None and size != file.bytes:
        raise ValueError(f"{path} has {size:,} bytes, but should have {file.bytes:,}. Move it away and run again.")
    sha256 = _pooch().file_hash(str(path))
    if known is None:
        _log.info("%s was there: SHA-256 %s, trusted on first use and recorded.", path, sha256)
    elif sha256 != known:
        whose = "the registry has" if file.sha256 else f"it was first seen with (see {sums.path.name} beside it)"
        raise ValueError(
            f"{path} has SHA-256 {sha256}, but {whose} {known}. It was changed or cut, or is another version: move it "
            "away and run again, or use --renew to take the publisher's present version."
        )
    sums.record(file.name, sha256)
    return True


def _agree(
    dataset: Dataset,
    count: int,
    total: int | None,
    home: Path,
    agree: Callable[[str], bool] | None,
    unasked_bytes: int,
) -> bool:
    """Ask before a large download; returns whether it was asked about."""
    if total is not None and total <= unasked_bytes:
        return False
    size = "an unknown number of bytes" if total is None else f"{total / 1e9:,.1f} GB"
    files = "a file" if count == 1 else f"{count:,} files"
    question = f"{dataset.name} is {size} in {files}, to be put into {home}."
    if agree is None or not agree(question):
        raise ValueError(f"{question} Nothing was fetched, since nobody agreed to it: add --yes (in Python, agree=).")
    return True


def _refuse_full_disk(total: int | None, home: Path) -> None:
    there = next(one for one in (home, *home.absolute().parents) if one.exists())
    free = shutil.disk_usage(there).free
    begun = sum(part.stat().st_size for part in home.rglob("*.part")) if home.is_dir() else 0
    if total is not None and total - begun > free:
        raise OSError(
            f"{home} needs {total - begun:,} more bytes, but only {free:,} are free there. Free some space or give "
            "another folder (--to)."
        )


def _pooch() -> Any:
    try:
        import pooch
    except ImportError as error:
        raise ImportError("Fetching data sets needs pooch and requests: pip install 'geotether[data]'") from error
    return pooch


@contextmanager
def _quiet(pooch: Any) -> Iterator[None]:
    """Keep pooch from telling what is told here in other words."""
    logger = pooch.get_logger()
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
