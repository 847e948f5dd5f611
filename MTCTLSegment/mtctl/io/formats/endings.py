"""Which format a file is of, by its name, and the one way in which volume files are opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mtctl.geometry import VolumeError
from mtctl.io.formats.metaimage import is_detached_metaimage, open_metaimage
from mtctl.io.formats.nifti import open_nifti
from mtctl.io.formats.nrrd import is_detached_nrrd, open_nrrd
from mtctl.io.formats.volume_file import VolumeFile

#: How files of each ending are opened.
FORMATS: dict[str, Callable[[Path], VolumeFile]] = {
    ".nrrd": open_nrrd,
    ".nhdr": open_nrrd,
    ".nii": open_nifti,
    ".nii.gz": open_nifti,
    ".mha": open_metaimage,
    ".mhd": open_metaimage,
}


def file_type(path: Path) -> str | None:
    """Return the ending of `path` that says its format, lower case, as in `FORMATS`; None for any other file."""
    name = path.name.lower()
    return next((ending for ending in FORMATS if name.endswith(ending)), None)


def open_volume(path: Path) -> VolumeFile:
    """Read and check the header of a volume file: the only way in which scans, masks, maps and labels are read.

    Raises:
        VolumeError: There is no such file, it is of another type, or its header cannot be believed.
    """
    if not path.exists():
        if path.is_symlink():
            raise VolumeError("is a link that leads nowhere; link it again, or name the file itself")
        raise VolumeError("no such file or folder; check the name")
    if path.is_dir():
        raise VolumeError("is a folder; name the file itself")
    if not path.is_file():
        raise VolumeError("is no file but a pipe or a device; name the scan's own file")
    ending = file_type(path)
    if ending is None:
        raise VolumeError(f"unknown file type; expected {', '.join(FORMATS)} or a folder of DICOM slices")
    if path.stat().st_size == 0:
        raise VolumeError("the file is empty; copy or export it again")
    return FORMATS[ending](path)


def check_self_contained(path: Path) -> None:
    """Raise where a file's voxels are in another one: a header that came from elsewhere could name any file.

    Raises:
        VolumeError: They are, or its header is damaged.
    """
    detached = {".nrrd": is_detached_nrrd, ".mha": is_detached_metaimage, ".nii": None, ".nii.gz": None}
    ending = file_type(path)
    if ending not in detached:
        raise VolumeError("one file with header and voxels is needed: .nrrd, .nii, .nii.gz or .mha")
    names_another = detached[ending]
    if names_another and names_another(path):
        raise VolumeError("its voxels are in a second file: save header and voxels as one file")
