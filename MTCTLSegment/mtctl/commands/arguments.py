"""Kinds of arguments that more than one command takes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtctl.geometry import Triple

#: What says a spacing on the command line.
SPACING = "x,y,z"


def given_spacing(text: str) -> Triple:
    """Return a voxel spacing in mm, such as 0.625,0.625,1.25; for argparse."""
    from mtctl.geometry import VolumeError
    from mtctl.io.given_spacing import parse_spacing

    try:
        return parse_spacing(text)
    except VolumeError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def whole_number(text: str) -> int:
    """Return an argument that is 0, 1, 2, ...; for argparse."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)
