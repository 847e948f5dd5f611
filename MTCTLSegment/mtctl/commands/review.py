"""`mtctl review`: the browser reviewer on 127.0.0.1."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import sys
from pathlib import Path

from mtctl.browser import graphics

#: As `device.DEVICES`, which would load torch into the server.
_DEVICES = ("auto", "cpu", "cuda", "mps")

#: Characters of a reviewer's name: lists show it.
_LONGEST_NAME = 64

#: The line in `mtctl --help`.
HELP = "review and correct segmentations in the browser"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `mtctl review`."""
    parser = subparsers.add_parser(
        "review",
        help=HELP,
        description="Serves the review of one case, of a folder (scans, with or without results of `mtctl segment`) or "
        "of a case store on 127.0.0.1, and prints the link that opens it. Reviews are saved as you go, beside the "
        "results or in the store. Ctrl-C ends it.",
    )
    parser.add_argument(
        "target", nargs="?", type=Path, default=Path(), metavar="CASE|FOLDER|STORE", help="default: the current folder"
    )
    parser.add_argument(
        "--host", type=_loopback, default="127.0.0.1", metavar="ADDRESS", help="only of this computer; see the README"
    )
    parser.add_argument("--port", type=_port, default=0, metavar="P", help="default: any that is free")
    parser.add_argument("--store", type=Path, metavar="DIR", help="where decisions go; default: FOLDER/case-store")
    parser.add_argument(
        "--reviewer",
        type=_pseudonym,
        metavar="NAME",
        help="recorded with every draft and decision in the store: a pseudonym; default: none",
    )
    parser.add_argument("--model", metavar="ID|FOLDER", help="to segment scans with; default: the default model")
    parser.add_argument("--device", choices=_DEVICES, default="auto", help="to segment scans on (%(default)s)")
    parser.add_argument(
        "--largest-upload", type=_megabytes, default=512, metavar="MB", help="largest scan to be dropped (%(default)s)"
    )
    parser.add_argument("--no-browser", action="store_true", help="only print the link")
    parser.add_argument(
        "--no-questions", action="store_true", help="ask nothing: for a computer that has no time for it"
    )
    parser.add_argument("--check", action="store_true", help="see that the page answers, and end")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until it is interrupted.

    Raises:
        MtctlError: There is nothing to review, something that is needed is not installed, or the port is taken.
    """
    graphics.require()
    from mtctl.browser.sources.base import CaseSource
    from mtctl.browser.sources.case_store import CaseStoreSource
    from mtctl.browser.sources.folder import FolderSource
    from mtctl.browser.sources.result_folder import FolderError, find_case, is_store
    from mtctl.cases.store import CaseStore
    from mtctl.worker.requests import Settings

    target, reviewer = args.target.resolve(), args.reviewer or ""
    source: CaseSource
    if not target.exists():
        raise FolderError(f"{args.target}: no such file or folder; check the name")
    if target.is_file():
        root, key = find_case(target)
        source = FolderSource(root, CaseStore(args.store or root / "case-store"), key, reviewer)
    elif is_store(target):
        source = CaseStoreSource(CaseStore(target), reviewer)
    else:
        source = FolderSource(target, CaseStore(args.store or target / "case-store"), reviewer=reviewer)
    from mtctl.browser.server.server import ServerOptions, serve

    return serve(
        source,
        ServerOptions(
            host=args.host,
            port=args.port,
            settings=Settings(model=args.model, device=args.device),
            largest=args.largest_upload * 1_000_000,
            browse=not (args.check or args.no_browser) and _has_display(),
            check=args.check,
            asks=not (args.no_questions or args.check),
        ),
    )


def _has_display() -> bool:
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _loopback(text: str) -> str:
    """Return the address to listen on, where nobody but this computer can reach it."""
    name = text.strip().strip("[]")
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(name).is_loopback:
            return name
    if name.casefold() == "localhost":
        return "127.0.0.1"
    raise argparse.ArgumentTypeError(
        f"{text!r} is not of this computer alone: whoever reaches the reviewer over a network could read along, as it "
        "does not encrypt. To review from another computer, run there: ssh -t -L 8765:127.0.0.1:8765 THIS-COMPUTER "
        "mtctl review FOLDER --port 8765 --no-browser, and open the link that it prints"
    )


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 0 to 65535")
    return int(text)


def _pseudonym(text: str) -> str:
    name = text.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is no name: 1 to {_LONGEST_NAME} characters in one line")
    return name


def _megabytes(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: a whole number of megabytes")
    return int(text)
