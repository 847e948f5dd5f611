"""The stand-in for the Slicer application behaves like the application, also where that is inconvenient."""

from __future__ import annotations

import gc
import pathlib
import subprocess
import sys
import types
import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from host.fixtures import TEST_SIZE
from support.children import environment
from support.paths import TESTING

pytestmark = pytest.mark.host_self

EXAMPLE = TESTING / "host" / "example" / "HostExample.py"


@pytest.fixture(scope="session")
def example_loaded(running_application: Any) -> str:
    running_application.module(EXAMPLE)
    return "HostExample"


@pytest.fixture
def example(host: Any, example_loaded: str) -> Iterator[Any]:
    """The example module, entered; its record of calls is empty."""
    widget = host.enter(example_loaded)
    type(widget).calls.clear()
    yield widget
    host.leave()


@pytest.fixture
def qt(host: Any) -> Any:
    import qt

    return qt


@pytest.fixture
def slicer(host: Any) -> Any:
    import slicer

    return slicer


@pytest.fixture
def scan(slicer: Any) -> Any:
    """A bright box (value 1) in a dark volume of 60 x 50 x 40 mm, shown in the slice views."""
    array = np.zeros((40, 50, 60), np.float32)
    array[10:30, 10:40, 10:50] = 1
    node = slicer.util.addVolumeFromArray(array, name="scan")
    node.CreateDefaultDisplayNodes()
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


@pytest.fixture
def editor(example: Any, slicer: Any, scan: Any) -> Any:
    """The embedded Segment Editor on an empty segment; painting is restricted to the bright box."""
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "atrium")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    segmentation.GetSegmentation().AddEmptySegment("LA", "left atrium", [1, 0, 0])
    node = slicer.vtkMRMLSegmentEditorNode()
    node.SetSingletonTag("HostExample")
    node = slicer.mrmlScene.AddNode(node)
    widget = example.ui.editor
    widget.setMRMLSegmentEditorNode(node)
    widget.autoShowSourceVolumeNode = False
    widget.setSegmentationNode(segmentation)
    widget.setSourceVolumeNode(scan)
    node.SetOverwriteMode(node.OverwriteNone)
    node.SetSourceVolumeIntensityMask(True)
    node.SetSourceVolumeIntensityMaskRange(0.5, 1.0)
    widget.maximumNumberOfUndoStates = 20
    widget.setupViewObservations()
    widget.setActiveEffectByName("Paint")
    yield widget
    widget.setSegmentationNode(None)
    widget.removeViewObservations()


def voxels(slicer: Any, editor: Any) -> np.ndarray:
    segmentation = editor.segmentationNode()
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "LA", slicer.util.getNode("scan")).astype(bool)


CORNER = (12.0, 12.0, 20.0)  # of the bright box: a ball around it is partly outside


class TestQtAsPythonQtOffersIt:
    def test_properties_are_attributes_and_not_calls(self, qt: Any) -> None:
        button = qt.QPushButton("Apply")
        button.checkable = True
        assert (button.text, button.checkable, button.size.width() > 0) == ("Apply", True, True)
        with pytest.raises(TypeError):
            button.text()

    def test_unknown_attributes_are_refused(self, qt: Any) -> None:
        with pytest.raises(AttributeError, match="not allowed"):
            qt.QPushButton().colour = "red"
        with pytest.raises(AttributeError):
            qt.QPushButton().colour  # noqa: B018

    def test_keyword_arguments_are_refused(self, qt: Any) -> None:
        with pytest.raises(TypeError):
            qt.QPushButton(text="Apply")
        with pytest.raises(TypeError):
            qt.QPushButton().setText(text="Apply")

    def test_isinstance_of_a_base_class_is_false_and_the_exact_type_holds(self, qt: Any) -> None:
        button = qt.QPushButton()
        assert not isinstance(button, qt.QWidget)
        assert type(button) == qt.QPushButton  # noqa: E721

    def test_enums_are_integers_without_their_scope(self, qt: Any) -> None:
        assert qt.QProcess.Running == 2
        assert isinstance(qt.Qt.AlignLeft | qt.Qt.AlignTop, int)
        with pytest.raises(AttributeError):
            qt.QProcess.ProcessState.Running  # noqa: B018

    def test_lists_come_back_as_tuples(self, qt: Any) -> None:
        box = qt.QWidget()
        layout = qt.QVBoxLayout(box)
        layout.addWidget(qt.QLabel("one"))
        assert isinstance(box.children(), tuple)

    def test_a_signal_blocker_is_no_context_manager(self, qt: Any) -> None:
        with pytest.raises((TypeError, AttributeError)), qt.QSignalBlocker(qt.QLabel()):
            pass

    def test_paths_are_refused_where_qt_wants_text(self, qt: Any) -> None:
        with pytest.raises(ValueError, match="pathlib"):
            qt.QLabel(pathlib.Path("scan.nrrd"))

    def test_custom_signals_are_refused(self, qt: Any) -> None:
        with pytest.raises(AttributeError, match="observer"):
            qt.Signal  # noqa: B018

    def test_dynamic_properties_and_children_are_attributes(self, qt: Any) -> None:
        box = qt.QWidget()
        label = qt.QLabel("one", box)
        label.name = "first"
        label.setProperty("SlicerParameterName", "threshold")
        assert box.first == label
        assert label.SlicerParameterName == "threshold"

    def test_a_class_derived_from_qt_may_override_and_carry_state(self, qt: Any) -> None:
        class Filter(qt.QObject):
            def __init__(self) -> None:
                super().__init__()
                self.seen = 0

            def eventFilter(self, watched: Any, event: Any) -> bool:
                self.seen += 1
                return super().eventFilter(watched, event)

        label, counter = qt.QLabel("text"), Filter()
        label.installEventFilter(counter)
        label.show()
        assert counter.seen > 0

    def test_table_items_are_asked_with_calls(self, qt: Any) -> None:
        table = qt.QTableWidget()
        table.setColumnCount(1)
        table.setRowCount(2)
        table.setItem(0, 0, qt.QTableWidgetItem("first"))
        table.setCurrentCell(0, 0)
        assert (table.rowCount, table.currentRow(), table.item(0, 0).text()) == (2, 0, "first")


