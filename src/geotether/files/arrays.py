"""NumPy's .npy and .npz files, whose arrays are never unpickled."""

import errno
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

# What a damaged header or archive makes NumPy and zipfile raise.
_DAMAGE = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, EOFError, OSError, RuntimeError),
    *(SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error, struct.error),
)


@contextmanager
def reading_arrays(name: object) -> Iterator[None]:
    """Turn what reading a damaged .npy or .npz raises into a ValueError that begins with the file's name.

    The system's own errors, such as a missing permission, stay what they are.
    """
    try:
        yield
    except MemoryError as error:
        raise ValueError(f"{name} is too large for the memory, or its header is damaged: {error}.") from error
    except _DAMAGE as error:
        system = isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)  # a damaged offset: EINVAL
        if system or str(error).startswith(str(name)):
            raise
        if "allow_pickle" in str(error) or "Python objects" in str(error):
            raise ValueError(
                f"{name} holds Python objects, which are not unpickled because that can run arbitrary code; save "
                "numbers or texts, such as numpy.array(values, dtype=str)."
            ) from error
        raise ValueError(f"{name} is damaged: {str(error) or type(error).__name__}.") from error
