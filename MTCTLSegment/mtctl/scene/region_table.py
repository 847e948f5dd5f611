"""The region list as a table of the scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import vtk

from mtctl.scene.nodes import CaseNodes, is_in_scene
from mtctl.uncertainty.regions import Region


def fill_region_table(nodes: CaseNodes, regions: Sequence[Region]) -> None:
    """Write the region list into the case's table node, in the list's order; no effect where it was deleted.

    Columns: "Region", "State", "Volume (mL)", "Mean uncertainty", "Peak uncertainty", "Expected error (mL)",
    "Inside", "Outside" (voxels).
    """
    if not is_in_scene(nodes.regions):
        return
    table = vtk.vtkTable()
    for column in (
        _column(vtk.vtkIntArray(), "Region", [region.id for region in regions]),
        _column(vtk.vtkStringArray(), "State", [state_of(region) for region in regions]),
        _column(vtk.vtkDoubleArray(), "Volume (mL)", [round(region.volume_mm3 / 1000, 3) for region in regions]),
        _column(vtk.vtkDoubleArray(), "Mean uncertainty", [round(region.mean_uncertainty, 3) for region in regions]),
        _column(vtk.vtkDoubleArray(), "Peak uncertainty", [round(region.peak_uncertainty, 3) for region in regions]),
        _column(
            vtk.vtkDoubleArray(),
            "Expected error (mL)",
            [round(region.expected_error_mm3 / 1000, 3) for region in regions],
        ),
        _column(vtk.vtkIntArray(), "Inside", [region.voxels_inside for region in regions]),
        _column(vtk.vtkIntArray(), "Outside", [region.voxels_outside for region in regions]),
    ):
        table.AddColumn(column)
    nodes.regions.SetAndObserveTable(table)  # as a whole: one event, where filling it in place would be one a cell


def state_of(region: Region) -> str:
    """Return what was done with a region: "accepted", "edited", "visited" or "open"."""
    for state in ("accepted", "edited", "visited"):
        if getattr(region, state):
            return state
    return "open"


def _column(array: Any, name: str, values: Sequence[Any]) -> Any:
    array.SetName(name)
    array.SetNumberOfValues(len(values))
    for row, value in enumerate(values):
        array.SetValue(row, value)
    return array
