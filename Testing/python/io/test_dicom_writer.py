"""DICOM in other shapes, the choice among series, and results as DICOM: read back by programs that are not ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from support.dicom_series import PATIENT, UID, assert_refused, dicom_scan, write_series
from support.scans import scan
from support.segment_command import names, run

from mtctl.geometry import Geometry, Volume, VolumeError
from mtctl.io.dicom.series import choose_series
from mtctl.io.dicom.source import DicomOutputError
from mtctl.io.dicom.writer import Provenance, prepare_dicom, write_dicom
from mtctl.io.volumes import input_stem, read_map, read_mask, read_volume, write_volume
from mtctl.models.model import Model

pydicom = pytest.importorskip("pydicom")
highdicom = pytest.importorskip("highdicom")

MADE = Provenance("tiny 1", "predictive entropy / ln 2", "0123abcd")


def edit(folder: Path, **values: object) -> None:
    """Change an element in all files of a folder."""
    for file in folder.glob("*.dcm"):
        data = pydicom.dcmread(file)
        for name, value in values.items():
            setattr(data, name, value)
        data.save_as(file)


def write_enhanced(
    folder: Path, array: NDArray[np.int16], geometry: Geometry, order: NDArray[np.int64], slopes: NDArray[np.float64]
) -> None:
    """An enhanced MR file whose frames come in any order, each with its own scale."""
    folder.mkdir(parents=True, exist_ok=True)
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = f"{UID}.5.1"
    data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = PATIENT, "4711", "", ""
    data.StudyInstanceUID, data.SeriesInstanceUID = f"{UID}.9", f"{UID}.5"
    data.FrameOfReferenceUID, data.Modality, data.SeriesNumber, data.InstanceNumber = f"{UID}.8", "MR", 5, 1
    data.StudyDate, data.StudyTime, data.StudyID, data.AccessionNumber = "20260102", "101112", "", ""
    data.ReferringPhysicianName, data.ContentDate, data.ContentTime = "", "20260102", "101112"
    data.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    data.Rows, data.Columns, data.NumberOfFrames = array.shape[1], array.shape[2], len(array)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 1
    shared = pydicom.Dataset()
    measures, orientation = pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing = [geometry.spacing[1], geometry.spacing[0]]
    measures.SliceThickness = measures.SpacingBetweenSlices = geometry.spacing[2]
    orientation.ImageOrientationPatient = [f"{value:.10f}" for value in geometry.matrix[:, :2].T.ravel()]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    data.SharedFunctionalGroupsSequence = [shared]
    data.PerFrameFunctionalGroupsSequence = []
    for index, slope in zip(order, slopes, strict=True):
        frame, position, scale = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        position.ImagePositionPatient = [f"{value:.8f}" for value in geometry.index_to_physical((0, 0, index))]
        scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = float(slope), -3.0, "US"
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [position], [scale]
        data.PerFrameFunctionalGroupsSequence.append(frame)
    data.PixelData = array[order].tobytes()
    data.save_as(folder / "enhanced.dcm", enforce_file_format=True)


@pytest.fixture
def enhanced(tmp_path: Path) -> tuple[Path, NDArray[np.float64], Geometry]:
    """Folder, true values and grid of an enhanced MR scan with its frames in disorder."""
    array, geometry = dicom_scan(oblique=True)
    rng = np.random.default_rng(3)
    order, slopes = rng.permutation(len(array)), rng.uniform(0.5, 2, len(array)).round(3)
    write_enhanced(tmp_path / "enhanced", array, geometry, order, slopes)
    values = array * slopes[np.argsort(order)][:, None, None] - 3
    return tmp_path / "enhanced", values, geometry


def test_enhanced_mr_comes_in_with_each_frame_in_its_place_and_scale(
    enhanced: tuple[Path, NDArray[np.float64], Geometry],
) -> None:
    folder, values, geometry = enhanced
    volume = read_volume(folder)
    assert np.allclose(volume.array, values, atol=1e-3)
    assert np.allclose(volume.geometry.index_to_physical((5, 6, 7)), geometry.index_to_physical((5, 6, 7)), atol=1e-6)


def test_frames_that_are_missing_doubled_or_without_a_place_are_refused(
    enhanced: tuple[Path, NDArray[np.float64], Geometry],
) -> None:
    folder, _, _ = enhanced
    file = folder / "enhanced.dcm"
    data = pydicom.dcmread(file)
    groups = data.PerFrameFunctionalGroupsSequence
    place = groups[3].PlanePositionSequence[0].ImagePositionPatient
    groups[3].PlanePositionSequence[0].ImagePositionPatient = groups[4].PlanePositionSequence[0].ImagePositionPatient
    data.save_as(file)
    assert_refused(folder, "1 of 18 slices lies where another one lies")
    groups[3].PlanePositionSequence[0].ImagePositionPatient = place
    del groups[3].PlanePositionSequence
    data.save_as(file)
    assert_refused(folder, "no place in space")
    content = file.read_bytes()
    file.write_bytes(content[: len(content) - 4000])
    assert_refused(folder, r"enhanced\.dcm holds 13280 bytes of voxels where 17280 belong")


def test_frames_with_a_damaged_header_are_refused(enhanced: tuple[Path, NDArray[np.float64], Geometry]) -> None:
    folder, _, _ = enhanced
    file = folder / "enhanced.dcm"
    data = pydicom.dcmread(file)
    del data.PerFrameFunctionalGroupsSequence[5].PixelValueTransformationSequence[0].RescaleSlope
    data.save_as(file)
    assert_refused(folder, "a frame without its scale")
    del data.PerFrameFunctionalGroupsSequence[-1]
    data.save_as(file)
    assert_refused(folder, "describes 17 of its 18 frames")


def test_enhanced_mr_is_read_without_pydicom(
    enhanced: tuple[Path, NDArray[np.float64], Geometry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    assert np.allclose(read_volume(enhanced[0]).array, enhanced[1], atol=1e-3)


def series(folder: Path, number: int, slices: int, **values: object) -> None:
    array, geometry = dicom_scan()
    place = folder / f"S{number}"
    write_series(place, array, geometry, uid=f"{UID}.{number}", number=number, slices=range(slices))
    edit(place, **values)


def chosen(folder: Path) -> tuple[int, str]:
    choice = choose_series(folder)
    return int(pydicom.dcmread(choice.series.files[0]).SeriesNumber), choice.remark


def test_late_enhancement_is_taken_before_longer_series_and_localizers_last_and_the_report_says_so(
    tiny_model: Model, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    series(folder, 1, 18, SeriesDescription="cine 4ch")
    series(folder, 2, 17, SeriesDescription="3D LGE navigated")
    series(folder, 3, 16, SeriesDescription="LGE scout", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    series(folder, 4, 18, SeriesDescription="late enh MIP", ImageType=["DERIVED", "SECONDARY", "PROJECTION IMAGE"])
    number, remark = chosen(folder)
    assert number == 2
    assert remark.startswith("of 4 DICOM series, number 2 with 17 slices was taken (no localizer, no projection, named")
    assert run(tiny_model, folder, "-o", tmp_path / "out") == 0
    (report,) = (tmp_path / "out").glob("*.json")
    said = json.loads(report.read_text(encoding="utf-8"))
    assert remark in said["warnings"] and said["input"] == input_stem(folder)


def test_mr_is_taken_before_longer_ct_and_among_equals_the_longest(tmp_path: Path) -> None:
    series(tmp_path, 1, 18, Modality="CT")
    series(tmp_path, 2, 10)
    series(tmp_path, 3, 12)
    number, remark = chosen(tmp_path)
    assert number == 3 and "(the only MR, the longest)" in remark


def test_a_single_series_needs_no_remark(tmp_path: Path) -> None:
    series(tmp_path, 1, 18)
    assert chosen(tmp_path) == (1, "")


def test_two_examinations_in_one_folder_are_refused_since_one_would_be_lost(tmp_path: Path) -> None:
    series(tmp_path, 1, 18)
    series(tmp_path, 2, 17, StudyInstanceUID=f"{UID}.77")
    with pytest.raises(VolumeError, match="several examinations"):
        choose_series(tmp_path)


def results(tmp_path: Path, folder: Path) -> tuple[Volume, Volume, Volume]:
    """The scan, a mask and an uncertainty map, written as DICOM beside each other."""
    volume = read_volume(folder)
    mask = np.zeros(volume.array.shape, np.uint8)
    mask[5:9, 4:12, 6:20] = 1
    mask[6, 5, 7] = 0
    uncertainty = np.random.default_rng(0).random(mask.shape).astype(np.float32)
    made = Volume(mask, volume.geometry), Volume(uncertainty, volume.geometry)
    source = prepare_dicom(choose_series(folder).series, volume.geometry, MADE)
    write_dicom(source, *made, MADE, tmp_path / "a.seg.dcm", tmp_path / "a.uncertainty.dcm")
    return volume, *made


@pytest.fixture(params=["slices", "enhanced"])
def source(request: Any, tmp_path: Path) -> Path:
    if request.param == "enhanced":
        return request.getfixturevalue("enhanced")[0]
    array, geometry = dicom_scan(oblique=True)
    write_series(tmp_path / "slices", array, geometry)
    return tmp_path / "slices"


def on_our_grid(array: NDArray[Any], to_lps: NDArray[np.float64], geometry: Geometry) -> NDArray[Any]:
    """Voxels (x, y, z) of another program's grid on ours: every one must lie on one of ours."""
    index = np.indices(array.shape).reshape(3, -1).T
    places = geometry.physical_to_index(np.c_[index, np.ones(len(index))] @ to_lps[:3].T)
    assert np.abs(places - np.rint(places)).max() < 1e-3
    x, y, z = np.rint(places).astype(int).T
    ours = np.full(geometry.shape, -1, array.dtype if array.dtype.kind == "f" else np.int64)
    ours[z, y, x] = array.reshape(-1)
    return ours


