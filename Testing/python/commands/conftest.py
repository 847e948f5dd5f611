"""What the tests of the commands share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.evaluated_folders import ball, write
from support.scans import scan

from mtctl.geometry import Geometry, Volume
from mtctl.io.volumes import write_volume


@pytest.fixture(scope="session")
def oblique(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A turned, flipped, anisotropic scan."""
    matrix = Rotation.from_euler("xyz", [25, -15, 40], degrees=True).as_matrix() * np.array([1, -1, 1])
    geometry = Geometry((44, 40, 28), (0.7, 0.9, 1.3), (-31.5, 42.25, -107.0), tuple(matrix.ravel().tolist()))
    path = tmp_path_factory.mktemp("cli") / "it's a scan.nrrd"
    write_volume(Volume(scan((28, 40, 44)).array, geometry), path)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three cases, segmented a little wrong, and their expert masks."""
    for number in range(3):
        write(tmp_path / "truth" / f"case{number}.label.nrrd", ball(5))
        write(tmp_path / "results" / f"case{number}.seg.nrrd", ball(5, (7, 8, 9 + 0.5 * (number + 1))))
    return tmp_path / "results", tmp_path / "truth"
