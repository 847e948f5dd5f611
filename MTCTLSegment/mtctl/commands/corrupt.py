"""`mtctl corrupt`: worse versions of labelled scans, and inputs that are no left-atrium MRI, to try a model on."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from mtctl.commands.arguments import whole_number
from mtctl.errors import failure_of, printable
from mtctl.io.case_names import CaseListError, case_names
from mtctl.system.files import WriteError, make_folder
from mtctl.system.interrupts import check

#: Folders below --out: what `mtctl segment` is to be given, one after the other.
LABELLED, FOREIGN = "labelled", "foreign"

#: The line in `mtctl --help`.
HELP = "spoil labelled scans, to see whether their case scores tell"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `mtctl corrupt`."""
    parser = subparsers.add_parser(
        "corrupt",
        help=HELP,
        description="Writes <case>.image.nrrd and <case>.label.nrrd of each case to the folder 'labelled' in --out and "
        "its worse versions, <case>+<kind>-<severity>: noise, blur, bias-field, motion, low-resolution and cropped, "
        "each in three severities. With --foreign also scans that are no left-atrium MRI, to 'foreign': noise, a chest "
        "without a heart, another organ, inverted contrast, a scan on its side. The same cases in the same order and "
        "the same seed give the same files. Then segment both folders, and run `mtctl evaluate` with labelled as "
        "--truth and the results for foreign as --foreign.",
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with the cases")
    parser.add_argument("--cases", nargs="+", required=True, metavar="FILE|CASE", help="case names, or files of them")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the two folders")
    parser.add_argument(
        "--foreign", type=whole_number, default=0, metavar="N", help="so many foreign inputs, e.g. 100 (%(default)s)"
    )
    parser.add_argument("--seed", type=whole_number, default=0, metavar="S", help="another spoils otherwise")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files, and print how many; 1 if some cases cannot be used.

    Raises:
        MtctlError: No case can be used, or a folder not be written to or not empty; nothing was written then.
    """
    labelled, strange = args.out / LABELLED, args.out / FOREIGN
    names = _names(args.cases)
    for folder in (labelled, strange):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise WriteError(f"{folder}: is there already and not empty; choose another --out")
    usable = _usable(args.data, names)
    if not usable:
        raise CaseListError("none of the cases can be used; nothing was written")
    names, failed = usable, len(names) - len(usable)
    print(f"{_write_labelled(args, names, labelled)} scans and their masks in {labelled}")
    if args.foreign:
        print(f"{_write_foreign(args, names, strange)} scans that are no left-atrium MRI in {strange}")
    return 1 if failed else 0


def _usable(data: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Return the cases that can be read, and name the others: no fault is to end the work in its middle."""
    from mtctl.io.labelled import load_labelled

    usable = []
    for name in names:
        check()
        try:
            load_labelled(data, name)
            usable.append(name)
        except Exception as error:
            print(f"mtctl: error: {failure_of(error, data / name)}; it is left out", file=sys.stderr, flush=True)
    return tuple(usable)


def _names(given: Sequence[str]) -> tuple[str, ...]:
    names = case_names(given)
    if not names:
        raise CaseListError(f"{', '.join(given)}: holds no case name; write one a line")
    for name in names:
        if re.search(r"[/\\:+]", name):
            raise CaseListError(f"{name}: is no case name to make others of; name a file of --data without '+'")
    return names


def _write_labelled(args: argparse.Namespace, names: Sequence[str], folder: Path) -> int:
    import numpy as np

    from mtctl.geometry import Volume
    from mtctl.io.labelled import load_labelled
    from mtctl.io.volumes import write_volume
    from mtctl.synthetic.corruptions import all_corrupted

    make_folder(folder)
    written = 0
    for number, name in enumerate(names, start=1):
        case = load_labelled(args.data, name)  # Again, one by one: a hundred thoraxes do not fit into memory.
        for version in (case, *all_corrupted([case], args.seed)):
            write_volume(version.volume, folder / f"{version.name}.image.nrrd")
            mask = Volume(version.mask.astype(np.uint8), version.volume.geometry)
            write_volume(mask, folder / f"{version.name}.label.nrrd")
            written += 1
        print(f"{number} of {len(names)}: {printable(name)}", flush=True)
    return written


def _write_foreign(args: argparse.Namespace, names: Sequence[str], folder: Path) -> int:
    from mtctl.io.labelled import load_labelled
    from mtctl.io.volumes import write_volume
    from mtctl.synthetic.out_of_distribution import KINDS, draws, foreign_input

    make_folder(folder)
    first = args.seed * math.ceil(args.foreign / len(KINDS))  # Another --seed shares none of them.
    for kind, seed in draws(args.foreign, first):
        scan = load_labelled(args.data, names[seed % len(names)]).volume
        write_volume(foreign_input(kind, seed, [scan]), folder / f"{kind.replace(' ', '-')}-{seed}.image.nrrd")
    return int(args.foreign)
