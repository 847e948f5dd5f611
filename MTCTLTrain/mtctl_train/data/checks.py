"""All faults in the cases of a run, found before its first step: a run of a day must not stop at the last case."""

from __future__ import annotations

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtctl.errors import NEXT_LINE, MtctlError, cause_of, printable
from mtctl.geometry import Geometry, sides
from mtctl.io.volumes import read_mask, read_scan
from mtctl.models.card import Card, cases_learnt

#: Half of the least that a left atrium measures along any axis (the 80 training masks: 42 mm).
SMALLEST_MM = 20.0

# Headers are written with three decimals or more; a mask that was drawn on another grid differs by far more.
_ROUNDING = 1e-3

# What can be done with a case of this role when it has no usable mask.
_WITHOUT_MASK = {"labelled": "list the case as unlabelled", "validation": "leave the case out"}


@dataclass(frozen=True)
class DataProblem:
    """One fault that has to be put right before training.

    Attributes:
        where: The file, folder or case.
        what: What is wrong with it, and after a semicolon what to do.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return printable(f"{self.where}: {self.what}")


class DataProblemsError(MtctlError):
    """The cases cannot be trained on; the message has one line for each problem.

    Attributes:
        problems: All of them.
    """

    def __init__(self, problems: Sequence[DataProblem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in problems]
        count = f"{len(lines)} problems with the cases; nothing was trained:"
        super().__init__(lines[0] if len(lines) == 1 else NEXT_LINE.join([count, *lines]))


def check_cases(
    folder: Path, labelled: Sequence[str], unlabelled: Sequence[str], validation: Sequence[str]
) -> list[DataProblem]:
    """Look for every fault in the lists of cases and in their files; reads each file once, 0.05 s a case.

    Args:
        folder: Holds <case>.image.nrrd and, for labelled and validation cases, <case>.label.nrrd.
        labelled, unlabelled, validation: Case names.

    Returns:
        The problems: of the lists, then of the files case by case, then scans that are there twice.
    """
    if not folder.is_dir():
        return [DataProblem(str(folder), "no such folder; name the one that holds <case>.image.nrrd")]
    roles: dict[str, list[str]] = defaultdict(list)
    for role, names in (("labelled", labelled), ("unlabelled", unlabelled), ("validation", validation)):
        for name in names:
            roles[name].append(role)
    problems = [
        DataProblem(f"case {name}", f"is listed {len(listed)} times, as {', '.join(listed)}; list it once")
        for name, listed in roles.items()
        if len(listed) > 1
    ]
    if not labelled:
        problems.append(DataProblem("labelled cases", "none is listed; no method learns from unlabelled scans alone"))

    scans: dict[str, list[str]] = defaultdict(list)
    for name, listed in roles.items():
        grid = None
        try:
            loaded = read_scan(_image(folder, name), None)
            scan, grid = loaded.volume, loaded.volume.geometry
            for remark in loaded.remarks:
                warnings.warn(f"{_image(folder, name)}: {remark}", stacklevel=2)
            problems += _small(_image(folder, name), grid)
            scans[_voxel_hash(scan.array)].append(name)
        except Exception as error:
            problems.append(_read_problem(_image(folder, name), error))
        with_mask = [role for role in listed if role in _WITHOUT_MASK]
        if with_mask:
            problems += _mask_problems(folder, name, with_mask[0], grid)

    for first, *others in scans.values():
        problems += [
            DataProblem(
                str(_image(folder, other)),
                f"holds the same voxels as {first}.image.nrrd; keep one of {other} ({roles[other][0]}) "
                f"and {first} ({roles[first][0]})",
            )
            for other in others
        ]
    return problems


def check_unlabelled(method: str, unlabelled: Sequence[str], fraction: float = 1.0) -> list[DataProblem]:
    """Return the problem of a `method` that learns from unlabelled scans and has none, or sees them in no step.

    Args:
        method: Its name.
        unlabelled: Names of such scans.
        fraction: `Recipe.unlabelled_share`.
    """
    if not unlabelled:
        what = f"none is listed, but {method} learns from them; list some, or use a supervised method"
    elif not fraction:
        what = f"unlabelled_share is 0, but {method} learns from them; leave it out, or use a supervised method"
    else:
        return []
    return [DataProblem("unlabelled cases", what)]


def check_unknown(base: Card, validation: Sequence[str]) -> list[DataProblem]:
    """Return a problem for each validation case on which the starting model was trained.

    Its figures would be better than those on any new scan.
    """
    return [
        DataProblem(
            f"case {name}", f"is listed as validation, but the model '{base.id}' to start from was trained on it"
        )
        for name in validation
        if name in cases_learnt(base)
    ]


def refuse(problems: Sequence[DataProblem]) -> None:
    """Stop where there is a problem.

    Raises:
        DataProblemsError: There is one; the message names all.
    """
    if problems:
        raise DataProblemsError(problems)


def grid_differences(scan: Geometry, mask: Geometry) -> list[str]:
    """Return in what, and by how much, the grid of a mask differs from that of its scan; empty where they are equal."""
    differences = []
    if mask.size != scan.size:
        differences.append(f"{sides(mask.size)} voxels instead of {sides(scan.size)}")
    if not _same(mask.spacing, scan.spacing):
        differences.append(f"a spacing of {sides(mask.spacing)} mm instead of {sides(scan.spacing)}")
    if not _same(mask.origin, scan.origin):
        shift = np.subtract(mask.origin, scan.origin)
        apart = ", ".join(f"{value:.3g}" for value in shift)
        differences.append(f"its origin {np.linalg.norm(shift):.3g} mm away ({apart} mm in LPS)")
    if not _same(mask.direction, scan.direction):
        cosines = (mask.matrix * scan.matrix).sum(axis=0).clip(-1, 1)
        differences.append(f"its axes turned by up to {np.degrees(np.arccos(cosines.min())):.3g} degrees")
    return differences


def _mask_problems(folder: Path, name: str, role: str, grid: Geometry | None) -> list[DataProblem]:
    path = folder / f"{name}.label.nrrd"
    if not path.exists():
        return [DataProblem(str(path), f"the mask is missing; put it there, or {_WITHOUT_MASK[role]}")]
    try:
        mask = read_mask(path, grid)
    except Exception as error:
        return [_read_problem(path, error)]
    problems = []
    differences = [] if grid is None else grid_differences(grid, mask.geometry)
    if differences:
        remedy = "resample it to the scan, nearest neighbour, or draw it anew"
        problems.append(
            DataProblem(str(path), f"the mask has another grid than its scan: {', '.join(differences)}; {remedy}")
        )
    if not mask.array.any():
        problems.append(DataProblem(str(path), f"the mask is empty; draw the atrium, or {_WITHOUT_MASK[role]}"))
    elif mask.array.all():
        problems.append(
            DataProblem(str(path), "the mask covers the whole scan; save the atrium as 1 and the rest as 0")
        )
    return problems


def _small(path: Path, geometry: Geometry) -> list[DataProblem]:
    lengths = [count * spacing for count, spacing in zip(geometry.size, geometry.spacing, strict=True)]
    if min(lengths) >= SMALLEST_MM:
        return []
    return [
        DataProblem(
            str(path),
            f"the scan is only {sides(lengths)} mm large, and the network needs {SMALLEST_MM:g} mm along every axis; "
            "export the whole scan, or leave the case out",
        )
    ]


def _read_problem(path: Path, error: Exception) -> DataProblem:
    return DataProblem(str(path), cause_of(error, path))


def _voxel_hash(array: NDArray[np.float32]) -> str:
    """Return a hash of the voxels alone, whatever the header says of their position."""
    digest = hashlib.blake2b(str(array.shape).encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _same(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    return np.allclose(first, second, rtol=0, atol=_ROUNDING)


def _image(folder: Path, name: str) -> Path:
    return folder / f"{name}.image.nrrd"
