"""Training of the locator: whole thoraxes at 4 mm, real atria set into synthetic ones and fully synthetic ones.

Each thorax is shown as a whole and in parts, as other hospitals' fields of view are: slabs, or 110 to 320 mm high.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Triple, Volume
from mtctl.models.card import write_card
from mtctl.models.model import Model, save_locator
from mtctl.models.model_files import LOCATOR
from mtctl.networks.architecture import Architecture, locator_shapes
from mtctl.networks.distance_map import signed_distance_mm
from mtctl.networks.tensors import write_tensors
from mtctl.preprocessing.network_grid import canonical_geometry
from mtctl.preprocessing.normalisation import normalise_locally
from mtctl.preprocessing.resampling import to_grid
from mtctl.synthetic.full_field import set_into_thorax
from mtctl.synthetic.phantom import HEIGHT_BOUNDS_MM, HEIGHT_MM, Phantom, make_acquired_field
from mtctl.system.documents import DocumentError, read_object
from mtctl.system.fields import read_as
from mtctl.system.files import write_json
from mtctl.system.machine import cores
from mtctl.system.regular_files import check_regular
from mtctl_train.data.cases import TrainingCase
from mtctl_train.errors import TrainingError
from mtctl_train.methods.location import Location
from mtctl_train.recipe import Recipe, Stage
from mtctl_train.training.monitor import Monitor
from mtctl_train.training.trainer import Cohort, train

#: Voxels (x, y, z). A patch of 48 x 64 x 64 of them, 192 x 256 x 256 mm, shows most of a thorax, so that the network
#: knows where in the body it is; an atrium is about 26 x 15 x 18 of them, and the fine pass needs its box to 13 mm.
LOCATOR_GRID_MM: Triple = (4.0, 4.0, 4.0)

FILTERS = 8
PATCH = (48, 64, 64)

#: Making a thorax takes 1.1 GB at most.
_PROCESSES = min(2, cores())

#: Phantoms of locator training take their seeds from here on, apart from those of other training and of demonstrations.
FIRST_SEED = 2000

#: A thorax takes 4 to 16 seconds to paint, so each serves so many real crops.
_CROPS_A_THORAX = 3
#: Fraction of the thoraxes that are higher than the benchmark's scans.
_HIGHER_FRACTION = 0.4
#: Parts of each thorax that are shown besides the whole.
_PARTS = 2
#: What a part leaves around the atrium at least, mm.
_LEFT_AROUND_MM = 12.0

#: What a locator that belongs to no model yet was trained on, beside its weights.
NOTE = "locator.json"


@dataclass(frozen=True)
class LocatorNote:
    """What a model's card says of its locator's training; `left_out`: the cases that it was not shown, and why."""

    labelled: tuple[str, ...] = ()
    phantoms: int = 0
    phantom_seeds_from: int = FIRST_SEED
    iterations: int = 0
    seed: int = 0
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LocatorTraining:
    """What a locator is to be trained on, and how long.

    Attributes:
        cases: Real cases on any grid, each to be set into a synthetic thorax; those that are larger than one are left
            out; each is named, with the reason, on the screen and in the model's card.
        phantoms: Number of synthetic thoraxes besides, every second with any contrast.
        iterations: Steps of 0.6 s on one core.
        seed: Seed of the training and of the parts that are shown.
    """

    cases: Sequence[TrainingCase]
    phantoms: int
    iterations: int
    seed: int

    def note(self, left_out: dict[str, str]) -> LocatorNote:
        """Return what the model's card says of it; `left_out`: cases that were not shown, and why."""
        names = tuple(case.name for case in self.cases if case.name not in left_out)
        return LocatorNote(names, self.phantoms, FIRST_SEED, self.iterations, self.seed, left_out)


def train_locator(model: Model, training: LocatorTraining, device: torch.device, monitor: Monitor) -> Model:
    """Train a locator (see `locator_weights`) and add it to `model`."""
    state, left_out = locator_weights(training, model.folder / "locator-training", device, monitor)
    return _added(model, state, training.note(left_out))


