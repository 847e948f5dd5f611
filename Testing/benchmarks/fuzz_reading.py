"""Damaged files and odd headers by the thousand: what is read, what is refused, whether anything is believed wrongly.

    python Testing/benchmarks/fuzz_reading.py [--files 10000] [--headers 20000] [--seconds S] [--seed 1] [--list FILE]

Files: NRRD, MetaImage, NIfTI and DICOM, packed and raw, one of each with a bit turned over, 512 bytes zeroed or its end
lost. Read with other voxels than were written: wanted 0, but for raw voxels and deflated DICOM: they carry no checksum.
Headers: of the same formats, changed in one to three ways; what is read of them lies where pynrrd, nibabel, pydicom or
(MetaImage) ITK find it, or is refused or remarked on. Inputs are read in child processes, so that one that ends its
process is known. Wanted 0 of those.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

TESTING = Path(__file__).resolve().parents[1]
WITHOUT_CHECKSUM = ("nrrd raw", "mha raw", "nii raw", "dicom plain", "dicom deflated")
BAD = ("other voxels", "other place", "error", "process ended")
CHUNK = 1000


def run_chunk(kind: str, seed: int, first: int, count: int) -> list[dict[str, Any]]:
    """Read some inputs in child processes; one that ends its process is left out by the next child."""
    places = [str(TESTING), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
    judged: list[dict[str, Any]] = []
    while count > 0:
        command = [sys.executable, "-m", "support.fuzzing", kind, str(seed), str(first), str(count)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        lines = done.stdout.splitlines()
        judged += [json.loads(line) for line in lines if line.startswith("{")]
        if done.returncode == 0:
            break
        begun = [int(line[2:]) for line in lines if line.startswith("@ ")]
        if not begun:
            raise SystemExit(f"the child did not start: {done.stderr.strip()[-500:]}")
        note = f"status {done.returncode}: {done.stderr.strip()[-300:]}"
        judged.append({"number": begun[-1], "form": kind, "result": "process ended", "note": note, "seconds": 0.0})
        count -= begun[-1] + 1 - first
        first = begun[-1] + 1
    return judged


def report(kind: str, judged: list[dict[str, Any]], seconds: float) -> int:
    """Print what became of the inputs; return how many were believed wrongly or ended a process."""
    slowest = max((one["seconds"] for one in judged), default=0.0)
    print(f"\n{len(judged)} {kind} in {seconds:.0f} s; the slowest took {slowest:.1f} s")
    columns = ["read right", "refused", "remarked on", "not comparable", *BAD]
    columns = [column for column in columns if any(one["result"] == column for one in judged) or column in BAD]
    print(f"  {'':16}" + "".join(f"{column:>16}" for column in columns))
    for form in dict.fromkeys(one["form"] for one in judged):
        counts = Counter(one["result"] for one in judged if one["form"] == form)
        print(f"  {form:16}" + "".join(f"{counts[column]:16}" for column in columns))
    # A header has no checksum in any format: a damaged one may give another place, which no reader can know.
    wrong = {"error", "process ended", "other voxels"} | ({"other place"} if kind == "headers" else set())
    return sum(one["result"] in wrong and one["form"] not in WITHOUT_CHECKSUM for one in judged)


def main() -> None:
    """Run the program: see the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--files", type=int, default=10_000, help="how many damaged files")
    parser.add_argument("--headers", type=int, default=20_000, help="how many odd headers")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many, of each kind")
    parser.add_argument("--seed", type=int, default=1, help="of the inputs")
    parser.add_argument("--list", type=Path, help="write what was believed wrongly to this file, JSON a line")
    args = parser.parse_args()
    wrong, listed = 0, []
    for kind, number in (("files", args.files), ("headers", args.headers)):
        judged, start = list[dict[str, Any]](), time.monotonic()
        for first in range(0, number, CHUNK):
            if time.monotonic() - start > args.seconds:
                break
            judged += run_chunk(kind, args.seed, first, min(CHUNK, number - first))
        wrong += report(kind, judged, time.monotonic() - start)
        listed += [{"kind": kind, **one} for one in judged if one["result"] in BAD]
    if args.list:
        args.list.write_text("".join(json.dumps(one) + "\n" for one in listed), encoding="utf-8")
    print(f"\nbelieved wrongly although it could be known, or ended a process: {wrong} (wanted 0)")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
