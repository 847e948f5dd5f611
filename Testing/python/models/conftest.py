"""The folder of a site's models."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from mtctl.models import shipped
from mtctl.models.card import write_card
from mtctl.models.model import Model
from mtctl.models.store import ModelStore


@pytest.fixture
def store(tmp_path: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """An empty store of a site whose shipped model is the tiny one."""
    came = tmp_path / "shipped"
    shutil.copytree(tiny_model.folder, came / "tiny")
    write_card(came / "tiny", dataclasses.replace(tiny_model.card, default=True))
    monkeypatch.setattr(shipped, "MODEL_FOLDERS", (came,))
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setenv("MTCTL_MODELS", str(site))
    return ModelStore()
