"""What a client asks its child for, one at a time: what is handed over, and what is made of the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Mask, Volume
from mtctl.guidance.outlook import Outlook
from mtctl.inference.result import Result
from mtctl.processes.arrays import read_steps, write_steps
from mtctl.review.answers import Answer, Said, ShownQuestion
from mtctl.system.fields import read_as
from mtctl.worker.child import Child
from mtctl.worker.protocol import SEGMENTATION, AnsweredMessage, DoneMessage, QuestionsMessage
from mtctl.worker.requests import Handlers, QuestionedCase, QuestionHandlers, Settings


class Task(Protocol):
    """One request. Steps are iterators that do a millisecond's work each, so that a window is never held up."""

    def name(self) -> tuple[object, ...]:
        """What takes much the same time has the same name."""

    def send(self, folder: Path, child: Child) -> Iterator[None]:
        """Write what the child needs into the request's folder."""

    def request(self, folder: Path) -> dict[str, Any]:
        """Return what the request's file says besides its number."""

    def hear(self, kind: str, message: dict[str, Any], folder: Path) -> Iterator[None] | None:
        """Take a message; return the steps that read the final answer, None where it is not that one.

        Raises:
            DocumentError: It is not what the child says.
            OSError, ValueError: What came with it cannot be read.
        """

    def succeed(self, folder: Path) -> Callable[[], None]:
        """Return what tells of the answer, once its steps are done.

        Raises:
            OSError, ValueError: What came with the answer cannot be read.
        """

    @property
    def handlers(self) -> Handlers | QuestionHandlers:
        """Whom to tell."""


@dataclass
class SegmentationTask:
    """A segmentation."""

    volume: Volume
    settings: Settings
    handlers: Handlers
    _answer: DoneMessage | None = None
    _arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    def name(self) -> tuple[object, ...]:
        settings = self.settings
        return settings.model, settings.device, settings.samples, settings.region == "none"

    def send(self, folder: Path, child: Child) -> Iterator[None]:
        return write_steps(self.volume.array, folder / "scan.npy")

    def request(self, folder: Path) -> dict[str, Any]:
        return {
            "do": "segment",
            "input": str(folder / "scan.npy"),
            "geometry": self.volume.geometry.to_json(),
            "options": asdict(self.settings),
            "output": str(folder),
        }

    def hear(self, kind: str, message: dict[str, Any], folder: Path) -> Iterator[None] | None:
        if kind != "done":
            return None
        self._answer = read_as(DoneMessage, message, kind)
        return read_steps(folder, self._answer.arrays, self.volume.geometry.shape, self._arrays)

    def succeed(self, folder: Path) -> Callable[[], None]:
        assert self._answer
        geometry, answer = self.volume.geometry, self._answer
        segmentation = self._arrays.pop(SEGMENTATION)
        result = Result(geometry, segmentation, self._arrays, answer.report)
        return lambda: self.handlers.done(result)


@dataclass
class QuestionTask:
    """The questions about a mask, after an answer where there is one."""

    case: QuestionedCase
    mask: Mask
    said: Said
    answer: Answer | None
    handlers: QuestionHandlers
    _questions: list[ShownQuestion] = field(default_factory=list)
    _child: Child | None = None

    def name(self) -> tuple[object, ...]:
        return ("questions",)

    def send(self, folder: Path, child: Child) -> Iterator[None]:
        self._child = child
        arrays: dict[str, NDArray[Any]] = {"mask": np.packbits(self.mask)}
        if child.case != self.case.key:  # The child keeps the last case that it was asked about.
            arrays |= {
                "scan": self.case.volume.array,
                "probability": self.case.probability,
                "original": np.packbits(self.case.original),
            }
        for name, array in arrays.items():
            yield from write_steps(array, folder / f"{name}.npy")

    def request(self, folder: Path) -> dict[str, Any]:
        return {
            "do": "ask",
            "case": self.case.key,
            "device": self.case.device,
            "geometry": self.case.volume.geometry.to_json(),
            "said": asdict(self.said),
            "answer": asdict(self.answer) if self.answer else None,
            "output": str(folder),
        }

    def hear(self, kind: str, message: dict[str, Any], folder: Path) -> Iterator[None] | None:
        if kind == "answered":
            changed = _voxels(folder / read_as(AnsweredMessage, message, kind).changed, self._size)
            self.handlers.answered(changed)
            return None
        if kind == "outlook":
            self.handlers.outlook(read_as(Outlook, message, kind))
            return None
        if kind != "done":
            return None
        asked = read_as(QuestionsMessage, message, kind)
        self._questions = []
        for number, one in enumerate(asked.questions):
            voxels = _voxels(folder / f"question-{number}.npy", self._size)
            self._questions.append(
                ShownQuestion(one.name, one.place, one.click, one.side, one.change_ml, one.chance, voxels)
            )  # fmt: skip
        return iter(())

    def succeed(self, folder: Path) -> Callable[[], None]:
        if self._child:
            self._child.case = self.case.key
        return lambda: self.handlers.done(self._questions)

    @property
    def _size(self) -> int:
        return int(np.prod(self.case.volume.geometry.shape))


def _voxels(path: Path, size: int) -> NDArray[np.int64]:
    voxels = np.load(path, allow_pickle=False)
    if voxels.ndim != 1 or voxels.dtype != np.int64 or (voxels.size and not 0 <= voxels.min() <= voxels.max() < size):
        raise ValueError(f"{path.name} holds no voxels of the scan")
    return voxels
