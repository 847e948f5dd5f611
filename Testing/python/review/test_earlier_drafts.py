"""Drafts of versions that went through uncertain regions: they open, and what was looked at there is visited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.reviewed_atria import GEOMETRY, doubtful_atrium

from mtctl.geometry import Geometry, Mask
from mtctl.review.case_maps import ReviewError
from mtctl.review.document import knowledge_in, read_review, review_document, segmentation_sum, with_geometry
from mtctl.review.earlier_regions import places_of
from mtctl.review.knowledge import Knowledge
from mtctl.review.state import EarlierRegion, Status

MAPS = doubtful_atrium()

#: What version 0.1.0 said of the regions of this atrium: number, threshold, and the middle of its voxels.
WERE_AT = {
    1: (0.5, (0.8192148760330582, 4.138429752066116, 56.00826446280992)),
    2: (0.5, (27.54433497536946, 1.794334975369459, 61.251231527093594)),
    5: (0.3, (17.392857142857146, 16.327922077922075, 38.85714285714286)),
}


def earlier_draft() -> dict[str, Any]:
    """A draft as version 0.1.0 wrote it: three regions were looked at, one of them accepted, one only listed."""
    marks = [
        {"id": number, "seen_at": at, "accepted_at": at if number == 2 else None, "edited": number == 1, "seconds": 4.0}
        for number, (at, _) in WERE_AT.items()
    ]
    marks.append({"id": 3, "seen_at": None, "accepted_at": None, "edited": False, "seconds": 0.0})
    return {
        "format": 1,
        "version": "0.1.0",
        "geometry": GEOMETRY.to_json(),
        "segmentation_sha256": segmentation_sum(MAPS.segmentation),
        "regions_sha256": "51c3730c399aa4737c562464f39c9e9bd64b176326e64de90ff9761860d4575f",
        "status": "draft",
        "reason": "",
        "seconds": 12.0,
        "looked_at_ml": 1.87,
        "left": {"regions": 14, "ml": 7.39},
        "threshold": 0.3,
        "current": 5,
        "regions": marks,
        "edits": [{"kind": "paint", "region": 1, "seconds": 3.0, "added_ml": 0.1, "removed_ml": 0.0}],
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "case.review.json"
    path.write_text(json.dumps(earlier_draft()), encoding="utf-8")
    return path


def test_the_regions_that_were_looked_at_are_where_the_earlier_version_found_them(path: Path) -> None:
    state = read_review(path, MAPS).state
    assert np.allclose(state.visited, [place for _, place in WERE_AT.values()])
    assert (state.status, state.threshold, state.seconds) == (Status.DRAFT, 0.3, 12.0)
    assert [edit.kind for edit in state.edits] == ["paint"]


def test_what_is_written_again_has_the_places_and_no_regions(path: Path) -> None:
    document = review_document(read_review(path, MAPS))
    assert len(document["visited"]) == 3 and "regions" not in document and "current" not in document
    json.dumps(document)


def test_the_review_of_somebody_elses_segmentation_has_its_own_regions() -> None:
    others = MAPS.reviewing(np.roll(MAPS.segmentation, 2, axis=2))
    places = places_of([EarlierRegion(number, 0.5) for number in (1, 2, 3)], others)
    assert np.allclose(places, [(32.69525547445255, 27.811435523114348, 54.462287104622874),
                                (1.3073529411764717, 4.721323529411766, 54.95882352941176),
                                (34.9365234375, 11.0009765625, 58.2265625)])  # fmt: skip


def test_a_region_that_is_not_found_any_more_is_no_place_and_no_complaint() -> None:
    assert places_of([EarlierRegion(999, 0.5), EarlierRegion(1, 1.0)], MAPS) == ()


def test_an_earlier_draft_of_a_scan_that_was_moved_since_opens_too(path: Path) -> None:
    import dataclasses

    moved = dataclasses.replace(GEOMETRY, origin=(20.0, -20.0, 30.0))
    path.write_text(json.dumps(with_geometry(earlier_draft(), moved)), encoding="utf-8")
    x, y, z = WERE_AT[1][1]
    assert np.allclose(read_review(path, dataclasses.replace(MAPS, geometry=moved)).state.visited[0], (x + 10, y, z))


def test_the_voxels_of_a_region_that_was_looked_at_count_as_seen(path: Path) -> None:
    mask: Mask = MAPS.segmentation.copy()
    mask[0, 0, 0] ^= True
    document = json.loads(json.dumps(review_document(read_review(path, MAPS, mask))))
    known = knowledge_in(document, MAPS.segmentation, mask, GEOMETRY)
    x, y, z = (round(at) for at in GEOMETRY.physical_to_index(WERE_AT[2][1]).tolist())
    assert known[z, y, x] == Knowledge.SEEN and known[0, 0, 0] == Knowledge.PAINTED
    assert (known == Knowledge.UNTOUCHED).any()


def test_what_a_review_of_another_scan_or_segmentation_tells_is_not_taken(path: Path) -> None:
    document = json.loads(json.dumps(review_document(read_review(path, MAPS))))
    other = np.roll(MAPS.segmentation, 1, axis=2)
    moved = Geometry(GEOMETRY.size, GEOMETRY.spacing, (0.0, 0.0, 99.0))
    for start, geometry in ((other, GEOMETRY), (MAPS.segmentation, moved)):
        with pytest.raises(ReviewError, match="of another scan or segmentation"):
            knowledge_in(document, start, start, geometry)
