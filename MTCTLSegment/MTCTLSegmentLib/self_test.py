"""What the module's own test does, in Slicer and in the project's test host; needs neither torch nor internet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

from mtctl import scene
from mtctl.inference.result import Result
from mtctl.uncertainty.kinds import NAMES
from MTCTLSegmentLib.review.case_review import open_review

if TYPE_CHECKING:
    from unittest import TestCase

    from mtctl.geometry import Mask, Volume


def made_up_result(volume: Volume, mask: Mask, seed: int = 0) -> Result:
    """A result as the worker gives it, made from a mask: unsure along the border, and more so in some places."""
    from scipy import ndimage

    spacing = volume.geometry.spacing[::-1]
    inside = ndimage.distance_transform_edt(mask, spacing)
    outside = ndimage.distance_transform_edt(~mask, spacing)
    distance = (inside - outside).astype(np.float32)
    rng = np.random.default_rng(seed)
    bumps = ndimage.gaussian_filter(rng.standard_normal(mask.shape), [4.0 / step for step in spacing])
    shift = 2.5 * bumps / bumps.std()
    probability = 1 / (1 + np.exp(-(distance + shift) / (1.0 + np.abs(shift))))
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    maps = {
        "probability": probability,
        "distance": np.clip(distance / 20, -1, 1),
        **dict.fromkeys(NAMES, 0.3 * entropy),
        NAMES[0]: entropy,
    }
    maps = {name: np.ascontiguousarray(array, np.float32) for name, array in maps.items()}
    report = {
        "threshold": 0.5,
        "case_score": 0.91,
        "case_score_interval": [0.88, 0.94],
        "flagged": False,
        "warnings": [],
        "samples": 8,
    }
    return Result(volume.geometry, (maps["probability"] >= 0.5).astype(np.uint8), maps, report)


def review_a_phantom(test: TestCase, scan: Any, mask: Mask) -> None:
    """Turn a result into nodes, step through the regions, use a suggestion and take it back, and keep the draft."""
    volume = scene.volume_of(scan)
    nodes = scene.show_result(slicer.mrmlScene, scan, made_up_result(volume, mask))
    scene.show_layers(nodes)
    review = open_review(nodes)
    test.assertGreater(len(review.session.regions), 1)
    review.go_to(review.session.next())
    test.assertTrue(review.session.current.visited)
    start = scene.mask_of(review.nodes).copy()
    proposal = review.propose("remove", 0.5)
    test.assertGreater(proposal.removed_ml, 0)
    test.assertTrue(np.array_equal(scene.mask_of(review.nodes), start), "a preview changes nothing")
    test.assertIsNotNone(review.use(lambda: None))
    test.assertFalse(np.array_equal(scene.mask_of(review.nodes), start))
    scene.set_mask(review.nodes, start)
    test.assertEqual(review.note_edit("paint").kind, "undo")
    review.session.accept_region(review.session.current.id)
    review.save_draft()
    again = open_review(scene.find_case(slicer.mrmlScene, scan))
    test.assertEqual(again.session.state, review.session.state)
    scene.close_case(again.nodes)
    test.assertIsNone(scene.find_case(slicer.mrmlScene, scan))
