"""The one base of all errors that are meant for the person at the screen."""

from __future__ import annotations


class MtctlError(Exception):
    """Something the user can understand and act on.

    The message is one line: what is wrong, with which file or value, and what to do about it.
    """
