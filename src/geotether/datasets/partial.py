"""The unfinished file of a download, and what must still hold for it to be continued."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from geotether.files.disk import replacing_file


@dataclass(frozen=True)
class Version:
    """What a server said about the file that it was sending.

    Attributes:
        address: What was asked for.
        etag: The server's name for this version of the file, or "".
        modified: When it was last changed, as the server writes it, or "".
        total: Its size in bytes, or None.
    """

    address: str
    etag: str = ""
    modified: str = ""
    total: int | None = None

    @property
    def validator(self) -> str:
        """What an If-Range header may hold: a strong ETag, or else the date (RFC 9110, section 13.1.5)."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def differs_from(self, other: "Version") -> bool:
        """Whether something that both say differs."""
        pairs = [(self.etag, other.etag), (self.modified, other.modified), (self.total, other.total)]
        return any(mine != theirs for mine, theirs in pairs if mine and theirs)


class Partial:
    """`NAME.part` beside the file to be, and `NAME.part.json` with the version that its bytes belong to.

    Args:
        target: The file to be.
    """

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(target.name + ".part")
        self._note = target.with_name(target.name + ".part.json")

    def __len__(self) -> int:
        """Count the bytes that are there."""
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def version(self) -> Version | None:
        """The version that the bytes belong to; None if nobody wrote it down."""
        try:
            return Version(**json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def restart(self, version: Version) -> None:
        """Begin anew with another version."""
        self.path.unlink(missing_ok=True)
        with replacing_file(self._note) as part:
            part.write_text(json.dumps(asdict(version)), encoding="utf-8")
        self.path.touch()

    def discard(self) -> None:
        """Forget everything."""
        for path in (self.path, self._note):
            path.unlink(missing_ok=True)

    def become(self, target: Path) -> None:
        """Move the complete file to its place."""
        os.replace(self.path, target)
        self._note.unlink(missing_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep a second process from writing to the same file meanwhile.

        Raises:
            FileExistsError: If one does already.
        """
        lock = self.path.with_name(self.path.name + ".lock")
        with lock.open("ab") as file:
            try:
                import fcntl
            except ImportError:  # no such locks on Windows
                yield
                return
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise FileExistsError(
                    f"Another process is fetching {self.path.with_suffix('')}; wait for it, or end it."
                ) from None
            try:
                yield
            finally:
                with suppress(OSError):
                    lock.unlink()
