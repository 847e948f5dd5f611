"""Inputs that are damaged, lie, or are no scans, each kind once, and what is to be said of each."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from support.dicom_series import dicom_scan, write_series
from support.scans import scan

from mtctl.geometry import to_image
from mtctl.io.volumes import write_volume

#: Writes one input, and says nothing.
Make = Callable[[Path], object]

_GOOD = scan((24, 28, 32))
_META = "ObjectType = Image\nNDims = {dims}\nDimSize = 16 16 16\nElementType = MET_UCHAR\nElementSpacing = 1 1 1\n"
_VOXELS = bytes(range(256)) * 16
_NRRD = b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 16 16 16\nencoding: raw\n"
_MILES = b'space units: "mile" "mile" "mile"\n'
_LPS = b"space: left-posterior-superior\nspace directions: (%s,0,0) (0,1,0) (0,0,1)\n"


def _damaged(damage: Callable[[bytearray, int], object]) -> Make:
    """Write a good file, compressed, and damage it about its middle."""

    def make(path: Path) -> None:
        write_volume(_GOOD, path)
        content = bytearray(path.read_bytes())
        damage(content, len(content) * 2 // 3)
        path.write_bytes(content)

    return make


def _flip(content: bytearray, at: int) -> None:
    content[at] ^= 8


def _zero(content: bytearray, at: int) -> None:
    content[at : at + 512] = bytes(512)


def _lose(content: bytearray, at: int) -> None:
    del content[at : at + 64]


def _cut(content: bytearray, at: int) -> None:
    del content[at:]


def _nifti(edit: Callable[[nibabel.Nifti1Image], object]) -> Make:
    def make(path: Path) -> None:
        image = nibabel.Nifti1Image(_GOOD.array.T, np.diag([0.625, 0.625, 1.25, 1]))
        image.set_qform(image.affine, 1)
        image.set_sform(image.affine, 1)
        edit(image)
        nibabel.save(image, path)

    return make


def _mirror(image: nibabel.Nifti1Image) -> None:
    image.set_qform(np.diag([-0.625, 0.625, 1.25, 1]), 1)


def _shear(image: nibabel.Nifti1Image) -> None:
    sheared = image.affine.copy()
    sheared[0, 1] = 0.625 * np.tan(np.radians(5))
    image.set_sform(sheared, 2)


def _header(offset: int, content: bytes) -> Make:
    """Write a plain NIfTI file with other bytes in its header."""

    def make(path: Path) -> None:
        _nifti(lambda image: None)(path)
        raw = bytearray(path.read_bytes())
        raw[offset : offset + len(content)] = content
        path.write_bytes(raw)

    return make


def _text(content: bytes) -> Make:
    return lambda path: path.write_bytes(content)


def _meta(rest: str, dims: str = "3") -> Make:
    return _text(_META.format(dims=dims).encode() + rest.encode() + _VOXELS)


def _voxels(array: np.ndarray, vector: bool = False) -> Make:
    return lambda path: sitk.WriteImage(sitk.GetImageFromArray(array, isVector=vector), str(path))


def _with(value: float) -> np.ndarray:
    array = _GOOD.array.copy()
    array[3, 4, 5] = value
    return array


def _coarse(path: Path) -> None:
    image = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 99, (48, 80, 80)).astype(np.uint8))
    image.SetSpacing((50.0, 50.0, 50.0))
    sitk.WriteImage(image, str(path), True)


def _film(path: Path) -> None:
    sitk.WriteImage(sitk.JoinSeries([to_image(_GOOD)] * 2), str(path))


def _claims(path: Path) -> None:
    head = b"NRRD0004\ntype: float\ndimension: 3\nsizes: 1024 1024 2560\nencoding: raw\nspacings: 1 1 1\n\n"
    path.write_bytes(head)
    os.truncate(path, 10 * 10**9)


def _series(spoil: Callable[[list[Path]], object]) -> Make:
    """Write a DICOM folder of a study of its own, and spoil its slices."""

    def make(path: Path) -> None:
        array, geometry = dicom_scan((32, 28, 24))
        uid = f"1.2.3.{int.from_bytes(path.name.encode(), 'big') % 10**12}"
        write_series(path, array, geometry, uid=f"{uid}.1", study=f"{uid}.2")
        spoil(sorted(path.iterdir()))

    return make


def _empty_last(slices: list[Path]) -> None:
    for path in slices[-8:]:
        path.write_bytes(b"")


def _short(slices: list[Path]) -> None:
    slices[7].write_bytes(slices[7].read_bytes()[:-600])


def _gap(slices: list[Path]) -> None:
    slices[9].unlink()


def _junk(path: Path) -> None:
    path.mkdir()
    (path / "IM0001.dcm").write_bytes(b"junk" * 500)


#: By name: how it is made, and what the message about it must say.
HOSTILE: dict[str, tuple[Make, str]] = {
    "bit flipped.nrrd": (_damaged(_flip), "damaged|checksum|cut off"),
    "bytes zeroed.mha": (_damaged(_zero), "damaged|checksum|cut off"),
    "bytes lost.nii.gz": (_damaged(_lose), "damaged|checksum|cut off"),
    "cut off.nrrd": (_damaged(_cut), "cut off|damaged"),
    "mirrored.nii": (_nifti(_mirror), "qform|sform|place"),
    "sheared.nii": (_nifti(_shear), "qform|sform|right angles|place"),
    "no number.nii": (_header(268, struct.pack("<f", np.nan)), "finite|number|qform"),
    "no spacing.nii": (_header(80, bytes(12)), "spacing"),
    "unit.nrrd": (
        _text(_NRRD + _MILES + _LPS % b"1" + b"\n" + _VOXELS),
        "mile",
    ),
    "huge step.nrrd": (_text(_NRRD + _LPS % b"1e308" + b"\n" + _VOXELS), "spacing|direction|larger|right angles"),
    "no step.nrrd": (_text(_NRRD + b"\n" + _VOXELS), "spacing"),
    "list.mhd": (_meta("ElementDataFile = LIST\nslice1.raw\nslice2.raw\n"), "missing|slice1|files"),
    "pattern.mhd": (_meta("ElementDataFile = slice%03d.raw 1 16 1\n"), "missing|slice001|files"),
    "no dimensions.mha": (_meta("ElementDataFile = LOCAL\n", "-1"), "damaged|dimension|MetaImage|-1-D"),
    "many dimensions.mha": (_meta("ElementDataFile = LOCAL\n", "2000000000"), "damaged|dimension|D image"),
    "no file.mha": (_meta("ElementDataFile =\n"), "damaged|second file|voxels|header"),
    "two files.mha": (
        _meta("ElementDataFile = /etc/hostname\nElementDataFile = LOCAL\n"),
        "in another folder",
    ),
    "many keys.nrrd": (_text(_NRRD + b"".join(b"k%d:=v\n" % n for n in range(60_000)) + b"\n"), "header|keys"),
    "coarse.nrrd": (_coarse, "larger than a patient"),
    "claims.nrrd": (_claims, "cannot be a scan of a heart"),
    "not a number.nrrd": (_voxels(_with(np.nan)), "NaN|not a number|finite"),
    "constant.nrrd": (_voxels(np.full((20, 20, 20), 7, np.uint8)), "same value|constant"),
    "thin.nrrd": (_voxels(_GOOD.array[:9]), "16"),
    "film.nrrd": (
        lambda path: _film(path),
        "several volumes",
    ),
    "colour.nrrd": (_voxels(np.stack([_GOOD.array] * 3, -1).astype(np.uint8), vector=True), "colou?r|vector"),
    "text.mha": (_text(b"not an image\n"), "not a MetaImage file"),
    "empty.nii.gz": (_text(b""), "empty"),
    "slices empty": (_series(_empty_last), "empty|missing|not be read|cannot be used"),
    "slice short": (_series(_short), "holds 1192 bytes of voxels where 1792 belong"),
    "slice missing": (_series(_gap), "missing|gap|uneven|apart|distance"),
}


def write_hostile(folder: Path) -> dict[str, str]:
    """Write one input of each kind; return what is to be said of each, by name."""
    for name, (make, _) in HOSTILE.items():
        make(folder / name)
    return {name: cause for name, (_, cause) in HOSTILE.items()}


#: Names of good scans that a program may stumble over.
ODD_NAMES = ("=1+1", "@SUM(A1)", "-5", "con", "two words", "Jos\u00e9 \u5fc3\u623f", "a.b.c", "p$_$q")
ODD_NAMES += ("x" * 230, "x" * 229 + "y")


def write_good(folder: Path, count: int) -> None:
    """Write good scans: with odd names, in every format, linked, and as a folder of DICOM slices."""
    for number in range(count - 1):
        name = ODD_NAMES[number] if number < len(ODD_NAMES) else f"good {number}"
        ending = (".nrrd", ".nii.gz", ".mha", ".image.nrrd")[number % 4]
        write_volume(scan((24, 28, 32), seed=number), folder / f"new{ending}")
        (folder / f"new{ending}").rename(folder / f"{name}{ending}")  # Longer than a file that is written here may be.
    array, geometry = dicom_scan((32, 28, 24))
    write_series(folder / "slices", array, geometry, uid="1.2.4.1", study="1.2.4.2")


def unnamed(said: str, expected: dict[str, str]) -> list[str]:
    """Return which inputs are not named with their cause in what a command printed."""
    # The table has another name for a folder, which stands beside its own.
    return [
        name
        for name, cause in expected.items()
        if not re.search(rf"{re.escape(name)}(?: \(folder-\w+\))?: .*(?:{cause})", said, re.IGNORECASE)
    ]
