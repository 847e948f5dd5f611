"""A case that is shown in the host's views, and what pixels of them are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
from support.scene_example import BULGE, result_for, scan_image

from mtctl import scene

VIEWS = ("Red", "Green", "Yellow")


def lps_of(nodes: scene.CaseNodes, zyx: Any) -> tuple[float, float, float]:
    x, y, z = scene.volume_of(nodes.scan).geometry.index_to_physical(np.asarray(zyx)[::-1]).tolist()
    return x, y, z


def pixel(host: Any, view: str, nodes: scene.CaseNodes, zyx: Any) -> np.ndarray:
    x, y, z = lps_of(nodes, zyx)
    column, row = host.pixel_of(view, (-x, -y, z))
    return host.view_pixels(view)[row, column].astype(int)


def is_coloured(rgb: np.ndarray) -> bool:
    return int(rgb.max()) - int(rgb.min()) > 40


def is_outline(pixels: np.ndarray) -> np.ndarray:
    """Where a picture has the outline's red."""
    red, green, blue = np.moveaxis(pixels.astype(int), -1, 0)
    return (red > 180) & (red - green > 90) & (red - blue > 90)


def grey_scan(folder: Path) -> Any:
    """A grey scan, oblique and anisotropic, shown as the application shows what is loaded."""
    sitk.WriteImage(sitk.Cast(scan_image("oblique") * 0 + 100, sitk.sitkInt16), str(folder / "scan.nrrd"))
    node = slicer.util.loadVolume(str(folder / "scan.nrrd"))
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevelMinMax(0, 250)
    return node


def shown_case(host: Any, scan: Any) -> Iterator[scene.CaseNodes]:
    """A case, shown; the slice views are at its bulge. The application has nothing to complain of afterwards."""
    nodes = scene.show_result(slicer.mrmlScene, scan, result_for(scan, threshold=0.9))
    scene.show_layers(nodes, opacity=1.0)
    slicer.util.resetSliceViews()
    scene.jump(slicer.mrmlScene, lps_of(nodes, BULGE))
    host.process_events()
    yield nodes
    assert not [error for error in host.vtk_errors if "ubject" in error or "egment" in error]
