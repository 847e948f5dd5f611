"""Headers of NRRD, MetaImage, NIfTI and DICOM files, changed in ways that programs, people and chance change them."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from support.damage import good_files
from support.odd_dicom import odd_dicom
from support.text_volumes import METAIMAGE, NRRD, values

FORMATS = ("nrrd", "metaimage", "nifti", "dicom")

_ODD = ("0", "-1", "1e308", "1e-308", "nan", "inf", "1,5", "", "99999999999", "0x10", "1_0", "2.5", "l", "1e3", "-0.7")
_WORDS = {
    "type": ("short", "ushort", "int16", "signed short int", "block", "float", "Short"),
    "encoding": ("raw", "gzip", "gz", "bzip2", "ascii", "hex", "zrl", "GZIP"),
    "endian": ("little", "big", "Little", ""),
    "dimension": ("3", "4", "2", "-3", "17"),
    "space": (
        "RAS", "LAS", "LPS", "left-posterior-superior", "right-anterior-superior", "left-anterior-superior",
        "scanner-xyz",        "3D-left-handed", "3D-right-handed", "left-posterior-superior-time", "RIP",
    ),
    "kinds": ("domain domain domain", "space space space", "vector domain domain", "list domain domain domain", "???"),
    "space units": ('"mm" "mm" "mm"', '"cm" "cm" "cm"', '"mm" "mm" "in"', '"" "" ""', '"furlong" "mm" "mm"'),
    "space directions": (
        "(0.48,0.64,0) (0.8,-0.6,0) (0,0,-1.25)", "(0,0,1.25) (0.7,0,0) (0,0.8,0)", "(-.7,0,0) (0,-.8,0) (0,0,1.25)",
        "none (0,1,0) (0,0,1)", "(0.7,0,0)(0,0.8,0)(0,0,1.25)", "(0.7, 0, 0) (0, 0.8, 0) (0, 0, 1.25)",
        "(1,0.2,0) (0,1,0) (0,0,1)", "(0.7,0.001,0) (0,0.8,0) (0,0,1.25)", "0.7 0 0 0 0.8 0 0 0 1.25",
    ),
    "spacings": ("0.7 0.8 1.25", "1 1 nan", "-1 1 1", "0.7 0.8"),
    "thicknesses": ("nan nan 1.25",),
    "centerings": ("cell cell cell", "node node node"),
    "axis mins": ("1 2 3", "nan nan nan"),
    "measurement frame": ("(1,0,0) (0,1,0) (0,0,1)",),
    "byte skip": ("0", "-1", "4", "99999"),
    "line skip": ("0", "1"),
    "data file": ("LIST", "x.raw", "/etc/hostname", "s%d.raw 1 16 1"),
    "content": ("a scan: of a heart",),
}  # fmt: skip
_META_WORDS = {
    "NDims": ("3", "4", "2", "-1", "2147483647"),
    "BinaryData": ("True", "False", "true", "1"),
    "BinaryDataByteOrderMSB": ("True", "False"),
    "ElementByteOrderMSB": ("True", "False"),
    "CompressedData": ("True", "False"),
    "CompressedDataSize": ("17", "99999999"),
    "TransformMatrix": (
        "0.6 0.8 0 -0.8 0.6 0 0 0 1",
        "-1 0 0 0 -1 0 0 0 1",
        "0 0 1 1 0 0 0 1 0",
        "1 0.2 0 0 1 0 0 0 1",
    ),
    "Rotation": ("0 1 0 1 0 0 0 0 1",),
    "Orientation": ("1 0 0 0 1 0 0 0 1",),
    "Position": ("1 2 3", "-10 20.5 -3"),
    "Origin": ("1 2 3",),
    "CenterOfRotation": ("0 0 0", "1 2 3"),
    "AnatomicalOrientation": ("RAI", "LPS", "???"),
    "ElementSize": ("1 1 1", "0.7 0.8 1.25", "2 2 2"),
    "ElementSpacing": ("1 1 1", "2 0.5 0.5", "-1 1 1", "1 1"),
    "DistanceUnits": ("mm", "cm", "um", "?", "furlong"),
    "HeaderSize": ("0", "-1", "100", "-2"),
    "ElementNumberOfChannels": ("1", "2", "-1"),
    "ElementType": ("MET_SHORT", "MET_USHORT", "MET_CHAR_ARRAY", "MET_FLOAT", "MET_OTHER"),
    "ElementDataFile": ("LOCAL", "Local", "LIST", "x.raw", "/etc/hostname", "s%d.raw 1 16 1"),
    "ObjectType": ("Image", "Mesh"),
    "Comment": ("a = b",),
}
# Offset, format and number of NIfTI-1's fields.
_NIFTI = (
    (0, "i", 1), (40, "h", 8), (70, "h", 1), (72, "h", 1), (76, "f", 8), (108, "f", 1), (112, "f", 2), (123, "b", 1),
    (252, "h", 2), (256, "f", 6), (280, "f", 12), (344, "b", 4),
)  # fmt: skip


def make_odd(format_name: str, folder: Path, rng: np.random.Generator) -> Path:
    """Fill a new folder with a scan whose header was changed in one to three ways; return what is to be read."""
    folder.mkdir()
    makers: dict[str, Callable[[Path, np.random.Generator], Path]] = {
        "nrrd": _odd_nrrd,
        "metaimage": _odd_metaimage,
        "nifti": _odd_nifti,
        "dicom": odd_dicom,
    }
    return makers[format_name](folder, rng)


def _pick(rng: np.random.Generator, choices: Sequence[Any]) -> Any:
    return choices[int(rng.integers(len(choices)))]


def _changed(fields: dict[str, str], words: dict[str, tuple[str, ...]], rng: np.random.Generator) -> list[list[str]]:
    lines = [[key, value] for key, value in fields.items()]
    for _ in range(_pick(rng, (1, 1, 1, 2, 3))):
        line = lines[int(rng.integers(len(lines)))]
        change = int(rng.integers(10))
        if change < 5:
            key = _pick(rng, list(words))
            there = [line for line in lines if line[0] == key]
            if there:
                there[0][1] = _pick(rng, words[key])
            else:
                lines.insert(int(rng.integers(len(lines))), [key, _pick(rng, words[key])])
        elif change < 8:
            parts = line[1].replace("(", " ( ").replace(")", " ) ").replace(",", " , ").split()
            places = [place for place, part in enumerate(parts) if part not in "(),"]
            if places:
                parts[_pick(rng, places)] = _pick(rng, _ODD)
            glued = " ".join(parts).replace(" , ", ",").replace("( ", "(").replace(" )", ")")
            line[1] = glued
        elif change == 8 and len(lines) > 1:
            lines.remove(line)
        else:
            lines.append([line[0].upper() if rng.random() < 0.3 else line[0], line[1]])
    return lines


def _text(lines: list[list[str]], sign: str, rng: np.random.Generator) -> bytes:
    end = "\r\n" if rng.random() < 0.1 else "\n"
    text = "".join(f"{key}{sign}{value}{end}" for key, value in lines).encode()
    if rng.random() < 0.1 and text:
        place = int(rng.integers(len(text)))
        text = text[:place] + bytes([int(rng.integers(256))]) + text[place + 1 :]
    return text


def _packed(encoding: str) -> bytes:
    data = values().tobytes()
    if encoding in ("gzip", "gz", "GZIP"):
        return gzip.compress(data, 1)
    if encoding in ("ascii",):
        return " ".join(map(str, values().ravel())).encode()
    return data.hex().encode() if encoding == "hex" else data


def _odd_nrrd(folder: Path, rng: np.random.Generator) -> Path:
    fields = NRRD | {
        "encoding": _pick(rng, ("raw", "gzip")),
        "space": _pick(rng, ("RAS", "LAS", "left-posterior-superior")),
    }
    if rng.random() < 0.3:
        fields["space directions"] = _pick(rng, _WORDS["space directions"][:3])
    if rng.random() < 0.1:
        fields = {key: value for key, value in fields.items() if not key.startswith("space")} | {
            "spacings": "0.7 0.8 1.25"
        }
    lines = _changed(fields, _WORDS, rng)
    data = _packed(next((value for key, value in lines if key.lower() == "encoding"), "raw"))
    path = folder / f"scan{_pick(rng, ('.nrrd', '.nrrd', '.nhdr'))}"
    path.write_bytes(b"NRRD0005\n" + _text(lines, ": ", rng) + b"\n" + data)
    return path


def _odd_metaimage(folder: Path, rng: np.random.Generator) -> Path:
    lines = _changed(METAIMAGE | {"CompressedData": _pick(rng, ("True", "False"))}, _META_WORDS, rng)
    if rng.random() < 0.8:
        lines.sort(key=lambda line: line[0] == "ElementDataFile")
    compressed = any(line == ["CompressedData", "True"] for line in lines)
    data = zlib.compress(values().tobytes(), 1) if compressed else values().tobytes()
    if compressed and not any(line[0] == "CompressedDataSize" for line in lines):  # ITK unpacks nothing without it
        lines.insert(0, ["CompressedDataSize", str(len(data))])
    path = folder / f"scan{_pick(rng, ('.mha', '.mha', '.mhd'))}"
    path.write_bytes(_text(lines, " = ", rng) + data)
    return path


def _odd_nifti(folder: Path, rng: np.random.Generator) -> Path:
    source = next(good_files("nii raw").iterdir()).read_bytes()
    content = bytearray(source)
    content[252:256] = struct.pack("<2h", int(rng.integers(3)), int(rng.integers(3)))  # qform_code, sform_code
    for _ in range(_pick(rng, (1, 1, 1, 2, 3))):
        offset, code, count = _NIFTI[int(rng.integers(len(_NIFTI)))]
        place = offset + struct.calcsize(code) * int(rng.integers(count))
        odd = _pick(rng, (0, 1, -1, 2, 3, 16, 64, 512, 32767, 2**31 - 1, 127))
        if code == "f":
            odd_float = _pick(rng, (0.0, -1.0, 1.0, 2.5, float("nan"), float("inf"), 1e30, 1e-30, 352.0, 0.7071))
            content[place : place + 4] = struct.pack("<f", odd_float)
        else:
            size = struct.calcsize(code)
            content[place : place + size] = (odd & (256**size - 1)).to_bytes(size, "little")
    if rng.random() < 0.3:
        path = folder / "scan.nii.gz"
        path.write_bytes(gzip.compress(bytes(content), 1))
    else:
        path = folder / "scan.nii"
        path.write_bytes(content)
    return path
