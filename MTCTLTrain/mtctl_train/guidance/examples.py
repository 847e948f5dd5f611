"""Patches around answers, for the training of a `GuidanceNet`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from scipy.special import expit
from torch import Tensor
from torch.nn import functional

from mtctl.geometry import Map, Triple
from mtctl.guidance.channels import WINDOW, guidance_channels
from mtctl_train.data.augmentation import Variation, sample_patch, vary_intensity
from mtctl_train.guidance.drafts import DraftedCase
from mtctl_train.guidance.simulated_clicks import Answered, answer_error, confirm

#: Fractions of the patches about an error of the draft, about one that is made up, and about what is right. The rest
#: has no answer: there the network says what it would have drafted.
_OF_DRAFT, _MADE_UP, _RIGHT = 0.55, 0.25, 0.12

#: How far the middle of a patch is from the error that it is about, mm.
_JITTER_MM = 6.0

#: A wrong voxel that the answer is about, and voxels this near a click, count so much.
_ANSWERED_WEIGHT = 4.0
_OBEYED_MM = 5.0

_VARIATION = Variation(rotation=(20.0, 12.0, 12.0), scale=(0.85, 1.15), stretch=0.08, warp_mm=1.5)


@dataclass
class Example:
    """A patch and the answers given about it so far.

    Attributes:
        image, distance_mm, probability: (z, y, x): the scan, the truth, the answer so far.
        weight: (z, y, x), how much each voxel counts.
        inside, outside: Clicks so far.
    """

    image: Map
    distance_mm: Map
    probability: Map
    voxel_mm: Triple
    weight: Map
    inside: list[np.ndarray]
    outside: list[np.ndarray]

    def channels(self) -> Map:
        return guidance_channels(self.image, self.probability, self.inside, self.outside, self.voxel_mm)

    def target(self) -> Map:
        """Return the fraction of each voxel inside the true surface."""
        return np.clip(self.distance_mm / min(self.voxel_mm) + 0.5, 0, 1).astype(np.float32)

    def answer_next(self, rng: np.random.Generator) -> None:
        """Answer about the largest error that is left, or confirm what is right where there is none."""
        mask = self.probability >= 0.5
        answered = answer_error(mask, self.distance_mm > 0, self.voxel_mm, rng)
        self._add(answered or confirm(mask, self.distance_mm, self.voxel_mm, rng))

    def confirm_next(self, rng: np.random.Generator) -> None:
        """Confirm what is right."""
        self._add(confirm(self.probability >= 0.5, self.distance_mm, self.voxel_mm, rng))

    def _add(self, answered: Answered | None) -> None:
        if answered is None:
            return
        (self.inside if answered.inside else self.outside).extend(answered.clicks)
        self.weight[answered.about] = _ANSWERED_WEIGHT
        where = np.indices(self.weight.shape).reshape(3, -1).T
        for click in answered.clicks:
            near = (((where - click) * self.voxel_mm) ** 2).sum(axis=1) < _OBEYED_MM**2
            self.weight.reshape(-1)[near] = _ANSWERED_WEIGHT


def draw_example(
    drafts: Sequence[DraftedCase], seed: int, iteration: int, item: int
) -> tuple[Example, np.random.Generator]:
    """Draw a patch with its first answer; the same for the same numbers."""
    rng = np.random.default_rng((seed, iteration, item))
    draft = drafts[int(rng.integers(len(drafts)))]
    kind = rng.random()
    if kind < _OF_DRAFT and len(draft.places):
        likely = draft.depths.astype(np.float64) ** 2
        centre = draft.places[int(rng.choice(len(likely), p=likely / likely.sum()))].astype(float)
    else:
        border = np.argwhere(np.abs(draft.distance_mm) < 1.5)
        centre = border[int(rng.integers(len(border)))].astype(float)
    centre = centre + rng.uniform(-_JITTER_MM, _JITTER_MM, 3) / np.array(draft.voxel_mm)
    channels = torch.from_numpy(np.stack([draft.image, draft.distance_mm, draft.logit.clip(-8, 8)]))
    patch, zoom = sample_patch(channels, draft.voxel_mm, WINDOW, _VARIATION, rng, centre)
    image, distance, logit = patch
    distance = distance * zoom
    if rng.random() < 0.3:
        image = vary_intensity(image, rng)
    probability = expit(logit.numpy()).astype(np.float32)
    if _OF_DRAFT <= kind < _OF_DRAFT + _MADE_UP:
        probability = _made_up(distance.numpy(), draft.voxel_mm, rng)
    example = Example(image.numpy(), distance.numpy(), probability, draft.voxel_mm, np.ones(WINDOW, np.float32), [], [])
    if kind < _OF_DRAFT + _MADE_UP:
        example.answer_next(rng)
    elif kind < _OF_DRAFT + _MADE_UP + _RIGHT:
        example.confirm_next(rng)
    return example, rng


def _made_up(distance_mm: Map, voxel_mm: Triple, rng: np.random.Generator) -> Map:
    """Return a draft whose surface bulges and dents by some mm, or that ends too early or too late at a plane."""
    knots = [max(2, round(n * step / 20) + 1) for n, step in zip(distance_mm.shape, voxel_mm, strict=True)]
    shift = torch.from_numpy(rng.normal(0, rng.uniform(2, 6), (1, 1, *knots))).float()
    shape = list(distance_mm.shape)
    surface = distance_mm + functional.interpolate(shift, shape, mode="trilinear", align_corners=True)[0, 0].numpy()
    if rng.random() < 0.5:
        normal = rng.normal(size=3)
        normal /= np.linalg.norm(normal)
        z, y, x = ((np.arange(n) - (n - 1) / 2) * step for n, step in zip(shape, voxel_mm, strict=True))
        beyond = normal[0] * z[:, None, None] + normal[1] * y[:, None] + normal[2] * x - rng.uniform(0, 12)
        if rng.random() < 0.6:  # Cut short.
            surface = np.minimum(surface, -beyond)
        else:  # What is beyond the plane goes on, up to 12 mm wider than it is.
            surface = np.where(beyond > 0, np.maximum(surface, distance_mm + rng.uniform(3, 12)), surface)
    blurred = ndimage.gaussian_filter(surface, 0.7)
    return np.asarray(expit(blurred / rng.uniform(0.4, 1.2)), np.float32)


@dataclass(frozen=True)
class GuidedBatch:
    """Tensors (n, c, z, y, x): what the network sees, what it should say, how much each voxel counts."""

    channels: Tensor
    target: Tensor
    weight: Tensor


def batch_of(examples: Sequence[Example], device: torch.device) -> GuidedBatch:
    """Return examples as tensors on a device, channels last."""

    def stacked(arrays: list[Map]) -> Tensor:
        whole = torch.from_numpy(np.stack(arrays))
        whole = whole if whole.ndim == 5 else whole[:, None]
        return whole.to(device, memory_format=torch.channels_last_3d)

    return GuidedBatch(
        stacked([example.channels() for example in examples]),
        stacked([example.target() for example in examples]),
        stacked([example.weight for example in examples]),
    )
