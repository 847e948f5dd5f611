"""Packages that are missing: asked for at the first Apply, refused, installed, offline, or from a folder."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
from support.children import environment
from support.paths import ROOT

pytestmark = pytest.mark.host


class Computer:
    """A computer on which some packages are missing until they are installed."""

    def __init__(self, host: Any) -> None:
        self.host, self.absent, self.torch_versions = host, {"torch", "safetensors", "skimage"}, []
        self.works = True

    def is_installed(self, name: str) -> bool:
        from_pip = " ".join(self.host.installed)
        return name not in self.absent or {"skimage": "scikit-image"}.get(name, name) in from_pip

    def installTorch(self, ask: bool, backend: Any, version: str) -> Any:
        self.torch_versions.append(version)
        if not self.works:
            raise RuntimeError("no connection")
        self.absent.discard("torch")
        return object()


@pytest.fixture
def computer(host: Any, module: Any, scan_node: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Computer]:
    from MTCTLSegmentLib import python_packages as dependencies

    computer = Computer(host)
    monkeypatch.setattr(dependencies, "_is_installed", computer.is_installed)
    extension = types.ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = lambda: computer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    # Installed here already, under the same names: the host would find nothing to do.
    monkeypatch.setattr(sys.modules["slicer.packaging"], "_is_installed", lambda requirement: False)
    yield computer


def test_nothing_is_installed_without_asking(host: Any, module: Any, computer: Computer) -> None:
    module.ui.applyButton.click()
    question, notice = host.messages
    assert question.kind == "question" and "torch>=2.6" in question.text and "scikit-image" in question.text
    assert "Nothing was installed" in notice.text
    assert not host.installed and not computer.torch_versions and not module.logic.job.running


def test_torch_comes_through_its_extension_and_the_rest_through_pip(host: Any, module: Any, computer: Computer) -> None:
    host.answer(True)
    module.ui.applyButton.click()
    assert computer.torch_versions == [">=2.6"]
    assert [name.partition(">")[0] for name in host.installed] == ["safetensors", "scikit-image"]
    assert module.logic.job.running
    module.ui.applyButton.click()


def test_slicer_without_its_packaging_module_takes_plain_pip(
    host: Any, module: Any, computer: Computer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    import slicer

    monkeypatch.delattr(slicer, "packaging", raising=False)
    host.answer(True)
    module.ui.applyButton.click()
    assert [name.partition(">")[0] for name in host.installed] == ["safetensors", "scikit-image"]
    module.ui.applyButton.click()


def test_without_the_pytorch_extension_the_person_is_told_where_to_get_it(
    host: Any, module: Any, computer: Computer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    host.answer(True, False)
    module.ui.applyButton.click()
    assert "Extensions Manager" in host.messages[-1].text and not module.logic.job.running


def test_offline_the_person_is_told_which_files_to_bring(host: Any, module: Any, computer: Computer) -> None:
    computer.works = False
    host.fail_installing(RuntimeError("no connection"))
    host.answer(True, False)
    module.ui.applyButton.click()
    text, tag = host.messages[-1].text, f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert "no connection" in text and "the same operating system" in text
    assert 'PythonSlicer -m pip download --only-binary=:all: -d mtctl-wheels "torch>=2.6"' in text
    assert "--platform" not in text  # pip would take the needs of the computer that it runs on all the same.
    assert f"torch-*-{tag}-{tag}-" in text and f"scikit_image-*-{tag}-{tag}-" in text and "safetensors-*-" in text
    assert not module.logic.job.running


def test_offline_a_folder_of_wheel_files_does(host: Any, module: Any, computer: Computer, tmp_path: Any) -> None:
    computer.works = False
    host.answer(True, True, str(tmp_path))
    module.ui.applyButton.click()
    assert host.installed[:3] == ["--no-index", "--find-links", tmp_path.as_uri()]
    assert module.logic.job.running
    module.ui.applyButton.click()


def test_a_folder_without_the_files_is_told(host: Any, module: Any, computer: Computer, tmp_path: Any) -> None:
    computer.works = False
    host.fail_installing(RuntimeError("no matching distribution"))
    host.answer(True, True, str(tmp_path))
    module.ui.applyButton.click()
    assert "no matching distribution" in host.messages[-1].text and "pip download" in host.messages[-1].text
    assert not module.logic.job.running


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Versions that are installed instead of the present ones; a test fills them in."""
    import importlib.metadata

    real, versions = importlib.metadata.version, dict[str, str]()
    monkeypatch.setattr(importlib.metadata, "version", lambda name: versions.get(name) or real(name))
    return versions


