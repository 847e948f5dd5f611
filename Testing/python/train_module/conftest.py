"""The module MTCTLTrain in the test host, a case store, and a site with a tiny model."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.paths import ROOT
from support.same_process import answer_here
from support.train_module import forget, quick, stored_cases

from mtctl.cases.store import CaseStore
from mtctl.models.model import Model
from mtctl.models.store import ModelStore
from mtctl.models.verdict import ModelName, Verdict, write_verdict


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored_cases(tmp_path_factory.mktemp("stored") / "store").folder


@pytest.fixture
def store(template: Path, tmp_path: Path) -> CaseStore:
    """A case store of the test's own."""
    shutil.copytree(template, tmp_path / "store")
    return CaseStore(tmp_path / "store")


@pytest.fixture
def site(tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """A site whose model in use is the tiny one."""
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("MTCTL_MODELS", str(tmp_path / "models"))
    candidate = tmp_path / "tiny"
    shutil.copytree(tiny_model.folder, candidate)
    write_verdict(candidate, Verdict(ModelName("none", "0", ""), ()))
    models = ModelStore()
    models.publish(candidate, "the start")
    return models


@pytest.fixture(scope="session")
def modules_loaded(running_application: Any) -> None:
    running_application.module(ROOT / "MTCTLSegment" / "MTCTLSegment.py")
    running_application.module(ROOT / "MTCTLTrain" / "MTCTLTrain.py")


@pytest.fixture
def answered_here(modules_loaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page asks child processes for is done by this process."""
    answer_here(monkeypatch)


@pytest.fixture
def module(host: Any, modules_loaded: None, site: ModelStore, store: CaseStore, tmp_path: Path) -> Iterator[Any]:
    """The module, entered in an empty scene, with the store chosen and listed; no run yet."""
    import qt
    import slicer

    for name in ("MTCTLTrain", "MTCTLSegment"):
        qt.QSettings().remove(name)
    from MTCTLSegmentLib import settings as segment_settings
    from MTCTLTrainLib import settings

    segment_settings.remember("caseStore", str(store.folder))
    settings.choose_runs_folder(str(tmp_path / "runs"))
    forget(slicer.util.getModuleWidget("MTCTLTrain"))
    widget = host.enter("MTCTLTrain")
    quick(widget)
    assert host.wait_until(lambda: widget.page.cases and not widget.page.listing, 60), widget.page.listed
    yield widget
    widget = slicer.util.getModuleWidget("MTCTLTrain")
    if widget.page.run is not None:
        widget.page.run.stop()
    host.leave()
    forget(widget)
