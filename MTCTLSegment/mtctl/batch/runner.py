"""Many scans: in this process, in several, or on a Dask cluster; one bad scan never stops the others."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

from mtctl.batch.case import Outcome, Request, segment_case
from mtctl.errors import MtctlError, cause_of
from mtctl.inference.prediction import ProgressCallback
from mtctl.inference.segmenter import Segmenter
from mtctl.io.inputs import ScanInput
from mtctl.io.results import finish_interrupted, has_interrupted
from mtctl.models.model import read_model
from mtctl.processes.readers import READING, is_worth_another_try, loss_of
from mtctl.processes.work_queue import Lost, ended_after, run_queue
from mtctl.system.interrupts import check
from mtctl.system.machine import cores
from mtctl.system.memory import release_memory

# A cluster's worker may hand several scans at once to threads of one process: each would want all memory and all cores.
_ONE_AT_A_TIME = threading.Lock()


class BatchError(MtctlError):
    """A run over many scans cannot begin or go on."""


@dataclass(frozen=True)
class BatchTask:
    """What to do with a scan, the same for all of a run.

    Attributes:
        request: What to write, and where.
        model: Folder of the model.
        device: Name for `device.choose_device`.
        remark: What every report has to say of how the model was chosen (`Model.remark`), or "".
    """

    request: Request
    model: Path
    device: str
    remark: str = ""

    def request_for(self, source: ScanInput) -> Request:
        """Return what to do with this one: a spacing of its own goes before that of the request."""
        return self.request if source.spacing is None else replace(self.request, spacing=source.spacing)


@dataclass(frozen=True)
class Job:
    """A run over many scans.

    Attributes:
        sources: Files and DICOM folders.
        task: What to do with each.
    """

    sources: Sequence[ScanInput]
    task: BatchTask


@dataclass(frozen=True)
class Failure:
    """An input that could not be done.

    Attributes:
        source: The input.
        cause: Why, in one line, without the input's name.
    """

    source: ScanInput
    cause: str


def run_here(job: Job, progress: ProgressCallback) -> Generator[Outcome | Failure, None, None]:
    """Do one scan after the other in this process, each with all processor cores."""
    with _CleaningUp(job):
        for source in job.sources:
            result = attempt(job.task, source, progress)
            check()  # A library may have caught the interrupt, or made another error of it.
            yield result


def run_in_processes(
    job: Job, workers: int, progress: ProgressCallback = lambda stage, share: None
) -> Generator[Outcome | Failure, None, None]:
    """Segment in `workers` processes, which share this machine's cores and GPUs; results come as they are ready.

    A scan that ends its process, or holds it while it is read, costs itself alone.
    """
    work = partial(attempt_in_child, job.task)
    with _CleaningUp(job):
        for result in run_queue(
            job.sources, work, _environments(workers, job.task.device), progress, is_worth_another_try
        ):
            yield killed(result) if isinstance(result, Lost) else result.result


def attempt_in_child(task: BatchTask, source: ScanInput, progress: ProgressCallback) -> Outcome | Failure:
    """Do one scan in a process that may end: it does where the scan holds its reader."""
    with ExitStack() as reading:

        def tell(stage: str, share: float) -> None:
            progress(stage, share)
            reading.close()
            if stage == READING:
                reading.enter_context(ended_after(source.reading_seconds))

        return attempt(task, source, tell)


def attempt(
    task: BatchTask, source: ScanInput, progress: ProgressCallback = lambda stage, share: None
) -> Outcome | Failure:
    """Do one scan; whatever is wrong with it becomes a `Failure`."""
    try:
        with _ONE_AT_A_TIME:
            return segment_case(
                source, _segmenter(task.model, task.device, task.remark), task.request_for(source), progress
            )
    except MemoryError:
        return Failure(source, "not enough memory; choose a smaller region (--roi) or fewer --workers")
    except Exception as error:
        return Failure(source, cause_of(error, source.path))
    finally:
        release_memory()


def killed(lost: Lost[ScanInput]) -> Failure:
    """Return the failure of an input whose process ended, each time that it was tried."""
    return Failure(lost.item, loss_of(lost, lost.item.reading_seconds))


class _CleaningUp:
    """At the end, however it comes: what processes that were killed have left of the job's cases is put in order."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        clean_up(self._job)


def clean_up(job: Job) -> None:
    """Finish or remove what killed processes have left of the job's cases; none may be at work any more."""
    out = job.task.request.out
    if has_interrupted(out):
        finish_interrupted(out, _stems(job.sources))


def _stems(sources: Sequence[ScanInput]) -> Iterator[str]:
    for source in sources:
        try:
            yield source.stem
        except MtctlError:
            continue


@lru_cache(maxsize=1)
def _segmenter(model: Path, device: str, remark: str) -> Segmenter:
    """Load the model, once a process."""
    from mtctl.networks.device import choose_device

    return Segmenter(replace(read_model(model), remark=remark), choose_device(device))


def _environments(workers: int, device: str) -> list[dict[str, str]]:
    """Return an equal part of the cores for each process, and one of the GPUs in turn."""
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, cores() // workers))
    shared = {"OMP_NUM_THREADS": threads, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": threads}
    if workers == 1:
        return [shared if cores() < (os.cpu_count() or 1) else {}]
    gpus = _gpus() if device in ("auto", "cuda") else []
    return [shared | ({"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {}) for number in range(workers)]


def _gpus() -> list[str]:
    """Return the names of the GPUs as CUDA_VISIBLE_DEVICES takes them."""
    import torch

    count = torch.cuda.device_count()
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    return listed.split(",")[:count] if listed else [str(number) for number in range(count)]
