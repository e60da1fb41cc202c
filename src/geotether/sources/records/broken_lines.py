"""Lines of delimited text with too few or too many values, and how to tell them."""

from dataclasses import dataclass

SHOWN = 60  # characters of a line


@dataclass(frozen=True)
class BrokenLine:
    """A line with too few or too many values.

    Attributes:
        values: So many it has.
        header: So many it should have.
        number: Of the line, the first being 1; empty lines do not count, and line breaks within quotes are none.
        text: What it says, or how that begins.
    """

    values: int
    header: int
    number: int | None
    text: str

    @property
    def reason(self) -> str:
        """What is wrong, in the same words for all such lines."""
        return f"the line has {self.values} values, the header {self.header}"

    def __str__(self) -> str:
        """What is wrong and where.

        Example:
            >>> str(BrokenLine(3, 2, 7, "5.66,51.97,Wageningen"))
            "the line has 3 values, the header 2: line 7, '5.66,51.97,Wageningen'"
        """
        said = repr(self.text if len(self.text) <= SHOWN else f"{self.text[:SHOWN]}...")
        return f"{self.reason}: {said if self.number is None else f'line {self.number}, {said}'}"


def told_lines(broken: list[BrokenLine], most: int = 1) -> str:
    """Tell some broken lines and count the others.

    Example:
        >>> told_lines([BrokenLine(1, 2, 4, "5.66"), BrokenLine(1, 2, 9, "")])
        "the line has 1 values, the header 2: line 4, '5.66'; and 1 more do not fit"
    """
    more = f"; and {len(broken) - most:,} more do not fit" if len(broken) > most else ""
    return "; ".join(map(str, broken[:most])) + more
