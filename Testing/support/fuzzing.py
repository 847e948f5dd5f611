"""Damaged files and odd headers, read one after the other, each judged.

python -m support.fuzzing files|headers SEED FIRST COUNT: reads COUNT inputs from number FIRST on, and prints for each a
line "@ NUMBER" before and a line of JSON after it, so that an input that ends the process is known.
"""

from __future__ import annotations

import faulthandler
import json
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from support.damage import FORMS, good_volume, make_damaged, voxels
from support.independent_readers import Understood, read_independently
from support.odd_headers import FORMATS, make_odd

from mtctl.errors import MtctlError
from mtctl.geometry import Volume
from mtctl.io.volumes import LoadedScan, read_scan

#: Seconds and bytes that one input may take.
SECONDS, BYTES = 60, 6 << 30

# Share of DICOM among the headers: sixteen files each.
_DICOM_SHARE = 0.08
# By how much of a voxel's smallest side corners may lie apart, and mm: headers are of text or float32.
_NEAR = 1e-2


@dataclass(frozen=True)
class Judged:
    """What became of an input.

    Attributes:
        number: Of the input in its series.
        form: Its format.
        result: "read right", "refused", "remarked on", "other voxels", "other place", "not comparable" or "error".
        note: What was said, or how it differs.
        seconds: How long it took.
    """

    number: int
    form: str
    result: str
    note: str = ""
    seconds: float = 0.0


def judge(kind: str, seed: int, number: int) -> Judged:
    """Make the input of a number and read it; the same every time."""
    rng = np.random.default_rng([seed, number, kind == "files"])
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    start = time.monotonic()
    try:
        form = list(FORMS)[number % len(FORMS)] if kind == "files" else FORMATS[_format_number(rng)]
        if kind == "files":
            path, note = make_damaged(form, folder / "scan", rng)
        else:
            path, note = make_odd(form, folder / "scan", rng), ""
        try:
            scan = read_scan(path, None)
        except (MtctlError, MemoryError) as error:
            return Judged(number, form, "refused", str(error).replace(str(folder), "")[:200], time.monotonic() - start)
        except Exception as error:
            return Judged(number, form, "error", f"{note} {type(error).__name__}: {error}"[:300])
        if kind == "files":
            result, said = _judge_damaged(scan.volume)
        else:
            result, said = _judge_header(scan, read_independently(path))
        return Judged(number, form, result, f"{note} {said}".strip(), time.monotonic() - start)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _format_number(rng: np.random.Generator) -> int:
    share = (1 - _DICOM_SHARE) / 3
    return int(rng.choice(4, p=[share, share, share, _DICOM_SHARE]))


def _judge_damaged(volume: Volume) -> tuple[str, str]:
    if volume.array.shape != voxels().shape or not np.array_equal(volume.array, voxels()):
        return "other voxels", f"{volume.array.shape}"
    same = _apart(volume, Understood(volume.array, _affine_of(good_volume()))) < _NEAR
    return ("read right", "") if same else ("other place", str(volume.geometry))


def _judge_header(scan: LoadedScan, other: Understood | None) -> tuple[str, str]:
    if other is None:
        return "not comparable", ""
    if scan.remarks:
        return "remarked on", "; ".join(scan.remarks)
    if other.array is None:
        return ("read right", "") if _apart(scan.volume, other) < _NEAR else ("other place", str(scan.volume.geometry))
    with np.errstate(all="ignore"):
        array = np.asarray(other.array).astype(np.float32)
    if array.shape != scan.volume.array.shape:
        return "other voxels", f"{array.shape} against {scan.volume.array.shape}"
    apart = _apart(scan.volume, other)
    if not apart < _NEAR:
        return "other place", f"{apart:.3g} mm: {scan.volume.geometry} against {other.affine.tolist()}"
    if not np.allclose(array, scan.volume.array, rtol=1e-5, atol=1e-3):
        return "other voxels", ""
    return "read right", ""


def _affine_of(volume: Volume) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, :3] = volume.geometry.matrix * volume.geometry.spacing
    affine[:3, 3] = volume.geometry.origin
    return affine


def _apart(volume: Volume, other: Understood) -> float:
    """Return how far the grids' corners lie apart, mm."""
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(volume.geometry.size) - 1)
    theirs = corners @ other.affine[:3, :3].T + other.affine[:3, 3]
    return float(np.abs(volume.geometry.index_to_physical(corners) - theirs).max())


def main(arguments: list[str]) -> int:
    """Run the program: see the module."""
    kind, seed, first, count = arguments[0], *map(int, arguments[1:4])
    with suppress(ImportError, ValueError, OSError):  # Windows has none
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    for number in range(first, first + count):
        print("@", number, flush=True)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        print(json.dumps(asdict(judge(kind, seed, number))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
