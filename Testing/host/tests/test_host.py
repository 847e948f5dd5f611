"""Modules of the stand-in: their life cycle and their parameter node are as the application's."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from support.children import environment
from support.host_example import EXAMPLE

pytestmark = pytest.mark.host_self


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
