"""Verdict page and case table of the module MTCTLTrain: publish, discard, roll back; open, and what can be wrong."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.children import environment
from support.paths import ROOT
from support.train_module import finished_run, list_store, text_of, verdict_on

from mtctl.cases.store import CaseStore
from mtctl.models.model import Model
from mtctl.models.store import ModelStore

pytestmark = pytest.mark.host


def settled(host: Any, module: Any) -> bool:
    """Waits until every request is answered."""
    return bool(host.wait_until(lambda: not module.verdictPanel._busy and not module.page.listing, 60))


class TestTheVerdict:
    @pytest.fixture
    def run(self, module: Any, site: ModelStore, store: CaseStore, tiny_model: Model, tmp_path: Path) -> Any:
        """A better candidate."""

        def judged(gain: float) -> Path:
            folder = finished_run(tmp_path / "runs", verdict_on(site.version(1).model, gain), tiny_model, store)
            module.page.find_run()
            return folder

        return judged

    def test_of_a_better_model_is_published_and_rolled_back(
        self, host: Any, module: Any, site: ModelStore, run: Any
    ) -> None:
        folder, ui = run(0.01), module.ui
        assert ui.verdictLabel.text == "Better: mean Dice 89.00 before, 90.00 now."
        assert text_of(ui.verdictTable)[0] == ["case-0", "88.00", "88.50", "+0.50"]
        assert text_of(ui.verdictTable)[-1] == ["Mean", "89.00", "90.00", "+1.00"]
        assert "2 folds of 3 corrected cases" in ui.figuresLabel.text and "0.031 before" in ui.figuresLabel.text
        host.wait(0.1)
        assert text_of(ui.caseTable)[0][:4] == ["case-0", "corrected", "88.0", "88.5"]
        assert not ui.reasonEdit.isVisible() and ui.publishButton.enabled
        ui.publishButton.click()
        assert not ui.publishButton.enabled, "one click publishes once"
        assert settled(host, module)
        assert ui.verdictLabel.text == "Published as site-0002." and not ui.publishButton.isVisible()
        assert ui.inUseLabel.text.startswith("In use: site-0002")
        assert ui.modelSelector.currentText.startswith("site-0002")
        assert not (folder / "prepared").exists() and (folder / "candidate").is_dir()
        ui.reasonEdit.text = "typed for something else"
        host.answer(True)
        ui.rollBackButton.click()
        assert settled(host, module)
        current = site.current()
        assert current is not None and current.number == 1 and ui.inUseLabel.text.startswith("In use: site-0001")
        assert site.history()[-1].reason == "", "a field that is not shown gives no reason"

    @pytest.mark.usefixtures("answered_here")
    def test_of_a_worse_model_needs_a_reason_which_is_recorded(
        self, host: Any, module: Any, site: ModelStore, run: Any
    ) -> None:
        run(-0.02)
        ui = module.ui
        assert ui.verdictLabel.text.startswith("Not better:\n• Its mean Dice is lower: 87.00, was 89.00.")
        assert ui.reasonEdit.isVisible() and not ui.publishButton.enabled
        assert ui.publishButton.text == "Publish even so"
        ui.reasonEdit.text = "our scanner"
        assert ui.publishButton.enabled
        ui.publishButton.click()
        assert settled(host, module)
        assert site.version(2).override == "our scanner"
        assert ui.verdictLabel.text == "Published as site-0002. Reason: our scanner"

    def test_against_a_model_that_is_not_in_use_any_more_is_refused_in_words(
        self, host: Any, module: Any, site: ModelStore, run: Any, tmp_path: Path
    ) -> None:
        run(0.01)
        site.publish(tmp_path / "tiny", "somebody else's")
        site.rollback()
        site.rollback()
        module.ui.publishButton.click()
        assert settled(host, module)
        assert "it was compared with" in module.ui.verdictLabel.text.lower()
        assert module.ui.reasonEdit.isVisible() and not module.ui.publishButton.enabled

    @pytest.mark.usefixtures("answered_here")
    def test_of_a_discarded_model_leaves_the_one_in_use(
        self, host: Any, module: Any, site: ModelStore, run: Any
    ) -> None:
        folder = run(0.01)
        module.ui.discardButton.click()
        assert settled(host, module)
        assert module.ui.verdictLabel.text.startswith("Discarded") and len(site.versions()) == 1
        assert (folder / "candidate").is_dir(), "nothing that was trained is lost"

    @pytest.mark.usefixtures("answered_here")
    def test_that_is_undecided_keeps_the_curves_and_one_that_is_decided_gives_the_views_back(
        self, host: Any, module: Any, run: Any
    ) -> None:
        import slicer

        users = slicer.app.layoutManager().layout
        run(0.01)
        curves = slicer.app.layoutManager().layout
        assert curves != users
        host.leave()
        host.enter("MTCTLTrain")
        assert slicer.app.layoutManager().layout == curves
        module.ui.discardButton.click()
        assert settled(host, module) and slicer.app.layoutManager().layout == users
        host.leave()
        host.enter("MTCTLTrain")
        host.process_events()
        assert slicer.app.layoutManager().layout == users, "an old run is no reason to take the slice views away"

    @pytest.mark.usefixtures("answered_here")
    def test_that_is_undecided_is_not_left_behind_by_accident(self, host: Any, module: Any, run: Any) -> None:
        folder = run(0.01)
        host.answer(False)
        module.ui.startButton.click()
        assert "neither published nor discarded" in host.messages[-1].text
        assert module.page.run.folder == folder


@pytest.mark.usefixtures("answered_here")
class TestAModelInUseThatIsDamaged:
    def test_is_called_so_and_can_be_rolled_back(self, host: Any, module: Any, site: ModelStore) -> None:
        ui, card = module.ui, site.version(1).folder / "card.json"
        card.write_text(card.read_text("utf-8") + " ", "utf-8")
        ui.refreshButton.click()
        assert settled(host, module)
        assert ui.inUseLabel.text == "In use: site-0001, which is damaged; roll back, or restore it from a backup."
        assert str(card) in ui.inUseLabel.toolTip and str(card) in ui.troubleLabel.text
        assert ui.modelSelector.itemText(0) == "site-0001 (damaged), in use"
        host.answer(True)
        ui.rollBackButton.click()
        assert settled(host, module)
        assert site.in_use() is None and not ui.rollBackButton.enabled and not ui.inUseLabel.toolTip
        assert ui.inUseLabel.text == "In use: the model that came with the extension."

    def test_and_unknown_as_the_store_is_damaged_is_not_taken_for_another(
        self, host: Any, module: Any, site: ModelStore
    ) -> None:
        (site.folder / "current.json").write_text("{", "utf-8")
        module.ui.refreshButton.click()
        assert settled(host, module)
        assert module.ui.inUseLabel.text.startswith("Which model is in use cannot be read")
        assert not module.ui.rollBackButton.enabled and "current.json" in module.ui.troubleLabel.text
        assert module.ui.modelSelector.itemText(0) == "unknown, in use"


@pytest.mark.usefixtures("answered_here")
class TestCasesOfTheVerdict:
    def test_the_next_best_case_is_opened_for_correction_and_goes_back_as_the_same_case(
        self, host: Any, module: Any, store: CaseStore
    ) -> None:
        import slicer

        from mtctl import scene

        assert module.page.next_best.id == "case-4" and "case-4, expected Dice 0.91" in module.ui.nextCaseLabel.text
        module.ui.nextCaseButton.click()
        assert host.wait_until(lambda: slicer.util.selectedModule() == "MTCTLSegment", 60)
        review = slicer.util.getModuleWidget("MTCTLSegment").currentReview.review
        case = store.case("case-4")
        assert np.array_equal(scene.volume_of(review.nodes.scan).array, case.scan().array)
        assert scene.volume_of(review.nodes.scan).geometry == case.geometry
        assert np.array_equal(scene.mask_of(review.nodes), case.prediction())
        host.answer(True)
        slicer.util.getModuleWidget("MTCTLSegment").ui.acceptCaseButton.click()
        assert host.wait_until(lambda: store.case("case-4").version == 1, 60)
        assert len(store.ids()) == 7 and len(store.case("case-4").records) == 2, "one case, one prediction"
        host.wait_until(lambda: False, 0.2)

    def test_a_corrected_case_opens_as_it_was_left_and_only_once(
        self, host: Any, module: Any, store: CaseStore
    ) -> None:
        import slicer

        from mtctl import scene

        table = module.ui.caseTable
        assert host.wait_until(lambda: table.rowCount == 7 and table.item(6, 0) is not None, 5)
        for _ in range(2):
            rectangle = table.visualItemRect(table.item(0, 1))
            host.click(table.viewport(), rectangle.center().x(), rectangle.center().y())
            assert host.wait_until(lambda: slicer.util.selectedModule() == "MTCTLSegment", 60)
            review = slicer.util.getModuleWidget("MTCTLSegment").currentReview.review
            assert np.array_equal(scene.mask_of(review.nodes), store.case("case-0").corrected_mask())
            assert review.session.state.visited
            host.enter("MTCTLTrain")
            host.wait_until(lambda: not module.page.listing, 60)
        assert len([node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
                    if node.GetAttribute(scene.CASE)]) == 1  # fmt: skip

    def test_without_mtctlsegment_a_click_says_so(
        self, host: Any, module: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import slicer

        monkeypatch.delattr(slicer.modules, "mtctlsegment")
        module.ui.nextCaseButton.click()
        assert "which is not installed in this Slicer" in host.messages[-1].text

    def test_a_damaged_and_a_deleted_case_are_told_and_the_others_stay(
        self, host: Any, module: Any, store: CaseStore
    ) -> None:
        (store.folder / "cases" / "case-1" / "case.json").write_text("{")
        shutil.rmtree(store.folder / "cases" / "case-4")
        module.ui.nextCaseButton.click()
        assert host.wait_until(lambda: host.messages, 60)
        assert "ase-4: there is no such case" in host.messages[-1].text
        module.ui.refreshButton.click()
        assert host.wait_until(lambda: not module.page.listing, 60)
        assert "case-1" in module.ui.troubleLabel.text and module.ui.troubleLabel.isVisible()
        assert {case.id for case in module.page.cases} == {"case-0", "case-2", "case-3", "case-5", "fresh"}

    def test_a_store_that_is_gone_and_one_without_corrections_stop_the_start_in_words(
        self, host: Any, module: Any, store: CaseStore, tmp_path: Path
    ) -> None:
        ui = module.ui
        list_store(host, module, tmp_path / "share")
        assert "is not there; connect the drive" in ui.casesLabel.text and not ui.startButton.enabled
        assert ui.estimateLabel.text == ui.startButton.toolTip == ui.casesLabel.text
        assert ui.inUseLabel.text.startswith("In use: site-0001"), "the models lie elsewhere"
        (tmp_path / "empty").mkdir()
        list_store(host, module, tmp_path / "empty")
        assert ui.casesLabel.text == "The store holds no cases yet."
        assert ui.estimateLabel.text == "No case is corrected or accepted yet: there is nothing to learn from."
        assert not ui.startButton.enabled and not ui.nextCaseButton.enabled


@pytest.mark.usefixtures("answered_here")
def test_what_was_chosen_is_still_chosen_when_the_module_is_entered_again(host: Any, module: Any) -> None:
    module.ui.lengthSelector.currentIndex = module.ui.deviceSelector.currentIndex = 1
    assert (module._parameterNode.length.name, module._parameterNode.device) == ("iterations", "cpu")
    for _ in range(2):
        host.leave()
        host.enter("MTCTLTrain")
        assert (module._parameterNode.length.name, module._parameterNode.device) == ("iterations", "cpu")


@pytest.mark.usefixtures("answered_here")
def test_a_store_that_is_chosen_here_is_shown_by_mtctlsegment(host: Any, module: Any, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    segment = host.enter("MTCTLSegment")
    assert segment.ui.storeEdit.currentPath != str(tmp_path / "other")
    list_store(host, host.enter("MTCTLTrain"), tmp_path / "other")
    assert host.enter("MTCTLSegment") is segment and segment.ui.storeEdit.currentPath == str(tmp_path / "other")


@pytest.mark.usefixtures("answered_here")
def test_a_panel_without_a_module_around_it_opens_and_follows_the_scene(host: Any, module: Any) -> None:
    import slicer

    panel = sys.modules["MTCTLTrain"].MTCTLTrainWidget()
    slicer.mrmlScene.Clear(0)
    for state in (slicer.vtkMRMLScene.SaveState, slicer.vtkMRMLScene.ImportState):
        slicer.mrmlScene.StartState(state)
        slicer.mrmlScene.EndState(state)
    assert panel.logic is not None and panel.ui.startButton is not None
    panel._onModuleAboutToBeUnloaded("MTCTLTrain")
    panel.parent.delete()


def test_only_what_slicer_ships_is_imported_at_file_scope() -> None:
    tree = ast.parse((ROOT / "MTCTLTrain" / "MTCTLTrain.py").read_text("utf-8"))
    names = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= {"pathlib", "typing", "qt", "slicer", "vtk", "MTCTLTrainLib"}


def test_the_open_page_has_not_loaded_torch(running_application: Any, tmp_path: Path) -> None:
    program = (
        "import sys; from host import start; host = start();"
        "host.module(sys.argv[1] + '/MTCTLTrain/MTCTLTrain.py'); widget = host.enter('MTCTLTrain');"
        "assert host.wait_until(lambda: widget.page.models, 60); assert not host.failures, host.failures;"
        "print('heavy:', sorted({'torch', 'safetensors', 'skimage'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(ROOT)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120)
    assert "heavy: []" in done.stdout, done.stdout + done.stderr