def locator_weights(
    training: LocatorTraining, out: Path, device: torch.device, monitor: Monitor
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Train a locator.

    Args:
        training: Its cases and settings.
        out: Folder for checkpoints.
        device: Device to train on.
        monitor: Gets the events of the run.

    Returns:
        The weights of a `LocatorNet`, and the cases that it was not shown, with the reason.

    Raises:
        TrainingError: No thorax is left to learn from.
    """
    cases = training.cases
    groups = [cases[first : first + _CROPS_A_THORAX] for first in range(0, len(cases), _CROPS_A_THORAX)]
    seeds = iter(range(FIRST_SEED, FIRST_SEED + len(groups) + training.phantoms))
    with ProcessPoolExecutor(_PROCESSES, get_context("spawn")) as executor:
        composed = [executor.submit(_composed, group, next(seeds)) for group in groups]
        synthetic = [executor.submit(_synthetic, next(seeds), i % 2 == 1) for i in range(training.phantoms)]
        results = [future.result() for future in composed]
        shown = [case for cases, _ in results for case in cases]
        shown += [case for future in synthetic for case in future.result()]
    left_out = {name: reason for _, reasons in results for name, reason in reasons.items()}
    for name, reason in left_out.items():
        print(f"case {name}: left out of the locator's training: {reason}", flush=True)
    if not shown:
        raise TrainingError("the locator has nothing to learn from: every case was left out, and there is no phantom")
    recipe = Recipe(
        stages=(Stage(training.iterations, PATCH, 2e-3),),
        grid_mm=LOCATOR_GRID_MM,
        architecture=Architecture(filters=FILTERS, uncertainty_filters=FILTERS),
        phantom_share=0.0,
        paste_share=0.0,
        average_decay=0.99,
        seed=training.seed,
        validate_every=training.iterations + 1,
    )
    out.mkdir(parents=True, exist_ok=True)
    weights = train(recipe, Location(), Cohort(shown), out, device, monitor).state_dict()
    parts = ("encoder.", "segmentation_decoder.")
    return {name: tensor for name, tensor in weights.items() if name.startswith(parts)}, left_out


def train_locator_alone(folder: Path, training: LocatorTraining, device: torch.device, monitor: Monitor) -> None:
    """Train a locator that belongs to no model yet; its weights and `NOTE` go into `folder`, for `add_locator`."""
    state, left_out = locator_weights(training, folder / "locator-training", device, monitor)
    write_tensors(folder / LOCATOR, state)
    write_json(folder / NOTE, asdict(training.note(left_out)))


def add_locator(model: Model, folder: Path) -> Model:
    """Add the locator that `train_locator_alone` left in `folder` to a model.

    Raises:
        MtctlError: There is none.
    """
    try:
        note = read_as(LocatorNote, read_object(folder / NOTE), NOTE)
        check_regular(folder / LOCATOR)
        state = load_file(folder / LOCATOR)
        if {name: tuple(tensor.shape) for name, tensor in state.items()} != locator_shapes(FILTERS):
            raise ValueError(f"{LOCATOR} has other tensors than a locator")
    except (OSError, ValueError, DocumentError, SafetensorError) as error:
        raise MtctlError(f"{folder}: holds no locator of `mtctl models locator`: {error}") from error
    return _added(model, state, note)


def _added(model: Model, state: dict[str, Tensor], note: LocatorNote) -> Model:
    changed = save_locator(model, FILTERS, LOCATOR_GRID_MM, state)
    changed.card.data["locator"] = asdict(note)
    write_card(changed.folder, changed.card)
    return changed


def _composed(cases: Sequence[TrainingCase], seed: int) -> tuple[list[TrainingCase], dict[str, str]]:
    """Set every case into the same thorax; return each as a whole and in parts, and why those that do not fit do not.

    It runs in a child process, whose warnings nobody may see.
    """
    rng = np.random.default_rng((seed, 1))
    thorax = make_acquired_field(seed, _height(rng))
    shown: list[TrainingCase] = []
    left_out: dict[str, str] = {}
    for case in cases:
        if not case.mask.any():
            left_out[case.name] = "its mask is empty on the network's grid"
            continue
        try:
            big, offset = set_into_thorax(_grey_levels(case), case.voxel_mm, thorax)
        except ValueError as error:
            left_out[case.name] = str(error)
            continue
        truth = np.zeros(big.shape, bool)
        truth[tuple(slice(o, o + n) for o, n in zip(offset, case.mask.shape, strict=True))] = case.mask
        dz, dy, dx = case.voxel_mm
        shown += _views(_Thorax.at_locator_grid(big, truth, (dx, dy, dz)), f"{case.name}-in-{seed}", rng)
    return shown, left_out


def _synthetic(seed: int, any_contrast: bool) -> list[TrainingCase]:
    rng = np.random.default_rng((seed, 1))
    phantom: Phantom = make_acquired_field(seed, _height(rng), any_contrast)
    thorax = _Thorax.at_locator_grid(phantom.image, phantom.mask > 0, phantom.spacing_mm)
    return _views(thorax, f"full-field-{seed}", rng)


def _height(rng: np.random.Generator) -> float:
    return float(rng.uniform(*HEIGHT_BOUNDS_MM)) if rng.random() < _HIGHER_FRACTION else HEIGHT_MM


def _grey_levels(case: TrainingCase) -> NDArray[np.uint8]:
    low, high = np.percentile(case.image, (0.1, 99.9))
    return np.clip((case.image - low) / max(high - low, 1e-6) * 200, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class _Thorax:
    """A scan and its true mask on the locator's grid, (z, y, x); intensities not normalised."""

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]

    @classmethod
    def at_locator_grid(cls, image: NDArray[np.uint8], mask: NDArray[np.bool_], spacing_mm: Triple) -> _Thorax:
        """Resample a scan and its mask with voxels of `spacing_mm` (x, y, z)."""
        z, y, x = image.shape
        geometry = Geometry((x, y, z), spacing_mm, (0.0, 0.0, 0.0))
        grid = canonical_geometry(geometry, LOCATOR_GRID_MM)
        array, _ = to_grid(Volume(image, geometry), grid)
        coarse, _ = to_grid(Volume(mask.astype(np.float32), geometry), grid)
        return cls(array, coarse >= 0.5)

    def part(self, rng: np.random.Generator) -> _Thorax:
        """Draw a field of view that holds the atrium and at least `_LEFT_AROUND_MM` around it."""
        parts = []
        for axis, step in enumerate(reversed(LOCATOR_GRID_MM)):
            length = self.mask.shape[axis]
            used = np.flatnonzero(self.mask.any(axis=tuple({0, 1, 2} - {axis})))
            around = int(_LEFT_AROUND_MM / step)
            first, last = max(0, int(used[0]) - around), min(length, int(used[-1]) + 1 + around)
            parts.append(slice(int(rng.integers(0, first + 1)), int(rng.integers(last, length + 1))))
        box = tuple(parts)
        return _Thorax(self.image[box], self.mask[box])

    def case(self, name: str) -> TrainingCase:
        """Return the case as the locator sees it."""
        dx, dy, dz = LOCATOR_GRID_MM
        voxel_mm = (dz, dy, dx)
        image = normalise_locally(self.image, voxel_mm)
        return TrainingCase(name, image, signed_distance_mm(self.mask, voxel_mm), voxel_mm)


def _views(thorax: _Thorax, name: str, rng: np.random.Generator) -> list[TrainingCase]:
    return [thorax.case(name), *(thorax.part(rng).case(f"{name}-part-{i}") for i in range(_PARTS))]
