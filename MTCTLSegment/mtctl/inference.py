"""The engine's front door: a volume in, a prediction out."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch.nn import functional

from mtctl.case_score import self_dice
from mtctl.device import describe, place
from mtctl.doubts import doubts_about, notes_about
from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Volume
from mtctl.locate import largest_component, locate, needs_locating, touched_sides
from mtctl.memory import memory_errors
from mtctl.model import Model
from mtctl.network import STRIDE, LocatorNet, MTCTLNet
from mtctl.passes import Maps, locator_pass, planes_at_once, sample_passes
from mtctl.preprocess import NETWORK_SPACING, Box, canonical_geometry, halve, normalise
from mtctl.resample import from_grid, to_grid
from mtctl.uncertainty import disagreement, mean_pairwise_dice, uncertainty_maps
from mtctl.views import VIEWS

#: Stages of a prediction, in order, with their usual share of the time.
STAGES = {"locate": 0.2, "prepare": 0.1, "network": 0.5, "maps": 0.2}

#: Value of every map outside the region that was looked at: no atrium, no doubt, far outside.
OUTSIDE = {"probability": 0.0, "distance": -1.0, "entropy": 0.0, "mutual_information": 0.0, "disagreement": 0.0}

Progress = Callable[[str, float], None]
Map = NDArray[np.float32]
Result = TypeVar("Result")
Network = TypeVar("Network", bound=torch.nn.Module)


@dataclass(frozen=True)
class Options:
    """How to predict.

    Attributes:
        samples: Monte-Carlo samples, at least 2; None for the card's number.
        region: Box to look at; "auto" to find it in scans larger than the atrium's surroundings; "none" for all.
        seed: Of the dropout.
    """

    samples: int | None = None
    region: Box | str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples is not None and self.samples < 2:
            raise MtctlError(f"{self.samples} samples cannot disagree; take at least 2")


@dataclass(frozen=True)
class Prediction:
    """What the network says about one volume. Maps are (z, y, x) float32 on `grid`.

    Attributes:
        source: Grid of the input.
        grid: LPS-aligned 0.625 mm grid of the region that was looked at.
        region: That region.
        located: Whether the region was found by the coarse pass.
        segmentation: Mask on the source grid: f1 >= 0.5, largest component, (z, y, x) bool.
        probability: Of the atrium: the samples' mean, calibrated. The mask is not made from it: on validation f1
            segments as well or better (91.05 against 90.97 mean Dice with mtctl-la16).
        distance: f2 in [-1, 1], positive inside; times `distance_map.DISTANCE_SCALE_MM` it is mm.
        entropy, mutual_information, disagreement: Uncertainty maps in [0, 1].
        self_dice: The Dice that the samples' mean, not calibrated, promises the mask (`case_score.self_dice`).
        sample_dice: Mean pairwise Dice of the samples.
        samples, seed, device: How it was made.
        seconds: Time per stage.
        doubts: Why the result may be wrong as a whole, in sentences for the reader.
        notes: What else happened on the way, likewise.
    """

    source: Geometry
    grid: Geometry
    region: Box
    located: bool
    segmentation: NDArray[np.bool_]
    probability: Map
    distance: Map
    entropy: Map
    mutual_information: Map
    disagreement: Map
    self_dice: float
    sample_dice: float
    samples: int
    seed: int
    device: str
    seconds: dict[str, float]
    doubts: tuple[str, ...]
    notes: tuple[str, ...]

    def on_source(self, name: str) -> Volume:
        """The map of that name on the input's grid."""
        return Volume(from_grid(getattr(self, name), self.grid, self.source, OUTSIDE[name]), self.source)

    @property
    def volume_ml(self) -> float:
        """Volume of the segmentation."""
        return float(self.segmentation.sum()) * self.source.voxel_ml


