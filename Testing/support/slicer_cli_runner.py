"""Slicer's own CLI runner, as the wheel slicer-core has it: what the application uses when Apply is pressed.

The runner is there, but what describes a module to it is C++ that was not wrapped for Python. It is called through
ctypes: GCC's names, and its old std::string, which is one pointer.
"""

from __future__ import annotations

import ctypes
import glob
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_KEEP: list[Any] = []


def describe_to_slicer(xml: Path, script: Path) -> None:
    """Register a scripted CLI under the title in its XML, to be run by this Python.

    Raises:
        ValueError: Slicer's parser does not take the XML.
    """
    import slicer_core

    folder = Path(slicer_core.__file__).parent
    (parser_library,) = glob.glob(str(folder / "third_party.libs" / "libModuleDescriptionParser.so*"))
    parsing, mrml, standard = (
        ctypes.CDLL(name) for name in (parser_library, str(folder / "libMRMLCLI.so"), "libstdc++.so.6")
    )

    def string(text: str) -> Any:
        value, allocator = ctypes.create_string_buffer(8), ctypes.create_string_buffer(1)
        make = standard["_ZNSsC1EPKcRKSaIcE"]
        make.restype = None
        make(value, ctypes.c_char_p(text.encode()), allocator)
        _KEEP.append(value)
        return value

    description, parser = ctypes.create_string_buffer(8192), ctypes.create_string_buffer(64)
    parsing["_ZN17ModuleDescriptionC1Ev"](description)
    parse = parsing["_ZN23ModuleDescriptionParser5ParseERKSsR17ModuleDescription"]
    if parse(parser, string(xml.read_text(encoding="utf-8")), description):
        raise ValueError(f"{xml}: Slicer's parser does not take it")
    for name, value in (("SetTarget", str(script)), ("SetLocation", sys.executable), ("SetType", "CommandLineModule")):
        parsing[f"_ZN17ModuleDescription{len(name)}{name}ERKSs"](description, string(value))
    mrml["_ZN28vtkMRMLCommandLineModuleNode25RegisterModuleDescriptionE17ModuleDescription"](description)
    _KEEP.append(description)


class BackgroundRun:
    """One run in the background, as after Apply."""

    def __init__(self, title: str, parameters: dict[str, str]) -> None:
        import slicer

        self.node = slicer.vtkMRMLCommandLineModuleNode()
        slicer.mrmlScene.AddNode(self.node)
        self.node.SetModuleDescription(title)
        for name, value in parameters.items():
            self.node.SetParameterAsString(name, value)
        self._application = slicer.app.applicationLogic()
        self.logic = slicer.vtkSlicerCLIModuleLogic()
        self.logic.SetMRMLScene(slicer.mrmlScene)
        self.logic.SetMRMLApplicationLogic(self._application)
        self.progress: list[int] = []
        self.logic.Apply(self.node, False)

    def wait(self, until: Callable[[], bool] | None = None, seconds: float = 120) -> BackgroundRun:
        """Let the application work until the run is over, or until something is true."""
        deadline = time.monotonic() + seconds
        while not (until() if until else not self.node.IsBusy()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.node.GetStatusString()} at {self.node.GetProgress()} %")
            self._application.ProcessModified()
            self._application.ProcessReadData()
            self.progress.append(self.node.GetProgress())
            time.sleep(0.01)
        return self


def child_processes() -> set[int]:
    """Processes that this one has started."""
    from mtctl.system.process_tree import family_of

    return family_of(os.getpid()) - {os.getpid()}
