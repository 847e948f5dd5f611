"""Nothing that names a patient is shown, logged or saved by the reviewer of a scan whose header names one."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import SimpleITK as sitk
from support.browser_case import write_case
from support.telltale_reviews import review_all
from support.telltales import FOLDER, bad_files, good_files, holds, telltales

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("trame_slicer") is None, reason="trame-slicer is not installed (slicer-mtctl[review])"
    ),
]


def test_no_telltale_of_a_scan_is_on_the_page_in_the_log_or_in_a_file_of_a_review(tmp_path: Path) -> None:
    root = tmp_path / f"{FOLDER}^browsed"
    for folder in (root / "results", root / "planted", tmp_path / "dropped"):
        folder.mkdir(parents=True)
    write_case(root / "results")
    scan = sitk.ReadImage(str(root / "results" / "ball.image.nrrd"))
    for key in ("PatientName", "comment"):
        scan.SetMetaData(key, "Zztell")
    sitk.WriteImage(scan, str(root / "planted" / "ball.image.nrrd"))
    (root / "results" / "ball.image.nrrd").unlink()
    bad_files(root / "planted")
    dropped = [*good_files(tmp_path / "dropped"), *bad_files(tmp_path / "dropped")]

    seen = review_all(root, dropped)

    assert not [line for line in seen.splitlines() if holds(line.encode(), "zztell")]
    for words in ("Ball: stored as accepted", "phericity", "three.image.nrrd", "line 2 of its header"):
        assert words in seen
    stored = [path for path in root.iterdir() if path.name != "planted"]
    assert not [line for folder in stored for line in telltales(folder)]
    assert not [path.name for path in stored if path.is_file() and holds(path.read_bytes(), "zztell")]
    assert json.loads((root / "results" / "ball.review.json").read_text("utf-8"))["status"] == "draft"
