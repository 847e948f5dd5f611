"""Scans for runs over many of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.scans import scan
from support.segment_command import run

from mtctl.io.volumes import write_volume
from mtctl.models.model import Model


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four small scans."""
    folder = tmp_path_factory.mktemp("scans")
    for number in range(4):
        write_volume(scan((24, 28, 32), seed=number), folder / f"s{number}.image.nrrd")
    return folder


@pytest.fixture(scope="session")
def whole(tiny_model: Model, scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of an undisturbed run over them in this process."""
    out = tmp_path_factory.mktemp("whole")
    assert run(tiny_model, scans, "-o", out) == 0
    return out
