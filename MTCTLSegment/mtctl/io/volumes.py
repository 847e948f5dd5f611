"""Scans and masks in, results out: NRRD, NIfTI, MetaImage and DICOM folders, with every check that a bad file needs."""

from __future__ import annotations

import errno
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from mtctl.geometry import Geometry, Triple, Volume, VolumeError, same_place, to_image, with_spacing
from mtctl.io.case_names import safe_stem
from mtctl.io.dicom import reader as dicom
from mtctl.io.dicom.series import ChosenSeries, choose_series
from mtctl.io.formats.endings import FORMATS, file_type, open_volume
from mtctl.io.itk import quiet, writable
from mtctl.io.scan_checks import check_contrast, check_finite, check_grid
from mtctl.io.segments import LEFT_ATRIUM, is_segmentation, left_atrium_of, on_lattice_of
from mtctl.system.files import WriteError, make_folder, replacing

__all__ = [
    "Geometry",
    "LoadedScan",
    "Volume",
    "VolumeError",
    "input_stem",
    "read_map",
    "read_mask",
    "read_scan",
    "read_volume",
    "write_segmentation",
    "write_volume",
]


@dataclass(frozen=True)
class LoadedScan:
    """A scan as it was read.

    Attributes:
        volume: float32 (z, y, x), with the spacing that was given by hand, if one was.
        filed: The grid as the file has it.
        remarks: What a person should know of the file, in sentences; none where nothing is odd.
    """

    volume: Volume
    filed: Geometry
    remarks: tuple[str, ...]


_NOT_ORIENTED = (
    "the file does not say how the patient lies; its axes were taken to run to the left, back and head:"
    " check left and right, or export it again with its orientation"
)


def read_volume(path: Path) -> Volume:
    """Read a scan.

    Args:
        path: .nrrd, .nhdr, .nii, .nii.gz, .mha, .mhd, or a folder of DICOM slices.

    Returns:
        float32 (z, y, x) and its geometry in LPS mm.

    Raises:
        VolumeError: The file is missing, of another type, cut off, damaged, not a 3-D image of one value a voxel,
            without a usable geometry, smaller than 16 voxels along an axis, constant, or holds NaN or infinite voxels.
        MemoryError: There is too little memory for the volume.
    """
    return read_scan(path, None).volume


def read_scan(path: Path, spacing: Triple | None, choice: ChosenSeries | None = None) -> LoadedScan:
    """Read a scan whose true spacing may be given by hand.

    Args:
        path: As for `read_volume`.
        spacing: mm along the file's axes x, y, z; None for the file's own.
        choice: The series of a DICOM folder, where it was looked up before; else it is looked up now.

    Raises: As `read_volume`.
    """
    path = Path(path)
    try:
        filed, remarks = _read_folder(choice or choose_series(path)) if path.is_dir() else _read_file(path)
        volume = _as_float32(filed)
        volume = with_spacing(volume, spacing) if spacing else volume
        check_grid(volume.geometry)
        check_finite(volume.array)
        check_contrast(volume.array)
    except (VolumeError, OSError) as error:
        raise _named(path, error) from error
    return LoadedScan(volume, filed.geometry, remarks)


def read_mask(path: Path, grid: Geometry | None = None) -> Volume:
    """Read the mask of a left atrium: a label map with one label, or a segmentation as Slicer writes it.

    Of several segments the left atrium is taken (`segments.left_atrium_of`).

    Args:
        path: A volume file.
        grid: That of its scan. Slicer keeps of a segmentation only the part of it where something is drawn; the rest is
            filled in again.

    Returns:
        uint8 (z, y, x), 1 inside, and its geometry.

    Raises:
        VolumeError: As `read_volume` (a mask may be constant or small), or it is not clear which voxels are the atrium.
    """
    path = Path(path)
    try:
        file = open_volume(path)
        mask = left_atrium_of(file.read_voxels(), file.metadata)
        volume = Volume(mask.astype(np.uint8), file.geometry)
        return on_lattice_of(volume, grid) if grid and is_segmentation(file.metadata) else volume
    except (VolumeError, OSError) as error:
        raise _named(path, error) from error


def read_map(path: Path) -> Volume:
    """Read a result that is not a scan: an uncertainty, probability or distance map; it may be constant or small.

    Returns:
        float32 (z, y, x) and its geometry.

    Raises:
        VolumeError: As `read_volume`, except for small and constant volumes.
    """
    path = Path(path)
    try:
        filed, _ = _read_file(path)
        volume = _as_float32(filed)
        check_finite(volume.array)
    except (VolumeError, OSError) as error:
        raise _named(path, error) from error
    return volume


def write_volume(volume: Volume, path: Path) -> None:
    """Write a volume, compressed, in the format of the ending of `path`.

    Geometry is kept to the last digit of a double in MetaImage and NRRD (in oblique NRRD within one unit in the last
    place, since NRRD stores spacing times direction), and to that of a float32 in NIfTI, which has no more.

    Raises:
        WriteError: The folder is not there or not writable, or the disk is full; no part of a file is left.
        VolumeError: The ending names no format that is written here.
    """
    _write_image(to_image(volume), Path(path))


def check_destination(path: Path) -> None:
    """See, before the work, that a volume could be written as `path`.

    Raises:
        WriteError, VolumeError: As `write_volume`, but for the space on the disk.
    """
    _ending_of(path)
    make_folder(path.parent)


