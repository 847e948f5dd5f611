"""Old model against new one on cases that neither learnt from, and the rule by which the new one may be published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtctl.errors import MtctlError

VERDICT = "verdict.json"

#: No case may lose more Dice than this: 2 points of 100.
MOST_LOST = 0.02


class VerdictError(MtctlError):
    """A verdict cannot be read."""


@dataclass(frozen=True)
class Compared:
    """One held-out case.

    Attributes:
        case: Its id.
        old, new: Dice of the model before and of the candidate, 0 to 1.
        metrics: Further figures, [old, new] by name ("hd95_mm", ...).
    """

    case: str
    old: float
    new: float
    metrics: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelName:
    """Which model: its card's id, version and the SHA-256 of its weights."""

    id: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Verdict:
    """All that is known about a candidate.

    Attributes:
        base: The model that it started from and is compared with.
        cases: The held-out cases.
        calibration: Expected calibration error of old and new model in the 5-voxel band, 0 to 1; None: not measured.
        p_value: Of a paired test of the Dice; None: too few cases.
        held_out: How the cases were held out, in words ("5 folds of 8 corrected cases").
        data: What the candidate learnt from: `cases.Case.fingerprint` by case id.
        recipe: Settings of the training.
        uncertainty: Further figures of uncertainty quality, (old, new) by name ("error_auroc", ...).
    """

    base: ModelName
    cases: tuple[Compared, ...]
    calibration: tuple[float, float] | None = None
    p_value: float | None = None
    held_out: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    uncertainty: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def dice(self) -> tuple[float, float]:
        """Mean Dice of old and new model; NaN without cases."""
        raise NotImplementedError

    @property
    def worst(self) -> Compared | None:
        """The case that loses most."""
        raise NotImplementedError

    @property
    def against(self) -> tuple[str, ...]:
        """Why the candidate may not be published, in sentences; empty: it is not worse.

        The rule: mean Dice not lower, no case worse by more than MOST_LOST, calibration not worse.
        """
        raise NotImplementedError


def write_verdict(folder: Path, verdict: Verdict) -> None:
    """Write `verdict.json` into a candidate's folder.

    Raises:
        WriteError: The folder is not writable or the disk is full.
    """
    raise NotImplementedError


def read_verdict(folder: Path) -> Verdict:
    """The verdict in a candidate's folder.

    Raises:
        VerdictError: There is none, or it is damaged.
    """
    raise NotImplementedError
