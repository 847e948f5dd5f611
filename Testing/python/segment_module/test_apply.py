"""A person segments a scan in the module and finishes the case: Apply, Cancel, what can fail, and the case store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.paths import shared_names, shared_scans
from support.segment_module import arrive, dab, load_scan, mask, settle

from mtctl.models.model import Model
from mtctl.system.process_tree import family_of, is_running
from mtctl.worker.requests import SegmentationProgress

pytestmark = pytest.mark.host

# Loading torch takes ten seconds and more on a busy machine.
PATIENCE = 120


@pytest.fixture
def tiny(module: Any, scan_node: Any, tiny_model: Model) -> Any:
    """The smallest model, chosen as a folder of the user's own, and a scan."""
    choose_model(module, tiny_model.folder)
    return scan_node


def choose_model(module: Any, folder: Path) -> None:
    from host.dialogs import dialogs

    dialogs.answers.append(str(folder))
    module.ui.modelFolderButton.click()


def choose_listed(module: Any, title: str) -> None:
    """Chooses a model from the list by how its title begins."""
    box = module.ui.modelSelector
    box.currentIndex = next(index for index in range(box.count) if box.itemText(index).startswith(title))
    box.activated.emit(box.currentIndex)


def errors(host: Any) -> list[str]:
    return [message.text for message in host.messages if message.kind == "error"]


def child_of(module: Any) -> int:
    child = module.logic.job._client._child
    return int(child.transport._process.processId()) if child is not None else 0


class TestApply:
    def test_is_possible_when_a_scan_was_chosen(self, host: Any, module: Any) -> None:
        assert not module.ui.applyButton.enabled and "Choose a scan" in module.ui.applyButton.toolTip
        load_scan(host, module)
        assert module.ui.applyButton.enabled

    def test_brings_the_result_and_says_on_the_way_what_it_does(self, host: Any, module: Any, tiny: Any) -> None:
        words: set[str] = set()
        module.ui.applyButton.click()
        assert module.ui.applyButton.text == "Cancel" and module.ui.progressBar.isVisible()

        def arrived() -> bool:
            words.add(module.ui.progressLabel.text)
            return not module.logic.job.running

        assert host.wait_until(arrived, PATIENCE)
        assert not errors(host)
        assert module.currentReview.review is not None and module.currentReview.review.nodes.scan is tiny
        assert module.ui.applyButton.text == "Apply" and not module.ui.progressBar.isVisible()
        assert any(text.startswith("Starting the segmentation process") for text in words)

    def test_uses_the_chosen_model_device_samples_and_box(
        self, host: Any, module: Any, tiny: Any, tiny_model: Model
    ) -> None:
        module.ui.deviceSelector.currentIndex = 1
        module.ui.samplesBox.value = 3
        module.ui.advancedBox.collapsed = False
        module.ui.centerRoiButton.click()
        settings = module.scanPanel._settings()
        assert (settings.model, settings.device, settings.samples) == (str(tiny_model.folder), "cpu", 3)
        x0, x1, y0, y1, z0, z1 = map(float, settings.region.split(","))
        assert (x1 - x0, y1 - y0, z1 - z0) == pytest.approx((130, 110, 90), abs=0.1)
        bounds = [0.0] * 6
        tiny.GetRASBounds(bounds)
        right, left, back, front, bottom, top = bounds
        assert (x0 + x1) / 2 == pytest.approx(-(right + left) / 2, abs=1.5)
        assert (y0 + y1) / 2 == pytest.approx(-(back + front) / 2, abs=1.5)
        assert (z0 + z1) / 2 == pytest.approx((bottom + top) / 2, abs=1.5)

    def test_says_what_to_do_where_a_box_is_wanted_and_none_was_placed(self, host: Any, module: Any, tiny: Any) -> None:
        module.ui.placeSelector.currentIndex = 1
        module.ui.applyButton.click()
        assert "place a box first" in host.messages[-1].text.lower() and not module.logic.job.running

    def test_cancel_ends_the_child_before_it_returns(self, host: Any, module: Any, tiny: Any) -> None:
        module.ui.applyButton.click()
        assert host.wait_until(lambda: child_of(module), 10)
        host.wait_until(lambda: "Starting" not in module.ui.progressLabel.text, 30)  # in the middle of it
        family = family_of(child_of(module))
        module.ui.applyButton.click()
        assert family and not any(map(is_running, family))
        assert module.ui.progressLabel.text == "Cancelled." and module.ui.applyButton.text == "Apply"
        host.wait(0.3)
        assert module.currentReview.review is None and not errors(host)

    def test_a_child_that_dies_is_told_and_the_next_try_works(self, host: Any, module: Any, tiny: Any) -> None:
        from mtctl.system.process_tree import kill_tree

        module.ui.applyButton.click()
        assert host.wait_until(lambda: child_of(module), 10)
        kill_tree(child_of(module))
        assert host.wait_until(lambda: not module.logic.job.running, 10)
        assert "segmentation process" in host.messages[-1].text
        module.ui.applyButton.click()
        assert host.wait_until(lambda: not module.logic.job.running, PATIENCE)
        assert module.currentReview.review is not None

    def test_a_scan_that_cannot_be_segmented_is_refused_in_words(self, host: Any, module: Any, tiny: Any) -> None:
        import slicer

        slicer.util.updateVolumeFromArray(tiny, np.full((30, 30, 30), 7, np.float32))
        module.ui.applyButton.click()
        assert host.wait_until(lambda: not module.logic.job.running, PATIENCE)
        assert len(errors(host)) == 1 and "same value" in errors(host)[0]
        assert module.currentReview.review is None and module.ui.applyButton.text == "Apply"

    def test_a_result_for_a_scan_that_was_left_waits_there(self, host: Any, module: Any, tiny: Any) -> None:
        module.ui.applyButton.click()
        module._parameterNode.scan = None
        host.process_events()
        assert host.wait_until(lambda: not module.logic.job.running, PATIENCE)
        assert module.currentReview.review is None
        module.ui.scanSelector.choose("scan")
        host.process_events()
        assert module.currentReview.review is not None

    def test_a_scan_that_is_deleted_meanwhile_is_segmented_no_more(self, host: Any, module: Any, tiny: Any) -> None:
        import slicer

        # As soon as there is a child: a warm one may have the result in 0.3 s.
        module.ui.applyButton.click()
        assert host.wait_until(lambda: child_of(module), 10)
        slicer.mrmlScene.RemoveNode(tiny)
        host.process_events()
        assert not module.logic.job.running and "deleted" in module.ui.progressLabel.text


