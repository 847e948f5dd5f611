"""Answer a request in the child process: load the model, segment, leave the results in the exchange folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtctl.inference.prediction import OUTSIDE, Options
from mtctl.inference.report import summarise
from mtctl.inference.segmenter import Segmenter
from mtctl.models.model import find_model
from mtctl.networks.device import choose_device
from mtctl.preprocessing.region_of_interest import Box
from mtctl.processes.arrays import write_trimmed
from mtctl.processes.request import Emit
from mtctl.worker.protocol import SEGMENTATION
from mtctl.worker.question_engine import QuestionEngine
from mtctl.worker.received import read_scan
from mtctl.worker.requests import Settings


class Engine:
    """Answers requests, and keeps the last model loaded."""

    def __init__(self, emit: Emit) -> None:
        self.emit = emit
        self._segmenter: Segmenter | None = None
        self._questions = QuestionEngine(emit)

    def answer(self, request: dict[str, Any]) -> None:
        """Answer a request.

        Raises:
            MtctlError: Something that is asked for cannot be used.
            OSError: The results cannot be written.
        """
        if request["do"] == "ask":
            self._questions.ask(request)
        else:
            self.segment(request)

    def segment(self, request: dict[str, Any]) -> None:
        """Answer a request for a segmentation with progress and a "done" event.

        Raises:
            MtctlError: The scan, the model, the device or a setting cannot be used.
            OSError: The results cannot be written.
        """
        number, folder = request["id"], Path(request["output"])
        settings = Settings(**request["options"])

        def progress(stage: str, share: float) -> None:
            self.emit("progress", id=number, stage=stage, share=share)

        progress("load", 0.0)
        options = Options(settings.samples, Box.parse_region(settings.region), settings.seed)
        volume = read_scan(Path(request["input"]), request["geometry"])
        segmenter, notes = self._load(settings)
        for note in notes:
            self.emit("note", id=number, text=note)
        prediction = segmenter.predict(volume, options, progress)
        progress("save", 0.0)
        mask = prediction.segmentation.astype(np.uint8)
        arrays = {SEGMENTATION: write_trimmed(mask, 0, folder / f"{SEGMENTATION}.npy")}
        for name, outside in OUTSIDE.items():
            array = prediction.on_source(name).array.astype(np.float32, copy=False)
            arrays[name] = write_trimmed(array, outside, folder / f"{name}.npy")
            progress("save", (len(arrays) - 1) / len(OUTSIDE))
        if segmenter.device.type == "cuda":
            torch.cuda.empty_cache()  # Between cases the GPU's memory is for others: Slicer draws with it.
        report = summarise(prediction, segmenter.model.card, options, notes)
        self.emit("done", id=number, report=report, arrays=arrays)

    def _load(self, settings: Settings) -> tuple[Segmenter, list[str]]:
        model, device = find_model(settings.model), choose_device(settings.device)
        if self._segmenter and self._segmenter.model == model and self._segmenter.device == device:
            return self._segmenter, []
        self._segmenter = None  # Never two at once.
        notes: list[str] = []
        try:
            self._segmenter = Segmenter(model, device)
        except RuntimeError as error:
            if device.type == "cpu" or "out of memory" not in str(error).lower():
                raise
            notes.append("the GPU's memory is too small even for the network: computed on the CPU")
            self._segmenter = Segmenter(model, torch.device("cpu"))
        return self._segmenter, notes
