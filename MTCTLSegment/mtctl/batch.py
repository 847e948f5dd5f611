"""Many scans: in this process, in several, or on a Dask cluster; one bad scan never stops the others."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path

from mtctl.errors import MtctlError
from mtctl.inference import Progress, Segmenter
from mtctl.model import read_model
from mtctl.segment_case import Outcome, Request, segment_case
from mtctl.volume import input_stem


class BatchError(MtctlError):
    """A run over many scans cannot begin."""


@dataclass(frozen=True)
class Job:
    """A run over many scans.

    Attributes:
        sources: Files and DICOM folders.
        request: The same for all.
        model: Folder of the model.
        device: Name for `device.choose_device`.
    """

    sources: Sequence[Path]
    request: Request
    model: Path
    device: str


@dataclass(frozen=True)
class Failure:
    """An input that could not be done.

    Attributes:
        source: The input.
        reason: Why, in one line.
        process_died: Whether that was the end of its process, which takes others with it.
    """

    source: Path
    reason: str
    process_died: bool = False


def run_here(job: Job, progress: Progress) -> Iterator[Outcome | Failure]:
    """One after the other in this process, each with all processor cores."""
    for source in job.sources:
        yield _attempt(job, source, progress)


def run_in_processes(job: Job, workers: int) -> Iterator[Outcome | Failure]:
    """In `workers` processes of this machine that share its cores; results come as they are ready."""
    threads = max(1, (os.cpu_count() or 1) // workers)
    # "spawn": a fork would copy torch's thread pools in whatever state they are.
    start = partial(
        ProcessPoolExecutor, mp_context=get_context("spawn"), initializer=_limit_threads, initargs=(threads,)
    )
    lost = []
    with start(workers) as executor:
        for result in _submit_all(job, executor):
            if isinstance(result, Failure) and result.process_died:
                lost.append(result.source)
            else:
                yield result
    # One process that is killed (for memory, say) breaks the pool; the innocent and the guilty are tried again alone.
    for source in lost:
        with start(1) as executor:
            yield from _submit_all(replace(job, sources=[source]), executor)


def run_on_cluster(job: Job, scheduler: str) -> Iterator[Outcome | Failure]:
    """On the workers of a Dask scheduler (tcp://host:port), which must see the same paths.

    Raises:
        BatchError: dask.distributed is not installed, or the scheduler does not answer.
    """
    # Workers run in folders of their own.
    request = replace(job.request, out=job.request.out.resolve())
    sources = [source.resolve() for source in job.sources]
    job = replace(job, sources=sources, request=request, model=job.model.resolve())
    with _cluster(scheduler) as executor:
        yield from _submit_all(job, executor)


def check_stems(sources: Sequence[Path]) -> None:
    """Raise where two inputs would write the same result files.

    Raises:
        BatchError: Naming both.
    """
    seen: dict[str, Path] = {}
    for source in sources:
        try:
            stem = input_stem(source)
        except MtctlError:
            continue  # It fails with its own message when its turn comes.
        # Windows and macOS take names that differ in case for the same.
        other = seen.setdefault(stem.casefold(), source)
        if other is not source:
            raise BatchError(f"{other} and {source} would both write {stem}.seg.nrrd; give them separate runs")


def read_manifest(path: Path) -> list[Path]:
    """Inputs of a CSV manifest: its column "input", or its only column; relative paths are relative to the manifest.

    Raises:
        BatchError: It cannot be read or has no such column.
    """
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BatchError(f"{path}: cannot be read as a CSV manifest: {error}") from error
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise BatchError(f"{path}: the manifest is empty")
    header = [cell.strip().lower() for cell in rows[0]]
    if "input" in header:
        column, rows = header.index("input"), rows[1:]
    elif len(header) == 1:
        column = 0
    else:
        raise BatchError(f"{path}: the manifest has no column 'input' (it has {', '.join(header)})")
    return [path.parent / row[column].strip() for row in rows if len(row) > column and row[column].strip()]


def _submit_all(job: Job, executor: Executor) -> Iterator[Outcome | Failure]:
    futures = {executor.submit(_attempt, job, source): source for source in job.sources}
    for future in as_completed(futures):
        error = future.exception()
        if error is not None:
            reason = f"{futures[future]}: its process was ended from outside, perhaps for want of memory"
            yield Failure(futures[future], reason, process_died=True)
        else:
            yield future.result()


def _attempt(job: Job, source: Path, progress: Progress = lambda stage, share: None) -> Outcome | Failure:
    try:
        return segment_case(source, _segmenter(job.model, job.device), job.request, progress)
    except MtctlError as error:
        message = str(error)
        return Failure(source, message if str(source) in message else f"{source}: {message}")
    except MemoryError:
        return Failure(source, f"{source}: not enough memory; choose a smaller region (--roi) or fewer --workers")
    except Exception as error:
        return Failure(source, f"{source}: unexpected {type(error).__name__}: {error}")


@lru_cache(maxsize=1)
def _segmenter(model: Path, device: str) -> Segmenter:
    """Loaded once a process."""
    from mtctl.device import choose_device

    return Segmenter(read_model(model), choose_device(device))


def _limit_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


@contextmanager
def _cluster(scheduler: str) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ImportError:
        raise BatchError("--scheduler needs dask.distributed: pip install 'slicer-mtctl[cluster]'") from None
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise BatchError(f"no Dask scheduler answers at {scheduler}: {error}") from error
    with client:
        yield client.get_executor()
