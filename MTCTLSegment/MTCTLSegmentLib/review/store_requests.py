"""Requests to the case store: to save the model's prediction, and its review."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mtctl import scene
from mtctl.geometry import Mask
from mtctl.scene.record import load_mask
from mtctl.scene.types import Node
from mtctl.scene.volume_nodes import voxels_of
from MTCTLSegmentLib.jobs.store_job import StoreRequest
from MTCTLSegmentLib.review.case_review import CaseReview


def prediction_request(review: CaseReview) -> StoreRequest:
    """Return the request to save the scan with the model's segmentation and maps; the store skips what it has.

    Raises:
        SceneError: Something of the case was deleted, or the scan is under a warping transform.
    """
    problem, nodes = review.refresh(), review.nodes
    predicted = load_mask(nodes.record, "prediction")
    if problem is not None or predicted is None:
        raise scene.SceneError(problem or "the record of the prediction was deleted: segment the scan again")
    arrays = {
        "scan": np.asarray(scene.volume_of(nodes.scan).array),
        "segmentation": _as_bytes(predicted),
        "probability": voxels_of(nodes.probability),
        "distance": voxels_of(nodes.distance),
        **{kind: voxels_of(node) for kind, node in nodes.uncertainty.items()},
    }
    return StoreRequest("prediction", arrays, {"report": review.report})


def review_request(review: CaseReview, operation: str, mask: Mask, reviewer: str) -> StoreRequest:
    """Return the request to save the review of a stored case. It needs nothing of the scene, which may be closed.

    Args:
        review: The review to save.
        operation: "draft", "accept" or "reject".
        mask: The segmentation as it is now, (z, y, x); it must not change any more.
        reviewer: Pseudonym of the person, or "".
    """
    content = {"review": review.draft(), "reason": review.session.state.reason, "reviewer": reviewer}
    arrays = {"segmentation": _as_bytes(mask)}
    if not review.own:
        arrays["start"] = _as_bytes(review.session.maps.segmentation)
    return StoreRequest(operation, {} if operation == "reject" else arrays, content)


def opened_from(store: Path, scan: Node) -> str | None:
    """Return the id of the case that MTCTLTrain opened from this store as this scan; None for other scans."""
    return scan.GetAttribute(scene.CASE) if scan.GetAttribute(scene.CASE_STORE) == str(store) else None


def _as_bytes(mask: Mask) -> np.ndarray[Any, Any]:
    return np.asarray(mask, bool).view(np.uint8)  # not copied


def note_stored(store: Path, scan: Node, answer: Mapping[str, Any]) -> None:
    """Note on an opened scan that it shows the newest record of its case."""
    if opened_from(store, scan) == answer["case"]:
        scan.SetAttribute(scene.CASE_RECORD, str(answer["record"]))
