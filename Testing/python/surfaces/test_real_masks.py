"""Surfaces of experts' masks."""

from __future__ import annotations

import numpy as np
import pytest
from support.mesh_checks import edge_uses, is_closed, self_intersections
from support.paths import shared_scans

from mtctl.io.volumes import read_mask
from mtctl.surfaces.cutting import MappedMesh, cut_open
from mtctl.surfaces.finding import find_openings
from mtctl.surfaces.openings import OpeningKind
from mtctl.surfaces.smoothing import smoothed_surface


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 40])
def test_the_surface_of_an_experts_mask_is_sound_and_opens_at_veins_and_valve(number: int) -> None:
    path = sorted(shared_scans().glob("*.label.nrrd"))[number]
    volume = read_mask(path)
    mask = volume.array != 0
    mesh = smoothed_surface(mask, volume.geometry)
    assert is_closed(mesh)
    assert self_intersections(mesh) == 0
    assert mesh.volume_ml() == pytest.approx(int(mask.sum()) * volume.geometry.voxel_ml, rel=0.01)
    openings = find_openings(mask, mesh, volume.geometry)
    kinds = [one.kind for one in openings]
    assert kinds.count(OpeningKind.MITRAL) == 1 and 2 <= kinds.count(OpeningKind.VEIN) <= 6
    assert next(one for one in openings if one.kind is OpeningKind.MITRAL).normal[0] > 0.3  # to the left
    surface = cut_open(MappedMesh(mesh, {}), openings).mesh
    assert set(np.unique(edge_uses(surface)).tolist()) == {1, 2}
    assert self_intersections(surface) == 0
