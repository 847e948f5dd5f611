"""What the module remembers between sessions. The folder of the case store is the same as in MTCTLSegment."""

from __future__ import annotations

from pathlib import Path

import qt

from mtctl.system.machine import user_data

_PREFIX = "MTCTLTrain"


def runs_folder() -> Path:
    """Where the runs are kept: by default in the user's data folder, on the computer's own disk."""
    return Path(str(qt.QSettings().value(f"{_PREFIX}/runs", "") or user_data() / "mtctl" / "runs"))


def choose_runs_folder(path: str) -> None:
    """Keep runs in another folder from now on."""
    qt.QSettings().setValue(f"{_PREFIX}/runs", path)


def seconds_per_iteration(device: str) -> float | None:
    """What an iteration took when a run last measured it on a device of that name; None before the first run."""
    value = str(qt.QSettings().value(f"{_PREFIX}/pace/{device}", "") or "")
    return float(value) if value else None


def remember_seconds_per_iteration(device: str, seconds: float) -> None:
    """Keep what an iteration takes, where that has changed by more than a tenth: every write goes to the disk."""
    known = seconds_per_iteration(device)
    if known is None or abs(seconds - known) > 0.1 * known:
        qt.QSettings().setValue(f"{_PREFIX}/pace/{device}", f"{seconds:.3f}")
