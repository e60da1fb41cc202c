"""One thread in every thread pool, so that features do not depend on the number of cores or processes."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from threadpoolctl import ThreadpoolController

# Read by a library when it is loaded.
_VARIABLES = tuple(f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR"))


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit all thread pools of this process to one thread, and restore them at the end.

    Libraries that are imported inside the block, and processes started in it, are limited too, by the environment.

    Example:
        >>> with one_thread():
        ...     {pool["num_threads"] for pool in ThreadpoolController().info()} <= {1}
        True
    """
    before = {name: os.environ.get(name) for name in _VARIABLES}
    threads = int(before["OMP_NUM_THREADS"] or 0) or core_count()
    pools = ThreadpoolController()  # searching the loaded libraries takes milliseconds
    loaded = {pool.filepath for pool in pools.lib_controllers}
    torch_threads = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else threads
    try:
        with keep_one_thread(pools):
            yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value
        for pool in ThreadpoolController().lib_controllers:
            if pool.filepath not in loaded:
                pool.set_num_threads(threads)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(torch_threads)


def keep_one_thread(pools: ThreadpoolController | None = None) -> AbstractContextManager[object]:
    """Limit all thread pools of this process, and libraries imported later, to one thread until it ends.

    The caller may pass the pools it has found.
    """
    os.environ.update(dict.fromkeys(_VARIABLES, "1"))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    return (pools or ThreadpoolController()).limit(limits=1)


def core_count() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