def test_highdicom_reads_both_back_voxel_by_voxel_in_their_place(tmp_path: Path, source: Path) -> None:
    volume, mask, uncertainty = results(tmp_path, source)
    for name, ours in (("a.seg.dcm", mask), ("a.uncertainty.dcm", uncertainty)):
        theirs = highdicom.imread(tmp_path / name).get_volume()
        assert theirs.array.size == volume.array.size
        array = theirs.array.reshape(theirs.spatial_shape).transpose(2, 1, 0)
        affine = theirs.affine[:, [2, 1, 0, 3]]  # its axes are slice, row, column
        found = on_our_grid(array, affine, volume.geometry)
        assert np.allclose(found, ours.array, atol=1e-6)


def test_simpleitk_reads_the_segmentation_back_in_its_place(tmp_path: Path, source: Path) -> None:
    volume, mask, _ = results(tmp_path, source)
    image = sitk.ReadImage(str(tmp_path / "a.seg.dcm"))
    assert np.allclose(image.GetSpacing(), volume.geometry.spacing, atol=1e-5)
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    array = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    assert np.array_equal(on_our_grid(array, affine, volume.geometry) > 0, mask.array > 0)


def test_the_objects_refer_to_their_source_and_speak_in_codes(tmp_path: Path, source: Path) -> None:
    results(tmp_path, source)
    files = {pydicom.dcmread(file).SOPInstanceUID for file in source.glob("*.dcm")}
    one = pydicom.dcmread(next(source.glob("*.dcm")))
    for name in ("a.seg.dcm", "a.uncertainty.dcm"):
        data = pydicom.dcmread(tmp_path / name)
        referred = {
            item.ReferencedSOPInstanceUID for item in data.ReferencedSeriesSequence[0].ReferencedInstanceSequence
        }
        assert referred == files
        assert data.StudyInstanceUID == one.StudyInstanceUID
        assert data.ReferencedSeriesSequence[0].SeriesInstanceUID == one.SeriesInstanceUID
        assert data.PatientName == PATIENT and data.PatientID == "4711"  # DICOM's rule, and said in --help
    seg = pydicom.dcmread(tmp_path / "a.seg.dcm").SegmentSequence[0]
    assert seg.SegmentedPropertyTypeCodeSequence[0].CodeValue == "82471001"
    assert seg.SegmentedPropertyTypeCodeSequence[0].CodingSchemeDesignator == "SCT"
    assert seg.SegmentAlgorithmType == "AUTOMATIC"
    assert seg.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == MADE.by
    map_ = pydicom.dcmread(tmp_path / "a.uncertainty.dcm")
    scale = map_.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert (scale.RealWorldValueSlope, scale.RealWorldValueIntercept) == (1, 0)
    assert scale.MeasurementUnitsCodeSequence[0].CodingSchemeDesignator == "UCUM"
    assert map_.ContentQualification == "RESEARCH"


