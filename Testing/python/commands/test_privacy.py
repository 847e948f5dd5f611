"""Nothing that names a patient leaves a scan, but into DICOM objects: no name, number, UID, folder or comment."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from benchmarks import privacy
from PIL import Image, PngImagePlugin
from support.finetuning_runs import be_quick
from support.telltales import telltales

from mtctl.io.dicom.privacy import without_file_names
from mtctl.models.model import Model


@pytest.mark.slow
def test_no_telltale_of_a_patient_is_printed_or_written_by_any_command_on_any_source(
    tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The benchmark, without its browser and with a short training."""
    be_quick(monkeypatch)
    with capfd.disabled():  # The benchmark itself sends to a file what this process and its children print.
        privacy.run(tmp_path / "kept", ["--model", str(tiny_model.folder)], long=False)
    assert not privacy.found(tmp_path / "kept")
    counts = re.search(r"(\d+) DICOM objects written; (\d+) cases stored, (\d+) of", privacy.summary(tmp_path / "kept"))
    assert counts is not None
    objects, cases, corrected = map(int, counts.groups())
    assert objects >= 6 and cases >= 6 and corrected == 3
    assert "$ mtctl finetune\n" in (printed := (tmp_path / "kept" / "screen.txt").read_text("utf-8"))
    assert "[17/24] " in printed and '"event": "verdict"' in printed


def test_names_of_dicom_files_stay_out_of_reports_and_tables(tmp_path: Path) -> None:
    names = ("Miller Anna 1961.dcm", "Miller Anna 1961.dcm.bak", "Jos\u00e9.IMA", "17", "IM(1).dcm")
    (tmp_path / "deep").mkdir()
    for name in names:
        (tmp_path / "deep" / name).touch()
    said = without_file_names(f"17 of 18 slices cannot be read: {', '.join(names)}; copy them again", tmp_path)
    assert said.startswith("17 of 18 slices cannot be read: file-") and said.endswith("; copy them again")
    assert not [name for name in ("Miller", "Anna", "1961", "Jos", "IM(") if name in said]
    assert len(set(re.findall(r"file-[0-9a-f]{8}", said))) == 4


def test_a_telltale_is_found_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"input": "ZZTELLname"}', encoding="utf-8")
    (tmp_path / "b.csv").write_text("zztell", encoding="utf-16")
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "Zztell in a picture", zip=True)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "c.png", pnginfo=texts)
    image = sitk.GetImageFromArray(np.zeros((4, 4, 4), np.uint8))
    image.SetMetaData("comment", "Zztell")
    sitk.WriteImage(image, str(tmp_path / "d.nrrd"), useCompression=True)
    (tmp_path / "zzfolder").mkdir()
    (tmp_path / "e.txt").write_text("nothing", encoding="utf-8")
    assert [line.split(":")[0] for line in telltales(tmp_path)] == ["a.json", "b.csv", "c.png", "d.nrrd", "zzfolder"]
