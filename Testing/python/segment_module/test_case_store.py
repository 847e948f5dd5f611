"""What the module leaves in the case store when a case is decided on: decisions, and who made them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.segment_module import check, choose_store, mask
from support.segment_store import accept, add, kinds, saved, the_case

from mtctl.cases.store import CaseStore

pytestmark = pytest.mark.host


class TestADecision:
    @pytest.mark.usefixtures("stored_here")
    def test_brings_the_prediction_with_all_its_maps(self, host: Any, module: Any, case: Any, store: CaseStore) -> None:
        add(host, module)
        accept(host, module)
        stored = the_case(store)
        assert stored.uncertainties == ("entropy", "mutual_information", "disagreement")
        for kind in stored.uncertainties:
            assert np.array_equal(stored.map(kind), slicer_array(case.nodes.uncertainty[kind]))
        assert np.array_equal(stored.start(), case.session.maps.segmentation)
        assert stored.looked_at().any(), "so that it can be learnt from"

    def test_is_handed_over_in_a_folder_whose_name_a_launcher_garbles(
        self, host: Any, module: Any, case: Any, store: CaseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "Zo\u00eb M\u00fcller").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "Zo\u00eb M\u00fcller"))
        add(host, module)
        accept(host, module)
        assert kinds(store) == ["prediction", "corrected"]

    @pytest.mark.usefixtures("stored_here")
    def test_is_as_good_in_a_second_store(
        self, host: Any, module: Any, case: Any, store: CaseStore, tmp_path: Path
    ) -> None:
        add(host, module)
        accept(host, module)
        choose_store(host, module.finishPanel.storeEdit, tmp_path / "second")
        accept(host, module)
        second = CaseStore(tmp_path / "second")
        assert kinds(store) == kinds(second) == ["prediction", "corrected"]
        assert np.array_equal(the_case(second).looked_at(), the_case(store).looked_at())

    @pytest.mark.usefixtures("stored_here")
    def test_is_as_good_after_the_case_was_deleted_from_the_store(
        self, host: Any, module: Any, case: Any, store: CaseStore
    ) -> None:
        add(host, module)
        accept(host, module)
        folder = the_case(store).folder
        shutil.rmtree(folder)
        for note in folder.parent.glob(f".mtctl-*{folder.name}"):
            note.unlink()
        accept(host, module)
        assert kinds(store) == ["prediction", "corrected"] and the_case(store).looked_at().any()

    @pytest.mark.usefixtures("stored_here")
    def test_on_somebody_elses_segmentation_says_what_was_looked_at(
        self, host: Any, module: Any, case: Any, store: CaseStore
    ) -> None:
        import slicer

        theirs = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "theirs")
        theirs.SetReferenceImageGeometryParameterFromVolumeNode(case.nodes.scan)
        theirs.GetSegmentation().AddEmptySegment("LA", "left atrium")
        drawn = np.roll(mask(case), 4, axis=1)
        slicer.util.updateSegmentBinaryLabelmapFromArray(drawn.astype(np.uint8), theirs, "LA", case.nodes.scan)
        host.process_events()
        check(host, module, "theirs")
        add(host, module)
        accept(host, module)
        stored = the_case(store)
        assert np.array_equal(stored.prediction(), case.session.maps.segmentation)
        assert np.array_equal(stored.start(), drawn) and stored.looked_at().any()

    @pytest.mark.usefixtures("stored_here")
    @pytest.mark.parametrize("button", ["acceptCaseButton", "rejectCaseButton"])
    def test_is_signed_with_a_pseudonym_that_is_remembered(
        self, host: Any, module: Any, case: Any, store: CaseStore, button: str
    ) -> None:
        module.ui.reviewerEdit.text = " MK "
        module.ui.reasonEdit.text = "motion"
        host.answer(True)
        getattr(module.ui, button).click()
        assert saved(host, module)
        assert the_case(store).reviewer == "MK"
        assert host.reload("MTCTLSegment").ui.reviewerEdit.text == "MK"

    @pytest.mark.usefixtures("stored_here")
    def test_needs_no_pseudonym(self, host: Any, module: Any, case: Any, store: CaseStore) -> None:
        accept(host, module)
        assert module.ui.reviewerEdit.text == "" == the_case(store).reviewer


def slicer_array(node: Any) -> np.ndarray:
    import slicer

    return np.asarray(slicer.util.arrayFromVolume(node))
