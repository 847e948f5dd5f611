"""What the guidance network is shown beside the scan. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Map, Triple

#: Standard deviation of a click's Gaussian ball, mm: a reader clicks no more exactly than that.
CLICK_SIGMA_MM = 2.5

#: Voxels (z, y, x) of what the network sees around an answer: 80 mm along each axis on the grid of
#: 1.25 x 1.25 x 2.5 mm, a vein's whole ostium or the mitral plane.
WINDOW = (32, 64, 64)


def click_channel(clicks: Sequence[NDArray[np.floating]], shape: tuple[int, ...], voxel_mm: Triple) -> Map:
    """Return Gaussian balls of height 1 around clicks (a stroke is many); 0 everywhere without one.

    Args:
        clicks: Indices (z, y, x), fractions allowed.
        shape: (z, y, x) of the map.
        voxel_mm: (z, y, x) size of its voxels.
    """
    channel = np.zeros(shape, np.float32)
    for click in clicks:
        z, y, x = (
            np.exp(-0.5 * ((np.arange(n) - at) * step / CLICK_SIGMA_MM) ** 2).astype(np.float32)
            for n, at, step in zip(shape, click, voxel_mm, strict=True)
        )
        np.maximum(channel, z[:, None, None] * y[:, None] * x, out=channel)
    return channel


def guidance_channels(
    image: Map,
    probability: Map,
    inside: Sequence[NDArray[np.floating]],
    outside: Sequence[NDArray[np.floating]],
    voxel_mm: Triple,
) -> Map:
    """Return what a `GuidanceNet` is shown, (4, z, y, x): scan, clicks inside, clicks outside, answer so far less 0.5.

    Args:
        image: (z, y, x), z-scored.
        probability: (z, y, x) of the answer so far.
        inside: Clicks on what belongs to the atrium; indices (z, y, x).
        outside: Clicks on what does not.
        voxel_mm: (z, y, x) size of the voxels.
    """
    balls = (click_channel(clicks, image.shape, voxel_mm) for clicks in (inside, outside))
    return np.stack([image, *balls, probability - np.float32(0.5)])