class TestWidgets:
    def test_a_collapsible_button_folds_what_is_inside_and_nothing_else(self, host: Any, qt: Any) -> None:
        import ctk

        button, shown, hidden = ctk.ctkCollapsibleButton(), qt.QLabel("shown"), qt.QLabel("hidden")
        layout = qt.QVBoxLayout(button)
        layout.addWidget(shown)
        layout.addWidget(hidden)
        hidden.hide()
        button.show()
        button.collapsed = True
        assert (shown.isVisible(), button.checked) == (False, False)
        button.collapsed = False
        assert (shown.isVisible(), hidden.isVisible()) == (True, False)

    def test_a_collapsible_button_is_never_narrower_than_its_contents_ask_for(self, host: Any, qt: Any) -> None:
        """As CTK's: a message in a wrapped label widens the page and the panel, unless the label ignores its hint."""
        import ctk

        page = qt.QWidget()
        column = qt.QVBoxLayout(page)
        button = ctk.ctkCollapsibleButton(page)
        column.addWidget(button)
        label = qt.QLabel("short", button)
        label.setWordWrap(True)
        qt.QVBoxLayout(button).addWidget(label)
        page.show()
        narrow = page.minimumSizeHint.width()
        label.text = "a message of several sentences that somebody wrote without a thought of how wide it becomes " * 3
        host.process_events()
        assert page.minimumSizeHint.width() > narrow + 100
        label.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred)
        host.process_events()
        assert page.minimumSizeHint.width() == narrow
        page.deleteLater()

    def test_a_slider_keeps_to_its_range_and_signals_once(self, host: Any, qt: Any) -> None:
        import ctk

        slider, received = ctk.ctkSliderWidget(), []
        slider.maximum = 1.0
        slider.singleStep = 0.01
        slider.connect("valueChanged(double)", received.append)
        slider.value = 0.25
        slider.value = 0.25
        slider.value = 3.0
        assert received == [0.25, 1.0]

    def test_paths_signal_what_is_chosen_and_nothing_for_an_empty_one(self, host: Any) -> None:
        import ctk

        edit, button, received = ctk.ctkPathLineEdit(), ctk.ctkDirectoryButton(), []
        edit.currentPathChanged.connect(received.append)
        edit.currentPath = "/tmp/scan.nrrd"
        edit.currentPath = ""
        button.directoryChanged.connect(received.append)
        button.directory = "/tmp"
        assert received == ["/tmp/scan.nrrd", "/tmp"]
        assert pathlib.Path(ctk.ctkDirectoryButton().directory).is_absolute()


