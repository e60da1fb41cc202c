"""The known name closest to one that was mistyped, as the last sentence of an error message."""

import difflib
from collections.abc import Iterable
from typing import Any

# Shorter prefixes match by chance.
_START = 4


def closest(name: Any, known: Iterable[Any]) -> str:
    """Suggest the known name that is closest to an unknown one.

    Args:
        name: The name that was given.
        known: The names that would be accepted.

    Returns:
        " Did you mean 'x'?", with a space before it, or "" if no known name is close. A name that starts with the
        given one, or the reverse, comes before names with similar letters; case is ignored where no name is close
        otherwise.

    Example:
        >>> closest("learnig_rate", ["learning_rate", "steps"])
        " Did you mean 'learning_rate'?"
        >>> closest("batch", ["cache", "batch_size"])
        " Did you mean 'batch_size'?"
        >>> closest("b8a", ["B08", "B8A"])
        " Did you mean 'B8A'?"
        >>> closest("zebra", ["learning_rate", "steps"])
        ''
    """
    given, names = str(name), [str(one) for one in known]
    starts = [one for one in names if min(len(one), len(given)) >= _START and _one_starts_the_other(one, given)]
    found = difflib.get_close_matches(given, starts, n=1, cutoff=0.0)
    found = found or difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    if not found:
        folded = {one.casefold(): one for one in reversed(names)}
        found = [folded[one] for one in difflib.get_close_matches(given.casefold(), folded, n=1, cutoff=0.5)]
    return f" Did you mean {found[0]!r}?" if found else ""


def _one_starts_the_other(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
