"""How much the voxels of a corrected case count: by whether a person painted, confirmed or only saw them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.stored_cases import predicted, result_for, reviewed

from mtctl.cases.appending import append_record
from mtctl.cases.case import StoredCase
from mtctl.cases.records import KNOWLEDGE, LOOKED_AT, RecordKind
from mtctl.cases.store import CaseStore
from mtctl.geometry import Mask, Triple, Volume
from mtctl.io.volumes import write_volume
from mtctl.preprocessing.network_grid import GRID_MM
from mtctl.review.answers import ShownQuestion
from mtctl.review.document import review_document
from mtctl.review.knowledge import Knowledge
from mtctl.review.session import ReviewSession
from mtctl_train.data.sampler import Sampler
from mtctl_train.finetuning.cases import FineTuningCases
from mtctl_train.finetuning.plan import make_plan
from mtctl_train.finetuning.weighting import Weighting, trusted
from mtctl_train.methods.losses import cross_entropy_loss

#: Voxels (z, y, x) of a case of 20 x 24 x 28 that lie farther apart than a question reaches.
PAINTED, KEPT, VISITED, UNTOUCHED = (3, 4, 4), (3, 18, 22), (16, 4, 22), (16, 18, 4)


def place_of(case: StoredCase, voxel: tuple[int, int, int]) -> Triple:
    x, y, z = case.geometry.index_to_physical(np.array(voxel[::-1], float)).tolist()
    return x, y, z


def question_at(place: Triple) -> ShownQuestion:
    return ShownQuestion("posterior wall", place, place, "inside", 0.4, 0.5, np.array([], np.int64))


@pytest.fixture
def one_of_each(tmp_path: Path) -> StoredCase:
    """A case with a stroke, a place that was found right, one that was passed by, and places where nobody was."""
    store = CaseStore(tmp_path)
    case = predicted(store)
    session, mask = ReviewSession(case.maps()), case.prediction()
    session.look_at(place_of(case, VISITED))
    session.keep(question_at(place_of(case, KEPT)))
    mask[PAINTED] ^= True
    session.record("paint", mask)
    return store.accept(case, mask, review_document(session), "tester")


def test_a_voxel_weighs_by_whether_it_was_painted_confirmed_seen_or_left_alone(one_of_each: StoredCase) -> None:
    knowledge, doubt = one_of_each.knowledge(), one_of_each.map("entropy")
    assert knowledge is not None
    for voxel, known in (
        (PAINTED, Knowledge.PAINTED), (KEPT, Knowledge.CONFIRMED), (VISITED, Knowledge.SEEN),
        (UNTOUCHED, Knowledge.UNTOUCHED),
    ):  # fmt: skip
        assert knowledge[voxel] == known
    weights = Weighting(corrected=5, confirmed=3, seen=2, unseen=1).of(one_of_each)
    assert weights is not None and weights.dtype == np.float32
    found = [float(weights[voxel]) for voxel in (PAINTED, KEPT, VISITED, UNTOUCHED)]
    assert found == pytest.approx([5, 3, 2, 1 - doubt[UNTOUCHED]])


def test_what_was_only_seen_does_not_judge_a_model_unless_the_old_one_was_sure(one_of_each: StoredCase) -> None:
    believed = trusted(one_of_each)
    assert believed[PAINTED] and believed[KEPT]
    passed = one_of_each.knowledge() == Knowledge.SEEN
    assert (believed[passed] == (one_of_each.map("entropy")[passed] <= 0.3)).all() and not believed[passed].all()


def test_a_case_of_an_earlier_program_weighs_by_what_was_looked_at_as_it_did(tmp_path: Path) -> None:
    store = CaseStore(tmp_path)
    case = predicted(store)
    mask, review = reviewed(case)
    looked_at = np.zeros(mask.shape, bool)
    looked_at[5:9] = True

    def write(folder: Path) -> dict[str, object]:
        return as_earlier(folder, case, mask, review, looked_at)

    append_record(case.folder, RecordKind.CORRECTED, write, "tester")
    case = store.case(case.id)
    assert case.knowledge() is None and (case.looked_at() == looked_at).all()
    uncertainty, changed = case.map("entropy"), mask != case.prediction()
    uncertain = (uncertainty >= review["threshold"]) | changed
    expected = np.where(looked_at | changed, np.where(uncertain, np.float32(2), np.float32(1)), 1 - uncertainty)
    assert np.array_equal(Weighting().of(case), expected.astype(np.float32))
    assert np.array_equal(trusted(case), looked_at | changed | (uncertainty <= 0.3))


def as_earlier(
    folder: Path, case: StoredCase, mask: Mask, review: dict[str, object], looked_at: Mask
) -> dict[str, object]:
    """Write a corrected record as it was written before what was painted, confirmed and seen was told apart."""
    from mtctl.cases.records import REVIEW
    from mtctl.cases.volumes import write_mask

    content = write_mask(folder, mask, case.geometry)
    (folder / REVIEW).write_text(json.dumps(review), encoding="utf-8")
    write_volume(Volume(looked_at.astype(np.uint8), case.geometry), folder / LOOKED_AT)
    return content | {"prediction": case.records[-1].number, "uncertainty": "entropy"}


def test_a_later_prediction_changes_neither_the_weights_nor_the_trust_of_an_earlier_review(
    one_of_each: StoredCase,
) -> None:
    weights, believed = Weighting().of(one_of_each), trusted(one_of_each)
    later = result_for(one_of_each.scan(), seed=5)
    later.segmentation[:] = 0
    case = CaseStore(one_of_each.folder.parents[1]).add_prediction(one_of_each, later)
    assert weights is not None and np.array_equal(Weighting().of(case), weights)
    assert np.array_equal(trusted(case), believed)


def test_the_loss_of_a_corrected_case_is_the_one_that_its_weights_give_by_hand(
    one_of_each: StoredCase, tmp_path: Path
) -> None:
    losses = []
    for weighting in (Weighting(), Weighting(corrected=50, confirmed=10, seen=4)):
        store = CaseStore(one_of_each.folder.parents[1])
        run = tmp_path / repr(weighting)
        cases = FineTuningCases(store, make_plan(store, 0), None, weighting, GRID_MM, run, lambda *told: None)
        labelled = cases.of_fold(0).labelled
        batch = Sampler(labelled, [], [], (16, 16, 16), 1, 0.0, 0.0, seed=1, intensity_share=0.0).draw(0)
        logits = torch.linspace(-2, 2, batch.mask.numel()).reshape(batch.mask.shape)
        loss = float(cross_entropy_loss(logits, batch.mask, batch.weight))
        said, true, weight = (tensor.double().numpy() for tensor in (torch.sigmoid(logits), batch.mask, batch.weight))
        each = -(true * np.log(said) + (1 - true) * np.log(1 - said))
        assert loss == pytest.approx((weight * each).sum() / weight.sum(), rel=1e-4)
        losses.append(loss)
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)


def test_a_damaged_volume_of_what_is_known_is_named(one_of_each: StoredCase) -> None:
    path = one_of_each.records[-1].folder / KNOWLEDGE
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(Exception, match="knowledge"):
        CaseStore(one_of_each.folder.parents[1]).case(one_of_each.id).knowledge()
