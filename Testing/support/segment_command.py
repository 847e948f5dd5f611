"""`mtctl segment` run in this process, and bad inputs for it."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import SimpleITK as sitk
from PIL import Image
from support.scans import scan

from mtctl.batch.case import Outcome
from mtctl.batch.runner import Failure, Job, run_here, run_in_processes
from mtctl.commands.main import main
from mtctl.figures.case_figure import CasePicture
from mtctl.inference.prediction import ProgressCallback
from mtctl.io.volumes import write_volume
from mtctl.models.model import Model
from mtctl.system.files import replacing


def run(model: Model, *arguments: object) -> int:
    """Run the command in this process and with plain pictures.

    To draw one takes five times as long as to segment a scan of the tests, and to start a process even longer.
    """
    with (
        patch("mtctl.figures.case_figure.write_case_figure", plain_picture),
        patch("mtctl.batch.runner.run_in_processes", in_this_process),
    ):
        return run_with_figures(model, *arguments)


def in_this_process(job: Job, workers: int, progress: ProgressCallback) -> Generator[Outcome | Failure, None, None]:
    """Do what one worker process would do; several are started."""
    return run_here(job, progress) if workers == 1 else run_in_processes(job, workers, progress)


def plain_picture(view: CasePicture, path: Path) -> None:
    """Write the uncertainty in the axial plane through the middle, in place of the figure of a case."""
    plane = view.uncertainty[view.uncertainty.shape[0] // 2]
    with replacing(path) as part:
        Image.fromarray((255 * plane).astype(np.uint8)).save(part, "PNG")


def run_with_figures(model: Model, *arguments: object) -> int:
    try:
        return main(["segment", "--model", str(model.folder), "--device", "cpu", *map(str, arguments)])
    except SystemExit as stopped:
        return int(stopped.code or 0)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def image(array: np.ndarray, path: Path, vector: bool = False) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=vector), str(path))


def spoil(folder: Path) -> dict[str, str]:
    """Bad inputs in `folder`, and what the message about each must say."""
    good = scan().array
    (folder / "empty folder").mkdir()
    write_volume(scan(), folder / "cut.nrrd")
    whole = (folder / "cut.nrrd").read_bytes()
    (folder / "cut.nrrd").write_bytes(whole[: len(whole) // 2])
    image(good[0], folder / "flat.nrrd")
    image(np.stack([good] * 3, axis=-1).astype(np.uint8), folder / "colour.nrrd", vector=True)
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(good)] * 2), str(folder / "movie.nrrd"))
    for name, value in (("nan", np.nan), ("infinite", np.inf)):
        bad = good.copy()
        bad[3, 4, 5] = value
        image(bad, folder / f"{name}.nrrd")
    image(np.full_like(good, 7), folder / "constant.nrrd")
    image(good[:9], folder / "thin.nrrd")
    head = b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 16 16 16\nencoding: raw\n"
    voxels = b"\n" + bytes(range(256)) * 16
    (folder / "no spacing.nrrd").write_bytes(head + voxels)
    (folder / "zero.nrrd").write_bytes(head + b"spacings: 0 1 1\n" + voxels)
    directions = b"space: left-posterior-superior\nspace directions: (nan,0,0) (0,1,0) (0,0,1)\n"
    (folder / "direction.nrrd").write_bytes(head + directions + voxels)
    return {
        "absent.nrrd": "not exist|no such file|not found|missing",
        "empty folder": "no .*(image|DICOM)",
        "cut.nrrd": "cut off|truncated|incomplete|damaged|fewer",
        "flat.nrrd": "2-D|2 dimension|two",
        "colour.nrrd": "colou?r|vector|RGB|component",
        "movie.nrrd": "4-D|4 dimension|four",
        "nan.nrrd": "NaN|not a number|finite",
        "infinite.nrrd": "infinite|finite",
        "constant.nrrd": "constant|same value|one value",
        "thin.nrrd": "16",
        "no spacing.nrrd": "spacing",
        "zero.nrrd": "spacing",
        "direction.nrrd": "direction",
    }
