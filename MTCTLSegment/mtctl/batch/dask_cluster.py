"""Many scans on an existing Dask cluster, whose workers must see the same folders as this process."""

from __future__ import annotations

import atexit
import hashlib
import os
import platform
import secrets
from collections.abc import Generator, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import mtctl
from mtctl.batch.case import Outcome
from mtctl.batch.runner import BatchError, BatchTask, Failure, Job, attempt, clean_up, killed
from mtctl.io.inputs import ScanInput
from mtctl.processes.readers import READING
from mtctl.processes.work_queue import Lost, ended_after
from mtctl.system.caches import usable_caches
from mtctl.system.files import TEMPORARY_PREFIX
from mtctl.system.process_tree import is_running

_TOKEN = f"{TEMPORARY_PREFIX}shared-"
_READING = f"{TEMPORARY_PREFIX}shared-reading-"
# One may have been switched off while it read a scan that is good.
_MOST_DEATHS = 2
_RETRIES = 2  # for tasks that raise; of lost workers Dask itself takes account ("allowed-failures", 3)
_ANSWER_SECONDS = 10


def run_on_cluster(job: Job, scheduler: str) -> Generator[Outcome | Failure, None, None]:
    """Segment on the workers of a Dask scheduler (tcp://host:port); results come as they are ready.

    Every worker writes into the output folder itself, so it has to see that folder, the inputs and the model under the
    paths that they have here. A file with a random name shows whether it does.

    Raises:
        BatchError: dask.distributed is not installed, the scheduler does not answer or is lost, or a worker does not
            see the folders.
    """
    # Workers run in folders of their own.
    request = replace(job.task.request, out=job.task.request.out.resolve())
    task = replace(job.task, request=request, model=job.task.model.resolve())
    named = {replace(source, path=source.path.absolute()): source for source in job.sources}
    with _client(scheduler) as client, _token(request.out) as token:
        _ask_workers(client, task, token, scheduler)
        for source, result in _results(client, task, token, list(named)):
            yield replace(result, source=named[source])
        clean_up(job)


def _results(
    client: Any, task: BatchTask, token: str, sources: list[ScanInput]
) -> Iterator[tuple[ScanInput, Outcome | Failure]]:
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    futures = dict(zip(_submit(client, task, token, sources), sources, strict=True))
    lost: list[ScanInput] = []
    for future in as_completed(list(futures), loop=client.loop):
        source = futures.pop(future)
        error = _error(future)
        if error is None:
            yield source, future.result()
        elif isinstance(error, KilledWorker):
            lost.append(source)
        else:
            raise BatchError(f"the Dask cluster failed: {error}; run again, what is done is kept") from error
    # A worker that dies takes those with it that wait for it: each once more, with nobody else in the queue.
    for source in lost:
        (future,) = _submit(client, task, token, [source])
        yield source, killed(Lost(source, "its Dask workers died", "")) if _error(future) else future.result()


def _submit(client: Any, task: BatchTask, token: str, sources: list[ScanInput]) -> list[Any]:
    return client.map(_on_worker, sources, task=task, token=token, pure=False, retries=_RETRIES)


def _error(future: Any) -> BaseException | None:
    try:
        return future.exception()
    except (OSError, CancelledError) as error:  # The scheduler is gone.
        return error


def _on_worker(source: ScanInput, task: BatchTask, token: str) -> Outcome | Failure:
    """Runs in a worker, which may have joined since the others were asked."""
    fault = _fault(task, token)
    if fault:
        return Failure(source, f"a Dask worker {fault}")
    attempts = ReadingAttempts(task.request.out, token, source)
    if attempts.died >= _MOST_DEATHS:  # Dask would give a scan that ends its worker to the next one, and lose them all.
        return killed(Lost(source, "its Dask workers died", READING))
    _prepare_caches()
    with ExitStack() as reading:

        def tell(stage: str, share: float) -> None:
            reading.close()
            if stage == READING:
                reading.enter_context(attempts.counted())
                reading.enter_context(ended_after(source.reading_seconds))

        return attempt(task, source, tell)


@lru_cache(maxsize=1)
def _prepare_caches() -> None:
    """Give matplotlib, which is imported with the first picture, a folder that can be written, as `mtctl` does."""
    caches = ExitStack()
    caches.enter_context(usable_caches())
    atexit.register(caches.close)


class ReadingAttempts:
    """How many workers have died while they read a scan: each leaves a file in the output folder, which all see."""

    def __init__(self, out: Path, token: str, source: ScanInput) -> None:
        """Count those of one run, which has the token."""
        code = hashlib.sha256(f"{token} {os.fspath(source.path)}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._out, self._begin = out, f"{_READING}{code}-"

    @property
    def died(self) -> int:
        """How many; those that read it now count, too, but nobody else does."""
        return sum(name.startswith(self._begin) for name in os.listdir(self._out))

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count this one, unless it comes to the end of the block."""
        path = self._out / f"{self._begin}{secrets.token_hex(4)}"
        path.touch()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _fault(task: BatchTask, token: str) -> str:
    """Return why this worker cannot be used; "" where it can."""
    host, wanted = platform.node(), token.rpartition("-")[2]
    if not (task.request.out / token).is_file():
        return (
            f"on {host} does not see the output folder {task.request.out}; make it a shared folder that is mounted "
            "under this path on every worker"
        )
    if not task.model.is_dir():
        return f"on {host} does not see the model folder {task.model}; put the model into a shared folder (--model)"
    if mtctl.__version__ != wanted:
        return f"on {host} has mtctl {mtctl.__version__}, this process {wanted}; install the same everywhere"
    return ""


def _ask_workers(client: Any, task: BatchTask, token: str, scheduler: str) -> None:
    """Raise where there are no workers or one of them cannot be used."""
    try:
        faults = client.run(_fault, task, token)
    except Exception as error:  # Whatever a worker without our package makes of it.
        raise BatchError(
            f"the workers of {scheduler} cannot run mtctl ({error}); install slicer-mtctl in the environment of each"
        ) from error
    if not faults:
        raise BatchError(f"the Dask scheduler at {scheduler} has no workers; start some (dask worker {scheduler})")
    for worker, fault in faults.items():
        if fault:
            raise BatchError(f"the Dask worker {worker} {fault}")


@contextmanager
def _token(out: Path) -> Iterator[str]:
    """A file in `out` by which workers know that they see this very folder."""
    here = f"{_TOKEN}{platform.node()}-"
    for old in out.glob(f"{here}*"):  # Of runs that were killed.
        number = old.name.removeprefix(here).split("-")[0]
        if not (number.isdigit() and is_running(int(number))):
            old.unlink(missing_ok=True)
    path = out / f"{here}{os.getpid()}-{secrets.token_hex(8)}-{mtctl.__version__}"
    path.touch()
    try:
        yield path.name
    finally:
        for left in (path, *out.glob(f"{_READING}*")):
            with suppress(OSError):
                left.unlink(missing_ok=True)


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError:
        raise BatchError("--scheduler needs dask.distributed: pip install 'slicer-mtctl[cluster]'") from None
    try:
        client = Client(scheduler, timeout=_ANSWER_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BatchError(f"no Dask scheduler answers at {scheduler}: {error}") from error
    with client:
        yield client
