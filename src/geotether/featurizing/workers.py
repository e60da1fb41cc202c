"""Many parts in many processes: none outlives the job, and none decides what comes out."""

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from geotether.featurizing.parts import Tally, Work, make_part
from geotether.featurizing.threads import OneThread

# Less work than this is done before other processes have started.
_WORTHWHILE_SECONDS = 20.0
_LOOK_SECONDS = 0.2

_here: dict[str, Any] = {}


def run_parts(work: Work, numbers: Sequence[int], workers: int | None, done: Callable[[int, Tally], None]) -> None:
    """Compute parts of the work.

    Args:
        work: What to do.
        numbers: Of the parts that are missing.
        workers: Processes; 1: this one. None: as many as there are cores where the work is worth it.
        done: Called here after each part, in any order; if it raises, the work stops.

    Raises:
        ValueError: If `workers` is below 1, or the source cannot travel to other processes.
        ChildProcessError: If a process died.
    """
    check_workers(workers)
    numbers = list(numbers)
    fastest = float("inf")
    with OneThread() as one:
        while numbers and (workers in (1, None) or len(numbers) == 1):
            began = time.monotonic()
            number = numbers.pop(0)
            done(number, make_part(work, number, one))
            fastest = min(fastest, time.monotonic() - began)  # the first one also imports, any may be held up
            if workers is None and fastest * len(numbers) > _WORTHWHILE_SECONDS and len(numbers) > 1:
                workers = core_count()
    if numbers:
        _run_in_processes(work, numbers, min(workers or 1, len(numbers)), done)


def check_workers(workers: int | None) -> None:
    """Raise ValueError if it is no number of processes."""
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be 1 or more, got {workers}.")


def core_count() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def _run_in_processes(work: Work, numbers: list[int], workers: int, done: Callable[[int, Tally], None]) -> None:
    try:
        pickle.dumps(work)
    except Exception as error:  # whatever a stranger's class raises
        raise ValueError(
            f"{type(work.source).__name__} or its features cannot be sent to other processes ({error}); keep paths, "
            "not open files, or use one worker."
        ) from error
    context = multiprocessing.get_context("spawn")  # a fork would copy the locks of threads that it does not copy
    stop = context.Event()
    total = work.part_count
    complete = total - len(numbers)
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(work, os.getpid(), stop))
    waiting = iter(numbers)
    running: dict[Future[Tally], int] = {}
    try:
        while True:
            for number in waiting:
                with _InterruptHeld():  # to submit also starts processes
                    running[pool.submit(_make, number)] = number
                if len(running) >= 2 * workers:
                    break
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                number = running.pop(future)
                done(number, future.result())
                complete += 1
    except BrokenProcessPool as error:
        raise ChildProcessError(
            f"A worker process died, perhaps for lack of memory; {complete} of {total} parts are complete and kept in "
            f"{work.folder.parent}. The same command goes on there; fewer workers need less memory. (A Python script "
            "that builds tables needs `if __name__ == '__main__':` around the call, or workers=1.)"
        ) from error
    except BaseException:
        stop.set()  # who is in the middle of a part need not finish it
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _InterruptHeld:
    """Ctrl-C waits until this is left; a process started within it is born deaf to it, its imports too."""

    def __enter__(self) -> None:
        if hasattr(signal, "pthread_sigmask"):  # not on Windows
            self.before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def __exit__(self, *_: object) -> None:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_SETMASK, self.before)


def _begin(work: Work, parent: int, stop: Any) -> None:
    import pyarrow as pa

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the main process says what to do
    threading.Thread(target=_watch, args=(parent, stop), daemon=True).start()
    pa.set_cpu_count(1)
    _here["work"] = work
    _here["one"] = OneThread().__enter__()


def _make(number: int) -> Tally:
    return make_part(_here["work"], number, _here["one"])


def _watch(parent: int, stop: Any) -> None:
    """End this process once the main one is gone, or wants no more."""
    while os.getppid() == parent and not stop.is_set():
        time.sleep(_LOOK_SECONDS)
    os._exit(1)
