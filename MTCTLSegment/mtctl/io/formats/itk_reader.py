"""A volume file as ITK understands it; only for files whose header and length were checked before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from numpy.typing import NDArray

from mtctl.geometry import Geometry, VolumeError
from mtctl.io.formats.volume_file import CUT_OFF
from mtctl.io.itk import quiet, readable
from mtctl.system.memory import lacks_memory


@dataclass(frozen=True)
class ItkFile:
    """A file that ITK reads.

    Attributes:
        path: The file.
        ending: Its format.
    """

    path: Path
    ending: str

    def geometry(self) -> Geometry:
        """Return the grid, LPS mm.

        Raises:
            VolumeError: ITK cannot read the header, or the file is not a 3-D image of one value a voxel.
        """
        reader = sitk.ImageFileReader()
        with quiet(), readable(self.path, self.ending) as name:
            reader.SetFileName(name)
            try:
                reader.ReadImageInformation()
            except RuntimeError as error:
                raise VolumeError(_cause(str(error))) from error
        _check_kind(reader)
        return Geometry(reader.GetSize(), reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())

    def voxels(self) -> NDArray[Any]:
        """Return the voxels, (z, y, x), in the file's own type.

        Raises:
            VolumeError: ITK cannot read them.
            MemoryError: There is too little memory for them.
        """
        reader = sitk.ImageFileReader()
        with quiet(), readable(self.path, self.ending) as name:
            reader.SetFileName(name)
            try:
                return sitk.GetArrayFromImage(reader.Execute())
            except RuntimeError as error:
                if lacks_memory(error):  # Nothing is wrong with the file.
                    raise MemoryError(str(error)) from error
                raise VolumeError(_cause(str(error))) from error


def _cause(message: str) -> str:
    """Return why ITK could not read a file whose header was found good."""
    if "irection" in message or "orthonormal" in message:
        return "the axis directions are not finite or not at right angles; export the scan again from its source"
    return CUT_OFF


def _check_kind(reader: sitk.ImageFileReader) -> None:
    if reader.GetNumberOfComponents() != 1:
        raise VolumeError(
            f"a colour or vector image ({reader.GetNumberOfComponents()} values a voxel); save one grey value a voxel"
        )
    if reader.GetDimension() != 3:
        what = "a single slice" if reader.GetDimension() < 3 else "several volumes in one file"
        raise VolumeError(f"{reader.GetDimension()}-D image ({what}); save one 3-D volume")
    if "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
        raise VolumeError("complex voxels; save the magnitude image")
