"""Surfaces of segmentations, drawn by VTK without a display: where a prediction lies outside or inside the truth."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  gives the classes of vtkRenderingCore their implementation
from matplotlib import colormaps
from numpy.typing import NDArray
from scipy import ndimage
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkLogger, vtkLookupTable, vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkImageData, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkClipPolyData, vtkPolyDataNormals, vtkWindowedSincPolyDataFilter
from vtkmodules.vtkFiltersGeneral import vtkDiscreteFlyingEdges3D
from vtkmodules.vtkRenderingCore import (
    vtkActor,
    vtkLightKit,
    vtkPolyDataMapper,
    vtkRenderer,
    vtkRenderWindow,
    vtkWindowToImageFilter,
)

from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Mask, Triple
from mtctl.networks.distance_map import signed_distance_mm

#: Blue, grey, red: made for shaded surfaces, and told apart by the colour-blind (Moreland 2009).
COLOUR_MAP = "coolwarm"

#: Of uncertainty and of the wall's enhancement: purple is low, yellow is high.
VALUE_MAP = "viridis"

#: Ends of the colour scale, mm. Observers differ by about 1 mm; beyond 5 mm a border is simply wrong.
LIMIT_MM = 5.0

#: Truth that no predicted surface comes nearer to than this is drawn as missed: more than two voxels.
MISSED_MM = 2.0

MISSED_COLOUR = "#3b4cc0"  # the blue end of the colour map
_MISSED_OPACITY = 0.35

# The pass band is that of Slicer's default smoothing of segmentations. It leaves the terraces of masks that were drawn
# slice by slice; more would take the veins' ends too. So only the light sees a smoother surface: its normals are those
# of the mask blurred by so many voxels.
_PASS_BAND, _SMOOTHING_PASSES, _NORMAL_BLUR = 1e-2, 40, 2.0

_NO_VALUE = (0.8, 0.8, 0.8)

_AIR_MM = 8.0
_MARGIN = 2  # voxels around a mask, so that its surface closes at the border of the scan too


class RenderingError(MtctlError):
    """This machine cannot draw in 3-D."""


@dataclass(frozen=True)
class Viewpoint:
    """A direction to look in, LPS; up is superior. `left` and `right` are the patient's sides in the picture."""

    name: str
    direction: Triple
    left: str
    right: str


#: From the front and from the back, where the pulmonary veins enter: between them they show the whole atrium.
VIEWPOINTS = (Viewpoint("anterior", (0.0, 1.0, 0.0), "R", "L"), Viewpoint("posterior", (0.0, -1.0, 0.0), "L", "R"))


@dataclass(frozen=True)
class ViewRectangle:
    """What all pictures of a comparison show: a rectangle around `centre` (LPS mm), half its width and height in mm."""

    centre: Triple
    half_width: float
    half_height: float

    @classmethod
    def around(cls, masks: Sequence[Mask], geometry: Geometry) -> ViewRectangle:
        """Return the frame that holds all masks (z, y, x) in all of `VIEWPOINTS`, with a little air."""
        where = np.argwhere(np.logical_or.reduce(masks))[:, ::-1]
        low, high = geometry.index_to_physical([where.min(axis=0), where.max(axis=0)])
        x, y, z = ((low + high) / 2).tolist()
        width, _, height = (high - low + _AIR_MM).tolist()
        return cls((x, y, z), width / 2, height / 2)


def surface_pictures(
    prediction: Mask, truth: Mask, geometry: Geometry, frame: ViewRectangle, width: int
) -> list[NDArray[np.uint8]]:
    """Return the surface of a prediction in each of `VIEWPOINTS`.

    It is coloured by its distance from the true surface, red where it lies outside the truth, blue inside; parts of the
    true surface that it misses by more than `MISSED_MM` are drawn over it, translucent.

    Args:
        prediction: Mask (z, y, x); may be empty.
        truth: Mask of the same shape, not empty.
        geometry: Of both; axes along LPS.
        frame: What to show.
        width: Of a picture, in pixels.

    Returns:
        Pictures (height, width, 3), with the frame's proportions.

    Raises:
        RenderingError: There is no OpenGL, in hardware or software.
    """
    (prediction, truth), geometry = _cropped((prediction, truth), geometry)
    renderer = vtkRenderer()
    renderer.SetBackground(1.0, 1.0, 1.0)
    _light(renderer)
    if prediction.any():
        renderer.AddActor(_coloured(distance_surface(prediction, truth, geometry), COLOUR_MAP, (-LIMIT_MM, LIMIT_MM)))
    renderer.AddActor(_missed(distance_surface(truth, prediction, geometry)))
    with _window(renderer, width, round(width * frame.half_height / frame.half_width)) as window:
        return [_picture(window, renderer, view, frame) for view in VIEWPOINTS]


