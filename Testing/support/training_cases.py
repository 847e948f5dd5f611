"""Tiny labelled cases and a recipe of eight steps."""

from __future__ import annotations

import numpy as np
import torch
from support.scans import scan

from mtctl.io.labelled import LabelledVolume
from mtctl.networks.architecture import Architecture
from mtctl_train.data.cases import TrainingCase, case_of, scan_of
from mtctl_train.recipe import Recipe, Stage

CPU = torch.device("cpu")
RECIPE = Recipe(
    stages=(Stage(6, (48, 16, 32), 1e-2), Stage(2, (48, 16, 16), 1e-3)),
    architecture=Architecture(filters=4, uncertainty_filters=2),
    checkpoint_seconds=0.0,
    validate_every=4,
)


def case(seed: int) -> TrainingCase:
    volume = scan(seed=seed)
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in volume.array.shape], indexing="ij")
    mask = np.sqrt(z**2 + y**2 + x**2) < 0.6
    return case_of(LabelledVolume(f"case{seed}", volume, mask))


CASES = [case(seed) for seed in range(3)]
SCANS = [scan_of("unlabelled", scan(seed=2))]
