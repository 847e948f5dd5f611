"""The module's own test for Slicer and the project's test host; it needs neither torch nor internet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import slicer

from mtctl import scene
from mtctl.inference.result import Result
from mtctl.review.answers import ShownQuestion
from mtctl.scene.types import Node
from mtctl.uncertainty.kinds import NAMES
from MTCTLSegmentLib.review.case_review import open_review

if TYPE_CHECKING:
    from unittest import TestCase

    from mtctl.geometry import Mask, Volume


def made_up_result(volume: Volume, mask: Mask, seed: int = 0) -> Result:
    """Return a synthetic result as of the worker: uncertain along the border of a mask, more so in some places."""
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
    report = {
        "threshold": 0.5,
        "case_score": 0.91,
        "case_score_interval": [0.88, 0.94],
        "flagged": False,
        "warnings": [],
        "samples": 8,
    }
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in maps.items()}
    return Result(volume.geometry, (arrays["probability"] >= 0.5).astype(np.uint8), arrays, report)


def review_a_phantom(test: TestCase, scan: Node, mask: Mask) -> None:
    """Turn a result into nodes, answer a question and undo it, find another place right, and save the draft."""
    volume = scene.volume_of(scan)
    nodes = scene.show_result(slicer.mrmlScene, scan, made_up_result(volume, mask))
    scene.show_layers(nodes)
    review = open_review(nodes)
    start = scene.mask_of(review.nodes).copy()
    inside = np.argwhere(start)
    x, y, z = volume.geometry.index_to_physical(inside[len(inside) // 2][::-1].astype(float)).tolist()
    voxels = np.flatnonzero(start)[: np.count_nonzero(start) // 3]
    question = ShownQuestion("posterior wall", (x, y, z), (x, y, z), "outside", -1.0, 0.5, voxels)
    review.look_at(question)
    review.preview_question(question)
    test.assertTrue(np.array_equal(scene.mask_of(review.nodes), start), "a preview changes nothing")
    review.answer(voxels, question.answer, question, lambda: None)
    test.assertEqual(int((scene.mask_of(review.nodes) != start).sum()), len(voxels))
    scene.set_mask(review.nodes, start)
    test.assertTrue(review.note_edit("paint"))
    test.assertEqual(review.session.state.edits[-1].kind, "undo")
    review.keep(question, lambda: None)
    review.save_draft()
    saved = scene.find_case(slicer.mrmlScene, scan)
    assert saved is not None
    again = open_review(saved)
    test.assertEqual(again.session.state, review.session.state)
    scene.close_case(again.nodes)
    test.assertIsNone(scene.find_case(slicer.mrmlScene, scan))
