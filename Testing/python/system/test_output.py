"""What is printed is text alone."""

from __future__ import annotations

import sys

import pytest

from mtctl.commands.main import main
from mtctl.errors import MtctlError, cause_of, failure_of, printable, shown
from mtctl.system.output import printable_output

#: Clears the screen, sets the title of the window, turns the direction of writing, and begins a line.
HOSTILE = "scan\x1b[2J\x1b]0;x\x07\x9b1m\u202e\nmtctl: all is well\r.nrrd"
SHOWN = r"scan\x1b[2J\x1b]0;x\x07\x9b1m\u202e\nmtctl: all is well\r.nrrd"


def test_a_name_stands_in_a_line_of_its_own_with_its_control_characters_written_out() -> None:
    assert printable(HOSTILE) == SHOWN
    for kept in (
        "Vorh\u00f6fe (2) \u5fc3\u623f.nrrd",
        "a\udcffb",
        "\u0645\u06cc\u200c\u062e",
    ):
        assert printable(kept) == kept


def test_the_failure_of_an_input_is_one_line_whatever_its_name() -> None:
    errors = [MtctlError(f"{HOSTILE}: is empty"), ValueError(HOSTILE), FileNotFoundError(2, "No such file", HOSTILE)]
    for error in errors:
        assert failure_of(error, HOSTILE).startswith(f"{SHOWN}: ")
        for text in (failure_of(error, HOSTILE), cause_of(error, HOSTILE), cause_of(error)):
            assert text.isprintable()


def test_a_message_of_several_lines_stays_one() -> None:
    assert shown(MtctlError("2 problems:\n  a\x1b: is empty\n  b\nc: is small")) == (
        "2 problems:\n  a\\x1b: is empty\n  b\\nc: is small"
    )


def test_no_control_character_passes_to_the_terminal_whoever_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    with printable_output():
        print("\r  read 40% \x1b[31m", end="\r")
        print("a\tb", HOSTILE.replace("\n", "").replace("\r", ""), file=sys.stderr)
        sys.stdout.writelines(["\x07\n"])
        assert sys.stdout.encoding == before.encoding  # In all else it is the stream itself.
    assert sys.stdout is before
    said = capsys.readouterr()
    assert said.out == "\r  read 40% \\x1b[31m\r\\x07\n"
    assert said.err == "a\tb " + SHOWN.replace("\\n", "").replace("\\r", "") + "\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["segment", HOSTILE, HOSTILE + "2", "-o", "out"],
        ["segment", "--manifest", HOSTILE, "-o", "out"],
        ["cases", "add", "--store", "store", HOSTILE, HOSTILE + "2"],
        ["cases", "list", "--store", HOSTILE],
        ["evaluate", "--prediction", HOSTILE, "--truth", HOSTILE],
        ["models", "publish", HOSTILE],
        ["review", HOSTILE],
        ["corrupt", "--data", HOSTILE, "--cases", "a", "--out", "out"],
        ["--" + HOSTILE],
    ],
    ids=lambda arguments: " ".join(arguments[:2]).partition("\x1b")[0],
)
def test_commands_print_names_as_text(
    arguments: list[str], tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(str(tmp_path))
    try:
        status = main(arguments)
    except SystemExit as ended:
        status = int(ended.code or 0)
    assert status != 0
    said = capsys.readouterr()
    text = said.out + said.err
    assert "scan" in text
    assert not any(sign in text for sign in "\x1b\x07\x9b\u202e\r") and "\nmtctl: all is well" not in text
