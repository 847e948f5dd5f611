"""Decode copies of DICOM files; started as `python -m mtctl.io.dicom.decoder FOLDER`."""

from __future__ import annotations

import os
import sys
from itertools import count
from pathlib import Path

#: Names in the folder, by the number of a file: what is decoded, what it becomes, and what the decoders said.
COPY, ARRAY, COMPLAINTS = "{}.dcm", "{}.npy", "{}.txt"
#: Name of the file that says that there was too little memory.
NO_MEMORY = "memory.txt"


def main(folder: Path) -> int:
    """Decode the copies in their order; where one cannot be decoded, its array is missing."""
    import numpy as np
    import SimpleITK as sitk

    from mtctl.io.itk import quiet, short_name
    from mtctl.system.memory import lacks_memory

    errors = sys.stderr.fileno()
    for number in count():
        copy = folder / COPY.format(number)
        if not copy.exists():
            return 0
        # The C libraries write to the stream itself.
        with open(folder / COMPLAINTS.format(number), "wb") as complaints:
            os.dup2(complaints.fileno(), errors)
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(os.path.join(short_name(folder), copy.name))
        try:
            with quiet():
                array = sitk.GetArrayFromImage(reader.Execute())
        except RuntimeError as error:
            if lacks_memory(error):
                (folder / NO_MEMORY).touch()
                return 1
            continue
        np.save(folder / ARRAY.format(number), array)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
