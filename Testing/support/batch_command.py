"""`mtctl segment` over many scans in a process of its own, and what it leaves."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mtctl.batch.cohort import PAGE, TABLE
from mtctl.io.results import PICTURE
from mtctl.models.model import Model


def command(model: Model, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "mtctl", "segment", "--model", str(model.folder), "--device", "cpu",
            *map(str, arguments)]  # fmt: skip


def contents(folder: Path) -> dict[str, Any]:
    """All results but pictures; of reports what does not tell the time."""
    found: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        if path.name in (TABLE, PAGE) or path.suffix == PICTURE:
            continue
        if path.suffix == ".json":
            report = json.loads(path.read_text(encoding="utf-8"))
            del report["seconds"]
            found[path.name] = report
        else:
            found[path.name] = path.read_bytes()
    return found
