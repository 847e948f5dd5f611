"""Segment a volume with a model: a volume in, a prediction out."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import torch
from scipy.special import expit

from mtctl.geometry import Geometry, Map, Volume, with_spacing
from mtctl.inference.locator import locate, needs_locating
from mtctl.inference.prediction import OUTSIDE, STAGES, Options, Prediction, ProgressCallback
from mtctl.inference.slabs import OUTSIDE_LOGIT, Maps, locator_pass, planes_at_once, sample_passes
from mtctl.inference.test_time_augmentation import VIEWS
from mtctl.masks import SIDES, largest_component, solid, touched_sides
from mtctl.models.model import Model
from mtctl.networks.architecture import STRIDE
from mtctl.networks.device import describe, to_device
from mtctl.networks.mtctl_net import LocatorNet, MTCTLNet
from mtctl.preprocessing.network_grid import canonical_geometry
from mtctl.preprocessing.normalisation import intensity_remark, measured_window, normalise
from mtctl.preprocessing.padding import measured_voxels
from mtctl.preprocessing.region_of_interest import Box, window_of
from mtctl.preprocessing.resampling import from_grid, to_grid
from mtctl.system.memory import memory_errors
from mtctl.uncertainty.case_score import self_dice
from mtctl.uncertainty.maps import average, mean_pairwise_dice, uncertainty_maps
from mtctl.uncertainty.plausibility import cut_sides, intensity_remarks, plausibility_remarks, plausibility_warnings
from mtctl.uncertainty.plausible_spacing import borne_out, suspected_spacing

#: Where the mask reaches the border of a region that was found by the coarse pass, the region grows there by so much
#: and is looked at again: a vein's stump and the margin that the region had (`locate`).
_GROWTH_MM = 25.0

#: How often at most. Twice brings a region that holds half an atrium to all of it.
_ATTEMPTS = 3

Answer = TypeVar("Answer")
Network = TypeVar("Network", bound=torch.nn.Module)


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
        self._network = to_device(self.model.load_network(), self.device)
        locator = self.model.card.locator
        self._locator = to_device(self.model.load_locator(locator), self.device) if locator else None

    @memory_errors()
    def predict(
        self, volume: Volume, options: Options | None = None, progress: ProgressCallback = lambda stage, share: None
    ) -> Prediction:
        """Segment one volume. The same volume, model, options and device give the same prediction.

        Args:
            volume: A scan; any orientation and spacing.
            progress: Called with the stage's name (`STAGES`) and the share of the stage that is done.

        Raises:
            RegionError: The region of interest lies outside the scan.
        """
        options = options or Options()
        if options.samples is None:
            options = replace(options, samples=self.model.card.samples)
        clock, remarks = _Clock(progress), [self.model.remark] if self.model.remark else []
        box, located = self._region(volume, options.region, clock, remarks)
        lost = options.region == "auto" and box is None and needs_locating(volume.geometry)
        prediction = self._look(volume, options, box, located, clock, remarks)
        clock.progress = lambda stage, share: None  # What is looked at once more must not let a bar run backwards.
        for _ in range(_ATTEMPTS - 1):
            sides = _sides_cut(prediction)
            if not (located and box and sides):
                break
            box = _grown(box, sides).clipped(volume.geometry)
            remarks.append(f"the region was enlarged at its {', '.join(sides)} border, which the atrium touched")
            prediction = self._look(volume, options, box, located, clock, remarks)
        warnings = list(prediction.warnings)
        if box is None and (told := self._tried(volume, prediction, options, clock)):
            warnings = [told]
        if lost:
            warnings.insert(0, "the coarse pass found no atrium; the whole scan was used: draw the region (--roi)")
        sides = _sides_cut(prediction) if box is not None else []
        if sides:
            warnings.append(
                f"the segmentation touches the {', '.join(sides)} border of the region: draw a larger one (--roi)"
            )
        return replace(
            prediction, warnings=tuple(warnings), remarks=(*prediction.remarks, *remarks), seconds=clock.seconds
        )

    def _tried(self, volume: Volume, prediction: Prediction, options: Options, clock: _Clock) -> str | None:
        """Segment again with another spacing where that is worth a try; return what it tells about the header's."""
        cut = cut_sides(prediction.segmentation, volume.geometry)
        spacing = None if cut else suspected_spacing(prediction.segmentation, volume.geometry)
        if spacing is None:
            return None
        again = self._look(with_spacing(volume, spacing), options, None, False, clock, [])
        if again.self_dice <= prediction.self_dice:
            return None
        return borne_out(again.segmentation, again.source, volume.geometry)

    def _region(
        self, volume: Volume, region: Box | str, clock: _Clock, remarks: list[str]
    ) -> tuple[Box | None, bool]:  # fmt: skip
        """Return the part of the scan to look at, None for all of it, and whether the coarse pass found it."""
        if isinstance(region, Box):
            return region, False
        with clock.stage("locate"):
            box = self._locate(volume, remarks) if region == "auto" and needs_locating(volume.geometry) else None
        return box, box is not None

    def _look(
        self, volume: Volume, options: Options, box: Box | None, located: bool, clock: _Clock, remarks: list[str]
    ) -> Prediction:
        """Predict once from the region.

        Its warnings and remarks are those of the mask and of the grey levels alone.
        """
        card, samples = self.model.card, options.samples or self.model.card.samples
        with clock.stage("prepare"):
            whole = canonical_geometry(volume.geometry, card.grid_mm, box)
            array, inside = to_grid(volume, whole)
            grey_levels = intensity_remarks(intensity_remark(array, inside))
            measured = measured_voxels(volume, whole, array, inside)
            seen = measured_window(array, measured)
            grid = _windowed(whole, seen)
            normalised = normalise(array[seen], None if measured is None else measured[seen])
        with clock.stage("network"):
            maps = self._sample_passes(
                normalised, samples, options.seed, remarks, lambda share: clock.progress("network", share)
            )
        with clock.stage("maps"):
            region = Box.of(whole)
            window = window_of(region, volume.geometry) if box is not None else (slice(None),) * 3
            part = _windowed(volume.geometry, window)
            sharpened = (from_grid(sample, grid, part, OUTSIDE_LOGIT) for sample in maps.samples)
            averages = average(sharpened, card.voxel_calibration)
            f1 = expit(from_grid(maps.segmentation, grid, part, OUTSIDE_LOGIT))
            logit = _mask_logit(maps, card.mask_samples_share)
            distance = from_grid(maps.distance, grid, part, OUTSIDE["distance"])
            segmentation = np.zeros(volume.geometry.shape, bool)
            found = from_grid(logit, grid, part, OUTSIDE_LOGIT) >= 0
            segmentation[window] = solid(found)
            filled = np.count_nonzero(segmentation[window] & ~found)
            warnings = plausibility_warnings(segmentation, volume.geometry, card.usual_shape, window)
        return Prediction(
            source=volume.geometry,
            grid=grid,
            region=region,
            window=window,
            located=located,
            segmentation=segmentation,
            filled_ml=filled * volume.geometry.voxel_ml,
            maps={
                "probability": averages.probability,
                "distance": distance,
                **uncertainty_maps(averages, f1, distance),
            },
            self_dice=_self_dice(logit, maps, grid) if segmentation.any() else 0.0,
            sample_dice=mean_pairwise_dice(maps.samples),
            samples=samples,
            seed=options.seed,
            device=describe(self.device),
            seconds=clock.seconds,
            warnings=tuple(warnings),
            remarks=(*grey_levels, *plausibility_remarks(segmentation, volume.geometry)),
        )

    def _locate(self, volume: Volume, remarks: list[str]) -> Box | None:
        network, card = self._locator, self.model.card.locator
        if network is None or card is None:
            remarks.append(f"the model '{self.model.id}' cannot search large scans")
            return None
        grid = canonical_geometry(volume.geometry, card.grid_mm)
        array, _ = to_grid(volume, grid)

        def logits(array: Map) -> Map:
            def run(network: LocatorNet, device: torch.device, planes: int) -> Map:
                return locator_pass(network, array, device, planes)

            return self._retrying(network, run, array, remarks)

        return locate(array, grid, logits)

    def _sample_passes(
        self, array: Map, samples: int, seed: int, remarks: list[str], progress: Callable[[float], None]
    ) -> Maps:
        def run(network: MTCTLNet, device: torch.device, planes: int) -> Maps:
            views, (x, y, z) = VIEWS[: self.model.card.views], self.model.card.grid_mm
            voxel_mm = z, y, x
            return sample_passes(network, array, samples, seed, device, planes, progress, views, voxel_mm)

        return self._retrying(self._network, run, array, remarks)

    def _retrying(
        self,
        network: Network,
        run: Callable[[Network, torch.device, int], Answer],
        array: Map,
        remarks: list[str],
    ) -> Answer:
        """Call `run` with as many planes as should fit; out of GPU memory, with fewer, at last on the CPU."""
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
            remarks.append(f"the GPU's memory is too small: trying again in slabs of {planes} planes")
        remarks.append("the GPU's memory is too small even for thin slabs: computed on the CPU")
        cpu = torch.device("cpu")
        return run(to_device(copy.deepcopy(network), cpu), cpu, planes_at_once(cpu, filters, shape))


