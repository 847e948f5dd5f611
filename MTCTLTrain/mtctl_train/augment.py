"""Random patches: one resampling for position, rotation, scale and warp, then intensity changes.

Everything is drawn from the generator that is handed in, so that the patch of a given seed and iteration is always
the same, and a resumed run continues as if it had never stopped.

No flips: a mirrored thorax has its apex on the right. The left-atrium literature flips and turns by 90 degrees; with
upright anatomy alone the network can use where things lie, and a scan on its side shows as uncertain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Rng = np.random.Generator


@dataclass(frozen=True)
class Variation:
    """How far patches vary. Angles in degrees, lengths in mm, intensities in standard deviations of the scan.

    Attributes:
        rotation: Largest turn about (z, y, x): scanners and necks differ more about the long axis.
        scale: Smallest and largest zoom.
        stretch: Largest extra zoom of a single axis.
        warp_mm: Standard deviation of the smooth displacement, knots every 25 mm or so.
        jitter_mm: How far beyond the scan's edge a patch may reach.
    """

    rotation: tuple[float, float, float] = (20.0, 12.0, 12.0)
    scale: tuple[float, float] = (0.8, 1.2)
    stretch: float = 0.08
    warp_mm: float = 2.0
    jitter_mm: float = 8.0


def _rotation_matrix(angles: np.ndarray) -> np.ndarray:
    """Turns about z, y, x composed, acting on (z, y, x) vectors."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(angles)):
        turn = np.eye(3)
        first, second = (i for i in range(3) if i != axis)
        turn[[first, first, second, second], [first, second, first, second]] = (
            np.cos(angle),
            -np.sin(angle),
            np.sin(angle),
            np.cos(angle),
        )
        matrix = matrix @ turn
    return matrix


def sample_patch(
    channels: Tensor, spacing: float, patch: tuple[int, int, int], variation: Variation, rng: Rng
) -> tuple[Tensor, float]:
    """Cut a randomly placed, turned, scaled and warped patch out of a volume.

    Args:
        channels: (c, z, y, x): image and, where there is one, distance map; sampled with the same grid.
        spacing: mm per voxel of the volume and of the patch.
        patch: (z, y, x) voxels.

    Returns:
        (c, *patch) and the mean zoom: lengths in the patch are that much larger than in the volume, so distances
        have to be multiplied by it.
    """
    size = np.array(channels.shape[1:], float)
    zoom = rng.uniform(*variation.scale) * (1 + rng.uniform(-variation.stretch, variation.stretch, 3))
    room = np.maximum((size - np.array(patch)) / 2, 0) + variation.jitter_mm / spacing * (size > 1)
    centre = (size - 1) / 2 + rng.uniform(-room, room)
    turn = _rotation_matrix(rng.uniform(-1, 1, 3) * np.array(variation.rotation)) / zoom[None, :]

    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in patch]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    grid = offsets @ torch.from_numpy(turn.T).float() + torch.from_numpy(centre).float()
    knots = [max(2, round(n * spacing / 25) + 1) for n in patch]
    shifts = torch.from_numpy(rng.normal(0, variation.warp_mm / spacing, (1, 3, *knots))).float()
    grid = grid + functional.interpolate(shifts, patch, mode="trilinear", align_corners=True)[0].permute(1, 2, 3, 0)

    unit = 2 * grid / torch.from_numpy(np.maximum(size - 1, 1)).float() - 1
    sampled = functional.grid_sample(
        channels[None], unit.flip(-1)[None], mode="bilinear", padding_mode="border", align_corners=True
    )
    return sampled[0], float(zoom.mean())


def vary_intensity(image: Tensor, rng: Rng) -> Tensor:
    """Another scanner, another dose of gadolinium, another breath: (z, y, x) z-scored in, same out."""
    if rng.random() < 0.5:
        image = image * torch.exp(_smooth_field(image.shape, 0.2, rng))
    if rng.random() < 0.5:
        low, high = image.min(), image.max()
        unit = (image - low) / (high - low + 1e-6)
        image = unit ** float(np.exp(rng.uniform(-0.4, 0.4))) * (high - low) + low
    if rng.random() < 0.25:
        image = _blur(image, rng.uniform(0.3, 1.2, 3))
    if rng.random() < 0.5:
        noise = torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32))
        image = image + float(rng.uniform(0, 0.2)) * noise
    if rng.random() < 0.15:
        image = _grey_level_curve(image, rng)
    return image * float(np.exp(rng.uniform(-0.25, 0.25))) + float(rng.uniform(-0.3, 0.3))


def _smooth_field(shape: torch.Size, deviation: float, rng: Rng) -> Tensor:
    coarse = torch.from_numpy(rng.normal(0, deviation, (1, 1, 3, 4, 4))).float()
    return functional.interpolate(coarse, tuple(shape), mode="trilinear", align_corners=True)[0, 0]


def _grey_level_curve(image: Tensor, rng: Rng) -> Tensor:
    """A random piecewise linear curve through five knots: tissues may swap places in brightness."""
    knots = torch.linspace(float(image.min()), float(image.max()) + 1e-6, 5)
    values = knots + torch.from_numpy(rng.normal(0, 0.25, 5)).float()
    index = ((image - knots[0]) / (knots[1] - knots[0])).clamp(0, 3.999)
    low = index.long()
    return values[low] + (index - low) * (values[low + 1] - values[low])


def _blur(image: Tensor, sigmas: np.ndarray) -> Tensor:
    blurred = image[None, None]
    taps = torch.arange(-2, 3, dtype=torch.float32)
    for axis, sigma in enumerate(sigmas):
        kernel = torch.exp(-0.5 * (taps / float(sigma)) ** 2)
        shape = [1, 1, 1, 1, 1]
        shape[axis + 2] = 5
        padding = [0] * 6
        padding[2 * (2 - axis) : 2 * (2 - axis) + 2] = (2, 2)
        padded = functional.pad(blurred, padding, mode="replicate")
        blurred = functional.conv3d(padded, (kernel / kernel.sum()).reshape(shape))
    return blurred[0, 0]


def random_box(shape: tuple[int, int, int], rng: Rng) -> tuple[slice, slice, slice]:
    """A box of a third to two thirds of each axis, anywhere: the region that copy-paste exchanges (as BCP's)."""
    slices = []
    for n in shape:
        length = int(rng.uniform(1 / 3, 2 / 3) * n)
        start = int(rng.integers(0, n - length + 1))
        slices.append(slice(start, start + length))
    return slices[0], slices[1], slices[2]
