"""Fine-tuning in seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.finetuning_runs import SHAPE, be_quick, fill_store, small_job, truth
from support.scans import scan

from mtctl.cases.store import CaseStore
from mtctl.models.model import Model
from mtctl_train.finetuning.settings import FineTuning


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of seconds."""
    be_quick(monkeypatch)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, tiny_model: Model) -> Path:
    """A store of five predicted cases: three corrected, one of them only in one region."""
    return fill_store(tmp_path_factory.mktemp("filled") / "store", tiny_model)


@pytest.fixture
def single(tmp_path: Path) -> Path:
    """A store with one corrected case: the run is one training."""
    store = CaseStore(tmp_path / "single")
    store.add_label(store.add(scan(SHAPE, 0), "only"), truth())
    return store.folder


@pytest.fixture
def job(filled: Path, tiny_model: Model, tmp_path: Path) -> FineTuning:
    shutil.copytree(filled, tmp_path / "store")
    return small_job(tmp_path / "store", tiny_model, tmp_path / "run")