class TestSignals:
    def test_new_style_passes_checked_and_old_style_what_it_names(self, qt: Any) -> None:
        button, received = qt.QPushButton(), []
        button.checkable = True
        button.clicked.connect(lambda i=5: received.append(i))
        button.connect("clicked()", lambda i=5: received.append(i))
        button.connect("clicked(bool)", lambda checked: received.append(checked))
        button.click()
        assert received == [True, 5, True]

    def test_a_function_without_parameters_gets_none(self, qt: Any) -> None:
        button, received = qt.QPushButton(), []
        button.clicked.connect(lambda: received.append("clicked"))
        button.click()
        assert received == ["clicked"]

    def test_a_partial_gets_all_that_the_signal_carries(self, qt: Any) -> None:
        button, received = qt.QPushButton(), []
        button.clicked.connect(partial(received.append))
        button.click()
        assert received == [False]

    def test_a_bound_method_keeps_its_owner_until_it_is_disconnected(self, qt: Any) -> None:
        class Owner:
            calls = 0

            def called(self) -> None:
                Owner.calls += 1

        button, owner = qt.QPushButton(), Owner()
        alive = weakref.ref(owner)
        button.clicked.connect(owner.called)
        method = owner.called
        del owner
        gc.collect()
        button.click()
        assert (Owner.calls, alive() is not None) == (1, True)
        button.clicked.disconnect(method)
        del method
        gc.collect()
        assert alive() is None

    def test_connecting_twice_calls_twice(self, qt: Any) -> None:
        button, received = qt.QPushButton(), []
        function = lambda: received.append(1)  # noqa: E731
        button.clicked.connect(function)
        button.clicked.connect(function)
        button.click()
        button.clicked.disconnect(function)
        button.click()
        assert len(received) == 3

    def test_an_unknown_signal_is_printed_and_false_returned(self, qt: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert qt.QPushButton().connect("pressedHard()", print) is False
        assert "pressedHard" in capsys.readouterr().err

    def test_a_failing_slot_is_printed_and_recorded_and_the_rest_goes_on(self, host: Any, qt: Any) -> None:
        button, received = qt.QPushButton(), []
        button.clicked.connect(lambda: 1 / 0)
        button.clicked.connect(lambda: received.append(1))
        button.click()
        assert received == [1]
        assert [type(failure.exception) for failure in host.failures] == [ZeroDivisionError]
        host.failures.clear()

    def test_a_failing_observer_of_the_scene_is_recorded(self, host: Any, slicer: Any) -> None:
        tag = slicer.mrmlScene.AddObserver(slicer.mrmlScene.NodeAddedEvent, lambda *_: 1 / 0)
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
        slicer.mrmlScene.RemoveObserver(tag)
        assert [type(failure.exception) for failure in host.failures] == [ZeroDivisionError]
        host.failures.clear()

    def test_signals_of_qt_5_carry_the_text(self, qt: Any) -> None:
        box, received = qt.QComboBox(), []
        box.addItems(["a", "b"])
        box.connect("currentIndexChanged(QString)", received.append)
        box.currentIndex = 1
        assert received == ["b"]

    def test_a_timer_fires_once_without_being_kept(self, host: Any, qt: Any) -> None:
        received: list[int] = []
        qt.QTimer.singleShot(0, lambda: received.append(1))
        assert host.wait_until(lambda: received, 2)

    def test_a_process_is_read_through_old_style_signals(self, host: Any, qt: Any) -> None:
        process, output, ended = qt.QProcess(), [], []
        process.connect("readyReadStandardOutput()", lambda: output.append(process.readAllStandardOutput().data()))
        process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: ended.append((code, status)))
        process.start(sys.executable, ["-c", "print('hello')"])
        assert host.wait_until(lambda: ended, 20)
        assert b"".join(output).strip() == b"hello"
        assert ended == [(0, qt.QProcess.NormalExit)]


class TestLifeCycle:
    def test_entering_makes_sets_up_and_enters_once(self, host: Any, example: Any) -> None:
        host.leave()
        assert host.enter("HostExample") is example
        assert example.calls == ["exit", "enter"]
        assert example.parent.isEntered

    def test_reloading_cleans_up_and_neither_exits_nor_enters(self, host: Any, example: Any) -> None:
        first_calls = example.calls
        again = host.reload("HostExample")
        assert first_calls == ["cleanup"]
        assert again.calls == ["__init__", "setup"]
        assert again is not example
        assert again.parent.isEntered

    def test_the_self_test_runs(self, slicer: Any, example: Any) -> None:
        slicer.selfTests["HostExample"]()

    def test_sample_data_is_registered_at_startup(self, slicer: Any, example: Any) -> None:
        assert [each.sampleName for each in slicer.modules.sampleDataSources["HostExample"]] == ["HostExample1"]

    @pytest.mark.parametrize(
        ("values", "error"),
        [
            ({"uris": None, "fileNames": None, "nodeNames": None}, TypeError),
            ({"uris": ["a", "b"], "fileNames": ["a"], "nodeNames": ["a", "b"]}, ValueError),
            ({"uris": "a", "fileNames": "a", "nodeNames": "a", "sampleDescription": "a"}, TypeError),
        ],
    )
    def test_sample_data_that_the_application_refuses_is_refused(
        self, slicer: Any, example: Any, values: dict[str, Any], error: type[Exception]
    ) -> None:
        import SampleData

        with pytest.raises(error):
            SampleData.SampleDataLogic.registerCustomSampleDataSource(category="Refused", sampleName="a", **values)
        assert not SampleData.SampleDataLogic.sampleDataSourcesByCategory("Refused")

    def test_the_end_of_the_application_exits_and_cleans_up(self, host: Any) -> None:
        program = (
            "import sys, host; h = host.start(); h.module(sys.argv[1]);"
            "calls = h.enter('HostExample').calls; h.stop(); print(calls)"
        )
        arguments = [sys.executable, "-c", program, str(EXAMPLE)]
        done = subprocess.run(arguments, env=environment(), capture_output=True, text=True, timeout=300, check=False)
        assert done.stdout.strip().endswith("['__init__', 'setup', 'enter', 'exit', 'cleanup']"), done.stderr
        assert done.returncode == 0

    def test_a_shortcut_of_the_main_window_works_in_a_view_and_not_in_a_line_edit(
        self, host: Any, example: Any
    ) -> None:
        host.press("N")
        assert example.applied == 1
        host.press("N", example.ui.noteEdit)
        assert (example.applied, example.ui.noteEdit.text) == (1, "nonen")
        host.leave()
        host.press("N")
        assert example.applied == 1


