"""A case for the tests of scene.py: a ball with a doubtful bulge, in a scene of its own or in the host's."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
from numpy.typing import NDArray

from mtctl import scene
from mtctl.geometry import Geometry, Volume, to_image
from mtctl.inference.result import Result

SHAPE = (24, 40, 32)  # z, y, x
SPACING = (0.8, 0.6, 1.5)
BALL, BULGE = np.array([12.0, 20.0, 15.0]), np.array([13.0, 29.0, 17.0])  # z, y, x, voxels


def rotation(x: float, y: float, z: float) -> NDArray[np.float64]:
    """By these degrees around the axes."""
    a, b, c = np.radians((x, y, z))
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


#: Directions of the axes in LPS.
DIRECTIONS = {
    "axial": np.eye(3),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "left-handed": np.diag([1.0, 1.0, -1.0]),
    "sagittal": np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "oblique": rotation(17, -31, 8),
    "oblique and left-handed": rotation(-40, 12, 65) @ np.diag([1.0, -1.0, 1.0]),
}


def grid(directions: str = "oblique") -> Geometry:
    """The grid of the example."""
    size = SHAPE[::-1]
    return Geometry(size, SPACING, (-31.5, 12.25, 104.0), tuple(DIRECTIONS[directions].ravel().tolist()))


def empty_scene() -> Any:
    """A scene with what both the application and the browser reviewer give it."""
    made = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(made)
    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLApplicationLogic(application)
    logic.SetMRMLScene(made)
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    made.AddNode(crosshair)
    made._kept = SimpleNamespace(application=application, logic=logic)  # VTK keeps neither alive
    return made


def load(into: Any, image: sitk.Image, folder: Path, name: str = "scan", ending: str = ".nrrd") -> Any:
    """A volume node that MRML itself reads from a file."""
    path = folder / f"{name}{ending}"
    sitk.WriteImage(image, str(path))
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(name)
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    storage.SetSingleFile(True)
    assert storage.ReadData(node)
    return into.AddNode(node)


def scan_image(directions: str = "oblique") -> sitk.Image:
    """Each voxel another value, so that none can be taken for another."""
    values = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    return to_image(Volume(values, grid(directions)))


def result_for(scan: Any, seed: int = 0, threshold: float = 0.9) -> Result:
    """A ball of the atrium, a bulge that may belong to it, and a border that is doubtful as every one is."""
    index = np.moveaxis(np.indices(SHAPE), 0, -1)
    depth = 7.0 + seed - np.linalg.norm((index - BALL) * (2, 1, 1.2), axis=-1)
    bulge = np.exp(-(((index - BULGE) / 2.5) ** 2).sum(axis=-1))
    probability = (1 / (1 + np.exp(-3 * depth))).clip(1e-6, 1 - 1e-6)
    probability = np.where(bulge > 0.3, 0.5 + 0.02 * np.sign(depth), probability).astype(np.float32)
    entropy = -(probability * np.log2(probability) + (1 - probability) * np.log2(1 - probability))
    entropy = entropy.astype(np.float32).clip(0, 1)
    return Result(
        geometry=scene.volume_of(scan).geometry,
        segmentation=(probability >= 0.5).astype(np.uint8),
        maps={
            "probability": probability,
            "distance": np.tanh(depth / 5).astype(np.float32),
            "entropy": entropy,
            "mutual_information": entropy / 3,
            "disagreement": entropy / 2,
        },
        report={"threshold": threshold, "case_score": 0.91, "flagged": False, "warnings": ['a % "warning"; é: ünd']},
    )


def positions(mask: NDArray[np.bool_], geometry: Geometry) -> NDArray[np.float64]:
    """LPS mm of the voxels of a mask, sorted."""
    return np.array(sorted(np.round(geometry.index_to_physical(np.argwhere(mask)[:, ::-1]), 4).tolist()))
