"""The module comes and goes: nothing of a visit stays behind, and a Python that is too old is told at the door."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.children import environment
from support.instances import living
from support.paths import ROOT

pytestmark = pytest.mark.host


class TestTheParameterNode:
    def test_is_read_by_one_wrapper_however_often_the_module_was_entered(
        self, host: Any, module: Any, case: Any, tmp_path: Path
    ) -> None:
        import slicer

        kind = type(module._parameterNode)
        for _ in range(3):
            host.leave()
            assert living(kind) == 0
            host.enter("MTCTLSegment")
            assert living(kind) == 1
        assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
        for _ in range(2):
            slicer.util.loadScene(str(tmp_path / "scene.mrb"))
            host.process_events()
            assert living(kind) == 1 and module.currentReview.review is not None

    def test_is_bound_as_ever_after_the_module_was_left_and_entered(self, host: Any, module: Any, case: Any) -> None:
        host.leave()
        host.enter("MTCTLSegment")
        module.ui.thresholdSlider.value = 0.61
        assert module._parameterNode.threshold == pytest.approx(0.61)
        module._parameterNode.threshold = 0.73
        assert module.ui.thresholdSlider.value == pytest.approx(0.73)


class TestASceneThatLeavesInMidSegmentation:
    @pytest.mark.parametrize("how", ["closed", "loaded"])
    def test_takes_the_progress_bar_along(
        self, host: Any, module: Any, scan_node: Any, tmp_path: Path, how: str
    ) -> None:
        import slicer

        assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
        module.ui.applyButton.click()
        assert module.logic.job.running and module.ui.progressBar.isVisible()
        if how == "closed":
            slicer.mrmlScene.Clear(0)
        else:
            slicer.util.loadScene(str(tmp_path / "scene.mrb"))
        host.process_events()
        assert not module.logic.job.running and not module.ui.progressBar.isVisible()
        assert module.ui.progressLabel.text == "Cancelled." and module.ui.applyButton.text == "Apply"

    def test_says_nothing_where_none_was_under_way(self, host: Any, module: Any, scan_node: Any) -> None:
        import slicer

        module.ui.progressLabel.hide()
        slicer.mrmlScene.Clear(0)
        host.process_events()
        assert not module.ui.progressLabel.isVisible() and not module.ui.progressBar.isVisible()


OLD = "MT-CTL needs Slicer 5.10 or later (Python 3.11 or newer); this one has Python 3.9."

#: Of our files, all that a Python 3.9 has to read.
READ_BY_OLD_PYTHON = (
    "MTCTLSegment/MTCTLSegment.py",
    "MTCTLSegment/MTCTLSegmentLib/__init__.py",
    "MTCTLSegment/MTCTLSegmentLib/error_display.py",
    "MTCTLSegment/MTCTLSegmentLib/parameters.py",
    "MTCTLSegment/mtctl/__init__.py",
    "MTCTLSegment/mtctl/errors.py",
    "MTCTLSegment/mtctl/system/__init__.py",
    "MTCTLSegment/mtctl/system/python_version.py",
    "MTCTLSegment/mtctl/uncertainty/__init__.py",
    "MTCTLSegment/mtctl/uncertainty/kinds.py",
    "MTCTLTrain/MTCTLTrain.py",
    "MTCTLTrain/MTCTLTrainLib/__init__.py",
    "MTCTLTrain/MTCTLTrainLib/parameters.py",
)
CLIS = ("MTCTLSegment/MTCTLSegmentCLI/MTCTLSegmentCLI.py", "MTCTLTrain/MTCTLTrainCLI/MTCTLTrainCLI.py")

OPEN = f"""
import sys, types
from pathlib import Path
root = Path({str(ROOT)!r})
from host import start
host = start()
import qt, slicer, mtctl.system.python_version
mtctl.system.python_version.sys = types.SimpleNamespace(version_info=(3, 9, 13, "final", 0))
for name in ("MTCTLSegment", "MTCTLTrain"):
    host.module(root / name / f"{{name}}.py")
    for _ in range(2):
        widget = host.enter(name)
        labels = [label.text for label in widget.parent.findChildren(qt.QLabel)]
        assert mtctl.system.python_version.refusal() in labels, labels
        assert not widget.parent.findChildren(qt.QPushButton)
        slicer.mrmlScene.Clear(0)
        slicer.mrmlScene.InvokeEvent(slicer.mrmlScene.StartImportEvent)
        slicer.mrmlScene.InvokeEvent(slicer.mrmlScene.EndImportEvent)
        host.reload(name)
        host.leave()
print(mtctl.system.python_version.refusal())
for module in list(sys.modules.values()):
    file = getattr(module, "__file__", None)
    if file and Path(file).is_relative_to(root) and not Path(file).is_relative_to(root / "Testing"):
        if ".venv" not in Path(file).relative_to(root).parts:
            print(Path(file).relative_to(root).as_posix())
assert not host.failures, [str(each) for each in host.failures]
host.stop()
"""


class TestAPythonThatIsTooOld:
    def test_is_told_by_both_modules_which_then_read_nothing_that_it_could_not(self) -> None:
        command = [sys.executable, "-c", OPEN]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr[-2000:]
        told, *read = done.stdout.splitlines()
        assert told == OLD and set(read) <= set(READ_BY_OLD_PYTHON), read

    @pytest.mark.parametrize("name", [*READ_BY_OLD_PYTHON, *CLIS])
    def test_can_read_what_it_has_to(self, name: str) -> None:
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"), feature_version=(3, 9))
        matches = [each for each in ast.walk(tree) if isinstance(each, ast.Match)]
        strict = [each for each in ast.walk(tree) if isinstance(each, ast.keyword) and each.arg == "strict"]
        unions = [each for each in ast.walk(tree) if isinstance(each, ast.BinOp) and isinstance(each.op, ast.BitOr)]
        futures = [each for each in tree.body if isinstance(each, ast.ImportFrom) and each.module == "__future__"]
        assert not matches and not strict and (not unions or futures)

    @pytest.mark.parametrize("name", CLIS)
    def test_is_told_by_the_command_line_modules(self, name: str) -> None:
        program = (
            "import runpy, sys, types; script = sys.argv.pop(1); cli = runpy.run_path(script); cli['find_packages']()\n"
            "import mtctl.system.python_version as old\n"
            "old.sys = types.SimpleNamespace(version_info=(3, 9, 13, 'final', 0))\n"
            "status = cli['main'](); print([name for name in sys.modules if name.startswith('mtctl')])\n"
            "sys.exit(status)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, str(ROOT / name)], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1 and done.stderr.strip() == OLD
        assert done.stdout.strip() == "['mtctl', 'mtctl.system', 'mtctl.system.python_version']"
