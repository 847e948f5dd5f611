"""`mtctl corrupt`: worse versions of labelled scans, and inputs that are no left-atrium MRI, to try a model on."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mtctl.case_list import case_names
from mtctl.files import WriteError, make_folder
from mtctl.geometry import Volume
from mtctl.volume import write_volume

#: Folders below --out: what `mtctl segment` is to be given, one after the other.
LABELLED, FOREIGN = "labelled", "foreign"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `mtctl corrupt`."""
    parser = subparsers.add_parser(
        "corrupt",
        help="spoil labelled scans, to see whether their case scores tell",
        description="Writes <case>.image.nrrd and <case>.label.nrrd of each case to the folder 'labelled' in --out and "
        "its worse versions, <case>+<kind>-<severity>: noise, blur, bias-field, motion, low-resolution and cropped, "
        "each in three severities. With --foreign also scans that are no left-atrium MRI, to 'foreign': noise, a chest "
        "without a heart, another organ, inverted contrast, a scan on its side. The same cases and seed give the same "
        "files. Then segment both folders, and `mtctl evaluate --prediction ... --truth OUT/labelled --foreign ...`.",
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with the cases")
    parser.add_argument("--cases", nargs="+", required=True, metavar="FILE|CASE", help="case names, or files of them")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the two folders")
    parser.add_argument(
        "--foreign", type=_count, default=0, metavar="N", help="so many foreign inputs, e.g. 100 (%(default)s)"
    )
    parser.add_argument("--seed", type=_count, default=0, metavar="S", help="another spoils otherwise (%(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files, and print how many.

    Raises:
        MtctlError: A case cannot be read, or the folder not written to.
    """
    from mtctl_train import foreign
    from mtctl_train.corruptions import all_corrupted
    from mtctl_train.dataset import LabelledVolume, load_labelled

    cases = [load_labelled(args.data, name) for name in case_names(args.cases)]  # All, before the first is written.
    labelled, strange, written = args.out / LABELLED, args.out / FOREIGN, 0
    make_folder(labelled)
    if labelled.samefile(args.data):
        raise WriteError(f"{labelled}: the cases themselves lie here and would be written over; choose another --out")

    def write(case: LabelledVolume) -> None:
        nonlocal written
        write_volume(case.volume, labelled / f"{case.name}.image.nrrd")
        write_volume(Volume(case.mask.astype(np.uint8), case.volume.geometry), labelled / f"{case.name}.label.nrrd")
        written += 1

    for case in cases:
        write(case)
        for worse in all_corrupted([case], args.seed):
            write(worse)
        print(f"{case.name}: itself and its worse versions", flush=True)
    print(f"{written} scans and their masks in {labelled}")
    if args.foreign:
        make_folder(strange)
        for index in range(args.foreign):
            kind, seed = foreign.KINDS[index % len(foreign.KINDS)], args.seed + index // len(foreign.KINDS)
            volume = foreign.foreign_input(kind, seed, [case.volume for case in cases])
            write_volume(volume, strange / f"{kind.replace(' ', '-')}-{seed}.image.nrrd")
        print(f"{args.foreign} scans that are no left-atrium MRI in {strange}")
    return 0


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)
