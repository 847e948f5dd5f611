"""Drafts: what a model answers about scans that it has not learnt, and where such a draft is wrong.

They are what a reader sees before the first answer. Each scan has several, of changed appearances, because a
model's errors on its own scanner's scans are few and small beside those on others'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mtctl.geometry import Map, Triple
from mtctl.guidance.simulated_reader import error_depth
from mtctl.inference.slabs import planes_at_once, sample_passes
from mtctl.inference.test_time_augmentation import VIEWS
from mtctl.models.model import Model
from mtctl.networks.device import to_device
from mtctl_train.data.augmentation import as_acquired, vary_contrast, vary_intensity
from mtctl_train.data.cases import TrainingCase

#: Errors less deep than this are the border's: no two experts agree there.
LEAST_DEPTH_MM = 2.0

#: Places of errors are so far apart, mm.
_APART_MM = 10.0
_MOST_PLACES = 12


@dataclass(frozen=True)
class DraftedCase:
    """A scan, its truth, and what a model that did not learn it says.

    Attributes:
        name: Name of the case.
        image: (z, y, x) float32, z-scored.
        distance_mm: (z, y, x) float32 to the true surface, positive inside.
        logit: (z, y, x) float32, the model's.
        voxel_mm: (z, y, x) size of the voxels.
        places: Voxels (n, 3) where the draft is wrong and farthest from being right.
        depths: How far, mm, (n,).
    """

    name: str
    image: Map
    distance_mm: Map
    logit: Map
    voxel_mm: Triple
    places: NDArray[np.int64]
    depths: NDArray[np.float32]


def make_drafts(
    model: Model,
    cases: Sequence[TrainingCase],
    changed: int,
    device: torch.device,
    seed: int = 0,
    tell: Callable[[str], None] = lambda line: None,
) -> list[DraftedCase]:
    """Let a model draft each case as it is, in the card's views, and `changed` times with another appearance, in one.

    Args:
        model: A model that has not learnt the cases.
        cases: Scans with truth, on the model's grid.
        changed: Appearances of each case besides its own.
        device: Where to compute.
        seed: Of the appearances.
        tell: Called with a line a case.
    """
    network = to_device(model.load_network(), device)
    drafts = []
    for number, case in enumerate(cases):
        for version in range(changed + 1):
            rng = np.random.default_rng((seed, number, version))
            image = case.image if version == 0 else _changed(case, rng)
            z, y, x = image.shape
            planes = planes_at_once(device, model.card.architecture.filters, (z, y, x))
            views = VIEWS[: model.card.views if version == 0 else 1]
            maps = sample_passes(network, image, len(views), 0, device, planes, views=views, voxel_mm=case.voxel_mm)
            places, depths = error_places(maps.segmentation >= 0, case.mask, case.voxel_mm)
            drafts.append(
                DraftedCase(case.name, image, case.distance_mm, maps.segmentation, case.voxel_mm, places, depths)
            )  # fmt: skip
        tell(f"{number + 1} of {len(cases)}: {[len(draft.places) for draft in drafts[-changed - 1 :]]} places of error")
    return drafts


def error_places(
    mask: NDArray[np.bool_], truth: NDArray[np.bool_], voxel_mm: Triple
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return where a mask is wrong (n, 3), thickest error first, and the depth of each (n,), mm.

    Args:
        mask: (z, y, x).
        truth: The same.
        voxel_mm: (z, y, x) size of the voxels.
    """
    depth = error_depth(mask != truth, voxel_mm)
    places: list[NDArray[np.int64]] = []
    depths: list[float] = []
    reach = np.ceil(_APART_MM / np.array(voxel_mm)).astype(int)
    while len(places) < _MOST_PLACES:
        place = np.array(np.unravel_index(int(depth.argmax()), depth.shape))
        if depth[tuple(place)] < LEAST_DEPTH_MM:
            break
        places.append(place)
        depths.append(float(depth[tuple(place)]))
        low, high = np.maximum(place - reach, 0), place + reach + 1
        depth[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = 0
    return np.array(places, np.int64).reshape(-1, 3), np.array(depths, np.float32)


def _changed(case: TrainingCase, rng: np.random.Generator) -> Map:
    """Return the scan as another sequence, dose, resolution and coil would have shown it."""
    image = vary_contrast(torch.from_numpy(case.image), torch.from_numpy(case.distance_mm), rng)
    return vary_intensity(as_acquired(image, case.voxel_mm, rng), rng).numpy()
