"""Answer a request for questions in the child process; the guidance network and the last case stay loaded."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch

from mtctl.geometry import Geometry, VolumeError
from mtctl.guidance.expectation import Expectation
from mtctl.guidance.guided_mask import guided_scan
from mtctl.guidance.network import find_guidance
from mtctl.guidance.questions import QuestionFinder
from mtctl.guidance.session import QuestionSession, looked_at
from mtctl.networks.device import choose_device
from mtctl.processes.request import Emit
from mtctl.review.answers import Answer, Said
from mtctl.system.fields import Longest, read_as
from mtctl.worker.received import read_packed, read_scan


@dataclass(frozen=True)
class _Question:
    """What a request for questions says, but for where its files are."""

    case: Annotated[str, Longest(200)]
    said: Said
    answer: Answer | None = None
    device: Annotated[str, Longest(20)] = "auto"


@dataclass(frozen=True)
class _Case:
    """What is kept of the last case."""

    key: str
    session: QuestionSession
    expectation: Expectation


class QuestionEngine:
    """Answers requests about one case at a time."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._finder: tuple[torch.device, QuestionFinder] | None = None
        self._case: _Case | None = None

    def ask(self, request: dict[str, Any]) -> None:
        """Answer a request: tell what an answer changes, then the questions.

        Raises:
            MtctlError: The scan, the guidance network or the device cannot be used.
            OSError: The answer cannot be written.
        """
        number, folder = request["id"], Path(request["output"])
        wanted = read_as(_Question, request, "the request")
        geometry = Geometry.from_json(request["geometry"])
        case = self._case_of(wanted, folder, geometry)
        session = case.session
        mask, said = read_packed(folder / "mask.npy", geometry), wanted.said
        if wanted.answer is not None:
            after = session.answer(mask, said, wanted.answer)
            np.save(folder / "changed.npy", np.flatnonzero(after != mask))
            self._emit("answered", id=number, changed="changed.npy")
            mask, said = after, Said((*said.answers, wanted.answer), said.kept)
        questions = session.shown(mask, said)
        self._emit("outlook", id=number, **asdict(case.expectation.outlook(mask, said)))
        for place, question in enumerate(questions):
            np.save(folder / f"question-{place}.npy", question.voxels)
        self._emit("done", id=number, questions=[
            {"name": one.name, "place": one.place, "click": one.click, "side": one.side, "change_ml": one.change_ml,
             "chance": one.chance} for one in questions
        ])  # fmt: skip

    def _case_of(self, wanted: _Question, folder: Path, geometry: Geometry) -> _Case:
        if self._case is not None and self._case.key == wanted.case and not (folder / "scan.npy").exists():
            return self._case
        volume = read_scan(folder / "scan.npy", geometry.to_json())
        original = read_packed(folder / "original.npy", geometry)
        probability = np.load(folder / "probability.npy", allow_pickle=False)
        if probability.shape != geometry.shape:
            raise VolumeError("the model's map lies on another grid than the scan")
        device = choose_device(wanted.device)
        guidance = find_guidance()
        if self._finder is None or self._finder[0] != device:
            self._finder = device, guidance.finder(device)
        scan = guided_scan(volume, probability, guidance.grid_mm, looked_at(original, geometry))
        session = QuestionSession(scan, original, self._finder[1])
        self._case = _Case(wanted.case, session, Expectation(original, probability, geometry))
        return self._case