def mapped_pictures(
    points: NDArray[np.float64],
    triangles: NDArray[np.int64],
    values: NDArray[np.float64] | None,
    limits: tuple[float, float],
    width: int,
) -> list[NDArray[np.uint8]]:
    """Return a surface in each of `VIEWPOINTS`, coloured by values at its points.

    Args:
        points: (N, 3), LPS mm.
        triangles: (M, 3).
        values: (N,), NaN where there is none, which is drawn grey; None: one colour.
        limits: Ends of the colour scale.
        width: Of a picture, in pixels.

    Returns:
        Pictures (height, width, 3).

    Raises:
        RenderingError: There is no OpenGL, in hardware or software.
    """
    surface, cells, vertices = vtkPolyData(), vtkCellArray(), vtkPoints()
    vertices.SetData(numpy_to_vtk(points, deep=True))
    cells.SetData(3, numpy_to_vtkIdTypeArray(triangles.ravel(), deep=True))
    surface.SetPoints(vertices)
    surface.SetPolys(cells)
    if values is not None:
        surface.GetPointData().SetScalars(numpy_to_vtk(values, deep=True))
    normals = vtkPolyDataNormals()
    normals.SetInputData(surface)
    normals.SplittingOff()
    normals.Update()
    low, high = points.min(axis=0), points.max(axis=0)
    (x, y, z), half = ((low + high) / 2).tolist(), (high - low) / 2 + _AIR_MM / 2
    frame = ViewRectangle((x, y, z), float(half[0]), float(half[2]))
    renderer = vtkRenderer()
    renderer.SetBackground(1.0, 1.0, 1.0)
    _light(renderer)
    renderer.AddActor(_coloured(normals.GetOutput(), VALUE_MAP, limits))
    with _window(renderer, width, round(width * frame.half_height / frame.half_width)) as window:
        return [_picture(window, renderer, view, frame) for view in VIEWPOINTS]


def distance_surface(mask: Mask, reference: Mask, geometry: Geometry) -> vtkPolyData:
    """The smooth surface of a mask; its scalars are the distance from the surface of `reference`, positive outside.

    Args:
        mask, reference: (z, y, x); `mask` not empty.
        geometry: Of both; axes along LPS.

    Returns:
        Points in LPS mm, distances in mm.
    """
    mask, reference = np.pad(mask, _MARGIN), np.pad(reference, _MARGIN)
    origin = geometry.index_to_physical((-_MARGIN,) * 3)
    image = vtkImageData()
    image.SetDimensions(*reversed(mask.shape))
    image.SetSpacing(*geometry.spacing)
    image.SetOrigin(*origin.tolist())
    image.GetPointData().SetScalars(numpy_to_vtk(mask.ravel().astype(np.uint8), deep=True))
    edges = vtkDiscreteFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, 1)
    smooth = vtkWindowedSincPolyDataFilter()
    smooth.SetInputConnection(edges.GetOutputPort())
    smooth.SetPassBand(_PASS_BAND)
    smooth.SetNumberOfIterations(_SMOOTHING_PASSES)
    smooth.NormalizeCoordinatesOn()
    smooth.NonManifoldSmoothingOn()
    smooth.FeatureEdgeSmoothingOff()
    smooth.Update()
    surface = smooth.GetOutput()
    points = vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)
    index = ((points - origin) / geometry.spacing)[:, ::-1].T
    x, y, z = geometry.spacing
    outside = -signed_distance_mm(reference, (z, y, x)).clip(-1e3, 1e3)  # finite without a surface
    distances = ndimage.map_coordinates(outside, index, order=1, mode="nearest")
    surface.GetPointData().SetScalars(numpy_to_vtk(distances, deep=True))
    surface.GetPointData().SetNormals(numpy_to_vtk(_normals(mask, geometry, index), deep=True))
    return surface


