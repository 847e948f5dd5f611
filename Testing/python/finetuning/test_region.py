"""Fine-tuning sees of a large scan what a prediction looks at, wherever the file puts it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from support.scans import scan

from mtctl.cases.store import CaseStore
from mtctl.geometry import Geometry, Mask, Volume
from mtctl.inference.locator import MARGIN_MM
from mtctl.inference.result import Result
from mtctl.io.labelled import DataError, LabelledVolume
from mtctl.preprocessing.network_grid import canonical_geometry
from mtctl.preprocessing.region_of_interest import Box
from mtctl_train.data.cases import case_of
from mtctl_train.finetuning.region import surroundings

#: 187 mm along x: more than the surroundings of an atrium.
LARGE = (40, 48, 300)


def ball(shape: tuple[int, int, int], centre: tuple[int, int, int], radius: float) -> Mask:
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    squared = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2
    return np.asarray(squared < radius**2)


@pytest.mark.parametrize(
    "direction",
    [(1, 0, 0, 0, 1, 0, 0, 0, 1), (-1, 0, 0, 0, 0, 1, 0, -1, 0)],
    ids=["as the patient lies", "flipped and turned"],
)
def test_a_part_of_a_scan_has_the_distances_and_voxels_of_the_whole(direction: tuple[float, ...]) -> None:
    volume = scan((60, 70, 80))
    volume = Volume(volume.array, replace(volume.geometry, origin=(5.0, -40.0, 12.0), direction=direction))
    mask = ball((60, 70, 80), (30, 30, 45), 9)
    labelled = LabelledVolume("part", volume, mask)
    box = Box.around(mask, volume.geometry).expanded(6)
    whole, part = case_of(labelled), case_of(labelled, box=box)
    grid, within = canonical_geometry(volume.geometry), canonical_geometry(volume.geometry, box=box)
    x, y, z = np.rint(grid.physical_to_index(within.origin)).astype(int)
    place = (slice(z, z + within.shape[0]), slice(y, y + within.shape[1]), slice(x, x + within.shape[2]))
    assert part.image.shape == within.shape and part.image.size < whole.image.size / 2
    assert np.abs(part.distance_mm - whole.distance_mm[place]).max() < 1e-3
    assert part.mask.sum() == whole.mask.sum() > 0
    # Each is z-scored over what is seen: the same up to scale and offset.
    assert np.corrcoef(part.image.ravel(), whole.image[place].ravel())[0, 1] > 0.9999


def predicted(
    store: CaseStore, id: str, box: Box | None, mask: Mask, chosen: dict[str, str | bool] | None = None
) -> None:
    """A large scan with a prediction in that region; None: in the whole scan. `chosen`: how the report says so."""
    volume = scan(LARGE, seed=len(store.ids()))
    said = {"chosen_by": "coarse pass" if box else "whole scan"} if chosen is None else chosen
    region = {"box_mm_lps": asdict(box or Box.of(volume.geometry))} | said
    maps = {name: np.full(LARGE, 0.3, np.float32) for name in ("entropy", "probability", "distance")}
    report = {"region_of_interest": region, "threshold": 0.5, "model": {"id": "m", "version": "1", "sha256": "0"}}
    store.add_prediction(store.add(volume, id), Result(volume.geometry, mask.astype(np.uint8), maps, report))


def test_the_region_of_the_prediction_is_taken_and_grows_with_a_mask_that_leaves_it(tmp_path: Path) -> None:
    store, near = CaseStore(tmp_path / "store"), ball(LARGE, (20, 24, 60), 8)
    box = Box(10, 60, 0, 30, 0, 25)
    predicted(store, "a", box, near)
    found = surroundings(store.case("a"))
    assert found is not None and found.low == pytest.approx((10, 0, 0)) and found.high[0] == pytest.approx(60)
    far = ball(LARGE, (20, 24, 160), 8)
    grown = surroundings(store.case("a"), far)
    assert grown is not None and grown.low[0] == pytest.approx(10)
    assert grown.high[0] == pytest.approx(Box.around(far, store.case("a").geometry).x1 + MARGIN_MM[0])


def test_a_large_scan_that_the_worker_segmented_is_taken_like_one_of_the_command_line(tmp_path: Path) -> None:
    store, box = CaseStore(tmp_path / "store"), Box(10, 60, 0, 30, 0, 25)
    reports = {"new": {"chosen_by": "coarse pass"}, "old": {"located": True}, "drawn": {"located": False}}
    for id, chosen in reports.items():
        predicted(store, id, box, ball(LARGE, (20, 24, 60), 8), chosen)
        found = surroundings(store.case(id))
        assert found is not None and found.low == pytest.approx((10, 0, 0)) and found.high[0] == pytest.approx(60)


def test_an_older_report_of_the_worker_on_the_whole_of_a_large_scan_says_nothing_of_its_atrium(tmp_path: Path) -> None:
    store = CaseStore(tmp_path / "store")
    predicted(store, "a", None, ball(LARGE, (20, 24, 60), 8), {"located": False})
    with pytest.raises(DataError, match="no prediction says where its atrium is"):
        surroundings(store.case("a"))


def test_a_large_scan_without_a_prediction_is_refused_unless_its_mask_says_where_the_atrium_is(tmp_path: Path) -> None:
    store = CaseStore(tmp_path / "store")
    case = store.add(scan(LARGE), "b")
    with pytest.raises(DataError, match="case b: a large scan, and no prediction says where its atrium is; segment"):
        surroundings(case)
    mask = ball(LARGE, (20, 24, 60), 8)
    found = surroundings(case, mask)
    assert found is not None and found.x1 == pytest.approx(Box.around(mask, case.geometry).x1 + MARGIN_MM[0])


def test_a_scan_of_the_surroundings_alone_is_taken_whole(tmp_path: Path) -> None:
    case = CaseStore(tmp_path / "store").add(scan(), "c")
    assert surroundings(case) is None
    assert isinstance(case.geometry, Geometry)
