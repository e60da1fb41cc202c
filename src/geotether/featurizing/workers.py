"""Parts in worker processes: results do not depend on their number, and none outlives the job."""

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from geotether.featurizing.parts import Parts
from geotether.featurizing.threads import core_count, keep_one_thread, one_thread

_WORTHWHILE_SECONDS = 20.0  # less work than this is done before other processes have started
_LOOK_SECONDS = 0.2

_here: list[Any] = []


def run_parts(work: Parts, numbers: Sequence[int], workers: int | None, done: Callable[[int], None]) -> None:
    """Make parts, each in a process with one thread.

    Args:
        work: The work.
        numbers: Numbers of the missing parts.
        workers: Number of processes; 1: only this one. None: one per core where the work is worth it.
        done: Called in this process after each part, in any order; the work stops if it raises.
    """
    left = list(numbers)
    fastest = float("inf")
    with one_thread():
        while left and (workers in (1, None) or len(left) == 1):
            began = time.monotonic()
            number = left.pop(0)
            work.make(number)
            done(number)
            fastest = min(fastest, time.monotonic() - began)  # the first part also imports libraries
            if workers is None and fastest * len(left) > _WORTHWHILE_SECONDS and len(left) > 1:
                workers = core_count()
        if left:
            _run_in_processes(work, left, min(workers or 1, len(left)), done)


def _run_in_processes(work: Parts, numbers: Sequence[int], workers: int, done: Callable[[int], None]) -> None:
    try:
        pickle.dumps(work)
    except Exception as error:  # a class of another package may raise anything
        raise ValueError(
            f"{work.carries} cannot be sent to other processes ({error}); keep paths, not open files, or use one "
            "worker."
        ) from error
    context = multiprocessing.get_context("spawn")  # a fork would copy locks held by other threads
    stop = context.Event()
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(work, os.getpid(), stop))
    try:
        with interrupt_deferred():  # submitting also starts processes
            futures = {pool.submit(_make, number): number for number in numbers}
        for future in as_completed(list(futures)):
            future.result()
            done(futures.pop(future))
    except BrokenProcessPool as error:
        raise ChildProcessError(
            f"A worker process died, perhaps for lack of memory; {len(work.complete)} of {work.part_count} parts are "
            f"complete and kept in {work.folder}. Run the same command to continue; fewer workers need less memory. (A "
            "Python script that builds tables needs `if __name__ == '__main__':` around the call, or workers=1.)"
        ) from error
    except BaseException:
        stop.set()  # unfinished parts are abandoned
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def interrupt_deferred() -> Iterator[None]:
    """Defer Ctrl-C inside the block; processes started in it ignore Ctrl-C, even during their imports."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(work: Parts, parent: int, stop: Any) -> None:
    import pyarrow as pa

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the main process handles it
    threading.Thread(target=_watch, args=(parent, stop), daemon=True).start()
    pa.set_cpu_count(1)
    keep_one_thread()
    _here.append(work)


def _make(number: int) -> None:
    _here[0].make(number)


def _watch(parent: int, stop: Any) -> None:
    """End this process when the main one has ended or has asked for it."""
    while os.getppid() == parent and not stop.is_set():
        time.sleep(_LOOK_SECONDS)
    os._exit(1)
