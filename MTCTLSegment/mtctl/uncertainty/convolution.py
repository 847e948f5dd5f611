"""Convolution of volumes with large kernels, as a product of spectra."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def convolved(array: NDArray[np.floating], kernel: NDArray[np.floating]) -> NDArray[Any]:
    """Return the convolution of two arrays at every offset at which they meet.

    As `scipy.signal.fftconvolve`, to the last bit; `scipy.signal` itself takes a second to load, and every window and
    every child process waits for that before its first case.

    Args:
        array: Of any number of axes.
        kernel: Of as many.
    """
    from scipy import fft

    shape = [one + other - 1 for one, other in zip(array.shape, kernel.shape, strict=True)]
    fast = [fft.next_fast_len(count, real=True) for count in shape]
    product = fft.rfftn(array, fast) * fft.rfftn(kernel, fast)
    whole: NDArray[Any] = fft.irfftn(product, fast)[tuple(map(slice, shape))]
    return whole


def convolved_within(array: NDArray[np.floating], kernel: NDArray[np.floating]) -> NDArray[Any]:
    """Return the convolution at every voxel of `array`; the kernel's middle is its own.

    Args:
        array: Of any number of axes.
        kernel: Of as many, each of odd length.
    """
    inner = tuple(slice(side // 2, side // 2 + count) for side, count in zip(kernel.shape, array.shape, strict=True))
    return convolved(array, kernel)[inner]
