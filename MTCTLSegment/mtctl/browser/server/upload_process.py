"""The child process that reads a scan which came from a browser: nothing of it is parsed in the server.

python -m mtctl.browser.server.upload_process SCAN COPY: reads SCAN with all checks and writes it anew as the NRRD file
COPY, without anything but voxels and geometry. Prints what a person should know of the file, a line each; where it
cannot be used, why not on the last line, with status 1.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from mtctl.errors import MtctlError, printable
from mtctl.io.formats.endings import check_self_contained
from mtctl.io.volumes import read_scan, write_volume

#: What is taken from a browser: one file that holds everything.
ENDINGS = (".nrrd", ".nii", ".nii.gz", ".mha")

#: Of a child that reads a file made to use up the machine: seconds of computing, and bytes. A scan of 640 x 640 x 88
#: voxels takes 2 s and 1 GB.
_SECONDS, _BYTES = 120, 8 << 30


def main(arguments: list[str]) -> int:
    """Run the program: see the module. Return its exit status."""
    _limit()
    scan, copy = (Path(argument) for argument in arguments)
    try:
        check_self_contained(scan)
        loaded = read_scan(scan, None)
        write_volume(loaded.volume, copy)
    except (MtctlError, MemoryError) as error:
        print(str(error).removeprefix(f"{scan}: ") or "the scan is too large for this machine")
        return 1
    for remark in loaded.remarks:
        print(printable(remark))
    return 0


def _limit() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has none; a lower limit may hold already
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
