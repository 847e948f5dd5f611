"""Damaged volume files, made from good ones: a bit turned over, 512 bytes zeroed, or the end lost."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from support.dicom_series import write_series

from mtctl.geometry import Geometry, Volume, to_image

#: What is damaged, by format, and whether the format has a checksum of the voxels (deflated DICOM has none).
FORMS = {
    "nrrd gzip": True,
    "nrrd raw": False,
    "nhdr gzip": True,
    "mha zlib": True,
    "mha raw": False,
    "mhd zlib": True,
    "nii gzip": True,
    "nii raw": False,
    "dicom plain": False,
    "dicom deflated": False,
}

DAMAGES = ("one bit", "512 zeroed bytes", "cut")

_ENDINGS = {"nrrd": ".nrrd", "nhdr": ".nhdr", "mha": ".mha", "mhd": ".mhd", "nii": ".nii"}


def good_volume() -> Volume:
    """Return a small scan that packs about as well as a real one."""
    z, y, x = np.indices((16, 19, 22))
    shape = 400 * np.exp(-((x - 10) ** 2 + (y - 9) ** 2 + (z - 8) ** 2) / 40)
    array = (shape + np.random.default_rng(11).normal(60, 9, shape.shape)).clip(0).astype(np.int16)
    return Volume(array, Geometry((22, 19, 16), (0.7, 0.8, 1.25), (-30.0, 12.5, -101.25)))


@functools.cache
def good_files(form: str) -> Path:
    """Return the folder that holds `good_volume` in a format, and nothing else; not to be changed."""
    folder = Path(tempfile.mkdtemp(prefix="good-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    name, packed = form.split()
    volume = good_volume()
    if name == "dicom":
        write_series(folder, volume.array.astype(np.int16), volume.geometry)
        if packed == "deflated":
            for file in folder.iterdir():
                data = pydicom.dcmread(file)
                data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
                data.save_as(file)
    else:
        ending = _ENDINGS[name] + (".gz" if form == "nii gzip" else "")
        sitk.WriteImage(to_image(volume), str(folder / f"scan{ending}"), useCompression=packed != "raw")
    return folder


def named_scan(folder: Path, form: str) -> Path:
    """Return what is to be read of the files of a format in a folder."""
    if form.startswith("dicom"):
        return folder
    ending = _ENDINGS[form.split()[0]]
    return next(file for file in folder.iterdir() if ending in file.suffixes)


def damaged(content: bytes, damage: str, rng: np.random.Generator) -> bytes:
    """Return what a bad disk or a broken copy leaves of a file."""
    place = int(rng.integers(len(content)))
    if damage == "cut":
        return content[:place]
    if damage == "512 zeroed bytes":
        return content[:place] + bytes(min(512, len(content) - place)) + content[place + 512 :]
    return content[:place] + bytes([content[place] ^ (1 << int(rng.integers(8)))]) + content[place + 1 :]


def make_damaged(form: str, folder: Path, rng: np.random.Generator) -> tuple[Path, str]:
    """Fill a new folder with the files of a format, one of them damaged; return what to read, and the damage."""
    shutil.copytree(good_files(form), folder)
    files = sorted(folder.iterdir())
    file = files[int(rng.integers(len(files)))]
    damage = DAMAGES[int(rng.integers(len(DAMAGES)))]
    scan = named_scan(folder, form)
    file.write_bytes(damaged(file.read_bytes(), damage, rng))
    return scan, damage


def voxels() -> NDArray[np.float32]:
    """Return the voxels that every undamaged file holds, as they are read."""
    return good_volume().array.astype(np.float32)
