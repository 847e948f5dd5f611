"""The protocol between a scripted Slicer CLI and what runs it: Slicer, ctk-cli, girder's slicer_cli_web, or a shell.

Only the standard library is imported here, so that nothing of what the libraries print at their import is missed.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtctl.errors import MtctlError, printable, shown
from mtctl.system.files import replacing

FAILED = 1
RETURN_FILE = "returnparameterfile"

#: What a CLI's work does: it gets the values by the names in the XML, None for those left out, and a function to tell
#: its progress with (share, what is being done), and gives the values of the output parameters by name.
Work = Callable[[Mapping[str, Any], Callable[[float, str], None]], Mapping[str, Any]]


def run_cli(description: Path, work: Work, argv: Sequence[str] | None = None) -> int:
    """Run a CLI: arguments in, progress on standard output, simple results into the file that was asked for.

    Nothing reaches standard error but the one sentence that says why it failed: Slicer shows all of it as errors.

    Args:
        description: The XML file; the arguments that are taken are those that it describes.
        work: What is done.
        argv: Arguments; default: those of the process.

    Returns:
        Exit status.
    """
    cli = read_description(description)
    values = vars(_parser(cli, description).parse_args(_joined(cli, sys.argv[1:] if argv is None else argv)))
    return_file = values.pop(RETURN_FILE)
    began = time.monotonic()
    with _errors_to_output() as complain:
        progress = _Progress(cli.title)
        try:
            returned = work(values, progress)
            if return_file:
                _write_returned(Path(return_file), returned)
        except Exception as error:
            complain(_sentence(error))
            return FAILED
        progress(1.0, "done")
        _say(
            f"<filter-end><filter-name>{cli.title}</filter-name><filter-time>{time.monotonic() - began:.2f}"
            "</filter-time></filter-end>"
        )
    return 0


@dataclass(frozen=True)
class Parameter:
    """A parameter of the XML.

    Attributes:
        name: Its name.
        kind: Its tag, such as "image" or "double".
        flag: Its long flag with dashes; None for a positional one and for one that is only returned.
        index: Its place; None for one with a flag.
        default: As text; None where there is none.
        choices: Of an enumeration.
        help: Its description.
    """

    name: str
    kind: str
    flag: str | None
    index: int | None
    default: str | None
    choices: tuple[str, ...]
    help: str


@dataclass(frozen=True)
class Description:
    """What the XML says.

    Attributes:
        title, text, version: Of the CLI.
        parameters: In their order.
    """

    title: str
    text: str
    version: str
    parameters: tuple[Parameter, ...]


def read_description(path: Path) -> Description:
    """Read the XML of a CLI."""
    root = ElementTree.parse(path).getroot()
    parameters = []
    for group in root.iter("parameters"):
        for element in group:
            if element.find("name") is None:
                continue
            flag, index = _text(element, "longflag"), _text(element, "index")
            parameters.append(
                Parameter(
                    name=_text(element, "name") or "",
                    kind=element.tag,
                    flag=f"--{flag.lstrip('-')}" if flag else None,
                    index=int(index) if index else None,
                    default=_text(element, "default"),
                    choices=tuple((choice.text or "").strip() for choice in element.iter("element")),
                    help=" ".join((_text(element, "description") or "").split()),
                )
            )
    text = " ".join((_text(root, "description") or "").split())
    return Description(_text(root, "title") or path.stem, text, _text(root, "version") or "", tuple(parameters))


def _text(element: ElementTree.Element, tag: str) -> str | None:
    child = element.find(tag)
    return None if child is None else (child.text or "").strip()


def _parser(cli: Description, description: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=description.stem, description=cli.text.replace("%", "%%"), allow_abbrev=False)
    parser.add_argument("--version", action="version", version=cli.version)
    parser.add_argument("--xml", action=_PrintXml, description=description)
    parser.add_argument(f"--{RETURN_FILE}", metavar="FILE", help="for the values that the CLI returns")
    for parameter in sorted(cli.parameters, key=lambda parameter: parameter.index or 0):
        words = parameter.help.replace("%", "%%")
        if parameter.index is not None:
            parser.add_argument(parameter.name, type=_converter(parameter), help=words)
        elif parameter.flag is not None:
            convert = _converter(parameter)
            default = None if parameter.default in (None, "") else convert(parameter.default)
            parser.add_argument(
                parameter.flag, dest=parameter.name, type=convert, default=default, help=words,
                metavar="|".join(parameter.choices) or parameter.kind.upper(),
            )  # fmt: skip
    return parser


class _PrintXml(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, description: Path) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help="print the description")
        self._description = description

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(self._description.read_text(encoding="utf-8"), end="")
        parser.exit()


def _joined(cli: Description, argv: Sequence[str]) -> list[str]:
    """Flags and their values as one word, for values that begin with a minus; a boolean flag may stand without."""
    kinds = {parameter.flag: parameter.kind for parameter in cli.parameters if parameter.flag}
    words, joined = list(argv), list[str]()
    while words:
        word = words.pop(0)
        if kinds.get(word) == "boolean":
            joined.append(f"{word}={words.pop(0) if words and words[0].lower() in _BOOLEANS else 'true'}")
        elif (word in kinds or word == f"--{RETURN_FILE}") and words:
            joined.append(f"{word}={words.pop(0)}")
        else:
            joined.append(word)
    return joined


_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def _converter(parameter: Parameter) -> Callable[[str], Any]:
    """From text; an empty value is one that was left out, since Slicer sends numbers without a default so."""

    def convert(text: str) -> Any:
        text = text.strip()
        if not text:
            return convert(parameter.default) if parameter.default else None
        if parameter.choices and text not in parameter.choices:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(parameter.choices)}")
        try:
            return _KINDS.get(parameter.kind, str)(text)
        except (ValueError, KeyError):
            raise argparse.ArgumentTypeError(f"{text!r} is no {parameter.kind}") from None

    return convert


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _folder(text: str) -> Path:
    """Return a folder; what follows a part "~" is in the home folder.

    A description cannot know where that is, and Slicer makes a path of its own folder of whatever is not absolute: a
    default of "~/run" arrives as "/opt/Slicer/~/run".
    """
    path = Path(text)
    if "~" not in path.parts:
        return path
    try:
        return Path.home().joinpath(*path.parts[path.parts.index("~") + 1 :])
    except RuntimeError as error:  # A user without a home.
        raise ValueError(text) from error


_KINDS: dict[str, Callable[[str], Any]] = {
    "boolean": lambda text: _BOOLEANS[text.lower()],
    "integer": int,
    "float": float,
    "double": float,
    "region": _numbers,
    "image": Path,
    "file": Path,
    "directory": _folder,
}


class _Progress:
    def __init__(self, title: str) -> None:
        self._comment = ""
        _say(
            f"<filter-start><filter-name>{title}</filter-name><filter-comment>starting</filter-comment></filter-start>"
        )

    def __call__(self, share: float, comment: str) -> None:
        if comment != self._comment:
            self._comment = comment
            _say(f"<filter-comment>{comment}</filter-comment>")
        _say(f"<filter-progress>{min(max(share, 0.0), 1.0):.4f}</filter-progress>")


def _say(text: str) -> None:
    print(text, flush=True)


def _write_returned(path: Path, returned: Mapping[str, Any]) -> None:
    lines = []
    for name, value in returned.items():
        text = str(value).lower() if isinstance(value, bool) else " ".join(str(value).split())
        lines.append(f"{name} = {text}\n")
    with replacing(path) as part:
        part.write_text("".join(lines), encoding="utf-8")


def _sentence(error: Exception) -> str:
    if isinstance(error, MtctlError):
        return shown(error)
    if isinstance(error, ModuleNotFoundError):
        return (
            f"the Python package '{error.name}' is not installed; in Slicer, open MT-CTL Segment and press Apply once "
            "(to train: MT-CTL Train, Start): that installs what is needed"
        )
    if isinstance(error, MemoryError):
        return "not enough memory; choose a smaller region"
    return f"unexpected {type(error).__name__}: {printable(error)} (a fault in mtctl)"


@contextmanager
def _errors_to_output() -> Iterator[Callable[[str], None]]:
    """What libraries, in C too, print to standard error goes to standard output; yields the way to the real one."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # A pipe on Windows may be cp1252, and a case's path in Polish.
            stream.reconfigure(errors="replace")
    sys.stdout.flush()
    sys.stderr.flush()
    real = os.dup(2)
    os.dup2(1, 2)

    def complain(sentence: str) -> None:
        sys.stdout.flush()
        os.write(real, f"{sentence}\n".encode("utf-8", "replace"))

    try:
        yield complain
    finally:
        sys.stderr.flush()
        os.dup2(real, 2)
        os.close(real)
