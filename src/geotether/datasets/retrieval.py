"""Download, verify and unpack a data set; or explain how to fetch it by hand."""

import errno
import logging
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from geotether.datasets.archive import unpack, with_header
from geotether.datasets.download import TIMEOUT, Downloader, UnexpectedSizeError, asked_size, failure
from geotether.datasets.registry import Dataset, RemoteFile, find_dataset, read_registry
from geotether.files.disk import replacing_file, writing
from geotether.user_folders import user_data

FOLDER_VARIABLE = "GEOTETHER_DATA"
UNASKED_BYTES = 10**9
TRIES = 4
SUMS = "SHA256SUMS"
_log = logging.getLogger(__name__)


class Checksums:
    """SHA-256 hashes of the files of a data set's folder, in the format of `sha256sum --check SHA256SUMS`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / SUMS
        text = self.path.read_text(encoding="utf-8") if self.path.is_file() else ""
        self._known = {name: sha256 for sha256, name in re.findall(r"^([0-9a-f]{64})  (.+)$", text, re.MULTILINE)}

    def get(self, name: str) -> str | None:
        """Return the recorded hash of a file, or None."""
        return self._known.get(name)

    def record(self, name: str, sha256: str) -> None:
        """Record the hash of a file in place of an older one."""
        before, self._known[name] = self._known.get(name), sha256
        if before is None:  # append: there may be thousands of files
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{sha256}  {name}\n")
        elif before != sha256:
            with replacing_file(self.path) as part:
                part.write_text("".join(f"{value}  {key}\n" for key, value in self._known.items()), encoding="utf-8")


def data_folder(folder: str | Path | None = None) -> Path:
    """Return the folder of all data sets, each of which has a folder of its own name in it.

    Args:
        folder: The user's choice. None: the environment variable GEOTETHER_DATA, or else `geotether` in the user's
            data folder (~/.local/share on Linux).
    """
    if folder or os.environ.get(FOLDER_VARIABLE):
        return Path(folder or os.environ[FOLDER_VARIABLE]).expanduser()
    return user_data()


def get_dataset(
    name: str,
    folder: str | Path | None = None,
    registry: str | Path | None = None,
    agree: Callable[[str], bool] | None = None,
    unasked_bytes: int = UNASKED_BYTES,
    renew: bool = False,
    timeout: tuple[float, float] = TIMEOUT,
    report: Callable[[str, int, int | None], None] | None = None,
) -> Path:
    """Fetch a data set, or verify that it is there.

    An existing file is verified and not fetched again. One without a known hash is trusted when it is first seen: its
    SHA-256 is logged and written to `SHA256SUMS` beside it, and must be the same from then on. A download that breaks
    is tried again from the start, by pooch.

    Args:
        name: A name from `geotether data list`.
        folder: As for `data_folder`.
        registry: As for `read_registry`.
        agree: Called with a question before more than `unasked_bytes`, or an unknown number of bytes, are fetched.
            None: such a download is refused.
        unasked_bytes: Most bytes to fetch without asking.
        renew: Fetch all files again and, where the registry has no hash, trust the new content.
        timeout: Seconds to wait for a connection, and between two chunks of data.
        report: Called while fetching with a file's name, the bytes that have arrived, and its size or None.

    Returns:
        The file or folder that the builder reads.

    Raises:
        ValueError: If there is no such data set, a file has another hash or size than known, or the download was not
            agreed to.
        FileNotFoundError: If a file must be fetched by hand; the message says how, and where to put it.
        ConnectionError: If the network failed; the message says where to put the file by hand.
        PermissionError: If a server requires a login.
        OSError: If the disk is full, or a server offers another size than known.
        ImportError: If the extra `data` is missing.
    """
    dataset = find_dataset(read_registry(registry), name)
    home = data_folder(folder) / dataset.name
    sums = Checksums(home)
    if not any((home / file.name).is_file() for file in dataset.files) and (home / dataset.data).is_file():
        _log.info("%s exists; the registry has no file to verify it with.", home / dataset.data)
        return home / dataset.data
    files = [one for given in dataset.files for one in given.expanded()]
    missing = [file for file in files if (renew and file.address) or not _present(file, home, sums)]
    if missing:
        _fetch_all(dataset, missing, home, sums, agree, unasked_bytes, renew, timeout, report)
    for file in dataset.files:
        fresh = any(one.name == file.name for one in missing)
        if file.unpack and (fresh or not (home / file.unpack).is_dir()):
            unpack(home / file.name, home / file.unpack)
        if file.table and (fresh or not (home / file.table.to).is_file()):
            with_header(file.table, home)
    found = home / dataset.data
    if not found.exists():
        raise FileNotFoundError(
            f"{dataset.name} is fetched, but contains no {dataset.data}; its publisher may have changed it. Look into "
            f"{home}, and correct `data` in your own registry."
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
    sizes = {file.name: file.bytes for file in missing}
    if len(missing) <= 8:  # servers are not asked about thousands of tiles one by one
        for file in missing:
            if file.bytes is None:
                sizes[file.name] = _asked(file, timeout)
    total = None if None in sizes.values() else sum(size for size in sizes.values() if size is not None)
    agreed = total is None or total > unasked_bytes
    if agreed:
        size = "an unknown number of bytes" if total is None else f"{total / 1e9:,.1f} GB"
        files = "a file" if len(missing) == 1 else f"{len(missing):,} files"
        question = f"{dataset.name} is {size} in {files}, to be written to {home}."
        if agree is None or not agree(question):
            raise ValueError(f"{question} Nothing was fetched without agreement: add --yes (in Python, agree=).")
    free = shutil.disk_usage(next(one for one in (home, *home.absolute().parents) if one.exists())).free
    if total is not None and total > free:
        raise OSError(
            f"{home} needs {total:,} more bytes, but only {free:,} are free there. Free some space or give "
            "another folder (--to)."
        )
    with writing(home, folder=True):
        home.mkdir(exist_ok=True)
        _fetch_each(missing, home, sums, renew, None if agreed else unasked_bytes, timeout, report)


def _fetch_each(
    missing: list[RemoteFile],
    home: Path,
    sums: Checksums,
    renew: bool,
    limit: int | None,
    timeout: tuple[float, float],
    report: Callable[[str, int, int | None], None] | None,
) -> None:
    for file in missing:

        def tell(done: int, size: int | None, file: RemoteFile = file) -> None:
            if report is not None:
                report(file.name, done, size)

        known = file.sha256 or (None if renew else sums.get(file.name))
        downloader = Downloader(file.name, file.bytes, limit, timeout, tell)
        sha256 = _fetch(file, home / file.name, known, downloader)
        if file.sha256 is None and known is None:
            _log.info("%s: SHA-256 %s, trusted on first use and recorded.", home / file.name, sha256)
        sums.record(file.name, sha256)


def _asked(file: RemoteFile, timeout: tuple[float, float]) -> int | None:
    """Return the size of a file from the first server that has it; 0 if none does, because nothing will come then."""
    for address in file.address:
        try:
            return asked_size(address, timeout)
        except ConnectionError as error:
            _log.debug("%s", error)
    return 0


def _fetch(file: RemoteFile, path: Path, known: str | None, downloader: Downloader) -> str:
    """Fetch a file from the first address that has it; return its hash."""
    pooch = _pooch()
    import requests

    path.parent.mkdir(parents=True, exist_ok=True)
    # Pooch's temporary files stay in this folder, so that a killed run leaves nothing strange among the data.
    fresh = path.with_name(f".{path.name}.fetching") / path.name
    faults: list[OSError | ValueError] = []
    for address in file.address:
        shutil.rmtree(fresh.parent, ignore_errors=True)
        urls, registry = {fresh.name: address}, {fresh.name: known}
        source = pooch.create(fresh.parent, base_url="", registry=registry, urls=urls, retry_if_failed=TRIES - 1)
        try:
            source.fetch(fresh.name, downloader=downloader)
            sha256 = known or pooch.file_hash(str(fresh))
            os.replace(fresh, path)  # until here an older file stays as it was
            for fault in faults:  # if no address has the file, the error lists them
                _log.info("%s. The next address had it.", str(fault).rstrip("."))
            return sha256
        except requests.exceptions.RequestException as error:
            faults.append(ConnectionError(failure(error, address)))
        except (PermissionError, FileNotFoundError, UnexpectedSizeError, ValueError) as error:
            faults.append(_explained(error, address, known))
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise OSError(errno.ENOSPC, f"The disk of {path.parent} is full. Free some space.") from error
            raise
        finally:
            shutil.rmtree(fresh.parent, ignore_errors=True)
    said = " ".join(str(fault) if str(fault).endswith(".") else f"{fault}." for fault in faults)
    raise type(faults[0])(f"{said} Or fetch it by other means and put it at {path}; the command then verifies it.")


def _explained(error: OSError | ValueError, address: str, known: str | None) -> OSError | ValueError:
    """Add the address to an error; explain a wrong hash."""
    found = re.search(r"but got ([0-9a-f]{64})", str(error))
    if found is None or known is None:
        return type(error)(f"{address}: {error}" if address not in str(error) else str(error))
    return ValueError(
        f"{address} sent other bytes than expected: SHA-256 {found[1]} instead of {known}. They were deleted. The "
        "download may have been tampered with or cut, or the publisher has replaced the file: compare with the "
        "homepage, then correct the registry, or use --renew where the hash was only recorded here"
    )


def _present(file: RemoteFile, home: Path, sums: Checksums) -> bool:
    """Return whether a file exists and is right; an archive may have been deleted after unpacking."""
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


def _pooch() -> Any:
    try:
        import pooch
    except ImportError as error:
        raise ImportError("Fetching data sets needs pooch and requests: pip install 'geotether[data]'") from error
    pooch.get_logger().setLevel(logging.WARNING)  # its other messages repeat those of geotether
    return pooch
