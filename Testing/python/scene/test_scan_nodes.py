"""What a file or a store holds becomes nodes without losing a digit."""

from __future__ import annotations

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-mtctl[slicer]")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from support.scene_example import SHAPE, empty_scene  # noqa: E402

from mtctl import scene  # noqa: E402
from mtctl.geometry import Geometry, Volume  # noqa: E402
from mtctl.scene.segments import fits, segment_mask  # noqa: E402


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_the_grid_of_a_scan_survives_the_scene_to_the_last_digit_however_it_lies(seed: int) -> None:
    rng = np.random.default_rng(seed)
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    spacing, origin = rng.uniform(0.4, 3, 3).tolist(), rng.uniform(-200, 200, 3).tolist()
    geometry = Geometry(SHAPE[::-1], tuple(spacing), tuple(origin), tuple(turned.ravel().tolist()))
    node = scene.add_scan(empty_scene(), Volume(np.zeros(SHAPE, np.float32), geometry), "scan")
    assert scene.volume_of(node).geometry == geometry


def test_a_label_lies_on_the_scan_and_can_be_edited_in_place() -> None:
    world = empty_scene()
    turn = (0.0, 1.0, 0.0, 0.8, 0.0, -0.6, -0.6, 0.0, -0.8)
    geometry = Geometry(SHAPE[::-1], (0.7, 0.7, 1.6), (-80.5, -120.25, 33.0), turn)
    scan = scene.add_scan(world, Volume(np.zeros(SHAPE, np.float32), geometry), "scan", {"key": "value"})
    mask = np.random.default_rng(0).random(SHAPE) > 0.7
    label = scene.add_label(world, scan, mask, "label", {"key": "other"})
    assert np.array_equal(segment_mask(label, scene.SEGMENT_ID, scan), mask)
    assert fits(label, scene.SEGMENT_ID, scan)
    assert (scan.GetAttribute("key"), label.GetAttribute("key"), label.GetName()) == ("value", "other", "label")