@pytest.mark.parametrize(
    ("name", "version"), [("safetensors", "0.4.2"), ("scikit-image", "0.23.2"), ("scikit-image", "0.24rc0")]
)
def test_a_package_that_is_too_old_is_asked_for_like_a_missing_one(
    host: Any, module: Any, scan_node: Any, versions: dict[str, str], name: str, version: str
) -> None:
    from MTCTLSegmentLib import python_packages as dependencies

    assert not dependencies.missing()
    versions[name] = version
    assert [each.partition(">")[0] for each in dependencies.missing()] == [name]
    module.ui.applyButton.click()
    assert name in host.messages[0].text and "too old" in host.messages[0].text and not module.logic.job.running


@pytest.mark.parametrize("version", ["2.6.0", "2.10.0+cu126", "2.14.0.dev20261101"])
def test_every_torch_from_the_oldest_on_will_do(module: Any, versions: dict[str, str], version: str) -> None:
    from MTCTLSegmentLib import python_packages as dependencies

    versions["torch"] = version
    assert not dependencies.missing()


def test_a_torch_that_is_too_old_is_left_and_the_person_told_what_to_do(
    host: Any, module: Any, computer: Computer, versions: dict[str, str]
) -> None:
    computer.absent.discard("torch")
    versions["torch"] = "2.2.2"
    host.answer(True)
    module.ui.applyButton.click()
    (message,) = host.messages
    assert message.kind == "error" and "torch>=2.6" in message.text and "2.2.2" in message.text
    for word in ("PyTorch Utils", "uninstall", "restart Slicer", "Apply"):
        assert word in message.text
    assert not computer.torch_versions and not host.installed and not module.logic.job.running


@pytest.mark.parametrize("old", [False, True])
def test_slicer_for_intel_macs_says_that_it_cannot_and_what_can(
    host: Any, module: Any, computer: Computer, versions: dict[str, str], monkeypatch: pytest.MonkeyPatch, old: bool
) -> None:
    import platform

    if old:
        computer.absent.discard("torch")
        versions["torch"] = "2.2.2"
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(sys, "platform", "darwin")
    host.answer(True)
    module.ui.applyButton.click()
    (message,) = host.messages
    assert message.kind == "error" and "cannot run in this Slicer" in message.text and "mtctl" in message.text
    assert "browser" in message.text and "pip" not in message.text
    assert not computer.torch_versions and not host.installed and not module.logic.job.running


