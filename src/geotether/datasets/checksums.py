"""SHA-256 of what was fetched, kept beside it in the form of `sha256sum`, so that anybody can check."""

import re
from pathlib import Path

NAME = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)$")


class Checksums:
    """The hashes of one data set's folder; `sha256sum --check SHA256SUMS` reads the same file.

    Args:
        folder: The data set's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._known: dict[str, str] = {}
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                found = _LINE.match(line)
                if found:
                    self._known[found[2]] = found[1]

    def get(self, name: str) -> str | None:
        """The recorded hash of a file, or None."""
        return self._known.get(name)

    def record(self, name: str, sha256: str) -> None:
        """Write a hash down; an older one of the same file is replaced."""
        if self._known.get(name) == sha256:
            return
        replaces = name in self._known
        self._known[name] = sha256
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if replaces:
            self._rewrite()
        else:  # a line at a time: there may be thousands of files
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{sha256}  {name}\n")

    def forget(self, name: str) -> None:
        """Let the next file of this name be trusted anew."""
        if self._known.pop(name, None) is not None:
            self._rewrite()

    def _rewrite(self) -> None:
        from geotether.files.disk import replacing_file

        with replacing_file(self.path) as part:
            part.write_text("".join(f"{value}  {name}\n" for name, value in self._known.items()), encoding="utf-8")
