#!/usr/bin/env python3
"""Slicer CLI: fine-tunes a model on corrected cases. MTCTLTrainCLI.xml beside this file describes the arguments."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, TextIO

HERE = Path(__file__).resolve().parent


def find_packages() -> None:
    """Find the packages of an installed extension, of a build (deeper on Windows), or of a source tree."""
    for folder in (HERE.parent / "qt-scripted-modules", HERE.parents[1] / "qt-scripted-modules"):
        if (folder / "mtctl_train" / "__init__.py").is_file():
            sys.path.insert(0, str(folder))
            return
    for folder in (HERE.parent, HERE.parents[1] / "MTCTLSegment"):
        if folder.is_dir():
            sys.path.insert(0, str(folder))


def finetune(values: Mapping[str, Any], progress: Callable[[float, str], None]) -> dict[str, Any]:
    """Train, or resume the training, and return the verdict."""
    progress(0.0, "loading")
    from dataclasses import replace

    from mtctl.cases.store import CaseStore
    from mtctl_train.finetuning.run import fine_tune
    from mtctl_train.finetuning.run_folder import RunError
    from mtctl_train.finetuning.settings import RECIPE, FineTuning, Iterations, Minutes

    # Before the first file: Slicer offers whatever folder it is in as the output.
    if not CaseStore(values["caseStore"]).ids():
        raise RunError(f"{values['caseStore']}: holds no cases; name the folder of a case store")
    job = FineTuning(
        store=values["caseStore"],
        base=values["base"],
        out=values["outputFolder"],
        length=Iterations(values["iterations"]) if values["iterations"] else Minutes(values["minutes"]),
        device=values["device"],
        recipe=replace(RECIPE, seed=values["seed"]),
        command="MTCTLTrainCLI",
    )
    with redirect_stdout(_Events(sys.stdout, progress)):
        verdict = fine_tune(job)
    old, new = verdict.dice
    return {
        "comparedCases": len(verdict.cases),
        "diceBefore": old,
        "diceAfter": new,
        "publishable": not verdict.against,
        "verdict": "; ".join(verdict.against),
    }


class _Events(io.StringIO):
    """Read the run's lines of JSON and report the progress; other lines are passed on."""

    def __init__(self, output: TextIO, progress: Callable[[float, str], None]) -> None:
        super().__init__()
        self._output, self._progress, self._rest = output, progress, ""

    def write(self, text: str, /) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            with redirect_stdout(self._output):
                self._tell(line)
        return len(text)

    def _tell(self, line: str) -> None:
        try:
            event = json.loads(line)
            kind = event["event"]
        except (ValueError, TypeError, KeyError, RecursionError):
            print(line, flush=True)
            return
        if kind == "progress":
            self._progress(event["share"], f"training, part {event['fold']} of {event['folds']}")
        elif kind == "skipped":
            print(f"warning: case {event['case']} is not used: {event['reason']}", flush=True)


def main() -> int:
    find_packages()
    try:
        from mtctl.system.python_version import refusal

        if refusal():
            print(refusal(), file=sys.stderr)
            return 1
        from mtctl.commands.slicer_cli import run_cli
    except ModuleNotFoundError:
        print(f"the package mtctl is not installed beside {HERE}; install the extension MTCTL again", file=sys.stderr)
        return 1
    return run_cli(Path(__file__).with_suffix(".xml"), finetune)


if __name__ == "__main__":
    sys.exit(main())
