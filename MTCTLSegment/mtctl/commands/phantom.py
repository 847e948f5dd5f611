"""`mtctl phantom`: a synthetic scan and its true mask as two NRRD files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mtctl.commands.arguments import whole_number
from mtctl.system.files import make_folder

if TYPE_CHECKING:
    from mtctl.synthetic.phantom import Phantom

#: The line in `mtctl --help`.
HELP = "make a synthetic scan with its true mask"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `mtctl phantom`."""
    parser = subparsers.add_parser(
        "phantom",
        help=HELP,
        description="Writes phantom-<seed>.image.nrrd, a synthetic left-atrial LGE-MRI, and phantom-<seed>.label.nrrd, "
        "the true cavity of its left atrium, and prints both paths. The same seed gives the same files.",
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the two files")
    parser.add_argument(
        "--seed", type=whole_number, default=0, metavar="S", help="which phantom: 0, 1, 2, ... (%(default)s)"
    )
    parser.add_argument(
        "--full-field", action="store_true",
        help="a whole thorax of 400 x 400 x 110 mm instead of a crop around the atrium",
    )  # fmt: skip
    parser.add_argument(
        "--slice-mm", type=_slice_mm, metavar="X", help="thickness of the slices, 1.25 to 4 mm (default: 1.25)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the two files and print their paths.

    Raises:
        WriteError: The folder cannot be made or written to.
    """
    from mtctl.synthetic.phantom import SPACING_MM, make_full_field, make_phantom

    make_folder(args.out)
    slice_mm = SPACING_MM[2] if args.slice_mm is None else args.slice_mm
    phantom = (make_full_field if args.full_field else make_phantom)(args.seed, slice_mm)
    for path in write_phantom(phantom, args.out / f"phantom-{args.seed}"):
        print(path)
    return 0


def _slice_mm(text: str) -> float:
    """Return the thickness of slices from the command line.

    Raises:
        ArgumentTypeError: Not a number, or out of bounds.
    """
    from mtctl.synthetic.phantom import SLICE_BOUNDS_MM

    low, high = SLICE_BOUNDS_MM
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from {low:g} to {high:g} mm")
    return value


def write_phantom(phantom: Phantom, stem: Path) -> tuple[Path, Path]:
    """Write `<stem>.image.nrrd` and `<stem>.label.nrrd`; returns the two paths."""
    from mtctl.geometry import Geometry, Volume
    from mtctl.io.volumes import write_volume

    z, y, x = phantom.image.shape
    geometry = Geometry((x, y, z), phantom.spacing_mm, (0.0, 0.0, 0.0))
    image, label = stem.with_name(stem.name + ".image.nrrd"), stem.with_name(stem.name + ".label.nrrd")
    write_volume(Volume(phantom.image, geometry), image)
    write_volume(Volume(phantom.mask, geometry), label)
    return image, label