def write_segmentation(mask: Volume, path: Path) -> None:
    """Write a left-atrium mask as a .seg.nrrd, which Slicer opens as a segmentation with one segment.

    Args:
        mask: 0 outside, anything else inside, (z, y, x).
        path: Ends in .seg.nrrd.

    Raises:
        WriteError: As `write_volume`.
    """
    image = to_image(Volume((mask.array != 0).astype(np.uint8), mask.geometry))
    last = [count - 1 for count in mask.geometry.size]
    fields = {
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        # Slicer before 5.3 asks for the first name, later ones for the second.
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_SourceRepresentation": "Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
        "Segment0_ID": "LeftAtrium",
        "Segment0_Name": "Left atrium",
        "Segment0_NameAutoGenerated": "0",
        "Segment0_Color": "0.85 0.25 0.25",
        "Segment0_ColorAutoGenerated": "0",
        "Segment0_LabelValue": "1",
        "Segment0_Layer": "0",
        "Segment0_Extent": _occupied(mask.array) or f"0 {last[0]} 0 {last[1]} 0 {last[2]}",
        "Segment0_Tags": f"TerminologyEntry:{LEFT_ATRIUM}|Segmentation.Status:inprogress|",
    }
    for key, value in fields.items():
        image.SetMetaData(key, value)
    _write_image(image, Path(path))


def input_stem(path: Path) -> str:
    """Return the name that the results of an input carry.

    Returns:
        `file_stem`, shortened where no result could have so long a name; for a DICOM folder a pseudonym.

    Raises:
        VolumeError: `path` is a folder without one clear DICOM series.
    """
    path = Path(path)
    if path.is_dir():
        try:
            return dicom.pseudonym(path)
        except VolumeError as error:
            raise _named(path, error) from error
    return safe_stem(file_stem(path))


def file_stem(path: Path) -> str:
    """Return a file's name without its format and without a trailing ".image"."""
    ending = file_type(path)
    name = path.name[: -len(ending)] if ending else path.stem
    return name.removesuffix(".image")


def _read_folder(choice: ChosenSeries) -> tuple[Volume, tuple[str, ...]]:
    return dicom.read_series(choice.series), (choice.remark,) if choice.remark else ()


def _read_file(path: Path) -> tuple[Volume, tuple[str, ...]]:
    """Return a file's volume in the file's own type, and what a person should know of the file."""
    file = open_volume(path)
    if file.components != 1:
        raise VolumeError(f"a colour or vector image ({file.components} values a voxel); save one grey value a voxel")
    unknown = () if file.oriented else (_NOT_ORIENTED,)
    return Volume(file.read_voxels(), file.geometry), (*unknown, *file.remarks)


def _as_float32(volume: Volume) -> Volume:
    with np.errstate(over="ignore"):  # What is too large becomes infinite, and is refused as that.
        return Volume(volume.array.astype(np.float32, copy=False), volume.geometry)


def _occupied(array: NDArray[Any]) -> str | None:
    """Return the first and last index of the voxels that are not 0 along x, y, z; None where there are none."""
    bounds: list[int] = []
    for axes in ((0, 1), (0, 2), (1, 2)):
        hit = np.flatnonzero(array.any(axis=axes))
        if not len(hit):
            return None
        bounds += [int(hit[0]), int(hit[-1])]
    return " ".join(map(str, bounds))


def _ending_of(path: Path) -> str:
    """Return the format that a file's name asks for; its folder is there."""
    ending = file_type(path)
    if ending not in (".nrrd", ".nii", ".nii.gz", ".mha"):  # the others would leave a second file beside the first
        raise VolumeError(f"{path}: cannot be written in this format; choose .nrrd, .nii.gz or .mha")
    if not path.parent.is_dir():
        raise WriteError(f"{path}: cannot be written: there is no folder {path.parent}; make it first")
    return ending


def _write_image(image: sitk.Image, path: Path) -> None:
    ending = _ending_of(path)
    with replacing(path) as part:
        part.touch()  # says in the system's own words why a folder cannot be written to; ITK does not
        try:
            with quiet(), writable(part, ending) as name:
                sitk.WriteImage(image, name, useCompression=True)
            _check_written(part, ending, image)
        except (RuntimeError, VolumeError) as error:
            needed = image.GetNumberOfPixels() * image.GetSizeOfPixelComponent()
            if shutil.disk_usage(path.parent).free < needed:
                raise OSError(errno.ENOSPC, "the disk is full") from error
            raise OSError(errno.EIO, "the disk did not take the whole file") from error


def _check_written(part: Path, ending: str, image: sitk.Image) -> None:
    """Raise where a file does not say what was to be written, or is not whole.

    On a full disk ITK leaves a NIfTI file short and says nothing. NRRD and MetaImage writers do say it, but write text,
    in which numbers can go wrong.
    """
    written = FORMATS[ending](part).geometry
    meant = Geometry(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    if not same_place(written, meant):
        raise VolumeError("the file says another place than was to be written")


def _named(path: Path, error: VolumeError | OSError) -> VolumeError:
    if isinstance(error, OSError):
        return VolumeError(f"{path}: cannot be read: {error.strerror or error}")
    return VolumeError(f"{path}: {error}")
