"""Dispatch of `mtctl COMMAND ...` and the one place where errors become messages and exit statuses."""

from __future__ import annotations

import argparse
import errno
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Protocol, cast

import mtctl
from mtctl.errors import MtctlError, printable, shown
from mtctl.system.caches import usable_caches
from mtctl.system.files import reason_of
from mtctl.system.interrupts import INTERRUPTED, ended_by_signals
from mtctl.system.output import printable_output
from mtctl.system.temporary import NO_PLACE, lacks_place

#: Entry points of this group are the subcommands (`pyproject.toml`), so that another package can add one.
GROUP = "mtctl.commands"


class Command(Protocol):
    """The module of a subcommand. To import it loads nothing heavy: torch alone takes over a second."""

    #: The line in `mtctl --help`.
    HELP: str

    def add_parser(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        """Add the subcommand, with `run(args) -> exit status` among its defaults."""


#: By name, each as a function that loads it.
Commands = Mapping[str, Callable[[], Command]]

FAILED = 1  # as for an input that failed; argparse itself exits with 2 on wrong usage
DEBUG = "MTCTL_DEBUG"

_STANDARD_ERROR = 2  # the last of the three that every process begins with


def installed_commands() -> Commands:
    """Return the subcommands of all installed packages, by name."""
    return {point.name: cast(Callable[[], Command], point.load) for point in entry_points(group=GROUP)}


def main(argv: Sequence[str] | None = None, commands: Commands | None = None) -> int:
    """Run `mtctl` with the arguments `argv` (default: those of the process).

    Args:
        argv: The arguments after `mtctl`.
        commands: The subcommands (default: those of all installed packages). In Slicer nothing is installed by pip, so
            that a caller there hands in those that it needs.

    Returns:
        Exit status: 0 all done, 1 something failed, 130 interrupted.

    Raises:
        SystemExit: From argparse: 2 on wrong usage, 0 after --help and --version.
    """
    status = INTERRUPTED
    with ended_by_signals():
        _prepare_output()
        with usable_caches(), printable_output():
            ended = _run(list(sys.argv[1:] if argv is None else argv), commands)
        status = ended
    return status


def _run(arguments: list[str], commands: Commands | None) -> int:
    warnings.formatwarning = _warning
    try:
        _check_place()
        args = _parser(arguments, commands or installed_commands()).parse_args(_with_negative_values(arguments))
        status = int(args.run(args))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader left, as in `mtctl models list | head -1`. Python flushes stdout once more at exit: into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        if os.environ.get(DEBUG) == "1":
            raise
        print(f"mtctl: error: {_message(error)}", file=sys.stderr)
        return FAILED


def _check_place() -> None:
    """Make sure that there is a current folder: without one, libraries end the process.

    Raises:
        MtctlError: It was deleted, or its share is gone.
    """
    try:
        os.getcwd()
    except OSError:
        raise MtctlError("the current folder is not there any more; change to one that is (cd)") from None


def _with_negative_values(arguments: Sequence[str]) -> list[str]:
    """`--roi -5,20,...` as `--roi=-5,20,...`: argparse takes a value that begins with a minus for an option."""
    joined: list[str] = []
    for argument in arguments:
        option = joined[-1] if joined else ""
        if re.match(r"-[\d.]", argument) and option.startswith("--") and "=" not in option:
            joined[-1] = f"{option}={argument}"
        else:
            joined.append(argument)
    return joined


def _message(error: Exception) -> str:
    if isinstance(error, MtctlError):
        return shown(error)
    if isinstance(error, ModuleNotFoundError):
        return f"this needs the Python package '{error.name}', which is not installed"
    if isinstance(error, MemoryError):
        return "not enough memory; end other programs, or choose less at once"
    if isinstance(error, OSError) and lacks_place():
        return NO_PLACE
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:  # where the output goes to a file, say
        return reason_of(error)
    return f"unexpected {type(error).__name__}: {error} (a fault in mtctl; {DEBUG}=1 shows where)"


def _parser(arguments: Sequence[str], commands: Commands) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mtctl",
        description="Left-atrium segmentation with voxel-wise uncertainty on gadolinium-enhanced MRI. "
        "For research; not a medical device.",
        epilog="`mtctl COMMAND --help` explains a command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mtctl {mtctl.__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    command = next((argument for argument in arguments if not argument.startswith("-")), None)
    if command is not None and command in commands:
        commands[command]().add_parser(subparsers)
    else:
        for name, load in commands.items():
            subparsers.add_parser(name, help=load().HELP)
    return parser


def _warning(message: Warning | str, category: object, filename: str, lineno: int, line: str | None = None) -> str:
    """Return a warning for the person who sees it, without the line of the program that gives it."""
    return f"mtctl: warning: {printable(message)}\n"


def _prepare_output() -> None:
    """See that anything can be printed, and that a command does its work where there is nowhere to print to.

    Output that goes to a file or pipe on Windows (cp1252) may hold any file name, with '?' at worst. Where streams are
    closed (`>&-`, a service, pythonw), their numbers must not become those of result files: libraries write there.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        pass
    os.close(descriptor)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
