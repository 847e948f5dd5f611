"""The child process that reads a scan which came from a browser: nothing of it is parsed in the server.

python -m mtctl.browser.server.upload_process SCAN COPY: reads SCAN with all checks and writes it anew as the NRRD file
COPY, without anything but voxels and geometry. Prints why not on the last line, with status 1, where it cannot be used.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from mtctl.errors import MtctlError
from mtctl.geometry import VolumeError
from mtctl.io.formats.endings import file_type
from mtctl.io.volumes import read_volume, write_volume

#: What is taken from a browser: one file that holds everything.
ENDINGS = (".nrrd", ".nii", ".nii.gz", ".mha")

#: Of a child that reads a file made to use up the machine: seconds of computing, and bytes. A scan of 640 x 640 x 88
#: voxels takes 2 s and 1 GB.
_SECONDS, _BYTES = 120, 8 << 30

_HEADER_BYTES = 1 << 20


def main(arguments: list[str]) -> int:
    """Run the program: see the module. Return its exit status."""
    _limit()
    scan, copy = (Path(argument) for argument in arguments)
    try:
        refuse_detached(scan)
        write_volume(read_volume(scan), copy)
    except (MtctlError, MemoryError) as error:
        print(str(error).removeprefix(f"{scan}: ") or "the scan is too large for this machine")
        return 1
    return 0


def refuse_detached(path: Path) -> None:
    """Refuse a header whose voxels lie in another file: it could name any file of this machine.

    Raises:
        VolumeError: It does.
    """
    ending = file_type(path)
    with open(path, "rb") as stream:
        head = stream.read(_HEADER_BYTES)
    lines = head.split(b"\n\n", 1)[0].lower().splitlines() if ending == ".nrrd" else head.lower().splitlines()
    keys = {
        key.strip().replace(b" ", b""): value.strip() for key, _, value in (_split_header_line(line) for line in lines)
    }
    if ending == ".nrrd" and b"datafile" in keys:
        raise VolumeError("its voxels are in a second file: save header and voxels as one file")
    if ending == ".mha" and keys.get(b"elementdatafile", b"local") != b"local":
        raise VolumeError("its voxels are in a second file: save header and voxels as one file")


def _split_header_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    first = min((i for i in (line.find(b":"), line.find(b"=")) if i >= 0), default=-1)
    return (line, b"", b"") if first < 0 else (line[:first], line[first : first + 1], line[first + 1 :].lstrip(b"="))


def _limit() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has none; a lower limit may hold already
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