def test_slicer_for_apple_chips_is_asked_as_any_other(
    host: Any, module: Any, computer: Computer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import platform

    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(sys, "platform", "darwin")
    module.ui.applyButton.click()
    assert host.messages[0].kind == "question"


def test_what_a_broken_off_installation_left_counts_as_missing_and_is_installed_anew(
    host: Any, module: Any, computer: Computer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from MTCTLSegmentLib import python_packages as dependencies

    real = dependencies._version
    computer.absent.clear()  # All can be found, but nothing tells torch's version: pip unpacks that last.
    monkeypatch.setattr(
        dependencies,
        "_version",
        lambda requirement: "" if "torch" in requirement and not computer.torch_versions else real(requirement),
    )
    assert dependencies.missing() == ["torch>=2.6"]
    host.answer(True)
    module.ui.applyButton.click()
    assert computer.torch_versions == [">=2.6"] and not host.installed
    assert module.logic.job.running
    module.ui.applyButton.click()


def test_a_torch_that_was_installed_but_cannot_be_imported_into_the_application_does(
    host: Any, module: Any, computer: Computer
) -> None:
    install = computer.installTorch

    def install_and_import(ask: bool, backend: Any, version: str) -> Any:
        install(ask, backend, version)
        raise OSError("[WinError 1114] c10.dll")

    computer.installTorch = install_and_import  # type: ignore[method-assign]
    host.answer(True)
    module.ui.applyButton.click()
    assert [name.partition(">")[0] for name in host.installed] == ["safetensors", "scikit-image"]
    assert module.logic.job.running and [message.kind for message in host.messages] == ["question"]
    module.ui.applyButton.click()


def test_windows_is_not_given_the_torch_that_it_cannot_unpack_but_keeps_it_where_it_is(
    host: Any, module: Any, computer: Computer, versions: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from MTCTLSegmentLib import python_packages as dependencies

    monkeypatch.setattr(dependencies, "_NOT_TO_INSTALL", ",!=2.13.*")
    host.answer(True)
    module.ui.applyButton.click()
    assert computer.torch_versions == [">=2.6,!=2.13.*"]
    assert '"torch>=2.6,!=2.13.*"' in dependencies.wheels_to_bring()
    versions["torch"] = "2.13.0+cu130"
    assert not dependencies.missing()
    module.ui.applyButton.click()


PROGRAM = f"""
import sys
from pathlib import Path


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1:]:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Missing())
from host import start
host = start()
host.module({str(ROOT / "MTCTLSegment" / "MTCTLSegment.py")!r})
widget = host.enter("MTCTLSegment")
assert widget.ui.applyButton.text == "Apply"
"""

REVIEW = """
import numpy as np
import slicer
from mtctl import scene
from mtctl.synthetic.phantom import make_phantom
from MTCTLSegmentLib import sample_data
from MTCTLSegmentLib.self_test import made_up_result
node = sample_data.phantom(3)
host.process_events()
widget.ui.scanSelector.setCurrentNode(node)
widget.onResult(node, made_up_result(scene.volume_of(node), make_phantom(3).mask != 0))
host.process_events()
review = widget.currentReview.review
widget.ui.segmentEditor.setActiveEffectByName("Erase")
x, y, z = review.session.maps.geometry.index_to_physical(np.argwhere(review.mask)[0][::-1].astype(float))
widget.ui.segmentEditor.activeEffect().paint_at((-x, -y, z), 8.0)
assert host.wait_until(lambda: review.session.state.edits, 10)
"""

AT_THE_END = """
assert not host.failures, [str(each) for each in host.failures]
assert not [each for each in host.messages if each.kind == "error"], host.messages
print("all is well")
"""


def run(program: str, *missing: str) -> None:
    """In a process of its own, in which these packages cannot be imported."""
    command = [sys.executable, "-c", program + AT_THE_END, *missing]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0 and "all is well" in done.stdout, done.stderr[-2000:]


def test_the_module_opens_before_anything_is_installed() -> None:
    run(PROGRAM, "torch", "safetensors", "skimage")


def test_the_module_opens_without_anything_that_takes_long_to_load() -> None:
    """scipy alone takes seconds; SimpleITK half of one. pydicom and highdicom come with DICOM files."""
    run(PROGRAM, "scipy", "SimpleITK", "torch", "skimage", "safetensors", "pydicom", "highdicom")


def test_the_size_that_is_asked_for_is_that_of_what_is_missing(
    host: Any, module: Any, computer: Computer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from MTCTLSegmentLib import python_packages

    module.ui.applyButton.click()
    assert "1 GB" in host.messages[0].text
    monkeypatch.setattr(python_packages, "missing", lambda *_: ["scikit-image>=0.24"])
    module.ui.applyButton.click()
    assert "about 30 MB" in host.messages[2].text and "GB" not in host.messages[2].text


def test_a_whole_review_needs_no_torch_in_slicer_itself() -> None:
    run(PROGRAM + REVIEW, "torch", "safetensors")