def test_the_same_results_have_the_same_identifiers(tmp_path: Path, source: Path) -> None:
    results(tmp_path, source)
    first = pydicom.dcmread(tmp_path / "a.seg.dcm")
    results(tmp_path, source)
    again = pydicom.dcmread(tmp_path / "a.seg.dcm")
    assert first.SOPInstanceUID == again.SOPInstanceUID and first.SeriesInstanceUID == again.SeriesInstanceUID
    assert first.SOPInstanceUID != pydicom.dcmread(tmp_path / "a.uncertainty.dcm").SOPInstanceUID


def test_a_series_without_the_preamble_gets_dicom_results_too(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    write_series(folder, *dicom_scan())
    for file in folder.glob("*.dcm"):
        bare = pydicom.Dataset()
        bare.update(pydicom.dcmread(file))
        bare.save_as(file, implicit_vr=True, little_endian=True, enforce_file_format=False)
        assert file.read_bytes()[128:132] != b"DICM"
    volume, mask, _ = results(tmp_path, folder)
    theirs = highdicom.imread(tmp_path / "a.seg.dcm").get_volume()
    array = theirs.array.reshape(theirs.spatial_shape).transpose(2, 1, 0)
    assert np.array_equal(on_our_grid(array, theirs.affine[:, [2, 1, 0, 3]], volume.geometry), mask.array)


def test_slices_that_moved_since_are_refused(tmp_path: Path) -> None:
    array, geometry = dicom_scan()
    write_series(tmp_path / "in", array, geometry)
    moved = Geometry(geometry.size, geometry.spacing, (-29.0, 12.5, -102.5), geometry.direction)
    with pytest.raises(DicomOutputError, match="not where the results were made"):
        prepare_dicom(choose_series(tmp_path / "in").series, moved, MADE)


def test_the_command_writes_dicom_beside_the_other_results_and_keeps_it(
    tiny_model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "Miller^Anna", tmp_path / "out"
    write_series(folder, *dicom_scan())
    assert run(tiny_model, folder, "-o", out, "--dicom-seg") == 0
    stem = input_stem(folder)
    assert {f"{stem}.seg.dcm", f"{stem}.uncertainty.dcm"} <= names(out) and len(names(out)) == 7
    volume = highdicom.imread(out / f"{stem}.seg.dcm").get_volume()
    assert volume.array.sum() == read_mask(out / f"{stem}.seg.nrrd").array.sum()
    map_ = highdicom.imread(out / f"{stem}.uncertainty.dcm").get_volume()
    assert map_.array.sum() == pytest.approx(read_map(out / f"{stem}.uncertainty.nrrd").array.sum(), rel=1e-5)
    assert run(tiny_model, folder, "-o", out, "--dicom-seg") == 0
    assert "unchanged, kept" in capsys.readouterr().out
    for path in out.iterdir():
        assert path.suffix == ".dcm" or (PATIENT.encode() not in path.read_bytes() and "Miller" not in path.name)


def test_a_file_is_segmented_without_the_dicom_results_that_it_cannot_have_and_the_status_says_so(
    tiny_model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write_volume(scan((24, 28, 32)), tmp_path / "a.nrrd")
    assert run(tiny_model, tmp_path / "a.nrrd", "-o", out, "--dicom-seg") == 1
    printed = capsys.readouterr()
    assert "a.nrrd: no DICOM results: this is no DICOM folder" in printed.err
    assert "1 of 1 done" in printed.out and "1 without the DICOM results" in printed.out
    assert names(out) == {"a.seg.nrrd", "a.uncertainty.nrrd", "a.distance.nrrd", "a.json", "a.png"}
    assert "no DICOM results: " in json.loads((out / "a.json").read_text(encoding="utf-8"))["warnings"][-1]
    assert run(tiny_model, tmp_path / "a.nrrd", "-o", out, "--dicom-seg") == 1
    assert "unchanged, kept (no DICOM results)" in capsys.readouterr().out
    monkeypatch.setitem(__import__("sys").modules, "highdicom", None)
    assert run(tiny_model, tmp_path / "a.nrrd", "-o", tmp_path / "none", "--dicom-seg") == 1
    assert "needs the package highdicom: pip install 'slicer-mtctl[dicom]'" in capsys.readouterr().err
