"""An empty case store."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtctl.cases.store import CaseStore


@pytest.fixture
def store(tmp_path: Path) -> CaseStore:
    """A case store of the test's own."""
    return CaseStore(tmp_path / "store")