class TestThePanel:
    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (None, "Segmenting"),
            (0.4, "Segmenting, a moment left"),
            (7, "Segmenting, a few seconds left"),
            (22, "Segmenting, about 20 seconds left"),
            (70, "Segmenting, about a minute left"),
            (200, "Segmenting, about 3 minutes left"),
        ],
    )
    def test_time_left_is_told_as_a_person_would(self, module: Any, seconds: float | None, words: str) -> None:
        from MTCTLSegmentLib.text import progress_text

        assert progress_text(SegmentationProgress("network", 0.5, seconds)) == words

    def test_everything_that_can_be_used_has_a_tooltip(self, module: Any) -> None:
        kinds = ("QPushButton", "QToolButton", "QComboBox", "QCheckBox", "QSpinBox", "QLineEdit", "QTableWidget")
        kinds += ("ctkSliderWidget", "ctkPathLineEdit", "qMRMLNodeComboBox")
        used = {name: each for name, each in vars(module.ui).items() if type(each).__name__ in kinds}
        bare = [name for name, each in used.items() if not each.toolTip and not name.startswith("qt_")]
        assert not bare

    def test_every_parameter_that_a_widget_names_exists(self, module: Any) -> None:
        named = {widget.property("SlicerParameterName") for widget in vars(module.ui).values()} - {None}
        assert named <= set(type(module._parameterNode).allParameters) and len(named) == 12

    def test_what_was_chosen_is_still_chosen_when_the_module_is_entered_again(self, host: Any, module: Any) -> None:
        for name in ("placeSelector", "kindSelector", "surfaceSelector", "paintingSelector", "deviceSelector"):
            getattr(module.ui, name).currentIndex = 1
        names = ("place", "kind", "surface", "painting", "device")
        chosen = [getattr(module._parameterNode, name) for name in names]
        assert "uncertain" in str(chosen[3]) and chosen[4] == "cpu"
        for _ in range(2):
            host.leave()
            host.enter("MTCTLSegment")
            assert [getattr(module._parameterNode, name) for name in names] == chosen
        assert module.ui.paintingSelector.currentIndex == 1

    def test_sections_that_need_a_case_wait_for_one(self, host: Any, module: Any) -> None:
        names = ("uncertaintySection", "questionsSection", "correctSection", "finishSection")
        sections = [getattr(module.ui, name) for name in names]
        assert not any(section.enabled for section in sections)
        arrive(host, module, load_scan(host, module))
        assert all(section.enabled for section in sections) and module.ui.scanSection.collapsed

    def test_the_phantom_is_sample_data_that_needs_no_internet(self, host: Any, module: Any) -> None:
        import SampleData

        sources = SampleData.SampleDataLogic.sampleDataSourcesByCategory("MT-CTL")
        named = {source.sampleDescription: source for source in sources}  # Each test file loads the module once.
        assert set(named) == {"LGE phantom 1 (no download)", "LGE phantom 2 (no download)"}
        first = named["LGE phantom 1 (no download)"]
        assert Path(first.thumbnailFileName).is_file()
        node = SampleData.press(first)
        host.process_events()
        assert [node.GetName()] == first.nodeNames
        module.ui.scanSelector.choose(node.GetName())
        assert module.ui.applyButton.enabled


