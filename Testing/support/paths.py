"""Where the repository is, and where the real scans are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

TESTING = Path(__file__).resolve().parents[1]
ROOT = TESTING.parent


def shared_scans() -> Path:
    """Folder of the real scans (la2018/train); skips the calling test where they are absent."""
    shared = Path(os.environ.get("MTCTL_SHARED", ROOT.parent / "shared"))
    folder = shared / "data" / "la2018" / "train"
    if not folder.is_dir():
        pytest.skip(f"real scans not found at {folder}; set MTCTL_SHARED to the folder that holds data/la2018")
    return folder


def shared_names() -> list[str]:
    """The 80 case names in the benchmark's order."""
    return (shared_scans().parent / "train.list").read_text(encoding="utf-8").split()
