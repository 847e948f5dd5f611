"""What the tests of the stores share: a case with everything that belongs to one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from support.scans import scan

from mtctl.cases.case import StoredCase
from mtctl.cases.store import CaseStore
from mtctl.cases.verify import Problem
from mtctl.geometry import Geometry, Mask, Triple, Volume
from mtctl.inference.result import Result
from mtctl.review.answers import KEPT_MM
from mtctl.review.document import review_document
from mtctl.review.places import near
from mtctl.review.session import ReviewSession

MODEL = {"id": "mtctl-la16", "version": "2026.11.23", "sha256": "51" * 32}

OBLIQUE = Geometry(
    (28, 24, 20),
    (0.7, 0.625, 2.5),
    (-12.25, 40.5, 3.125),
    (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, -1.0),
)


def result_for(volume: Volume, seed: int = 0) -> Result:
    """A box for an atrium and smooth noise for uncertainty."""
    mask = np.zeros(volume.geometry.shape, dtype=bool)
    z, y, x = (slice(count // 4, 3 * count // 4) for count in mask.shape)
    mask[z, y, x] = True
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random(mask.shape), 2).astype(np.float32)
    entropy = (noise - noise.min()) / (noise.max() - noise.min())
    maps = {
        "probability": mask * np.float32(0.9),
        "distance": mask * np.float32(2) - 1,
        "entropy": entropy,
        "mutual_information": entropy * np.float32(0.5),
        "disagreement": entropy * np.float32(0.25),
    }
    report = {"input": "MILLER_ANN_1961.nrrd", "model": MODEL, "threshold": 0.75, "case_score": 0.91, "warnings": []}
    return Result(volume.geometry, mask.astype(np.uint8), maps, report)


def predicted(store: CaseStore, volume: Volume | None = None, id: str | None = None) -> StoredCase:
    """A case with a prediction."""
    volume = volume or scan((20, 24, 28))
    return store.add_prediction(store.add(volume, id), result_for(volume))


def place_in(case: StoredCase) -> Triple:
    """A place (LPS mm) on the border of the box that `result_for` makes."""
    z, y, x = (count // 4 for count in case.geometry.shape)
    at = case.geometry.index_to_physical((x, y, z)).tolist()
    return at[0], at[1], at[2]


def reviewed(case: StoredCase, voxels: int = 50) -> tuple[Mask, dict[str, Any]]:
    """A person looks at a place and changes some voxels around it (none with 0); the mask and the review so far."""
    session, mask = ReviewSession(case.maps()), case.prediction()
    session.look_at(place_in(case))
    mask.flat[np.flatnonzero(near((place_in(case),), KEPT_MM, case.geometry))[:voxels]] ^= True
    session.record("paint", mask)
    return mask, review_document(session)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, locks aside."""
    paths = (path for path in folder.rglob("*") if path.is_file() and ".mtctl-lock" not in path.name)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def troubles(store: CaseStore) -> list[tuple[Problem, str]]:
    """What is wrong with a store, and the name of the file or folder where."""
    return [(found.problem, found.path.name) for found in store.verify()]
