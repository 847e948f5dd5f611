"""Old model against new one on held-out cases, and the rule by which the new one may be published."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from mtctl.errors import MtctlError
from mtctl.models.model_files import model_sum
from mtctl.system.fields import ANY_NUMBER, Longest
from mtctl.system.staging import DamagedError, read_sealed_as, write_sealed

VERDICT = "verdict.json"
FORMAT = 1

#: No case may lose more Dice than this: 2 points of 100.
MOST_LOST = 0.02

#: Dice and calibration error are compared as they are shown: a hundredth of a point of Dice, a tenth of a per cent of
#: probability. Less is the noise of adding in another order.
_DICE_DIGITS = 4
_CALIBRATION_DIGITS = 3

#: NaN where it could not be measured, which speaks against a candidate.
_Figure = Annotated[float, ANY_NUMBER]

Pair = tuple[_Figure, _Figure]


class VerdictError(MtctlError):
    """A verdict cannot be read."""


@dataclass(frozen=True)
class Compared:
    """One held-out case, segmented by the old and by the new model.

    Attributes:
        case: Its id.
        old, new: Dice of the model before and of the training that held the case out, 0 to 1.
        metrics: Further figures, (old, new) by name ("hd95_mm", ...).
    """

    case: str
    old: _Figure
    new: _Figure
    metrics: Mapping[str, Pair] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelName:
    """Which model: its card's id, version and the SHA-256 of its weights."""

    id: Annotated[str, Longest(200)]
    version: Annotated[str, Longest(200)]
    sha256: Annotated[str, Longest(128)]


@dataclass(frozen=True)
class Verdict:
    """All that is known about a candidate.

    Attributes:
        base: The model that it started from and is compared with.
        cases: The held-out cases.
        calibration: Expected calibration error of old and new model within 3 mm of the surface, 0 to 1; None: not
            measured.
        p_value: p of a paired test of the Dice; None: too few cases.
        held_out: How the cases were held out, in words ("5 folds of 8 corrected cases").
        data: What the candidate learnt from: `StoredCase.fingerprint` by case id.
        recipe: Settings of the training.
        uncertainty: Further figures of uncertainty quality, (old, new) by name ("error_auroc", ...).
        candidate: `model_files.model_sum` of the model that was judged; "": a version that did not say it wrote this.
    """

    base: ModelName
    cases: tuple[Compared, ...]
    calibration: Pair | None = None
    p_value: _Figure | None = None
    held_out: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    uncertainty: Mapping[str, Pair] = field(default_factory=dict)
    candidate: str = ""

    @property
    def dice(self) -> Pair:
        """Mean Dice of old and new model; NaN without cases."""
        count = len(self.cases)
        if not count:
            return math.nan, math.nan
        return sum(case.old for case in self.cases) / count, sum(case.new for case in self.cases) / count

    @property
    def worst(self) -> Compared | None:
        """The case that loses most."""
        return min(self.cases, key=lambda case: case.new - case.old, default=None)

    @property
    def against(self) -> tuple[str, ...]:
        """Why the candidate may not be published, in sentences; empty: it is not worse.

        The rule: mean Dice not lower, no case worse by more than MOST_LOST, calibration not worse. What was not
        measured is not known to be no worse.
        """
        reasons = []
        old, new = self.dice
        worst = self.worst
        if worst is None:
            reasons.append("it was compared on no case")
        elif not round(new, _DICE_DIGITS) >= round(old, _DICE_DIGITS):  # NaN is against it, too
            reasons.append(f"its mean Dice is lower: {100 * new:.2f}, was {100 * old:.2f}")
        if worst is not None and not round(worst.old - worst.new, _DICE_DIGITS) <= MOST_LOST:
            reasons.append(
                f"case {worst.case} loses {100 * (worst.old - worst.new):.1f} points of Dice "
                f"({100 * worst.old:.1f} to {100 * worst.new:.1f}); at most {100 * MOST_LOST:.0f} are allowed"
            )
        if self.calibration is None:
            reasons.append("its calibration was not measured")
        else:
            before, after = self.calibration
            if not round(after, _CALIBRATION_DIGITS) <= round(before, _CALIBRATION_DIGITS):
                reasons.append(f"its probabilities are off by {after:.3f}, were by {before:.3f}")
        return tuple(reasons)


def write_verdict(folder: Path, verdict: Verdict) -> None:
    """Write `verdict.json` into a candidate's folder, with the sum of the model that lies there.

    Raises:
        WriteError: The folder is not writable or the disk is full.
        OSError: The model cannot be read.
    """
    write_sealed(folder / VERDICT, {"format": FORMAT, **asdict(replace(verdict, candidate=model_sum(folder)))})


def read_verdict(folder: Path) -> Verdict:
    """Read the verdict in a candidate's folder.

    Raises:
        VerdictError: There is none, or it is damaged.
    """
    path = folder / VERDICT
    if not path.exists():
        raise VerdictError(f"{folder}: holds no {VERDICT}: the model was never compared with the one in use")
    try:
        return read_sealed_as(Verdict, path, FORMAT)
    except DamagedError as error:
        raise VerdictError(str(error)) from error
