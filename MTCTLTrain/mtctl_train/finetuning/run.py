"""From a published model and a case store to a candidate and its verdict: `mtctl finetune`.

The candidate starts from the model's weights and learns MT-CTL's semi-supervised objective: labelled are the corrected
and accepted cases, unlabelled all others. Against forgetting, student and average both start from the model's weights,
the weights are pulled back to these (L2-SP), and phantoms and any cases of the earlier training are shown again.
Locator and calibration are the model's: a handful of cases is too few to fit them again.

What a run writes, and how to find and follow one that runs detached, is in `run_folder`. To stop it, end its process
tree at any time (`process_tree.kill_tree`); started again with the same folder and settings it goes on from its last
checkpoint, bit for bit.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtctl.cases.store import CaseStore
from mtctl.errors import MtctlError
from mtctl.inference.segmenter import Segmenter
from mtctl.models.card import LEARNT_SCANS, Card
from mtctl.models.model import Model, save_model
from mtctl.models.model_files import LOCATOR
from mtctl.models.verdict import Compared, ModelName, Verdict, write_verdict
from mtctl.networks.device import choose_device
from mtctl.system.files import TEMPORARY_PREFIX, WriteError, make_folder, reason_of, replacing
from mtctl.system.staging import commit, discard
from mtctl_train.data.case_cache import SourceGoneError
from mtctl_train.finetuning.base_model import base_of
from mtctl_train.finetuning.cases import FineTuningCases
from mtctl_train.finetuning.comparison import compared, figures, means, p_value
from mtctl_train.finetuning.plan import Plan, plan_of
from mtctl_train.finetuning.run_folder import CANDIDATE, PLAN, working_in
from mtctl_train.finetuning.settings import FineTuning
from mtctl_train.finetuning.watchers import Watchers, watchers_of
from mtctl_train.recipe import Recipe, Stage
from mtctl_train.training.checkpoint import forget_previous
from mtctl_train.training.trainer import train

#: Patch (z, y, x): at the usual grid 120 x 80 x 80 mm, a little less than training's.
_PATCH = (48, 64, 64)

#: Iterations that a run which is to last some time is planned with until its speed is known.
_PROVISIONAL = 600


def fine_tune(job: FineTuning) -> Verdict:
    """Train, or go on with it, and write candidate and verdict into `job.out`.

    Raises:
        RunError: No case is corrected, another process works in `job.out`, or the model that it began with is gone.
        SourceGoneError: The store cannot be reached; started again, the run goes on.
        TrainingError: Training had to stop.
        CheckpointError: `job.out` holds a run with other settings.
    """
    make_folder(job.out)
    with working_in(job.out):
        device, model = choose_device(job.device), base_of(job.out, job.base)
        learnt = model.card.data.get(LEARNT_SCANS, ())
        begins, store = not (job.out / PLAN).exists(), CaseStore(job.store)
        plan = plan_of(job.out, store, job.recipe.seed, learnt)
        with watchers_of(job.out, len(plan.folds)) as watchers:
            for id, reason in store.unreadable().items() if begins else ():
                watchers.skipped(id, reason)
            try:
                return _Run(job, model, device, plan, watchers).run()
            except Exception as error:
                with suppress(WriteError):  # Never hide the error that is on its way, such as a full disk.
                    watchers.tell(0, {"event": "stopped", "iteration": 0, "reason": reason_of(error)})
                raise


@dataclass(frozen=True)
class _Run:
    job: FineTuning
    model: Model
    device: torch.device
    plan: Plan
    watchers: Watchers

    def run(self) -> Verdict:
        start, states, cases = self.model.load_network().state_dict(), [], list[Compared]()
        for fold in range(len(self.plan.folds)):
            folder = self.job.out / f"fold-{fold + 1}"
            make_folder(folder)
            monitor, fold_cases = self.watchers.monitor(fold), self._cases.of_fold(fold)
            network = train(self._recipe, self.job.method, fold_cases, folder, self.device, monitor, start)
            states.append(network.state_dict())
            model = self._saved(folder, states[-1], self._cases.learnt(fold))
            forget_previous(folder)
            cases += self._judged(model, self.plan.folds[fold])
        folds = map(self._cases.learnt, range(len(self.plan.folds)))
        learnt = sorted({id for fold in folds for id in fold})
        verdict = self._verdict(cases, learnt)
        self._write_candidate(mean_of(states), verdict, learnt)
        return verdict

    @property
    def _recipe(self) -> Recipe:
        job, card = self.job, self.model.card
        stage = Stage(_PROVISIONAL, _PATCH, job.learning_rate)
        recipe = dataclasses.replace(job.recipe, architecture=card.architecture, grid_mm=card.grid_mm)
        return job.length.recipe(recipe, stage, len(self.plan.folds))

    @property
    def _cases(self) -> FineTuningCases:
        job = self.job
        return FineTuningCases(
            store=CaseStore(job.store),
            plan=self.plan,
            replay=job.replay,
            weighting=job.weighting,
            grid_mm=self.model.card.grid_mm,
            folder=job.out,
            report_unusable=self.watchers.skipped,
        )

    def _judged(self, trained: Model, ids: Sequence[str]) -> list[Compared]:
        cases, old, new = [], Segmenter(self.model, self.device), Segmenter(trained, self.device)
        for id in ids:
            try:
                case = self._cases.held_out(id)
            except SourceGoneError:  # No fault of the case: without the store no verdict could be right.
                raise
            except MtctlError as error:
                self.watchers.skipped(id, str(error))
                continue
            cases.append(compared(id, figures(old, case), figures(new, case)))
        return cases

    def _saved(self, folder: Path, state: dict[str, Tensor], learnt: Sequence[str]) -> Model:
        """Write a model with these weights, learnt from these cases; locator and calibration are those of the base."""
        job, base = self.job, self.model.card
        if base.locator:
            with replacing(folder / LOCATOR) as part:
                shutil.copyfile(self.model.folder / LOCATOR, part)
        card = dataclasses.replace(
            base,
            id=f"{base.id}-finetuned",
            version=time.strftime("%Y.%m.%d", time.gmtime()),
            default=False,
            data={
                "base": dataclasses.asdict(name_of(base)),
                "labelled": list(learnt),
                "unlabelled": list(self.plan.unlabelled),
                "replay": list(job.replay.names) if job.replay else [],
                LEARNT_SCANS: sorted({self.plan.scans[id] for id in learnt} | set(base.data.get(LEARNT_SCANS, ()))),
                "calibration": f"that of {base.id} {base.version} (SHA-256 {base.sha256[:12]}...)",
            },
            recipe={"method": "fine-tuning", "members": 1, "folds": len(self.plan.folds), **self._settings},
            command=job.command,
            validation={},
        )
        return save_model(folder, card, state)

    @property
    def _settings(self) -> dict[str, Any]:
        parts = (self.job.method, self._recipe, self.job.weighting, self.job.length)
        return {name: value for part in parts for name, value in dataclasses.asdict(part).items()}

    def _verdict(self, cases: Sequence[Compared], learnt: Sequence[str]) -> Verdict:
        auroc = means(cases, "error_auroc")
        return Verdict(
            base=name_of(self.model.card),
            cases=tuple(cases),
            calibration=means(cases, "ece_band"),
            p_value=p_value(cases),
            held_out=self.plan.held_out(len(cases)),
            data={id: self.plan.fingerprints[id] for id in learnt},
            recipe=self._settings,
            uncertainty={"error_auroc": auroc} if auroc else {},
        )

    def _write_candidate(self, state: dict[str, Tensor], verdict: Verdict, learnt: Sequence[str]) -> None:
        """Write the candidate under another name first, so that a folder of its name is whole."""
        part = self.job.out / f"{TEMPORARY_PREFIX}{CANDIDATE}"
        shutil.rmtree(part, ignore_errors=True)
        make_folder(part)
        self._saved(part, state, learnt)
        write_verdict(part, verdict)
        candidate = self.job.out / CANDIDATE
        discard(candidate)
        try:
            commit(part, candidate)
        except OSError as error:
            raise WriteError(f"{candidate}: is in use by another program; close that, and start again") from error
        dice = verdict.dice if verdict.cases else None
        told = {"candidate": CANDIDATE, "dice": dice, "against": verdict.against}
        self.watchers.tell(len(self.plan.folds) - 1, {"event": "verdict", "iteration": 0, **told})


def mean_of(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of the weights of networks that were trained from the same start.

    Near that start the loss between them is no higher than at them (model soups, Wortsman et al. 2022).
    """
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if tensor.is_floating_point() else tensor
        for name, tensor in states[0].items()
    }


def name_of(card: Card) -> ModelName:
    """Return how a verdict names a model."""
    return ModelName(card.id, card.version, card.sha256)