@dataclass
class Segmenter:
    """A model on a device, ready for any number of volumes.

    Raises (from the constructor):
        ModelError: The weights cannot be used.
    """

    model: Model
    device: torch.device
    _network: MTCTLNet = field(init=False, repr=False)
    _locator: LocatorNet | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._network = place(self.model.load_network(), self.device)
        locator = self.model.card.locator
        self._locator = place(self.model.load_locator(locator), self.device) if locator else None

    @memory_errors()
    def predict(
        self, volume: Volume, options: Options | None = None, progress: Progress = lambda stage, share: None
    ) -> Prediction:
        """Segment one volume. The same volume, model, options and device give the same prediction.

        Args:
            volume: A scan; any orientation and spacing.
            progress: Called with the stage's name (`STAGES`) and the share of the stage that is done.

        Raises:
            RegionError: The region of interest lies outside the scan.
        """
        options = options or Options()
        samples = self.model.card.samples if options.samples is None else options.samples
        clock, doubts, notes = _Clock(progress), list[str](), list[str]()
        box = options.region if isinstance(options.region, Box) else None
        located = False
        with clock.stage("locate"):
            if options.region == "auto" and needs_locating(volume.geometry):
                box = self._locate(volume, notes)
                located = box is not None
                if box is None:
                    doubts.append("the coarse pass found no atrium; the whole scan was used: draw the region (--roi)")
        with clock.stage("prepare"):
            grid = canonical_geometry(volume.geometry, box=box)
            array, inside = to_grid(volume, grid)
        with clock.stage("network"):
            normalised = normalise(array, inside)
            halvings = round(math.log2(self.model.card.spacing_mm / NETWORK_SPACING))
            for _ in range(halvings):
                normalised = halve(normalised)
            maps = self._sample_passes(
                normalised, samples, options.seed, notes, lambda share: progress("network", share)
            )
        with clock.stage("maps"):
            fine = grid.shape
            sharpened = (_to_shape(sample, fine) for sample in maps.samples)
            uncertain = uncertainty_maps(sharpened, self.model.card.voxel_calibration)
            f1 = expit(_to_shape(maps.segmentation, fine))
            distance = _to_shape(maps.distance, fine)
            segmentation = largest_component(from_grid(f1, grid, volume.geometry, 0.0) >= 0.5)
            doubts += doubts_about(segmentation, volume.geometry, self.model.card.usual_shape)
            notes += notes_about(segmentation, volume.geometry)
            if box is not None and not touched_sides(segmentation, volume.geometry):
                sides = touched_sides(largest_component(f1 >= 0.5), grid)
                if sides:
                    doubts.append(
                        f"the segmentation touches the {', '.join(sides)} border of the region: "
                        "draw a larger one (--roi)"
                    )
        return Prediction(
            source=volume.geometry,
            grid=grid,
            region=Box.of(grid),
            located=located,
            segmentation=segmentation,
            probability=uncertain.probability,
            distance=distance,
            entropy=uncertain.entropy,
            mutual_information=uncertain.mutual_information,
            disagreement=disagreement(f1, distance),
            self_dice=_self_dice(maps, self.model.card.spacing_mm) if segmentation.any() else 0.0,
            sample_dice=mean_pairwise_dice(maps.samples),
            samples=samples,
            seed=options.seed,
            device=describe(self.device),
            seconds=clock.seconds,
            doubts=tuple(doubts),
            notes=tuple(notes),
        )

    def _locate(self, volume: Volume, notes: list[str]) -> Box | None:
        network, card = self._locator, self.model.card.locator
        if network is None or card is None:
            notes.append(f"the model '{self.model.id}' cannot search large scans")
            return None
        grid = canonical_geometry(volume.geometry, card.spacing_mm)
        array, _ = to_grid(volume, grid)

        def logits(array: Map) -> Map:
            def run(network: LocatorNet, device: torch.device, planes: int) -> Map:
                return locator_pass(network, array, device, planes)

            return self._retrying(network, run, array, notes)

        return locate(array, grid, logits)

    def _sample_passes(
        self, array: Map, samples: int, seed: int, notes: list[str], progress: Callable[[float], None]
    ) -> Maps:
        def run(network: MTCTLNet, device: torch.device, planes: int) -> Maps:
            views = VIEWS[: self.model.card.views]
            return sample_passes(network, array, samples, seed, device, planes, progress, views)

        return self._retrying(self._network, run, array, notes)

    def _retrying(
        self,
        network: Network,
        run: Callable[[Network, torch.device, int], Result],
        array: Map,
        notes: list[str],
    ) -> Result:
        """`run` with as many planes as should fit; out of GPU memory, with fewer, at last on the CPU."""
        filters = self.model.card.architecture.filters
        shape = (array.shape[0], array.shape[1], array.shape[2])
        planes = min(planes_at_once(self.device, filters, shape), STRIDE * math.ceil(shape[0] / STRIDE))
        if self.device.type == "cpu":
            return run(network, self.device, planes)
        while True:
            try:
                return run(network, self.device, planes)
            except RuntimeError as error:  # torch.OutOfMemoryError is one; Apple's MPS raises the plain kind.
                if "out of memory" not in str(error).lower():
                    raise
            torch.cuda.empty_cache()
            if planes <= STRIDE:
                break
            planes = max(STRIDE, planes // 2 // STRIDE * STRIDE)
            notes.append(f"the GPU's memory is too small: trying again in slabs of {planes} planes")
        notes.append("the GPU's memory is too small even for thin slabs: computed on the CPU")
        cpu = torch.device("cpu")
        return run(place(copy.deepcopy(network), cpu), cpu, planes_at_once(cpu, filters, shape))


class _Clock:
    def __init__(self, progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._progress(name, 0.0)
        began = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - began, 3)
        self._progress(name, 1.0)


def _to_shape(coarse: Map, shape: tuple[int, int, int]) -> Map:
    """Linear interpolation from the network's grid to the 0.625 mm grid that was halved into it, where they differ."""
    if coarse.shape == shape:
        return coarse
    fine = functional.interpolate(torch.from_numpy(coarse)[None, None], scale_factor=2, mode="trilinear")[0, 0].numpy()
    return fine[: shape[0], : shape[1], : shape[2]]


def _self_dice(maps: Maps, spacing: float) -> float:
    """On the network's own grid: eight times cheaper than on the 0.625 mm one."""
    mean = np.mean([expit(sample) for sample in maps.samples], axis=0)
    return self_dice(largest_component(maps.segmentation >= 0), mean, spacing)
