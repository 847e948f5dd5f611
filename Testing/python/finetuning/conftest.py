"""Fine-tuning in seconds."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.finetuning_runs import be_quick, fill_store

from mtctl.models.model import Model
from mtctl_train.finetuning.run import FineTuning
from mtctl_train.finetuning.settings import RECIPE, Iterations


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of seconds."""
    be_quick(monkeypatch)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, tiny_model: Model) -> Path:
    """A store of five predicted cases: three corrected, one of them only in one region."""
    return fill_store(tmp_path_factory.mktemp("filled") / "store", tiny_model)


@pytest.fixture
def job(filled: Path, tiny_model: Model, tmp_path: Path) -> FineTuning:
    shutil.copytree(filled, tmp_path / "store")
    quick = replace(RECIPE, checkpoint_seconds=0.0, validate_every=2)
    base = str(tiny_model.folder)
    return FineTuning(tmp_path / "store", base, tmp_path / "run", Iterations(8), device="cpu", recipe=quick)