class TestParameterNode:
    def test_values_reach_the_widgets_and_come_back(self, example: Any, scan: Any) -> None:
        parameters, ui = example._parameterNode, example.ui
        parameters.threshold = 0.25
        parameters.visible = False
        parameters.samples = 16
        parameters.device = "cpu"
        parameters.note = "checked"
        parameters.kind = type(parameters.kind).disagreement
        parameters.folder = pathlib.Path("/tmp")
        parameters.scan = scan
        assert ui.thresholdSlider.value == 0.25
        assert (ui.visibleBox.checked, ui.samplesBox.value, ui.noteEdit.text) == (False, 16, "checked")
        assert (ui.deviceBox.currentText, ui.kindBox.currentText) == ("cpu", "disagreement")
        assert (ui.folderEdit.currentPath, ui.scanSelector.currentNode()) == ("/tmp", scan)
        ui.thresholdSlider.value = 0.75
        ui.visibleBox.checked = True
        ui.kindBox.currentIndex = 0
        ui.scanSelector.setCurrentNode(None)
        assert (parameters.threshold, parameters.visible, parameters.scan) == (0.75, True, None)
        assert parameters.kind.name == "entropy"

    def test_bindings_of_connect_gui_stay_and_take_a_choice_back(self, host: Any, example: Any) -> None:
        kinds = type(example._parameterNode.kind)
        example._parameterNode.kind = kinds.disagreement
        host.leave()
        host.enter("HostExample")
        assert example._guiTag is None and example._parameterNode.kind == kinds.entropy, "as in the application"

    def test_bindings_with_a_tag_can_be_undone(self, qt: Any, example: Any) -> None:
        parameters, edit = example.logic.getParameterNode(), qt.QLineEdit()
        tag = parameters.connectParametersToGui({"note": edit})
        edit.text = "bound"
        assert parameters.note == "bound"
        parameters.disconnectGui(tag)
        edit.text = "free"
        assert parameters.note == "bound"

    @pytest.mark.parametrize(
        ("name", "value", "error"),
        [
            ("threshold", np.float32(0.5), TypeError),
            ("threshold", 1.5, ValueError),
            ("samples", np.int64(3), TypeError),
            ("samples", 5.0, TypeError),
            ("folder", "/tmp", TypeError),
            ("device", "tpu", ValueError),
            ("scan", "scan", TypeError),
        ],
    )
    def test_what_the_application_refuses_is_refused(
        self, example: Any, name: str, value: Any, error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            setattr(example._parameterNode, name, value)

    def test_defaults_and_unknown_attributes(self, example: Any) -> None:
        parameters = example.logic.getParameterNode()
        assert (str(parameters.folder), parameters.note) == (".", "none")
        parameters.misspelt = 1

    @pytest.mark.parametrize(
        ("kind", "widget"), [(float, "ctkSliderWidget"), (str, "ctkComboBox"), (bool, "ctkCollapsibleButton")]
    )
    def test_what_the_application_does_not_bind_raises(self, slicer: Any, kind: type, widget: str) -> None:
        import ctk
        from slicer.parameterNodeWrapper import parameterNodeWrapper

        parameters = parameterNodeWrapper(type("Parameters", (), {"__annotations__": {"value": kind}}))
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
        with pytest.raises(RuntimeError):
            parameters(node).connectParametersToGui({"value": getattr(ctk, widget)()})

    def test_node_fields_read_none_after_a_scene_is_loaded(
        self, host: Any, slicer: Any, example: Any, scan: Any, tmp_path: pathlib.Path
    ) -> None:
        example._parameterNode.scan = scan
        slicer.util.saveScene(str(tmp_path / "case.mrb"))
        slicer.mrmlScene.Clear(0)
        example.initializeParameterNode()
        slicer.util.loadScene(str(tmp_path / "case.mrb"))
        assert example._parameterNode.scan is None
        assert example._parameterNode.parameterNode.GetNodeReference("scan").GetName() == "scan"
        example.initializeParameterNode()
        assert example._parameterNode.scan.GetName() == "scan"


class TestScene:
    def test_a_loaded_volume_replaces_the_background_unless_asked_not_to(
        self, slicer: Any, scan: Any, tmp_path: pathlib.Path
    ) -> None:
        slicer.util.saveNode(scan, str(tmp_path / "other.nrrd"))
        layers = slicer.util.getNode("vtkMRMLSliceCompositeNodeRed")
        hidden = slicer.util.loadVolume(str(tmp_path / "other.nrrd"), {"show": False})
        assert hidden.GetDisplayNode() is not None
        assert layers.GetBackgroundVolumeID() == scan.GetID()
        shown = slicer.util.loadVolume(str(tmp_path / "other.nrrd"))
        assert layers.GetBackgroundVolumeID() == shown.GetID()

    def test_a_missing_file_raises_and_names_it(self, slicer: Any) -> None:
        with pytest.raises(RuntimeError, match=r"nowhere\.nrrd"):
            slicer.util.loadVolume("/nowhere.nrrd")

    def test_segmentations_are_written_and_read(self, slicer: Any, editor: Any, tmp_path: pathlib.Path) -> None:
        editor.activeEffect().paint_at(CORNER, 8)
        slicer.util.saveNode(editor.segmentationNode(), str(tmp_path / "atrium.seg.nrrd"))
        again = slicer.util.loadSegmentation(str(tmp_path / "atrium.seg.nrrd"))
        assert slicer.util.arrayFromSegmentInternalBinaryLabelmap(again, "LA").sum() == voxels(slicer, editor).sum()

    def test_the_applications_colour_tables_are_there(self, slicer: Any, scan: Any) -> None:
        table = slicer.mrmlScene.GetNodeByID("vtkMRMLColorTableNodeFileInferno.txt")
        assert (table.GetName(), table.GetNumberOfColors()) == ("Inferno", 256)
        assert slicer.util.getNode("Viridis") is not None
        legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(scan)
        assert legend is not None

    def test_a_case_gets_a_folder_in_the_subject_hierarchy(self, slicer: Any, scan: Any) -> None:
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "case 1")
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(scan), folder)
        children = slicer.util.getSubjectHierarchyItemChildren(folder)
        assert [hierarchy.GetItemName(child) for child in children] == ["scan"]

    def test_a_segmentation_that_is_hidden_before_it_is_added_is_complained_of(self, host: Any, slicer: Any) -> None:
        late = slicer.mrmlScene.AddNode(slicer.vtkMRMLSegmentationNode())
        late.SetHideFromEditors(True)
        assert host.warnings == []
        early = slicer.vtkMRMLSegmentationNode()
        early.SetHideFromEditors(True)
        slicer.mrmlScene.AddNode(early)
        assert len(host.warnings) == 7 and "subject hierarchy item" in host.warnings[0]

    def test_node_selectors_filter_by_attribute(self, slicer: Any, scan: Any) -> None:
        selector = slicer.qMRMLNodeComboBox()
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        selector.noneEnabled = True
        selector.addAttribute("vtkMRMLScalarVolumeNode", "MTCTL.Role", "uncertainty")
        selector.setMRMLScene(slicer.mrmlScene)
        assert selector.nodeCount() == 0
        scan.SetAttribute("MTCTL.Role", "uncertainty")
        selector.setMRMLScene(slicer.mrmlScene)
        assert selector.nodeCount() == 1

    def test_a_selector_follows_the_deletion_of_its_node(self, slicer: Any, example: Any, scan: Any) -> None:
        example.ui.scanSelector.setCurrentNode(scan)
        slicer.mrmlScene.RemoveNode(scan)
        assert example.ui.scanSelector.currentNode() is None

    def test_questions_are_refused_in_testing_mode_unless_the_test_answers(self, host: Any, slicer: Any) -> None:
        assert slicer.util.confirmOkCancelDisplay("Install?") is False
        assert slicer.util.confirmYesNoDisplay("Delete?") is False
        host.answer(True, True, False)
        assert slicer.util.confirmOkCancelDisplay("Install?")
        assert slicer.util.confirmYesNoDisplay("Delete?")
        assert not slicer.util.confirmYesNoDisplay("Delete?")
        slicer.util.errorDisplay("no disk space")
        assert [(each.kind, each.text) for each in host.messages][-1] == ("error", "no disk space")

    def test_errors_are_raised_again_in_testing_mode(self, slicer: Any) -> None:
        with pytest.raises(ZeroDivisionError), slicer.util.tryWithErrorDisplay("Failed."):
            _ = 1 / 0

    def test_a_modal_dialog_does_not_block(self, host: Any, qt: Any) -> None:
        dialog = qt.QDialog()
        dialog.windowTitle = "Really?"
        assert dialog.exec_() == 0
        host.answer(1)
        assert dialog.exec_() == 1
        assert qt.QMessageBox.question(None, "Title", "Text") == qt.QMessageBox.No

    def test_packages_are_asked_for_and_never_installed(self, host: Any, slicer: Any) -> None:
        from slicer import packaging

        with pytest.raises(RuntimeError, match="declined"):
            packaging.pip_ensure("no-such-package>=1", requester="Test", skip_in_testing=False)
        host.answer(True)
        packaging.pip_ensure("no-such-package>=1", requester="Test", skip_in_testing=False)
        packaging.pip_ensure("numpy")
        slicer.util.pip_install("another-one")
        assert host.installed == ["no-such-package>=1", "another-one"]
        host.fail_installing(OSError("offline"))
        with pytest.raises(OSError, match="offline"):
            slicer.util.pip_install("a-third-one")

    def test_errors_of_vtk_are_collected(self, host: Any, slicer: Any) -> None:
        slicer.mrmlScene.AddNode(None)
        assert len(host.vtk_errors) == 1
        assert "null node" in host.vtk_errors[0]

    def test_the_utilities_of_the_application_run(self, slicer: Any) -> None:
        assert slicer.util.showStatusMessage("Working")
        assert pathlib.Path(slicer.util.tempDirectory()).is_dir()
        assert slicer.util.settingsValue("MTCTL/device", "auto") == "auto"
        slicer.app.settings().setValue("MTCTL/device", "cpu")
        assert slicer.util.settingsValue("MTCTL/device", "auto") == "cpu"
        slicer.app.settings().remove("MTCTL/device")
        assert slicer.util.getModuleLogic("Markups") is slicer.modules.markups.logic()
        with slicer.util.WaitCursor():
            pass
        assert slicer.util.createProgressDialog(maximum=5).maximum == 5
        slicer.util.setModuleHelpSectionVisible(False)
        slicer.util.setDataProbeVisible(False)
        slicer.util.setDataProbeVisible(True)


