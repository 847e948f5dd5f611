"""Which scans the case store takes for one, and which for two."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import slicer
from support.scans import scan
from support.stored_cases import OBLIQUE

from mtctl.cases.records import CaseError
from mtctl.cases.store import CaseStore
from mtctl.geometry import IDENTITY, Geometry, Volume
from mtctl.io.volumes import read_volume, write_volume
from mtctl.scene.volume_nodes import volume_of
from mtctl.system.staging import read_sealed, write_sealed


def test_the_same_scan_is_one_case_and_its_name_says_nothing(store: CaseStore) -> None:
    first, again = store.add(scan((20, 24, 28))), store.add(scan((20, 24, 28)))
    assert first == again and store.ids() == [first.id]
    assert first.id.startswith("case-")
    assert store.add(scan((20, 24, 28), seed=1)).id != first.id


def test_a_scan_whose_grid_another_program_wrote_in_its_last_digits_is_the_same(store: CaseStore) -> None:
    volume = Volume(scan((20, 24, 28)).array, OBLIQUE)
    matrix = OBLIQUE.matrix * OBLIQUE.spacing  # as Slicer keeps it, and NRRD
    lengths = np.linalg.norm(matrix, axis=0)
    grids = [
        dataclasses.replace(OBLIQUE, spacing=tuple(lengths.tolist()), direction=tuple((matrix / lengths).ravel())),
        dataclasses.replace(OBLIQUE, origin=tuple(float(np.float32(value) + 4e-4) for value in OBLIQUE.origin)),
        dataclasses.replace(OBLIQUE, direction=tuple(float(np.float32(value)) for value in OBLIQUE.direction)),
    ]
    for id in (None, "A-1"):
        case = store.add(volume, id)
        for grid in grids:
            assert store.add(Volume(volume.array, grid), id or case.id) == case
            assert grid != OBLIQUE and case.geometry == OBLIQUE
            assert id or store.add(Volume(volume.array, grid)) == case
    assert len(store.ids()) == 2


def by_both(path: Path, direction: tuple[float, ...]) -> tuple[Volume, Volume]:
    """A file as the command line reads it and as Slicer loads it."""
    grid = Geometry((28, 24, 20), (0.7, 0.7, 1.6), (-80.5, -120.3, 33.7), direction)
    write_volume(Volume(scan((20, 24, 28)).array, grid), path)
    storage, node = slicer.vtkMRMLVolumeArchetypeStorageNode(), slicer.vtkMRMLScalarVolumeNode()
    storage.SetFileName(str(path))
    storage.SetCenterImage(False)
    assert storage.ReadData(node)
    return read_volume(path), volume_of(node)


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz"])
@pytest.mark.parametrize("direction", [IDENTITY, (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)])
def test_a_file_that_slicer_loads_is_the_scan_that_the_command_line_reads(
    store: CaseStore, tmp_path: Path, ending: str, direction: tuple[float, ...]
) -> None:
    read, loaded = by_both(tmp_path / f"scan{ending}", direction)
    case = store.add(read)
    assert store.add(loaded) == case and store.add(loaded, case.id) == case


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz"])
def test_a_file_whose_slices_slicer_turns_round_is_another_case_of_the_same_scan(
    store: CaseStore, tmp_path: Path, ending: str
) -> None:
    """Not the same case: a mask with its slices in the one order would be mirrored in the other."""
    read, loaded = by_both(tmp_path / f"scan{ending}", OBLIQUE.direction)
    assert (loaded.array == read.array[::-1]).all()
    first, second = store.add(read), store.add(loaded)
    assert first.id != second.id and first.scan_sha256 == second.scan_sha256
    assert store.add(read) == first and store.add(loaded) == second


def test_the_same_voxels_on_another_grid_are_another_scan(store: CaseStore) -> None:
    volume = scan((20, 24, 28))
    first = store.add(volume)
    others = [
        dataclasses.replace(volume.geometry, direction=(1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0)),
        dataclasses.replace(volume.geometry, spacing=(0.625, 0.625, 2.5)),
        dataclasses.replace(volume.geometry, origin=(0.0, 0.0, 0.1)),
    ]
    cases = [store.add(Volume(volume.array, grid)) for grid in others]
    assert [case.id for case in cases] == [f"{first.id}-{number}" for number in (2, 3, 4)]
    assert [case.geometry for case in cases] == others
    for grid, case in zip(others, cases, strict=True):
        assert store.add(Volume(volume.array, grid)) == case
        with pytest.raises(CaseError, match="holds another scan with the name"):
            store.add(Volume(volume.array, grid), first.id)
    mirrored = dataclasses.replace(volume.geometry, direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0))
    assert store.add(Volume(volume.array, mirrored)).scan_sha256 != first.scan_sha256
    reshaped = volume.array.reshape(24, 20, 28)
    assert store.add(Volume(reshaped, dataclasses.replace(volume.geometry, size=(28, 20, 24)))).id[:17] != first.id


def test_a_case_of_a_store_whose_sums_were_over_the_grid_is_recognised(store: CaseStore) -> None:
    volume = scan((20, 24, 28))
    case = store.add(volume, "A-1")
    path = case.folder / "case.json"
    write_sealed(path, read_sealed(path, 1) | {"scan_sha256": "51" * 32})
    assert store.add(volume, "A-1").scan_sha256 == "51" * 32 and store.verify() == []
    with pytest.raises(CaseError, match="holds another scan with the name A-1"):
        store.add(scan((20, 24, 28), seed=1), "A-1")


def test_another_scan_does_not_get_a_name_that_is_taken_in_upper_or_lower_case(store: CaseStore) -> None:
    store.add(scan((20, 24, 28)), "LA-7")
    for name in ("LA-7", "la-7"):
        with pytest.raises(CaseError, match="holds another scan with the name LA-7"):
            store.add(scan((20, 24, 28), seed=1), name)
