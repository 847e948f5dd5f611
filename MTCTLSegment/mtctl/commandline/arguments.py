"""Kinds of arguments that more than one command takes."""

from __future__ import annotations

import argparse


def whole_number(text: str) -> int:
    """An argument that is 0, 1, 2, ...; for argparse."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)
