"""What a scan must be like to be segmented."""

from __future__ import annotations

import pytest

from mtctl.geometry import Geometry, VolumeError
from mtctl.io.scan_checks import check_grid


@pytest.mark.parametrize(
    ("size", "spacing"),
    [((80, 80, 48), (50.0, 50.0, 50.0)), ((16, 16, 900), (1.0, 1.0, 5.0)), ((500, 500, 300), (3.0, 3.0, 3.0))],
    ids=["50 mm voxels", "a scan of 4.5 m", "more voxels than memory once resampled"],
)
def test_a_scan_that_is_larger_than_a_patient_is_refused_before_it_takes_all_memory(
    size: tuple[int, int, int], spacing: tuple[float, float, float]
) -> None:
    with pytest.raises(VolumeError, match=r"a scan of \d+ x \d+ x \d+ mm is larger than a patient.*--spacing x,y,z"):
        check_grid(Geometry(size, spacing, (0.0, 0.0, 0.0)))


@pytest.mark.parametrize(
    ("size", "spacing"), [((576, 576, 88), (0.625, 0.625, 1.25)), ((256, 256, 380), (2.15, 2.15, 5.0))]
)
def test_scans_of_a_heart_and_of_a_whole_body_are_taken(
    size: tuple[int, int, int], spacing: tuple[float, float, float]
) -> None:
    check_grid(Geometry(size, spacing, (0.0, 0.0, 0.0)))
