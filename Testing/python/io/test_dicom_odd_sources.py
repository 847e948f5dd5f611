"""DICOM results of sources as real scanners, archives and anonymisers write them, and what validators say of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from support.dicom_series import dicom_scan, write_series
from support.scanner_series import UID, put, small_scan, write_frames, write_slices
from support.segment_command import run

from mtctl.batch.cohort import TABLE
from mtctl.geometry import Geometry, Volume
from mtctl.io.dicom.series import choose_series
from mtctl.io.dicom.source import DicomOutputError
from mtctl.io.dicom.writer import Provenance, prepare_dicom, write_dicom
from mtctl.io.volumes import input_stem
from mtctl.models.model import Model

pydicom = pytest.importorskip("pydicom")
highdicom = pytest.importorskip("highdicom")

MADE = Provenance("tiny 1", "predictive entropy / ln 2", "0123abcd")

#: Elements of a source as written (None: not at all; a pair: with that VR), and of the results (None: not there).
ODD: dict[str, tuple[dict[str, Any], dict[str, str | None]]] = {
    "a date in words": ({"StudyDate": "unknown"}, {"StudyDate": ""}),
    "a year as a birth date": ({"PatientBirthDate": "1960"}, {"PatientBirthDate": ""}),
    "a date that never was": ({"PatientBirthDate": "19600231"}, {"PatientBirthDate": ""}),
    "a date with dashes": ({"PatientBirthDate": "1960-01-02"}, {"PatientBirthDate": "19600102"}),
    "a date of old": ({"StudyDate": "2026.01.02"}, {"StudyDate": "20260102"}),
    "a range of dates": ({"StudyDate": "20260101-20260102"}, {"StudyDate": ""}),
    "two dates": ({"StudyDate": "20260101\\20260102"}, {"StudyDate": ""}),
    "a time that never is": ({"StudyTime": "25:61"}, {"StudyTime": ""}),
    "a time with colons": ({"StudyTime": "10:11:12"}, {"StudyTime": "101112"}),
    "a sex in words": ({"PatientSex": "female"}, {"PatientSex": "F"}),
    "a sex that is none": ({"PatientSex": "X7"}, {"PatientSex": ""}),
    "a sex in lower case": ({"PatientSex": "f"}, {"PatientSex": "F"}),
    "an age without unit": ({"PatientAge": "065"}, {"PatientAge": None}),
    "a short age": ({"PatientAge": "65Y"}, {"PatientAge": "065Y"}),
    "a weight that is no number": ({"PatientWeight": "nan"}, {"PatientWeight": None}),
    "a name that is too long": ({"PatientName": "M^" + "E" * 80}, {"PatientName": "M^" + "E" * 62}),
    "a name with a line break": ({"PatientName": "Muster^\nErika"}, {"PatientName": "Muster^ Erika"}),
    "a name with a backslash": ({"PatientName": "Mu\\ster^Erika"}, {"PatientName": "Mu/ster^Erika"}),
    "a name of seven parts": ({"PatientName": "a^b^c^d^e^f^g"}, {"PatientName": "a^b^c^d^e f g"}),
    "a number that is too long": ({"PatientID": "4" * 80}, {"PatientID": ""}),
    "an accession that is too long": ({"AccessionNumber": "4" * 30}, {"AccessionNumber": ""}),
    "a description that is too long": ({"StudyDescription": "h" * 90}, {"StudyDescription": "h" * 64}),
    "texts of other VRs": (
        {"PatientName": ("Muster^E", "LO"), "PatientSex": ("F", "LO"), "StudyDate": ("2026-01-02", "LO")},
        {"PatientName": "Muster^E", "PatientSex": "F", "StudyDate": "20260102"},
    ),
    "a weight with a comma, as text": ({"PatientWeight": ("70,5", "LO")}, {"PatientWeight": None}),
    "UIDs of another VR": ({"FrameOfReferenceUID": (f"{UID}.8", "LO")}, {"FrameOfReferenceUID": f"{UID}.8"}),
    "no type-2 values at all": (
        dict.fromkeys(
            ["PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber",
             "StudyID", "ReferringPhysicianName"]
        ),
        {"PatientName": "", "PatientID": "", "PatientBirthDate": "", "PatientSex": "", "StudyDate": "", "StudyID": ""},
    ),
    "an identity removed without method": ({"PatientIdentityRemoved": "YES"}, {"DeidentificationMethod": "not stated"}),
    "a trial without a name": ({"ClinicalTrialSubjectID": "7"}, {"ClinicalTrialSubjectID": None}),
    "an unknown character set": ({"SpecificCharacterSet": "ISO_IR 999"}, {"PatientName": "Muster^Erika"}),
    "a character set for extensions alone": (
        {"SpecificCharacterSet": "ISO 2022 IR 100"}, {"SpecificCharacterSet": None, "PatientName": "Muster^Erika"},
    ),
    "private elements": ({}, {"PatientName": "Muster^Erika"}),
}  # fmt: skip

#: A name by its bytes in the file, with the character set that the file names.
NAMES = {
    "Latin-1 as it should be": ("ISO_IR 100", "Müller^Jörg".encode("latin-1"), "Müller^Jörg"),
    "Latin-1 without saying so": (None, "Müller^Jörg".encode("latin-1"), "Müller^Jörg"),
    "UTF-8 without saying so": (None, "Müller^Jörg".encode(), "Müller^Jörg"),
    "UTF-8 called something else": ("ISO_IR 999", "心房^太郎".encode(), "心房^太郎"),
    "UTF-8 called ASCII": ("ISO_IR 6", "Müller^Jörg".encode(), "Müller^Jörg"),
    "Cyrillic": ("ISO_IR 144", "Люкс^Анна".encode("iso8859_5"), "Люкс^Анна"),
    "Japanese with escapes": (
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
        "Yamada^Tarou=山田^太郎",
    ),
}

#: What no result could refer to, and what is said of it; by slice number.
UNUSABLE: dict[str, tuple[str, Callable[[int], str], str]] = {
    "slices of one name": ("SOPInstanceUID", lambda number: f"{UID}.1.1", "7 of 8 slices have the SOPInstanceUID"),
    "a slice without a name": ("SOPInstanceUID", lambda number: f"{UID}.{number}" if number else "", "no valid SOPIn"),
    "two patients": ("PatientID", lambda number: f"{number // 4}", r"several patients \(PatientID\)"),
    "two frames of reference": ("FrameOfReferenceUID", lambda number: f"{UID}.{number // 4 + 1}", "several frames of"),
    "a study in letters": ("StudyInstanceUID", lambda number: f"study {number}", "several examinations"),
}


def results(source: Path, geometry: Geometry, out: Path) -> tuple[Any, Any, Volume, Volume, tuple[str, ...]]:
    """Segmentation and Parametric Map as pydicom reads them, what is in them, and the remarks."""
    rng = np.random.default_rng(2)
    mask = Volume((rng.random(geometry.shape) < 0.3).astype(np.uint8), geometry)
    uncertainty = Volume(rng.random(geometry.shape).astype(np.float32), geometry)
    prepared = prepare_dicom(choose_series(source).series, geometry, MADE)
    write_dicom(prepared, mask, uncertainty, MADE, out / "a.seg.dcm", out / "a.uncertainty.dcm")
    seg, map_ = (pydicom.dcmread(out / name) for name in ("a.seg.dcm", "a.uncertainty.dcm"))
    return seg, map_, mask, uncertainty, prepared.remarks


def complaints(file: Path) -> list[str]:
    """What dciodvfy has to say of a file, without what only the source could know."""
    done = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, errors="replace", check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert any(line in ("Segmentation", "ParametricMap") for line in lines), lines
    return sorted({line for line in lines if line.startswith(("Error", "Warning")) and "DICOMDIR" not in line})


def validate(out: Path) -> None:
    if shutil.which("dciodvfy"):
        assert {name: complaints(out / name) for name in ("a.seg.dcm", "a.uncertainty.dcm")} == {
            "a.seg.dcm": [], "a.uncertainty.dcm": [],
        }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", ODD)
def test_an_odd_source_has_valid_results_that_say_what_can_be_said(case: str, tmp_path: Path) -> None:
    written, expected = ODD[case]

    def edit(data: Any, number: int) -> None:
        for keyword, value in written.items():
            if value is None:
                del data[keyword]
            else:
                put(data, keyword, *(value if isinstance(value, tuple) else (value,)))
        block = data.private_block(0x0019, "SCANNER WORKS", create=True)
        block.add_new(0x01, "LO", "private text")

    array = small_scan()
    source = write_slices(tmp_path / "in", array, edit)
    seg, map_, _, _, remarks = results(source, array[1], tmp_path)
    for data in (seg, map_):
        found = {keyword: str(data[keyword].value or "") if keyword in data else None for keyword in expected}
        assert found == expected
        assert not [element for element in data if element.tag.is_private]
    # Of what was valid nothing is said.
    changed = [name for name, value in written.items() if value is not None and name in str(remarks)]
    assert changed or remarks == ()
    validate(tmp_path)


@pytest.mark.parametrize("case", NAMES)
def test_a_name_comes_through_in_any_character_set(case: str, tmp_path: Path) -> None:
    character_set, raw, name = NAMES[case]
    place = b"N" * len(raw)

    def edit(data: Any, number: int) -> None:
        put(data, "PatientName", place.decode())
        if character_set:
            put(data, "SpecificCharacterSet", character_set.split("\\"))

    array = small_scan()
    source = write_slices(tmp_path / "in", array, edit, {place: raw})
    for data in results(source, array[1], tmp_path)[:2]:
        assert str(data.PatientName) == name
    validate(tmp_path)


@pytest.mark.parametrize("lacking", ["StudyInstanceUID", "FrameOfReferenceUID", "SOPClassUID", "SliceThickness"])
def test_what_the_source_does_not_say_the_results_say_the_same_way_each_time(lacking: str, tmp_path: Path) -> None:
    array = small_scan()
    source = write_slices(tmp_path / "in", array, lambda data, number: data.pop(lacking))
    seg, map_, *_ = results(source, array[1], tmp_path)
    validate(tmp_path)
    again, *_ = results(source, array[1], tmp_path)
    assert seg.StudyInstanceUID == map_.StudyInstanceUID == again.StudyInstanceUID
    assert seg.FrameOfReferenceUID == map_.FrameOfReferenceUID == again.FrameOfReferenceUID


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_source_that_cannot_be_referred_to_is_found_before_the_network_runs(case: str, tmp_path: Path) -> None:
    keyword, value, cause = UNUSABLE[case]
    array = small_scan()
    source = write_slices(tmp_path / "in", array, lambda data, number: put(data, keyword, value(number)))
    with pytest.raises(DicomOutputError, match=cause):
        prepare_dicom(choose_series(source).series, array[1], MADE)


def sequence(**elements: str) -> list[Any]:
    item = pydicom.Dataset()
    for keyword, value in elements.items():
        put(item, keyword, value)
    return [item]


def test_what_the_standard_asks_for_together_is_whole_or_left_out(tmp_path: Path) -> None:
    code = {"CodeValue": "1", "CodingSchemeDesignator": "DCM", "CodeMeaning": "one"}
    parts: dict[str, Any] = {
        "ReferencedPatientSequence": [],
        "ReferencedStudySequence": sequence(ReferencedSOPClassUID="1.2"),
        "IssuerOfAccessionNumberSequence": [],
        "ProcedureCodeSequence": sequence(CodeValue="1", CodingSchemeDesignator="DCM"),
        "PatientSpeciesDescription": "human",
        "ResponsiblePerson": "A^B",
        "PatientBirthDateInAlternativeCalendar": "1400",
        "PregnancyStatus": 0,
        "ClinicalTrialSponsorName": "sponsor",
    }
    whole: dict[str, Any] = {
        "OtherPatientIDsSequence": sequence(PatientID="4712"),
        "ReasonForPerformedProcedureCodeSequence": sequence(**code),
        "LossyImageCompression": "01",
    }

    def edit(data: Any, number: int) -> None:
        for keyword, value in (parts | whole).items():
            put(data, keyword, value)

    array = small_scan()
    seg, map_, *_ = results(write_slices(tmp_path / "in", array, edit), array[1], tmp_path)
    for data in (seg, map_):
        assert [keyword for keyword in parts if keyword in data] == []
        assert [keyword for keyword in whole if keyword in data] == list(whole)
    validate(tmp_path)


@pytest.mark.parametrize("sop_class", ["1.3.46.670589.11.0.0.12.1", "1.2.840.10008.5.1.4.1.1.4.1"])
def test_the_results_refer_to_files_of_private_and_other_classes_as_such(sop_class: str, tmp_path: Path) -> None:
    array = small_scan()
    source = write_slices(tmp_path / "in", array, lambda data, number: put(data, "SOPClassUID", sop_class))
    seg, map_, *_ = results(source, array[1], tmp_path)
    for data in (seg, map_):
        frame = data.PerFrameFunctionalGroupsSequence[3].DerivationImageSequence[0].SourceImageSequence[0]
        referred = data.ReferencedSeriesSequence[0].ReferencedInstanceSequence[3]
        assert {one.ReferencedSOPClassUID for one in (frame, referred, data.SourceImageSequence[3])} == {sop_class}


def test_what_cannot_be_written_costs_the_dicom_objects_alone_and_report_table_and_status_say_so(
    tiny_model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scans, out = tmp_path / "in", tmp_path / "out"
    for number, study in enumerate(("unnamed", "refused")):
        array, geometry = dicom_scan()
        write_series(
            scans / study, array + np.int16(number), geometry, uid=f"{UID}.{number}.1", study=f"{UID}.{number}"
        )
    for file in (scans / "unnamed").glob("*.dcm"):
        data = pydicom.dcmread(file)
        data.SOPInstanceUID = f"{UID}.5"
        data.save_as(file)
    monkeypatch.setattr("mtctl.io.dicom.writer.replacing", failing)
    assert run(tiny_model, scans, "-o", out, "--dicom-seg") == 1
    printed = capsys.readouterr()
    assert "2 of 2 done" in printed.out and "2 without the DICOM results that were asked for" in printed.out
    assert "unnamed: no DICOM results: 17 of 18 slices have the SOPInstanceUID" in printed.err
    assert "refused" not in printed.err  # Only known after the network has run.
    for study, cause in (("unnamed", "17 of 18 slices"), ("refused", "highdicom is tired")):
        stem = input_stem(scans / study)
        files = {path.name.removeprefix(stem) for path in out.iterdir() if path.name.startswith(stem)}
        assert files == {".seg.nrrd", ".uncertainty.nrrd", ".distance.nrrd", ".json", ".png"}
        report = json.loads((out / f"{stem}.json").read_text(encoding="utf-8"))
        assert cause in report["without_dicom"] and f"no DICOM results: {report['without_dicom']}" in report["warnings"]
    assert (out / TABLE).read_text(encoding="utf-8").count("no DICOM results: ") == 2
    monkeypatch.undo()
    assert run(tiny_model, scans / "refused", "-o", out, "--dicom-seg") == 0  # What stood in the way is gone.
    assert (out / f"{input_stem(scans / 'refused')}.seg.dcm").is_file()


def failing(path: Path) -> Any:
    raise DicomOutputError("highdicom is tired")


def jittered(step: float) -> Any:
    rng = np.random.default_rng(4)

    def edit(data: Any, number: int) -> None:
        cosines = np.array([float(value) for value in data.ImageOrientationPatient])
        put(data, "ImageOrientationPatient", [f"{value:.12f}"[:16] for value in cosines + rng.uniform(-step, step, 6)])

    return edit


def exact(file: Path, ours: Volume) -> None:
    """Highdicom reads a file back voxel by voxel, each in its place."""
    theirs = highdicom.imread(file).get_volume()
    array = theirs.array.reshape(theirs.spatial_shape)
    index = np.indices(array.shape).reshape(3, -1)
    places = (theirs.affine[:3, :3] @ index).T + theirs.affine[:3, 3]
    same_voxels(ours, places, array.reshape(-1))


def same_voxels(ours: Volume, places: NDArray[np.float64], values: NDArray[Any]) -> None:
    found = ours.geometry.physical_to_index(places)
    assert np.abs(found - np.rint(found)).max() < 1e-4
    x, y, z = np.rint(found).astype(int).T
    assert len(values) == ours.array.size and len({*zip(x, y, z, strict=True)}) == ours.array.size
    assert np.allclose(ours.array[z, y, x], values, atol=1e-6)


@pytest.mark.parametrize("step", [1e-8, 1e-6, 3e-4])
def test_orientations_that_differ_by_rounding_become_one(step: float, tmp_path: Path) -> None:
    array = small_scan()
    source = write_slices(tmp_path / "in", array, jittered(step))
    _, _, mask, uncertainty, _ = results(source, array[1], tmp_path)
    exact(tmp_path / "a.seg.dcm", mask)
    exact(tmp_path / "a.uncertainty.dcm", uncertainty)
    validate(tmp_path)


def deflated(data: Any, number: int) -> None:
    data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian


def run_length(data: Any, number: int) -> None:
    data.compress(pydicom.uid.RLELossless, generate_instance_uid=False)


@pytest.mark.parametrize("flipped", [False, True], ids=["to the head", "to the feet"])
@pytest.mark.parametrize("kind", ["slices", "deflated", "compressed", "frames", "frames that each say their measures"])
def test_every_program_reads_the_same_voxels_in_their_place(kind: str, flipped: bool, tmp_path: Path) -> None:
    array = small_scan(flipped)
    edits = {"deflated": deflated, "compressed": run_length}
    if kind.startswith("frames"):
        source = write_frames(tmp_path / "in", array, shared=kind == "frames")
    else:
        source = write_slices(tmp_path / "in", array, edits.get(kind, lambda data, number: None))
    seg, map_, mask, uncertainty, remarks = results(source, array[1], tmp_path)
    assert remarks == ()
    validate(tmp_path)
    exact(tmp_path / "a.seg.dcm", mask)
    exact(tmp_path / "a.uncertainty.dcm", uncertainty)
    for data, ours in ((seg, mask), (map_, uncertainty)):
        frames = data.pixel_array.reshape(ours.array.shape)
        for number, group in enumerate(data.PerFrameFunctionalGroupsSequence):
            place = [float(value) for value in group.PlanePositionSequence[0].ImagePositionPatient]
            z = round(ours.geometry.physical_to_index(place)[2])
            assert np.allclose(frames[number], ours.array[z])
            (origin,) = group.DerivationImageSequence[0].SourceImageSequence
            assert origin.ReferencedSOPInstanceUID == (
                f"{UID}.1.{z + 1}" if len(list(source.iterdir())) > 1 else f"{UID}.1.1"
            )
            assert origin.get("ReferencedFrameNumber", z + 1) == z + 1
        assert data.FrameOfReferenceUID == f"{UID}.8" and data.StudyInstanceUID == f"{UID}.9"
        referred = data.ReferencedSeriesSequence[0]
        assert referred.SeriesInstanceUID == f"{UID}.1"
        assert len(referred.ReferencedInstanceSequence) == len(list(source.iterdir()))
    image = sitk.ReadImage(str(tmp_path / "a.seg.dcm"))
    index = np.indices(image.GetSize()).reshape(3, -1)
    affine = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    places = (affine @ index).T + image.GetOrigin()
    same_voxels(mask, places, (sitk.GetArrayFromImage(image).transpose(2, 1, 0) > 0).reshape(-1).astype(np.uint8))


@pytest.mark.skipif(
    not shutil.which("dciodvfy"), reason="the validator dciodvfy (Debian: dicom3tools) is not installed"
)
def test_the_validator_would_tell_what_is_wrong(tmp_path: Path) -> None:
    array = small_scan()
    _, map_, *_ = results(write_slices(tmp_path / "in", array), array[1], tmp_path)
    assert not complaints(tmp_path / "a.uncertainty.dcm")
    del map_.BodyPartExamined
    map_.save_as(tmp_path / "a.uncertainty.dcm")
    assert "Laterality" in " ".join(complaints(tmp_path / "a.uncertainty.dcm"))
