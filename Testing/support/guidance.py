"""Guided masks and a guidance network that says whatever comes: what must hold for any network is tested with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage

from mtctl.geometry import Geometry, Map, Triple, Volume
from mtctl.guidance.guided_case import GuidedCase
from mtctl.guidance.guided_mask import guided_scan
from mtctl.guidance.questions import ChanceModel, QuestionFinder
from mtctl.guidance.refinement import Refiner
from mtctl.networks.guidance_net import GuidanceNet

GRID_MM: Triple = (1.25, 1.25, 2.5)


@dataclass(frozen=True)
class ArbitraryRefiner(Refiner):
    """Answers with smooth noise, as strong as it gets, drawn by one generator."""

    rng: np.random.Generator

    def _run(self, channels: Map) -> Map:
        noises = _noises(channels.shape[1:])
        return noises[int(self.rng.integers(len(noises)))]


@lru_cache
def _noises(shape: tuple[int, ...]) -> list[Map]:
    rng = np.random.default_rng(0)
    return [(ndimage.gaussian_filter(rng.normal(size=shape), 2.0) > 0).astype(np.float32) for _ in range(20)]


#: Never asked; made once, as that takes longer than an answer.
_NETWORK = GuidanceNet(1)


def arbitrary_refiner(seed: int) -> ArbitraryRefiner:
    return ArbitraryRefiner(_NETWORK, torch.device("cpu"), np.random.default_rng(seed))


class DoubtfulRefiner(ArbitraryRefiner):
    """Thinks of the probability what the model thinks, and adds or takes away a ball where it is told to."""

    def _run(self, channels: Map) -> Map:
        _, inside, outside, probability = channels
        return np.clip(probability + 0.5 + (inside > 0.1) - (outside > 0.1), 0, 1).astype(np.float32)


def doubtful_finder() -> QuestionFinder:
    """Return a finder whose network doubts what the model doubts."""
    refiner = DoubtfulRefiner(_NETWORK, torch.device("cpu"), np.random.default_rng(0))
    return QuestionFinder(refiner, ChanceModel(offset=4.0))


def turned(size: tuple[int, int, int], spacing: Triple, degrees: float) -> Geometry:
    """Return a grid turned about z."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return Geometry(size, spacing, (-11.0, 7.0, 33.0), (c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0))


def ball_case(geometry: Geometry, radius_mm: float = 8.0) -> GuidedCase:
    """Return a case whose mask is a ball in the middle of a noisy scan."""
    rng = np.random.default_rng(0)
    indices = np.indices(geometry.shape).reshape(3, -1).T[:, ::-1]
    middle = geometry.index_to_physical((np.array(geometry.size) - 1) / 2)
    away = np.linalg.norm(geometry.index_to_physical(indices) - middle, axis=1).reshape(geometry.shape)
    mask = away < radius_mm
    probability = (1 / (1 + np.exp((away - radius_mm) / 2))).astype(np.float32)
    volume = Volume((100 * mask + rng.normal(0, 20, mask.shape)).astype(np.float32), geometry)
    return GuidedCase.begin(guided_scan(volume, probability, GRID_MM), mask, mask)