class _Clock:
    def __init__(self, progress: ProgressCallback) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)
        self.progress = progress

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.progress(name, 0.0)
        began = time.perf_counter()
        yield
        self.seconds[name] = round(self.seconds[name] + time.perf_counter() - began, 3)
        self.progress(name, 1.0)


def _windowed(geometry: Geometry, window: tuple[slice, slice, slice]) -> Geometry:
    z, y, x = (range(count)[part] for part, count in zip(window, geometry.shape, strict=True))
    return geometry.window((x[0], y[0], z[0]), (len(x), len(y), len(z)))


def _sides_cut(prediction: Prediction) -> list[str]:
    """Return the sides of the region that the mask reaches, though the scan goes on there."""
    part = prediction.segmentation[prediction.window]
    at_region = touched_sides(part, _windowed(prediction.source, prediction.window))
    at_scan = touched_sides(prediction.segmentation, prediction.source)
    return [side for side in at_region if side not in at_scan]


def _grown(box: Box, sides: list[str]) -> Box:
    """Return the box, larger at some of its sides (`masks.SIDES`)."""
    low, high = list(box.low), list(box.high)
    for axis, (lower, upper) in enumerate(SIDES):
        low[axis] -= _GROWTH_MM * (lower in sides)
        high[axis] += _GROWTH_MM * (upper in sides)
    return Box(low[0], high[0], low[1], high[1], low[2], high[2])


def _mask_logit(maps: Maps, samples_share: float) -> Map:
    """Return the logit (z, y, x) that is 0 on the mask's surface."""
    if not samples_share:
        return maps.segmentation
    return (1 - samples_share) * maps.segmentation + samples_share * maps.samples.mean(axis=0)


def _self_dice(logit: Map, maps: Maps, grid: Geometry) -> float:
    """Return the self-assessed Dice on the network's own grid: cheaper than on the scan's."""
    x, y, z = grid.spacing
    mean = np.mean([expit(sample) for sample in maps.samples], axis=0)
    return self_dice(largest_component(logit >= 0), mean, (z, y, x))