class TestViews:
    def test_the_picture_shows_the_scan_where_it_is(self, host: Any, scan: Any) -> None:
        pixels = host.view_pixels("Red")
        column, row = host.pixel_of("Red", (30.0, 25.0, 20.0))
        assert pixels[row, column].min() > 200
        column, row = host.pixel_of("Red", (3.0, 3.0, 20.0))
        assert pixels[row, column].max() < 50

    def test_jumping_moves_all_slices_and_not_the_crosshair(self, slicer: Any, scan: Any) -> None:
        crosshair = slicer.util.getNode("vtkMRMLCrosshairNodedefault")
        before = list(crosshair.GetCrosshairRAS())
        slicer.modules.markups.logic().JumpSlicesToLocation(12.0, 13.0, 14.0, True)
        for axis, name in enumerate(("Yellow", "Green", "Red")):
            place = slicer.util.getNode(f"vtkMRMLSliceNode{name}").GetSliceToRAS().GetElement(axis, 3)
            assert place == pytest.approx(12 + axis)
        assert list(crosshair.GetCrosshairRAS()) == before

    def test_a_heatmap_shows_and_hides_with_its_threshold(self, host: Any, slicer: Any, scan: Any) -> None:
        heat = slicer.util.addVolumeFromArray(0.6 * slicer.util.arrayFromVolume(scan), name="heat")
        heat.CreateDefaultDisplayNodes()
        display = heat.GetDisplayNode()
        display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeFileInferno.txt")
        display.AutoWindowLevelOff()
        display.SetWindowLevelMinMax(0, 1)
        display.AutoThresholdOff()
        display.SetThreshold(0.5, 1)
        display.SetApplyThreshold(1)
        slicer.util.setSliceViewerLayers(foreground=heat, foregroundOpacity=1.0)
        column, row = host.pixel_of("Red", (30.0, 25.0, 20.0))
        red, _, blue = (int(value) for value in host.view_pixels("Red")[row, column])
        assert red > blue + 50
        display.SetLowerThreshold(0.7)
        red, _, blue = (int(value) for value in host.view_pixels("Red")[row, column])
        assert red == blue

    def test_many_changes_make_one_render(self, host: Any, scan: Any) -> None:
        host.process_events()
        before = host.renders("Red")
        for level in range(10):
            scan.GetDisplayNode().SetLevel(0.1 * level)
        host.process_events()
        assert host.renders("Red") == before + 1

    def test_paused_views_wait(self, host: Any, slicer: Any, scan: Any) -> None:
        host.process_events()
        before = host.renders("Red")
        with slicer.util.RenderBlocker():
            scan.GetDisplayNode().SetLevel(0.2)
            host.wait(0.1)
            assert host.renders("Red") == before
        host.process_events()
        assert host.renders("Red") == before + 1

    def test_layouts_arrange_the_views(self, host: Any, slicer: Any) -> None:
        manager = slicer.app.layoutManager()
        assert manager.sliceViewNames() == ("Red", "Green", "Yellow")
        before = manager.layout
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
        host.process_events()
        assert manager.sliceWidget("Red").isVisible()
        assert not manager.sliceWidget("Green").isVisible()
        manager.setLayout(before)
        host.process_events()
        assert manager.sliceWidget("Green").isVisible()

    def test_a_chart_switches_the_layout_until_it_is_restored(self, host: Any, slicer: Any) -> None:
        manager = slicer.app.layoutManager()
        before = manager.layout
        chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode")
        slicer.modules.plots.logic().ShowChartInLayout(chart)
        assert manager.layout != before
        manager.setLayout(before)

    def test_a_plot_view_keeps_its_axes_whatever_is_drawn_later_until_they_are_fitted(
        self, host: Any, slicer: Any
    ) -> None:
        manager, scene = slicer.app.layoutManager(), slicer.mrmlScene
        before, table = manager.layout, scene.AddNewNodeByClass("vtkMRMLTableNode")
        slicer.util.updateTableFromArray(table, np.array([[0.0, 1.0], [1.0, 2.0]]), ["x", "y"])
        series, chart = (scene.AddNewNodeByClass(f"vtkMRMLPlot{kind}Node") for kind in ("Series", "Chart"))
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName("x")
        series.SetYColumnName("y")
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
        slicer.modules.plots.logic().ShowChartInLayout(chart)
        host.process_events()
        view = manager.plotWidget(manager.plotViewCount - 1).plotView()
        axes = view.axes()
        table.GetTable().GetColumn(1).SetValue(1, 100.0)
        table.Modified()
        host.process_events()
        assert view.axes() == axes
        view.fitToContent()
        assert view.axes()[1][1] > 100
        chart.SetYAxisRangeAuto(False)
        chart.SetYAxisRange(0.0, 9.0)
        assert view.axes()[1] == (0.0, 9.0)
        manager.setLayout(before)

    def test_the_wheel_moves_the_slice(self, host: Any, scan: Any) -> None:
        view = host.view("Red")
        before = view.logic.GetSliceOffset()
        host.wheel("Red", 1)
        assert view.logic.GetSliceOffset() != before

    def test_a_screenshot_shows_panel_and_views(
        self, host: Any, example: Any, scan: Any, tmp_path: pathlib.Path
    ) -> None:
        from matplotlib.image import imread

        picture = imread(host.screenshot(tmp_path / "window.png"))
        assert picture.shape[1::-1] == TEST_SIZE
        assert picture[:, 500:].std() > 0.2

    def test_the_heartbeat_notices_a_blocked_interface(
        self, host: Any, qt: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from host import heartbeat

        clock = [0.0]
        monkeypatch.setattr(
            heartbeat, "time", types.SimpleNamespace(perf_counter=lambda: clock[0], thread_time=lambda: clock[0])
        )
        with host.heartbeat() as beat:
            host.wait(0.1)
        assert beat.worst_ms == 0
        with host.heartbeat() as beat:
            qt.QTimer.singleShot(0, lambda: clock.append(clock.pop() + 0.5))
            host.wait(0.1)
        assert beat.worst_ms == pytest.approx(500 - heartbeat.INTERVAL_MS) and beat.busiest_ms == pytest.approx(500)


class TestSegmentEditor:
    def test_painting_stays_within_the_intensity_mask(self, slicer: Any, editor: Any, scan: Any) -> None:
        editor.activeEffect().paint_at(CORNER, 8)
        painted = voxels(slicer, editor)
        assert painted.sum() > 500
        assert not painted[slicer.util.arrayFromVolume(scan) < 0.5].any()

    def test_erasing_stays_within_the_intensity_mask(self, slicer: Any, editor: Any, scan: Any) -> None:
        node = editor.mrmlSegmentEditorNode()
        node.SetSourceVolumeIntensityMask(False)
        editor.activeEffect().paint_at(CORNER, 8)
        before = voxels(slicer, editor)
        node.SetSourceVolumeIntensityMask(True)
        editor.setActiveEffectByName("Erase")
        editor.activeEffect().paint_at(CORNER, 20)
        bright = slicer.util.arrayFromVolume(scan) >= 0.5
        assert np.array_equal(voxels(slicer, editor), before & ~bright)

    def test_the_mouse_paints_in_a_slice_view(self, host: Any, slicer: Any, editor: Any) -> None:
        editor.activeEffect().setCommonParameter("BrushAbsoluteDiameter", 6)
        host.stroke("Red", [(20.0, 25.0, 20.0), (30.0, 25.0, 20.0), (40.0, 25.0, 20.0)])
        painted = voxels(slicer, editor)
        assert painted[20, 25, [20, 30, 40]].all()
        editor.undo()
        assert not voxels(slicer, editor).any()

    def test_every_stroke_is_one_undo_step_even_if_it_changes_nothing(self, slicer: Any, editor: Any) -> None:
        editor.activeEffect().paint_at(CORNER, 8)
        painted = voxels(slicer, editor)
        editor.activeEffect().paint_at((3.0, 3.0, 3.0), 2)
        editor.undo()
        assert np.array_equal(voxels(slicer, editor), painted)
        editor.undo()
        assert not voxels(slicer, editor).any()
        editor.redo()
        assert np.array_equal(voxels(slicer, editor), painted)

    def test_a_proposal_goes_through_the_editors_own_history(self, slicer: Any, editor: Any, scan: Any) -> None:
        proposal = (slicer.util.arrayFromVolume(scan) >= 0.5).astype(np.uint8)
        editor.saveStateForUndo()
        slicer.util.updateSegmentBinaryLabelmapFromArray(proposal, editor.segmentationNode(), "LA", scan)
        assert voxels(slicer, editor).sum() == proposal.sum()
        editor.undo()
        assert not voxels(slicer, editor).any()

    def test_an_effect_can_be_given_a_labelmap(self, slicer: Any, editor: Any, scan: Any) -> None:
        effect = editor.activeEffect()
        effect.saveStateForUndo()
        effect.defaultModifierLabelmap()
        labelmap = effect.modifierLabelmap()
        scalars = labelmap.GetPointData().GetScalars()
        scalars.Fill(1)
        labelmap.Modified()
        effect.modifySelectedSegmentByLabelmap(labelmap, slicer.qSlicerSegmentEditorAbstractEffect.ModificationModeAdd)
        assert np.array_equal(voxels(slicer, editor), slicer.util.arrayFromVolume(scan) >= 0.5)

    def test_the_mouse_still_paints_until_the_view_observations_are_removed(
        self, host: Any, slicer: Any, editor: Any
    ) -> None:
        effect = editor.activeEffect()
        host.leave()
        effect.paint_at(CORNER, 8)
        painted = voxels(slicer, editor)
        assert painted.any()
        editor.removeViewObservations()
        effect.paint_at((40.0, 30.0, 20.0), 8)
        assert np.array_equal(voxels(slicer, editor), painted)

    def test_closing_the_scene_with_the_brush_in_a_view_is_a_crash(self, host: Any, slicer: Any, editor: Any) -> None:
        editor.activeEffect().paint_at(CORNER, 8)
        slicer.mrmlScene.Clear(0)
        assert "segmentation fault" in str(host.failures[0])
        host.failures.clear()

    def test_taking_the_segmentation_away_prevents_the_crash(self, slicer: Any, editor: Any) -> None:
        editor.activeEffect().paint_at(CORNER, 8)

        def prevent(*_: Any) -> None:
            editor.setSegmentationNode(None)
            editor.removeViewObservations()

        tag = slicer.mrmlScene.AddObserver(slicer.mrmlScene.StartCloseEvent, prevent)
        slicer.mrmlScene.Clear(0)
        slicer.mrmlScene.RemoveObserver(tag)
        assert editor.mrmlSegmentEditorNode().GetScene() is not None
        assert not editor.mrmlSegmentEditorNode().GetSourceVolumeIntensityMask()

    def test_the_source_becomes_another_volume_when_it_is_deleted(self, slicer: Any, editor: Any, scan: Any) -> None:
        heat = slicer.util.addVolumeFromArray(slicer.util.arrayFromVolume(scan), name="heat")
        editor.setSourceVolumeNode(heat)
        slicer.mrmlScene.RemoveNode(heat)
        assert editor.sourceVolumeNode() is scan
        assert editor.mrmlSegmentEditorNode().GetSourceVolumeIntensityMask()

    def test_an_intensity_range_of_equal_ends_becomes_the_middle_half_of_the_volumes_values(
        self, slicer: Any, editor: Any
    ) -> None:
        node = editor.mrmlSegmentEditorNode()
        whole = (slicer.util.arrayFromVolume(slicer.util.getNode("scan")) > 0.5).astype(np.uint8)
        editor.setSourceVolumeNode(slicer.util.addVolumeFromArray(whole, name="allowed"))
        node.SetSourceVolumeIntensityMaskRange(1.0, 1.0)
        assert node.GetSourceVolumeIntensityMaskRange() == (0.25, 0.75)
        editor.activeEffect().paint_at(CORNER, 8)
        painted = voxels(slicer, editor)  # Whole numbers are compared with whole numbers: 0 to 0.
        assert painted.any() and not painted[whole != 0].any()
        node.SetSourceVolumeIntensityMaskRange(1.0, 2.0)
        assert node.GetSourceVolumeIntensityMaskRange() == (1.0, 2.0)

    def test_the_editors_keys_switch_the_mask_and_select_other_segments(
        self, host: Any, slicer: Any, editor: Any
    ) -> None:
        node, segmentation = editor.mrmlSegmentEditorNode(), editor.segmentationNode()
        for name in ("B", "C"):
            segmentation.GetSegmentation().AddEmptySegment(name, name)
        segmentation.GetDisplayNode().SetSegmentVisibility("B", False)
        editor.installKeyboardShortcuts()
        host.press("I")
        assert not node.GetSourceVolumeIntensityMask()
        selected = []
        for key in "WWQQ":
            host.press(key)
            selected.append(node.GetSelectedSegmentID())
        editor.uninstallKeyboardShortcuts()
        assert selected == ["C", "LA", "LA", "LA"]

    def test_without_a_segmentation_an_order_about_the_source_volume_is_passed_over(
        self, editor: Any, scan: Any
    ) -> None:
        segmentation = editor.segmentationNode()
        editor.setSegmentationNode(None)
        editor.setSourceVolumeNode(None)
        assert editor.sourceVolumeNode() is scan
        editor.setSegmentationNode(segmentation)
        editor.setSourceVolumeNode(None)
        assert editor.sourceVolumeNode() is None

    def test_the_masking_section_wants_the_editors_node_first(self, host: Any, slicer: Any) -> None:
        widget = slicer.qMRMLSegmentEditorWidget()
        widget.maskingSectionVisible = False
        assert "maskingSectionVisible" in str(host.failures[0])
        host.failures.clear()

    def test_what_is_attached_during_a_batch_of_changes_is_detached_at_its_end(
        self, host: Any, slicer: Any, editor: Any, scan: Any
    ) -> None:
        segmentation, scene = editor.segmentationNode(), slicer.mrmlScene
        editor.setSegmentationNode(None)
        scene.StartState(scene.BatchProcessState)
        new = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "that came with the batch")
        editor.setSegmentationNode(new)
        scene.EndState(scene.BatchProcessState)
        assert editor.segmentationNode() is None
        editor.setSegmentationNode(segmentation)
        editor.setSourceVolumeNode(scan)
        scene.StartState(scene.BatchProcessState)
        scene.EndState(scene.BatchProcessState)
        assert editor.segmentationNode() is segmentation and editor.sourceVolumeNode() is scan

    def test_it_grows_when_the_options_of_an_effect_open(self, host: Any, editor: Any) -> None:
        editor.setActiveEffect(None)
        host.process_events()
        narrow = editor.minimumSizeHint.width()
        editor.setActiveEffectByName("Paint")
        host.process_events()
        assert editor.minimumSizeHint.width() > narrow + 50

    def test_only_the_effects_asked_for_are_shown(self, editor: Any) -> None:
        editor.setEffectNameOrder(["Erase", "Paint"])
        editor.unorderedEffectsVisible = False
        assert [editor.effectByIndex(index).name for index in range(editor.effectCount())] == ["Erase", "Paint"]

    def test_undo_states_are_limited(self, slicer: Any, editor: Any) -> None:
        editor.maximumNumberOfUndoStates = 2
        for offset in range(4):
            editor.activeEffect().paint_at((15.0 + 8 * offset, 25.0, 20.0), 3)
        for _ in range(6):
            editor.undo()
        assert voxels(slicer, editor).any()


def test_a_missing_part_is_named_instead_of_crashing(monkeypatch: pytest.MonkeyPatch) -> None:
    from host import requirements

    monkeypatch.setattr(requirements, "_opengl_works", lambda: False)
    monkeypatch.setattr(requirements.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(requirements.sys, "platform", "linux")
    message = requirements.missing_requirement()
    assert message is not None and "libegl1" in message
    monkeypatch.setattr(requirements.importlib.util, "find_spec", lambda name: None)
    message = requirements.missing_requirement()
    assert message is not None and "pip install" in message
