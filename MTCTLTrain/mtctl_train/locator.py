"""Training of the locator: whole thoraxes at 2.5 mm, real atria set into synthetic ones and fully synthetic ones."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch
from numpy.typing import NDArray

from mtctl.distance_map import signed_distance_mm
from mtctl.geometry import Geometry, Volume
from mtctl.locate import normalise_locally
from mtctl.model import Model, save_locator
from mtctl.network import Architecture
from mtctl.phantom import make_full_field
from mtctl.preprocess import NETWORK_SPACING, canonical_geometry
from mtctl.resample import to_grid
from mtctl_train.dataset import Case
from mtctl_train.methods import Location
from mtctl_train.monitor import Monitor
from mtctl_train.recipe import Recipe, Stage
from mtctl_train.thorax import set_into_full_field
from mtctl_train.trainer import Cohort, train

#: mm. Four times the training data's: a patch of 48x96x96 voxels then shows most of a thorax, so that the network knows
#: where in the body it is, and a whole thorax costs a quarter of a second. The fine pass needs its box to 12 mm.
LOCATOR_SPACING = 4 * NETWORK_SPACING

FILTERS = 8

#: A thorax in the making takes 1.3 GB.
_PROCESSES = min(4, os.cpu_count() or 1)

#: Phantoms of locator training take their seeds from here on, apart from those of other training and of demonstrations.
FIRST_SEED = 2000


def train_locator(
    model: Model,
    cases: Sequence[Case],
    phantoms: int,
    iterations: int,
    seed: int,
    device: torch.device,
    monitor: Monitor,
) -> Model:
    """Train a locator on `cases` (at 0.625 mm), each in a thorax of its own, and on `phantoms`; add it to `model`.

    Cases with other than 88 slices do not fit the synthetic thorax and are left out.
    """
    fitting = [case for case in cases if case.image.shape[0] == 88]
    with ProcessPoolExecutor(_PROCESSES, get_context("spawn")) as executor:
        composed = [
            executor.submit(_composed, _grey_levels(case), case.mask, FIRST_SEED + i) for i, case in enumerate(fitting)
        ]
        synthetic = [executor.submit(_synthetic, FIRST_SEED + len(fitting) + i) for i in range(phantoms)]
        thoraxes = [future.result() for future in [*composed, *synthetic]]
    recipe = Recipe(
        stages=(Stage(LOCATOR_SPACING, iterations, (48, 96, 96), 2e-3),),
        architecture=Architecture(filters=FILTERS, uncertainty_filters=FILTERS),
        phantom_share=0.0,
        paste_share=0.0,
        average_decay=0.99,
        seed=seed,
        validate_every=iterations + 1,
    )
    out = model.folder / "locator-training"
    out.mkdir(exist_ok=True)
    weights = train(recipe, Location(), Cohort(thoraxes), out, device, monitor).state_dict()
    kept = {name: tensor for name, tensor in weights.items() if name.startswith(("encoder.", "segmentation_decoder."))}
    return save_locator(model, FILTERS, LOCATOR_SPACING, kept)


def _grey_levels(case: Case) -> NDArray[np.uint8]:
    low, high = np.percentile(case.image, (0.1, 99.9))
    return np.clip((case.image - low) / (high - low) * 200, 0, 255).astype(np.uint8)


def _composed(image: NDArray[np.uint8], mask: NDArray[np.bool_], seed: int) -> Case:
    big, offset = set_into_full_field(image, seed)
    truth = np.zeros(big.shape, bool)
    truth[tuple(slice(o, o + n) for o, n in zip(offset, image.shape, strict=True))] = mask
    return _thorax(big, truth, f"thorax-{seed}")


def _synthetic(seed: int) -> Case:
    phantom = make_full_field(seed)
    return _thorax(phantom.image, phantom.mask > 0, f"full-field-{seed}")


def _thorax(image: NDArray[np.uint8], mask: NDArray[np.bool_], name: str) -> Case:
    z, y, x = image.shape
    geometry = Geometry((x, y, z), (NETWORK_SPACING,) * 3, (0.0, 0.0, 0.0))
    grid = canonical_geometry(geometry, LOCATOR_SPACING)
    array, _ = to_grid(Volume(image, geometry), grid)
    coarse, _ = to_grid(Volume(mask.astype(np.float32), geometry), grid)
    distance = signed_distance_mm(coarse >= 0.5, (LOCATOR_SPACING,) * 3)
    return Case(name, normalise_locally(array, LOCATOR_SPACING), distance, LOCATOR_SPACING)
