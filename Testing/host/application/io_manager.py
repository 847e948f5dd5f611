"""Reading and writing files: what ``slicer.util.loadVolume``, ``saveScene`` and their like call in the application."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer

Properties = dict[str, Any]

EXTENSIONS = {
    "SegmentationFile": (".seg.nrrd", ".seg.nhdr", ".seg.vtm"),
    "SceneFile": (".mrb", ".mrml"),
    "VolumeFile": (".nrrd", ".nhdr", ".nii.gz", ".nii", ".mha", ".mhd", ".hdr", ".dcm"),
    "ModelFile": (".vtk", ".vtp", ".stl", ".ply", ".obj"),
    "MarkupsFile": (".mrk.json", ".fcsv"),
    "TransformFile": (".h5", ".tfm"),
    "TableFile": (".csv", ".tsv"),
    "ColorTableFile": (".ctbl", ".cxml"),
    "TextFile": (".txt", ".json", ".xml"),
}

# File types that need nothing but their node's own storage.
STORED = {
    "MarkupsFile": "vtkMRMLMarkupsFiducialNode",
    "TransformFile": "vtkMRMLTransformNode",
    "TableFile": "vtkMRMLTableNode",
    "ColorTableFile": "vtkMRMLColorTableNode",
    "TextFile": "vtkMRMLTextNode",
}

# Bits of vtkSlicerVolumesLogic's loading options.
VOLUME_OPTIONS = {"labelmap": 1, "center": 2, "singleFile": 4, "autoWindowLevel": 8, "discardOrientation": 16}


class IOManager:
    """``slicer.app.coreIOManager()``; not an object of Qt here."""

    def fileType(self, name: str) -> str:
        """The file type that a file's name stands for."""
        lower = str(name).lower()
        return next((kind for kind, endings in EXTENSIONS.items() if lower.endswith(endings)), "NoFile")

    def fileWriterFileType(self, node: Any) -> str:
        """The file type that a node is written as."""
        return "SceneFile" if node is None or node.IsA("vtkMRMLScene") else str(node.GetClassName())

    def loadNodes(self, kind: str, properties: Properties, loaded: Any = None, messages: Any = None) -> bool:
        """Loads a file into the scene; the new nodes are added to the collection ``loaded``."""
        if kind == "SceneFile":
            return _load_scene(properties, messages)
        readers: dict[str, Callable[[Properties], Any]] = {
            "VolumeFile": _load_volume,
            "SegmentationFile": _load_segmentation,
            "ModelFile": _load_model,
        }
        reader = readers.get(kind) or (lambda values: _load_stored(kind, values))
        node = reader(properties) if Path(properties["fileName"]).exists() else None
        if node is not None and loaded is not None:
            loaded.AddItem(node)
        return node is not None

    def saveNodes(self, kind: str, properties: Properties, messages: Any = None) -> bool:
        """Writes one node, or the scene."""
        name = str(properties["fileName"])
        if kind == "SceneFile":
            return _save_scene(name, messages)
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        node.AddDefaultStorageNode(name)
        storage = node.GetStorageNode()
        if storage is None:
            return False
        storage.SetFileName(name)
        storage.SetUseCompression(int(properties.get("useCompression", 1)))
        return bool(storage.WriteData(node))


def _name(properties: Properties) -> str:
    return str(properties.get("name") or Path(properties["fileName"]).name.split(".")[0])


def _load_volume(properties: Properties) -> Any:
    options = sum(bit for option, bit in VOLUME_OPTIONS.items() if properties.get(option))
    logic = slicer.modules.volumes.logic()
    node = logic.AddArchetypeVolume(properties["fileName"], _name(properties), options)
    if node is None:
        return None
    if properties.get("colorNodeID"):
        node.GetDisplayNode().SetAndObserveColorNodeID(properties["colorNodeID"])
    if properties.get("show", True):
        # As in the application: the background is replaced, the foreground cleared, the views fitted.
        application = slicer.app.applicationLogic()
        selection = application.GetSelectionNode()
        labelmap = node.IsA("vtkMRMLLabelMapVolumeNode")
        (selection.SetActiveLabelVolumeID if labelmap else selection.SetActiveVolumeID)(node.GetID())
        application.PropagateVolumeSelection()
    return node


def _load_segmentation(properties: Properties) -> Any:
    logic = slicer.modules.segmentations.logic()
    return logic.LoadSegmentationFromFile(properties["fileName"], True, _name(properties))


def _load_model(properties: Properties) -> Any:
    system = slicer.vtkMRMLStorageNode.CoordinateSystemLPS
    return slicer.modules.models.logic().AddModel(properties["fileName"], system)


def _load_stored(kind: str, properties: Properties) -> Any:
    if kind not in STORED:
        return None
    node = slicer.mrmlScene.AddNewNodeByClass(STORED[kind], _name(properties))
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetFileName(properties["fileName"])
    if node.GetStorageNode().ReadData(node):
        return node
    slicer.mrmlScene.RemoveNode(node)
    return None


def _load_scene(properties: Properties, messages: Any) -> bool:
    """Without ``clear`` the file is merged into the scene, as in the application."""
    scene, name = slicer.mrmlScene, str(properties["fileName"])
    clear = bool(properties.get("clear", False))
    scene.SetURL(name)
    if name.endswith(".mrb"):
        return bool(scene.ReadFromMRB(name, clear, messages))
    return bool(scene.Connect(messages) if clear else scene.Import(messages))


def _save_scene(name: str, messages: Any) -> bool:
    scene = slicer.mrmlScene
    if name.endswith(".mrb"):
        return bool(scene.WriteToMRB(name, None, messages))
    if name.endswith(".mrml"):
        scene.SetURL(name)
        return bool(scene.Commit(name, messages))
    return bool(slicer.app.applicationLogic().SaveSceneToSlicerDataBundleDirectory(name, None, messages))
