"""`mtctl phantom`: a synthetic scan and its true mask as two NRRD files."""

from __future__ import annotations

import argparse
from pathlib import Path

from mtctl.commandline.arguments import whole_number
from mtctl.files import make_folder
from mtctl.geometry import Geometry, Volume
from mtctl.phantom import Phantom, make_full_field, make_phantom
from mtctl.volume import write_volume


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `mtctl phantom`."""
    parser = subparsers.add_parser(
        "phantom",
        help="make a synthetic scan with its true mask",
        description="Writes phantom-<seed>.image.nrrd, a synthetic left-atrial LGE-MRI, and phantom-<seed>.label.nrrd, "
        "the true cavity of its left atrium, and prints both paths. The same seed gives the same files.",
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the two files")
    parser.add_argument(
        "--seed", type=whole_number, default=0, metavar="S", help="which phantom: 0, 1, 2, ... (%(default)s)"
    )
    parser.add_argument(
        "--full-field",
        action="store_const",
        const=make_full_field,
        default=make_phantom,
        dest="make",
        help="a whole thorax of 640 x 640 x 88 voxels instead of a crop around the atrium",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the two files and print their paths.

    Raises:
        WriteError: The folder cannot be made or written to.
    """
    make_folder(args.out)
    for path in write_phantom(args.make(args.seed), args.out / f"phantom-{args.seed}"):
        print(path)
    return 0


def write_phantom(phantom: Phantom, stem: Path) -> tuple[Path, Path]:
    """Write `<stem>.image.nrrd` and `<stem>.label.nrrd`; returns the two paths."""
    z, y, x = phantom.image.shape
    geometry = Geometry((x, y, z), (phantom.spacing_mm,) * 3, (0.0, 0.0, 0.0))
    image, label = stem.with_name(stem.name + ".image.nrrd"), stem.with_name(stem.name + ".label.nrrd")
    write_volume(Volume(phantom.image, geometry), image)
    write_volume(Volume(phantom.mask, geometry), label)
    return image, label
