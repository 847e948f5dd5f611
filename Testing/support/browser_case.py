"""Cases in files, for the tests of the reviewer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from support.scans import scan

from mtctl.commands.main import main
from mtctl.geometry import Volume
from mtctl.inference.result import Result
from mtctl.io.volumes import read_map, read_mask, read_scan, write_segmentation, write_volume


def write_case(folder: Path, name: str = "ball") -> None:
    """A small scan with results that a review can begin with."""
    volume = scan((24, 28, 32))
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in volume.array.shape], indexing="ij")
    depth = (0.6 - np.sqrt(z**2 + y**2 + x**2)).astype(np.float32)
    write_volume(volume, folder / f"{name}.image.nrrd")
    for kind, array in {
        "uncertainty": np.exp(-((depth / 0.12) ** 2)),
        "distance": depth.clip(-1, 1),
        "probability": 1 / (1 + np.exp(-20 * depth)),
    }.items():
        write_volume(Volume(array.astype(np.float32), volume.geometry), folder / f"{name}.{kind}.nrrd")
    write_segmentation(Volume((depth > 0).astype(np.uint8), volume.geometry), folder / f"{name}.seg.nrrd")
    (folder / f"{name}.json").write_text(
        json.dumps({"input": f"{name}.image.nrrd", "case_score": 0.9}), encoding="utf-8"
    )


def result_in(folder: Path, report: dict[str, Any], name: str = "ball") -> Result:
    """The results that `write_case` wrote, with a report, as a segmentation hands them over."""
    scan, files = read_scan(folder / f"{name}.image.nrrd", None).volume, {"entropy": "uncertainty"}
    kinds = ("entropy", "distance", "probability")
    maps = {kind: read_map(folder / f"{name}.{files.get(kind, kind)}.nrrd").array for kind in kinds}
    mask = read_mask(folder / f"{name}.seg.nrrd", scan.geometry).array
    return Result(scan.geometry, mask.astype(np.uint8), maps, report)


def segmented_phantom(folder: Path, results: str = "", *options: str) -> Path:
    """Put a phantom and its results, with all maps, into a folder, which is returned.

    Args:
        folder: Where the phantom is to be.
        results: Name of a folder in it for the results; "": beside the phantom.
        options: Further ones of `mtctl segment`.
    """
    for arguments in (
        ["phantom", "-o", str(folder)],
        ["segment", str(folder / "phantom-0.image.nrrd"), "-o", str(folder / results), "--maps", "all", *options],
    ):
        assert main(arguments) == 0
    (folder / "phantom-0.label.nrrd").unlink()
    return folder
