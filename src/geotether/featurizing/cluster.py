"""Parts on the workers of a Dask cluster; a worker that dies costs only the parts that it had not finished."""

import logging
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from geotether.featurizing.parts import Parts
from geotether.featurizing.threads import core_count, keep_one_thread, one_thread
from geotether.featurizing.workers import interrupt_deferred, run_parts
from geotether.version import __version__

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local"
# Seconds to wait for the first worker of a cluster, and for a file that another machine wrote.
_START_SECONDS, _SEEN_SECONDS = 30.0, 30.0

_opened = threading.local()


def make_parts(
    work: Parts, numbers: Sequence[int], done: Callable[[int], None], workers: int | None, scheduler: str | None
) -> None:
    """Make parts on a cluster if one is named, else in processes; see `run_on_cluster` and `run_parts`."""
    if scheduler is None:
        run_parts(work, numbers, workers, done)
    elif numbers:
        run_on_cluster(work, numbers, scheduler, workers, done)


def check_cluster(scheduler: str | None, workers: int | None) -> None:
    """Check how many processes or which cluster is asked for, before any work.

    Raises:
        ImportError: If distributed is needed and not installed.
        ValueError: If the number of workers is wrong, or given for a cluster that has its own.
        FileNotFoundError: If there is no such scheduler file.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be 1 or more, got {workers}.")
    if scheduler is None:
        return
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise ImportError("Clusters are used with Dask: pip install 'geotether[dask]'.") from None
    if scheduler != LOCAL and workers is not None:
        raise ValueError(f"The cluster {scheduler} has its own workers; leave out the number of workers.")
    if scheduler.endswith(".json") and not Path(scheduler).is_file():
        raise FileNotFoundError(f"There is no scheduler file {scheduler}; `dask scheduler` writes one.")


def run_on_cluster(
    work: Parts, numbers: Sequence[int], scheduler: str, workers: int | None, done: Callable[[int], None]
) -> None:
    """Make parts on a Dask cluster, each by one thread.

    All workers must see the folder of the job, and the files that are read, under the same paths.

    Args:
        work: The work, which is sent to each worker once.
        numbers: Numbers of the missing parts.
        scheduler: Address of a scheduler, such as "tcp://10.0.0.1:8786"; the path of its scheduler file, ending in
            .json; or "local" for a cluster of processes on this machine.
        workers: Number of processes of a local cluster; None: one per core.
        done: Called in this process after each part, in any order; the work stops if it raises.

    Raises:
        ConnectionError: If the scheduler cannot be reached, has no worker, or is closed.
        ChildProcessError: If several workers die while they make one part, or a part's file does not appear here.
        ValueError: If the work cannot be sent, or the workers have another version of geotether.
    """
    with cluster_client(scheduler, workers) as client, client.as_current(), warnings.catch_warnings():
        from distributed import CancelledError, KilledWorker, as_completed

        warnings.filterwarnings("ignore", "Sending large graph")  # the weights of a model, once per worker
        token = uuid.uuid4().hex
        # Parts depend on a task that only returns the work, so that the scheduler can give it to any later worker.
        sent = client.submit(_same, _packed(work), pure=False)
        futures = {client.submit(_make, sent, token, number, __version__, pure=False): number for number in numbers}
        try:
            for future in as_completed(list(futures)):
                number = futures.pop(future)
                future.result()
                future.release()
                _wait_for(work.part_file(number), scheduler)
                done(number)
        except KilledWorker as error:
            raise ChildProcessError(
                f"Several workers died while they made one part, perhaps for lack of memory; {len(work.complete)} of "
                f"{work.part_count} parts are complete and kept in {work.folder}. Run the same command to continue."
            ) from error
        except CancelledError as error:
            raise ConnectionError(
                f"The cluster at {scheduler} was closed; {len(work.complete)} of {work.part_count} parts are complete "
                f"and kept in {work.folder}. Run the same command to continue."
            ) from error
        finally:
            client.cancel([*futures, sent])


@contextmanager
def cluster_client(scheduler: str, workers: int | None = None) -> Iterator["Client"]:
    """Connect to a cluster, as for `run_on_cluster`; a local one is started, and closed at the end."""
    from distributed import Client, LocalCluster
    from distributed.comm import resolve_address

    with ExitStack() as stack:
        if scheduler == LOCAL:
            with interrupt_deferred(), one_thread():
                cluster = LocalCluster(
                    workers or core_count(), threads_per_worker=1, processes=True, memory_limit=0,
                    dashboard_address=None, silence_logs=logging.CRITICAL,
                )  # fmt: skip
                stack.enter_context(cluster)
                client = stack.enter_context(Client(cluster))
        else:
            by_file = scheduler.endswith(".json")
            try:
                if not by_file:
                    resolve_address(scheduler)  # a client with an invalid address does not close cleanly
                given = {"scheduler_file": scheduler} if by_file else {"address": scheduler}
                client = stack.enter_context(Client(**given, timeout=_START_SECONDS, set_as_default=False))
            except (OSError, ValueError) as error:
                why = str(error).rstrip(".")
                raise ConnectionError(f"There is no Dask scheduler at {scheduler}: {why}.") from error
        try:
            client.wait_for_workers(1, timeout=_START_SECONDS)
        except TimeoutError:
            raise ConnectionError(f"The scheduler {scheduler} has no worker; start one with `dask worker`.") from None
        yield client


def _packed(work: Parts) -> bytes:
    import cloudpickle

    try:
        return cloudpickle.dumps(work)
    except Exception as error:  # a class of another package may raise anything
        raise ValueError(
            f"{work.carries} cannot be sent to other processes ({error}); keep paths, not open files."
        ) from error


def _same(packed: bytes) -> bytes:
    return packed


def _make(packed: bytes, token: str, number: int, version: str) -> int:
    """Make a part in a thread of a worker, which opens the work once; a part that is complete is not made again."""
    import cloudpickle

    if version != __version__:
        raise ValueError(f"A worker has geotether {__version__}, not {version}; install the same version on all.")
    if getattr(_opened, "token", None) != token:
        _opened.work, _opened.token = cloudpickle.loads(packed), token
        keep_one_thread()  # also of torch, which counts threads for each thread of Python by itself
    if not _opened.work.part_file(number).is_file():
        _opened.work.make(number)
    return number


def _wait_for(file: Path, scheduler: str) -> None:
    """Wait until a file that another machine wrote is visible here, which network file systems may delay."""
    until = time.monotonic() + _SEEN_SECONDS
    while not file.is_file():
        if time.monotonic() > until:
            raise ChildProcessError(
                f"A worker of {scheduler} wrote {file}, which does not exist on this machine: the output must be on a "
                "file system that this machine and all workers share."
            )
        time.sleep(0.05)
