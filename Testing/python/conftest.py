"""What several test files need: where the real scans are."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mtctl.geometry import Geometry, Triple, Volume
from mtctl.models.card import Card
from mtctl.models.model import Model, save_model
from mtctl.networks.architecture import Architecture
from mtctl.networks.mtctl_net import MTCTLNet
from mtctl.preprocessing.network_grid import GRID_MM

ROOT = Path(__file__).resolve().parents[2]

#: Tests see no models that somebody published on this computer, and publish none there; child processes likewise.
NO_MODELS = tempfile.TemporaryDirectory(prefix="mtctl-no-models-")
os.environ["MTCTL_MODELS"] = NO_MODELS.name


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


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A real model folder with a network too small to be any good: for everything but the quality of the result."""
    architecture = Architecture(filters=4, uncertainty_filters=2)
    torch.manual_seed(3)
    network = MTCTLNet(architecture)
    card = Card(id="tiny", version="1", sha256="", architecture=architecture, grid_mm=GRID_MM, samples=2)
    return save_model(tmp_path_factory.mktemp("tiny"), card, network.state_dict())


#: (x, y, z) of the benchmark's scans, and of the tests' own: half of the network's grid along each axis.
SPACING_MM: Triple = (0.625, 0.625, 1.25)


def scan(shape: tuple[int, int, int] = (40, 48, 56), seed: int = 0, spacing: Triple = SPACING_MM) -> Volume:
    """Smooth noise with a bright ellipsoid in the middle: (z, y, x) voxels, LPS, origin 0."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    ball = 80.0 / (1 + np.exp(8 * (np.sqrt(z**2 + y**2 + x**2) - 0.6)))
    array = (20 + ball + rng.normal(0, 4, shape)).astype(np.float32)
    return Volume(array, Geometry((shape[2], shape[1], shape[0]), spacing, (0.0, 0.0, 0.0)))
