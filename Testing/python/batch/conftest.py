"""Scans for runs over many of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.scans import scan

from mtctl.io.volumes import write_volume


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small scans."""
    folder = tmp_path_factory.mktemp("scans")
    for number in range(6):
        write_volume(scan((24, 28, 32), seed=number), folder / f"s{number}.image.nrrd")
    return folder