def _normals(mask: Mask, geometry: Geometry, index: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the outward unit vectors (n, 3), LPS, at fractional indices (3, n) in z, y, x order."""
    blurred = ndimage.gaussian_filter(mask.astype(np.float32), _NORMAL_BLUR)
    slopes = np.gradient(blurred, *reversed(geometry.spacing))
    inward = [ndimage.map_coordinates(slope, index, order=1, mode="nearest") for slope in reversed(slopes)]
    normals = -np.stack(inward, axis=1)
    return np.ascontiguousarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))


def _cropped(masks: Sequence[Mask], geometry: Geometry) -> tuple[list[Mask], Geometry]:
    """Return the masks and grid in the box that all masks together fill."""
    where = np.argwhere(np.logical_or.reduce(masks))
    low, size = where.min(axis=0), np.ptp(where, axis=0) + 1
    box = tuple(slice(start, start + count) for start, count in zip(low, size, strict=True))
    (z, y, x), (nz, ny, nx) = low.tolist(), size.tolist()
    return [mask[box] for mask in masks], geometry.window((x, y, z), (nx, ny, nz))


def _coloured(surface: vtkPolyData, colour_map: str, limits: tuple[float, float]) -> vtkActor:
    colours = colormaps[colour_map](np.linspace(0, 1, 256))
    table = vtkLookupTable()
    table.SetNumberOfTableValues(len(colours))
    for number, colour in enumerate(colours.tolist()):
        table.SetTableValue(number, *colour)
    table.SetNanColor(*_NO_VALUE, 1.0)
    mapper = vtkPolyDataMapper()
    mapper.SetInputData(surface)
    mapper.SetLookupTable(table)
    mapper.SetScalarRange(*limits)
    return _actor(mapper)


def _missed(truth: vtkPolyData) -> vtkActor:
    clip = vtkClipPolyData()
    clip.SetInputData(truth)
    clip.SetValue(MISSED_MM)
    mapper = vtkPolyDataMapper()
    mapper.SetInputConnection(clip.GetOutputPort())
    mapper.ScalarVisibilityOff()
    actor = _actor(mapper)
    red, green, blue = (int(MISSED_COLOUR[start : start + 2], 16) / 255 for start in (1, 3, 5))
    actor.GetProperty().SetColor(red, green, blue)
    actor.GetProperty().SetOpacity(_MISSED_OPACITY)
    return actor


def _light(renderer: vtkRenderer) -> None:
    kit = vtkLightKit()
    # White, and soft: what is dark in a picture should be so by its colour, and lights of VTK's warmth tint grey brown.
    for set_warmth in (kit.SetKeyLightWarmth, kit.SetFillLightWarmth, kit.SetBackLightWarmth, kit.SetHeadLightWarmth):
        set_warmth(0.5)
    # Together below 1 where they meet, so that grey stays grey and does not turn white.
    kit.SetKeyLightIntensity(0.75)
    kit.SetKeyToFillRatio(2.5)
    kit.SetKeyToHeadRatio(2.5)
    kit.AddLightsToRenderer(renderer)


def _actor(mapper: vtkPolyDataMapper) -> vtkActor:
    actor = vtkActor()
    actor.SetMapper(mapper)
    actor.GetProperty().SetAmbient(0.1)
    return actor


@contextmanager
def _window(renderer: vtkRenderer, width: int, height: int) -> Iterator[vtkRenderWindow]:
    # VTK tries a display, EGL and OSMesa in turn and warns of each that is absent; only the last one's absence counts.
    verbosity = vtkLogger.GetCurrentVerbosityCutoff()
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_ERROR)
    try:
        window = vtkRenderWindow()
        if window.GetClassName() == "vtkOSOpenGLRenderWindow" and not _has_osmesa():
            # VTK would end the whole process with a segmentation fault.
            raise RenderingError(
                "the 3-D picture needs OpenGL, and there is none on this machine; install a software renderer "
                "(Debian, Ubuntu: apt-get install libegl1 libgl1 libgl1-mesa-dri)"
            )
        window.SetOffScreenRendering(1)
        window.SetMultiSamples(4)
        window.SetSize(width, height)
        window.AddRenderer(renderer)
        try:
            yield window
        finally:
            window.Finalize()
    finally:
        vtkLogger.SetStderrVerbosity(verbosity)


def _has_osmesa() -> bool:
    for name in ("libOSMesa.so", "libOSMesa.so.8", "libOSMesa.so.6"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False


def _picture(
    window: vtkRenderWindow, renderer: vtkRenderer, view: Viewpoint, frame: ViewRectangle
) -> NDArray[np.uint8]:
    camera = renderer.GetActiveCamera()
    eye = np.array(frame.centre) - 10 * frame.half_width * np.array(view.direction)
    camera.ParallelProjectionOn()
    camera.SetParallelScale(frame.half_height)
    camera.SetFocalPoint(*frame.centre)
    camera.SetPosition(*eye.tolist())
    camera.SetViewUp(0.0, 0.0, 1.0)
    renderer.ResetCameraClippingRange()
    window.Render()
    grab = vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    image = grab.GetOutput()
    width, height, _ = image.GetDimensions()
    flat = vtk_to_numpy(image.GetPointData().GetScalars())
    return np.flipud(flat.reshape(height, width, -1)[..., :3]).copy()
