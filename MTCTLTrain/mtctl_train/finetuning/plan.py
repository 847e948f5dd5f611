"""What a fine-tuning run learns from and what it holds out; fixed when the run first starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from mtctl.cases.store import CaseStore
from mtctl.errors import counted
from mtctl.system.documents import DocumentError, read_object
from mtctl.system.fields import FileName, Within, read_as
from mtctl.system.files import write_json
from mtctl_train.finetuning.run_folder import PLAN, RunError

#: From so many corrected cases on that the old model has not learnt from, one in four is held out; with fewer, each is
#: held out of one of two folds. With 8 that made as good a model in the same time, and a verdict on 8 cases instead of
#: 2 (Testing/benchmarks/RESULTS.md).
FEW = 12
_FEW_FOLDS, _HELD_OUT_FRACTION, _MOST_HELD_OUT = 2, 0.25, 12


@dataclass(frozen=True)
class Plan:
    """Cases by role.

    Attributes:
        labelled: Corrected and accepted cases (`StoredCase.labelled`): the version of each that was the last one when
            the run started.
        fingerprints: `StoredCase.fingerprint` of them.
        scans: `StoredCase.scan_sha256` of them. Cases of one sum are copies of one scan here even where their grids
            differ: to learn from a turned or shifted copy of what is held out would flatter the candidate just as well.
        unlabelled: All others but the rejected ones, and but second copies of labelled scans.
        folds: The cases that each training holds out; none of them learns from those.
        known: Whether the model that the run starts from was trained on the held-out cases, which flatters it.
    """

    labelled: Mapping[FileName, Annotated[int, Within(1, 1e9)]]
    fingerprints: Mapping[FileName, str]
    scans: Mapping[FileName, str]
    unlabelled: tuple[FileName, ...]
    folds: tuple[tuple[FileName, ...], ...]
    known: bool = False

    def learnt(self, fold: int) -> list[str]:
        """Return the corrected cases that a fold learns from."""
        return [id for id in self.labelled if id not in self.folds[fold]]

    def held_out(self, compared: int) -> str:
        """Return in words how cases were held out; `compared` of them could be used."""
        total = len(self.labelled)
        if not any(self.folds):
            return f"nothing held out: {total} corrected {'cases of one scan' if total > 1 else 'case'}"
        text = f"{compared} of {counted(total, 'corrected case')}, which the candidate never saw"
        if len(self.folds) > 1:
            of = f"{compared}" if compared == total else f"{compared} of {total}"
            text = f"{len(self.folds)} folds of {of} corrected cases; the candidate is the mean of the folds' weights"
        return f"{text}; the old model has learnt from all of them, which flatters it" if self.known else text


def make_plan(store: CaseStore, seed: int, learnt: Collection[str] = ()) -> Plan:
    """Return the plan for a store as it is now.

    Args:
        store: The cases.
        seed: Seed of the draw of held-out cases.
        learnt: `StoredCase.scan_sha256` of what the model that the run starts from has learnt from: such cases are
            held out only where there are no others, as on them that model is better than it will be on any new scan.

    Raises:
        RunError: No case is corrected.
    """
    cases = store.cases()
    labelled = [case for case in cases if case.labelled]
    if not labelled:
        raise RunError(f"{store.folder}: none of its cases is corrected or accepted; review some first")
    scans = {case.id: case.scan_sha256 for case in labelled}
    new = {id: scan for id, scan in scans.items() if scan not in learnt}
    return Plan(
        {case.id: case.version for case in labelled},
        {case.id: case.fingerprint for case in labelled},
        scans,
        tuple(
            case.id
            for case in cases
            if not case.labelled and not case.rejected and case.scan_sha256 not in scans.values()
        ),
        # Copies of a single scan can only be held out together, and then nothing would be left to learn from.
        _folds(new or scans, seed) if len(set(scans.values())) > 1 else ((),),
        known=not new,
    )


def _folds(scans: Mapping[str, str], seed: int) -> tuple[tuple[str, ...], ...]:
    """Draw the cases to hold out; copies of one scan are always held out together."""
    copies: dict[str, list[str]] = {}
    for id, scan in scans.items():
        copies.setdefault(scan, []).append(id)
    groups = list(copies.values())
    drawn = [groups[place] for place in np.random.default_rng(seed).permutation(len(groups))]
    if len(drawn) < FEW:
        return tuple(_ids(drawn[fold::_FEW_FOLDS]) for fold in range(_FEW_FOLDS))
    return (_ids(drawn[: min(round(_HELD_OUT_FRACTION * len(drawn)), _MOST_HELD_OUT)]),)


def _ids(groups: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted(id for group in groups for id in group))


def plan_of(folder: Path, store: CaseStore, seed: int, learnt: Collection[str] = ()) -> Plan:
    """Return the plan that the run in `folder` began with, or make one and write it there.

    Raises:
        RunError: No case is corrected, or the plan cannot be read.
    """
    path = folder / PLAN
    if not path.exists():
        plan = make_plan(store, seed, learnt)
        write_json(path, asdict(plan))
        return plan
    try:
        plan = read_as(Plan, read_object(path), str(path))
    except (OSError, DocumentError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise RunError(f"{path}: not a readable plan ({reason}); use another --out") from error
    held_out = {id for fold in plan.folds for id in fold}
    if not plan.folds or not plan.labelled.keys() == plan.fingerprints.keys() == plan.scans.keys() >= held_out:
        raise RunError(f"{path}: not a readable plan (its lists are not of the same cases); use another --out")
    return plan
