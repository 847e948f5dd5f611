"""What the case store is asked to keep of a review: the model's prediction, and what the person made of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mtctl import scene
from mtctl.geometry import Mask
from mtctl.scene.record import load_mask
from mtctl.scene.volume_nodes import voxels_of
from MTCTLSegmentLib.jobs.store_job import StoreRequest
from MTCTLSegmentLib.review.case_review import CaseReview


def prediction_request(review: CaseReview) -> StoreRequest:
    """The scan with the model's segmentation and all of its maps; what the store has already is not stored again.

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
    """What the person made of a case that is in the store. Needs nothing of the scene, which may be closed.

    Args:
        review: See there.
        operation: "draft", "accept" or "reject".
        mask: The segmentation as it is now, (z, y, x); it must not change any more.
        reviewer: Pseudonym of the person, or "".
    """
    content = {"review": review.draft(), "reason": review.session.state.reason, "reviewer": reviewer}
    arrays = {"segmentation": _as_bytes(mask)}
    if not review.own:
        arrays["start"] = _as_bytes(review.session.maps.segmentation)
    return StoreRequest(operation, {} if operation == "reject" else arrays, content)


def opened_from(store: Path, scan: Any) -> str | None:
    """The id of the case that the scan was opened as (by MTCTLTrain) from this store; None: by its voxels."""
    return scan.GetAttribute(scene.CASE) if scan.GetAttribute(scene.CASE_STORE) == str(store) else None


def _as_bytes(mask: Mask) -> np.ndarray[Any, Any]:
    return np.asarray(mask, bool).view(np.uint8)  # not copied


def note_stored(store: Path, scan: Any, answer: Mapping[str, Any]) -> None:
    """The case that the scan was opened as holds a newer record, and the scene shows what that is about."""
    if opened_from(store, scan) == answer["case"]:
        scan.SetAttribute(scene.CASE_RECORD, str(answer["record"]))
