"""The MRML scene with the application's logics, made in the order in which the application makes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
import vtk

from .colors import LABEL_COLORS, NAMES, write_color_files
from .subject_hierarchy import fill_subject_hierarchy
from .terminology import write_terminologies

# Name of the module in the application -> class of its logic.
LOGICS = {
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Models": "vtkSlicerModelsLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "Cameras": "vtkSlicerCamerasModuleLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "Data": "vtkSlicerDataModuleLogic",
}


@dataclass(frozen=True)
class Logics:
    """What must stay alive beside the scene: VTK keeps only weak references to most of it."""

    application: Any
    layout: Any
    modules: dict[str, Any]
    remote_io: Any
    data_io: Any


def build_scene(folder: Path) -> tuple[Any, Logics]:
    """A new scene with the application's singleton nodes and all logics; ``folder`` takes temporary files."""
    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    application.SetTemporaryPath(str(folder))
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    remote_io, data_io = _data_input(scene, application, folder)
    application.SetHomeDirectory(str(folder))
    application.SetShareDirectory("share")
    share = folder / "share"
    modules = {"Colors": _color_logic(scene, application, share)}
    for name, cls in LOGICS.items():
        logic = getattr(slicer, cls)()
        if hasattr(logic, "SetModuleShareDirectory"):
            logic.SetModuleShareDirectory(str(share))
        logic.SetMRMLScene(scene)
        logic.SetMRMLApplicationLogic(application)
        modules[name] = logic
    for name, logic in modules.items():
        application.SetModuleLogic(name, logic)
    for factory in (
        slicer.vtkMRMLThreeDViewDisplayableManagerFactory,
        slicer.vtkMRMLSliceViewDisplayableManagerFactory,
    ):
        factory.GetInstance().SetMRMLApplicationLogic(application)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    layout = slicer.vtkMRMLLayoutLogic()
    layout.SetMRMLApplicationLogic(application)
    layout.SetMRMLScene(scene)
    fill_subject_hierarchy(scene)
    return scene, Logics(application, layout, modules, remote_io, data_io)


def _data_input(scene: Any, application: Any, folder: Path) -> tuple[Any, Any]:
    """The cache and the data manager without which no .mrb can be read."""
    remote_io = slicer.vtkMRMLRemoteIOLogic()
    remote_io.SetMRMLScene(scene)
    remote_io.SetMRMLApplicationLogic(application)
    remote_io.GetCacheManager().SetRemoteCacheDirectory(str(folder))
    data_io = slicer.vtkDataIOManagerLogic()
    data_io.SetMRMLScene(scene)
    data_io.SetMRMLApplicationLogic(application)
    data_io.SetAndObserveDataIOManager(remote_io.GetDataIOManager())
    remote_io.AddDataIOToScene()
    return remote_io, data_io


def _color_logic(scene: Any, application: Any, share: Path) -> Any:
    write_color_files(share)
    write_terminologies(share)
    logic = slicer.vtkSlicerColorLogic()
    logic.SetMRMLApplicationLogic(application)
    logic.SetMRMLScene(scene)
    logic.AddDefaultColorNodes()
    for name in NAMES + LABEL_COLORS:  # the logic loads a copy of what it has read: "Inferno_1"
        scene.GetNodeByID(f"vtkMRMLColorTableNodeFile{name}.txt").SetName(name)
    application.SetColorLogic(logic)
    return logic
