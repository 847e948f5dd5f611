"""What a fine-tuning run learns from and what it holds out; fixed when the run first starts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mtctl.cases import CaseStore, State
from mtctl.files import replacing
from mtctl_train.run_folder import PLAN, RunError

#: From so many corrected cases on, one in four is held out; with fewer, every case is held out of one of two folds.
#: With 8 that made as good a model in the same time, and a verdict on 8 cases instead of 2 (benchmarks/RESULTS.md).
FEW = 12
_FEW_FOLDS, _HELD_OUT_SHARE, _MOST_HELD_OUT = 2, 0.25, 12


@dataclass(frozen=True)
class Plan:
    """Cases by role.

    Attributes:
        labelled: Corrected and accepted cases: the version of each that was the last one when the run started.
        fingerprints: `cases.Case.fingerprint` of them.
        unlabelled: All others but the rejected ones.
        folds: The cases that each training holds out; none of them learns from those.
    """

    labelled: Mapping[str, int]
    fingerprints: Mapping[str, str]
    unlabelled: tuple[str, ...]
    folds: tuple[tuple[str, ...], ...]

    def learnt(self, fold: int) -> list[str]:
        """The corrected cases that a fold learns from."""
        return [id for id in self.labelled if id not in self.folds[fold]]

    @property
    def held_out(self) -> str:
        """How cases were held out, in words."""
        count, total = sum(map(len, self.folds)), len(self.labelled)
        if not count:
            return f"nothing held out: {total} corrected case{'s' * (total != 1)}"
        if len(self.folds) == 1:
            return f"{count} of {total} corrected cases, which the candidate never saw"
        return f"{len(self.folds)} folds of {total} corrected cases; the candidate is the mean of the folds' weights"


def make_plan(store: CaseStore, seed: int) -> Plan:
    """The plan for a store as it is now.

    Raises:
        RunError: No case is corrected.
    """
    cases = store.cases()
    labelled = [case for case in cases if case.state.labelled]
    if not labelled:
        raise RunError(
            f"{store.folder}: none of its {len(cases)} cases is corrected or accepted; review some cases first"
        )
    unlabelled = [case.id for case in cases if not case.state.labelled and case.state is not State.REJECTED]
    return Plan(
        {case.id: case.version for case in labelled},
        {case.id: case.fingerprint for case in labelled},
        tuple(unlabelled),
        _folds([case.id for case in labelled], seed),
    )


def _folds(ids: Sequence[str], seed: int) -> tuple[tuple[str, ...], ...]:
    drawn = [ids[place] for place in np.random.default_rng(seed).permutation(len(ids))]
    if len(ids) == 1:
        return ((),)
    if len(ids) < FEW:
        return tuple(tuple(sorted(drawn[fold::_FEW_FOLDS])) for fold in range(_FEW_FOLDS))
    return (tuple(sorted(drawn[: min(round(_HELD_OUT_SHARE * len(ids)), _MOST_HELD_OUT)])),)


def plan_of(folder: Path, store: CaseStore, seed: int) -> Plan:
    """The plan that the run in `folder` began with, or a new one, written there.

    Raises:
        RunError: No case is corrected, or the plan cannot be read.
    """
    path = folder / PLAN
    if not path.exists():
        plan = make_plan(store, seed)
        with replacing(path) as part:
            part.write_text(json.dumps(asdict(plan), indent=2) + "\n", encoding="utf-8")
        return plan
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        folds = tuple(tuple(fold) for fold in values["folds"])
        return Plan(dict(values["labelled"]), dict(values["fingerprints"]), tuple(values["unlabelled"]), folds)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: not a readable plan ({error}); use another --out") from error
