"""Many scans: in this process, in several, or on a Dask cluster; one bad scan never stops the others."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

from mtctl.batch.case import Outcome, Request, segment_case
from mtctl.batch.work_queue import Lost, run_queue
from mtctl.errors import MtctlError
from mtctl.geometry import Triple
from mtctl.inference.prediction import ProgressCallback
from mtctl.inference.segmenter import Segmenter
from mtctl.io.results import finish_interrupted, has_interrupted
from mtctl.io.volumes import input_stem
from mtctl.models.model import read_model
from mtctl.system.interrupts import check
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
        spacings: Of inputs whose own is known, by absolute path; it goes before that of the request.
        remark: What every report has to say of how the model was chosen (`Model.remark`), or "".
    """

    request: Request
    model: Path
    device: str
    spacings: Mapping[str, Triple] = field(default_factory=dict)
    remark: str = ""

    def request_for(self, source: Path) -> Request:
        """Return what to do with this one."""
        spacing = self.spacings.get(os.path.abspath(source))
        return self.request if spacing is None else replace(self.request, spacing=spacing)


@dataclass(frozen=True)
class Job:
    """A run over many scans.

    Attributes:
        sources: Files and DICOM folders.
        task: What to do with each.
    """

    sources: Sequence[Path]
    task: BatchTask


@dataclass(frozen=True)
class Failure:
    """An input that could not be done.

    Attributes:
        source: The input.
        cause: Why, in one line, without the input's name.
    """

    source: Path
    cause: str


def run_here(job: Job, progress: ProgressCallback) -> Generator[Outcome | Failure, None, None]:
    """Do one scan after the other in this process, each with all processor cores."""
    with _CleaningUp(job):
        for source in job.sources:
            result = attempt(job.task, source, progress)
            check()  # A library may have caught the interrupt, or made another error of it.
            yield result


def run_in_processes(job: Job, workers: int) -> Generator[Outcome | Failure, None, None]:
    """Segment in `workers` processes, which share this machine's cores and GPUs; results come as they are ready."""
    with _CleaningUp(job):
        for result in run_queue(job.sources, partial(attempt, job.task), _environments(workers, job.task.device)):
            if isinstance(result, Lost):
                yield killed(result.item, result.ending)
            else:
                yield result.result


def attempt(task: BatchTask, source: Path, progress: ProgressCallback = lambda stage, share: None) -> Outcome | Failure:
    """Do one scan; whatever is wrong with it becomes a `Failure`."""
    try:
        with _ONE_AT_A_TIME:
            return segment_case(
                source, _segmenter(task.model, task.device, task.remark), task.request_for(source), progress
            )
    except MtctlError as error:
        return Failure(source, str(error).removeprefix(f"{source}: "))
    except MemoryError:
        return Failure(source, "not enough memory; choose a smaller region (--roi) or fewer --workers")
    except Exception as error:
        return Failure(source, f"unexpected {type(error).__name__}: {error}")
    finally:
        release_memory()


def killed(source: Path, ending: str) -> Failure:
    """Return the failure of an input whose process was ended from outside, each time that it was tried."""
    return Failure(source, f"its process was ended from outside ({ending}), perhaps for want of memory")


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


def _stems(sources: Sequence[Path]) -> Iterator[str]:
    for source in sources:
        try:
            yield input_stem(source)
        except MtctlError:
            continue


@lru_cache(maxsize=1)
def _segmenter(model: Path, device: str, remark: str) -> Segmenter:
    """Load the model, once a process."""
    from mtctl.networks.device import choose_device

    return Segmenter(replace(read_model(model), remark=remark), choose_device(device))


def cores() -> int:
    """Return the number of processor cores that this process may use.

    A scheduler (Slurm, a container) may give it fewer than there are.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _environments(workers: int, device: str) -> list[dict[str, str]]:
    """Return an equal part of the cores for each process, and one of the GPUs in turn."""
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, cores() // workers))
    shared = {"OMP_NUM_THREADS": threads, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": threads}
    gpus = _gpus() if device in ("auto", "cuda") else []
    return [shared | ({"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {}) for number in range(workers)]


def _gpus() -> list[str]:
    """Return the names of the GPUs as CUDA_VISIBLE_DEVICES takes them."""
    import torch

    count = torch.cuda.device_count()
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    return listed.split(",")[:count] if listed else [str(number) for number in range(count)]
