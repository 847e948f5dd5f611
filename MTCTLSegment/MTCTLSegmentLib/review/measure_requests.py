"""Requests to measure the case under review, and to write its report and its surfaces."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mtctl import scene
from mtctl.io.case_names import safe_stem
from mtctl.measures.hand_over import FOLDER, HandedCase, hand_over
from mtctl.scene.types import Node
from MTCTLSegmentLib.jobs.array_request import ChildProgram
from MTCTLSegmentLib.review.case_review import CaseReview

MEASURES = ChildProgram("mtctl.measures.process", "the process that measures", FOLDER)
REPORT = ChildProgram("mtctl.figures.report_process", "the process that writes reports", FOLDER)

# What no system or not every system takes in the name of a file.
_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|\x00-\x1f]+')


def case_name(scan: Node) -> str:
    """Return what the files of a scan are called: the id of its case in a store, or else the name of its node."""
    name = scan.GetAttribute(scene.CASE) or scan.GetName() or ""
    return safe_stem(_NOT_IN_NAMES.sub("-", name).strip(" .") or "case")


def shape_request(review: CaseReview) -> HandedCase:
    """Return the request to measure volume, surface, extents and sphericity; no voxel of the scan is needed.

    Raises:
        SceneError: Something of the case was deleted, or the scan is under a warping transform.
    """
    return _request(review, case_name(review.nodes.scan), False, {})


def wall_request(review: CaseReview, outward_mm: float, inward_mm: float) -> HandedCase:
    """Return the request to measure the wall, too.

    Raises:
        SceneError: As `shape_request`.
    """
    wall = {"outward_mm": outward_mm, "inward_mm": inward_mm}
    return _request(review, case_name(review.nodes.scan), True, {"wall": wall})


def surface_request(review: CaseReview, folder: Path, formats: list[str], space: str) -> HandedCase:
    """Return the request to write the surfaces into a folder.

    Raises:
        SceneError: As `shape_request`.
    """
    content = {"out": str(folder), "formats": formats, "space": space}
    return _request(review, case_name(review.nodes.scan), True, content)


def report_request(review: CaseReview, path: Path, body: Mapping[str, Any] | None) -> HandedCase:
    """Return the request to write the report, which is headed with the name of its file.

    Args:
        review: The review.
        path: The file.
        body: The person's size as `BodySize` has it; None: unknown.

    Raises:
        SceneError: As `shape_request`.
    """
    name = path.name.removesuffix(".pdf").removesuffix(".report")
    return _request(review, name, True, {"out": str(path), "body": body})


def _request(review: CaseReview, name: str, with_scan: bool, content: Mapping[str, Any]) -> HandedCase:
    problem = review.refresh()
    if problem is not None:
        raise scene.SceneError(problem)
    scan = scene.volume_of(review.nodes.scan)
    voxels = np.asarray(scan.array) if with_scan else None
    handed = hand_over(name, review.session, review.mask, review.report, scan.geometry, voxels)
    return HandedCase(handed.arrays, {**handed.content, **content})
