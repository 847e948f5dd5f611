"""The module's settings. The folder of the case store is a setting of MTCTLSegment."""

from __future__ import annotations

from pathlib import Path

import qt

from mtctl.system.machine import user_data

_PREFIX = "MTCTLTrain"


def runs_folder() -> Path:
    """Return the folder of the runs: by default in the user's data folder, on a local disk."""
    return Path(str(qt.QSettings().value(f"{_PREFIX}/runs", "") or user_data() / "mtctl" / "runs"))


def choose_runs_folder(path: str) -> None:
    """Change the folder of the runs."""
    qt.QSettings().setValue(f"{_PREFIX}/runs", path)


def seconds_per_iteration(device: str) -> float | None:
    """Return seconds per iteration of the last run on a device of that name; None before the first run."""
    value = str(qt.QSettings().value(f"{_PREFIX}/pace/{device}", "") or "")
    return float(value) if value else None


def remember_seconds_per_iteration(device: str, seconds: float) -> None:
    """Save seconds per iteration if they changed by more than a tenth, as every change is written to disk."""
    known = seconds_per_iteration(device)
    if known is None or abs(seconds - known) > 0.1 * known:
        qt.QSettings().setValue(f"{_PREFIX}/pace/{device}", f"{seconds:.3f}")