class TestTheModels:
    def test_shipped_ones_are_listed_below_the_one_in_use(self, module: Any) -> None:
        titles = [module.ui.modelSelector.itemText(index) for index in range(module.ui.modelSelector.count)]
        assert titles[0] == "In use: mtctl-la80"
        assert titles[1].startswith("mtctl-la80 (") and titles[2].startswith("mtctl-la16 (")
        assert module._parameterNode.model == "" and not module.ui.modelNoteLabel.isVisible()

    def test_a_folder_of_ones_own_is_remembered_and_a_wrong_one_is_refused(
        self, host: Any, module: Any, tiny_model: Model, tmp_path: Path
    ) -> None:
        choose_model(module, tmp_path)
        assert "not a model folder" in host.messages[-1].text
        choose_model(module, tiny_model.folder)
        again = host.reload("MTCTLSegment")
        assert again._parameterNode.model == str(tiny_model.folder)
        assert again.ui.modelSelector.currentText.startswith("tiny")


class TestTheEnd:
    def test_an_accepted_case_is_in_the_store_as_it_is_seen(
        self, host: Any, module: Any, case: Any, tmp_path: Path
    ) -> None:
        from mtctl.cases.history import CaseState
        from mtctl.cases.store import CaseStore

        module.ui.storeEdit.currentPath = str(tmp_path / "store")
        dab(host, module)
        module.ui.acceptCaseButton.click()
        assert host.wait_until(lambda: not module.finishPanel._job.running, 60)
        assert not host.messages
        (stored,) = CaseStore(tmp_path / "store").cases()
        assert stored.state == CaseState.CORRECTED
        assert np.array_equal(stored.corrected_mask(), mask(case))
        assert module.ui.finishLabel.text.startswith("Accepted and saved")
        module.ui.undoButton.click()
        settle(host, module)
        assert not module.ui.finishLabel.text.startswith("Accepted")

    @pytest.mark.usefixtures("stored_here")
    def test_a_rejected_case_needs_a_remark(self, host: Any, module: Any, case: Any, tmp_path: Path) -> None:
        from mtctl.cases.history import CaseState
        from mtctl.cases.store import CaseStore

        module.ui.storeEdit.currentPath = str(tmp_path / "store")
        module.ui.rejectCaseButton.click()
        assert "say in a few words" in host.messages[-1].text.lower()
        module.ui.reasonEdit.text = "the patient moved"
        module.ui.rejectCaseButton.click()
        assert host.wait_until(lambda: not module.finishPanel._job.running, 60)
        (stored,) = CaseStore(tmp_path / "store").cases()
        assert stored.state == CaseState.REJECTED

    @pytest.mark.usefixtures("stored_here")
    def test_without_a_store_the_person_is_asked_for_one(
        self, host: Any, module: Any, case: Any, tmp_path: Path
    ) -> None:
        module.ui.acceptCaseButton.click()
        assert "case store" in host.messages[-1].text and case.session.state.status.value == "draft"
        host.answer(str(tmp_path / "store"), True)
        module.ui.acceptCaseButton.click()
        assert host.wait_until(lambda: not module.finishPanel._job.running, 60)
        assert (tmp_path / "store" / "cases").is_dir()
        assert host.reload("MTCTLSegment").ui.storeEdit.currentPath == str(tmp_path / "store")

    @pytest.mark.usefixtures("stored_here")
    def test_a_store_that_cannot_be_written_loses_nothing(
        self, host: Any, module: Any, case: Any, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("not a folder")
        module.ui.storeEdit.currentPath = str(tmp_path / "file")
        host.answer(True)
        module.ui.acceptCaseButton.click()
        assert host.wait_until(lambda: not module.finishPanel._job.running, 60)
        assert host.messages[-1].text.startswith("The case was not saved")
        assert case.session.state.status.value == "draft"


def test_a_real_scan_with_the_shipped_model_has_its_outline_on_the_atrium(host: Any, module: Any) -> None:
    """Apply on a scan of the benchmark that the model was not trained on."""
    import slicer

    from mtctl import scene

    name = shared_names()[20]
    folder = shared_scans()
    slicer.util.loadVolume(str(folder / f"{name}.image.nrrd"), {"name": "real"})
    host.process_events()
    choose_listed(module, "mtctl-la16 ")
    module.ui.samplesBox.value = 2
    module.ui.scanSelector.choose("real")
    module.ui.applyButton.click()
    assert host.wait_until(lambda: not module.logic.job.running, 300)
    review = module.currentReview.review
    truth = slicer.util.loadLabelVolume(str(folder / f"{name}.label.nrrd"), {"show": False})
    right = slicer.util.arrayFromVolume(truth) != 0
    drawn = mask(review)
    dice = 2 * np.count_nonzero(drawn & right) / (np.count_nonzero(drawn) + np.count_nonzero(right))
    assert dice > 0.85
    module.ui.heatmapBox.click()
    middle = review.session.maps.geometry.index_to_physical(np.argwhere(drawn).mean(axis=0)[::-1]).tolist()
    scene.jump(slicer.mrmlScene, tuple(middle))
    pixels = host.view_pixels("Red").astype(int)
    red = (pixels[..., 0] > 200) & (pixels[..., 1] < 120) & (pixels[..., 2] < 120)
    rows, columns = np.nonzero(red)
    geometry = review.session.maps.geometry
    to_ras = slicer.util.arrayFromVTKMatrix(host.view("Red").node.GetXYToRAS())
    ras = to_ras @ np.stack([columns, pixels.shape[0] - 1 - rows, 0 * rows, 0 * rows + 1])
    x, y, z = np.rint(geometry.physical_to_index((ras[:3] * [[-1], [-1], [1]]).T)).astype(int).T
    # The line is two pixels wide, and in a small window a pixel is wider than a voxel.
    reach = int(np.ceil(1 + np.linalg.norm(to_ras[:3, 0]) / geometry.spacing[0]))
    around = range(-reach, reach + 1)
    inside = (x >= reach) & (y >= reach) & (x < geometry.size[0] - reach) & (y < geometry.size[1] - reach)
    window = [drawn[z, y + dy, x + dx] for dy in around for dx in around] if inside.all() else None
    assert len(rows) > 60 and window is not None
    touching = np.any(window, axis=0) & ~np.all(window, axis=0)
    assert touching.mean() > 0.95, "the outline lies where the segmentation has its border"
