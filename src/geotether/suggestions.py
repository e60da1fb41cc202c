"""The known name closest to one that was mistyped, as the last sentence of an error message."""

import difflib
from collections.abc import Iterable
from typing import Any


def closest(name: Any, known: Iterable[Any]) -> str:
    """Suggest the known name that is closest to an unknown one.

    Args:
        name: The name that was given.
        known: The names that would be accepted.

    Returns:
        " Did you mean 'x'?", with a space before it, or "" if no known name is close. Upper and lower case are
        ignored where no name is close otherwise.

    Example:
        >>> closest("learnig_rate", ["learning_rate", "steps"])
        " Did you mean 'learning_rate'?"
        >>> closest("b8a", ["B08", "B8A"])
        " Did you mean 'B8A'?"
        >>> closest("zebra", ["learning_rate", "steps"])
        ''
    """
    given, names = str(name), [str(one) for one in known]
    found = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    if not found:
        folded = {one.casefold(): one for one in reversed(names)}
        found = [folded[one] for one in difflib.get_close_matches(given.casefold(), folded, n=1, cutoff=0.5)]
    return f" Did you mean {found[0]!r}?" if found else ""
