"""Volumes to and from the child process through .npy files, in small steps that never hold up a window.

A scan of 576 x 576 x 88 voxels and its results have 700 MB: copied at once they would freeze the window for a second
and more. A Python thread is no way out: inside Slicer it starves while the event loop idles. And most of the results
is what lies outside the region that was looked at, the same value everywhere: that is not copied at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

_STEP_BYTES = 1 << 20  # About a millisecond; ten and more on a busy machine.


class ArrayPart(TypedDict):
    """Where the part of a volume lies that a file holds.

    Attributes:
        start: Index (z, y, x) of its first voxel in the whole.
        outside: Value of all other voxels.
    """

    start: list[int]
    outside: float


def write_steps(array: NDArray[Any], path: Path) -> Iterator[None]:
    """Write an array (z, y, x) as .npy, some planes a step.

    Raises:
        OSError: The disk is full, or the folder gone.
    """
    with open(path, "wb") as stream:
        np.lib.format.write_array_header_1_0(
            stream, {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
        )
        for planes in _slabs(array):
            stream.write(np.ascontiguousarray(array[planes]).data)
            yield


def write_trimmed(array: NDArray[Any], outside: float, path: Path) -> ArrayPart:
    """Write the box of an array (z, y, x) beyond which it is `outside` everywhere.

    Raises:
        OSError: As `write_steps`.
    """
    other = array != outside
    spans = [np.flatnonzero(other.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    # One voxel at least: a file without any cannot be mapped.
    bounds = [(int(span[0]), int(span[-1]) + 1) if len(span) else (0, 1) for span in spans]
    for _ in write_steps(array[tuple(slice(*bound) for bound in bounds)], path):
        pass
    return ArrayPart(start=[low for low, _ in bounds], outside=outside)


def read_steps(
    folder: Path, places: Mapping[str, ArrayPart], shape: tuple[int, int, int], into: dict[str, NDArray[Any]]
) -> Iterator[None]:
    """Read what `write_trimmed` left as <name>.npy into whole arrays, some planes a step, and remove the files.

    Raises:
        OSError, ValueError: One is missing, cut off, or not part of an array of that shape.
    """
    for name, place in places.items():
        path = folder / f"{name}.npy"
        part = np.load(path, mmap_mode="r", allow_pickle=False)
        whole = np.zeros(shape, part.dtype)  # Takes no time: memory is zeroed when it is touched first.
        if place["outside"]:
            for planes in _slabs(whole):
                whole[planes] = place["outside"]
                yield
        inner = whole[tuple(slice(low, low + count) for low, count in zip(place["start"], part.shape, strict=True))]
        for planes in _slabs(part):
            inner[planes] = part[planes]
            yield
        del part  # Windows removes no file that is mapped.
        path.unlink()
        into[name] = whole


def _slabs(array: NDArray[Any]) -> Iterator[slice]:
    count = array.shape[0]
    planes = max(1, _STEP_BYTES * count // max(1, array.nbytes))
    return (slice(start, start + planes) for start in range(0, count, planes))
