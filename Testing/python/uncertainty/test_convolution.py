"""Convolution with large kernels is scipy's, without what scipy.signal takes to load."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.signal import fftconvolve

from mtctl.uncertainty.convolution import convolved, convolved_within


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_convolution_is_scipy_s_to_the_last_bit(kind: type) -> None:
    rng = np.random.default_rng(8)
    array, kernel = rng.random((23, 31, 18)).astype(kind), rng.random((9, 7, 5)).astype(kind)
    assert np.array_equal(convolved(array, kernel), fftconvolve(array, kernel, "full"))
    assert np.array_equal(convolved_within(array, kernel), fftconvolve(array, kernel, "same"))
    assert convolved_within(array, kernel).dtype == kind


@pytest.mark.slow
def test_no_child_process_waits_for_parts_of_scipy_that_it_does_not_need() -> None:
    heavy = "{'scipy.signal', 'scipy.stats'}"
    program = f"import sys, mtctl.worker.engine, mtctl.commands.segment; print({heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
