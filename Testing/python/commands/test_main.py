"""The command `mtctl` itself: help, exit statuses, and what a person sees when something goes wrong."""

from __future__ import annotations

import argparse
import errno
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import mtctl
from mtctl.commands import main as commandline
from mtctl.commands.main import main
from mtctl.errors import MtctlError
from mtctl.models.site_folder import VARIABLE
from mtctl.synthetic.phantom import SLICE_BOUNDS_MM, SPACING_MM


def run_mtctl(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mtctl", *arguments], cwd=cwd, capture_output=True, text=True, timeout=300
    )


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], int]], None]:
    """Puts an action in the place of `mtctl phantom`."""

    def install(action: Callable[[], int]) -> None:
        class Stub:
            @staticmethod
            def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
                subparsers.add_parser("phantom").set_defaults(run=lambda args: action())

        monkeypatch.setattr(commandline, "installed_commands", lambda: {"phantom": lambda: Stub})

    monkeypatch.delenv("MTCTL_DEBUG", raising=False)
    return install


def raising(error: BaseException) -> Callable[[], int]:
    def action() -> int:
        raise error

    return action


def test_help_names_every_command_without_importing_the_engine() -> None:
    program = (
        "import sys; from mtctl.commands.main import main\n"
        "try: main(['--help'])\n"
        "finally: print('HEAVY', {'torch', 'numpy', 'scipy', 'SimpleITK', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0
    names = ("segment", "evaluate", "train", "finetune", "models", "cases", "review", "corrupt", "phantom")
    assert all(f"    {name} " in done.stdout for name in names)
    assert done.stdout.splitlines()[-1] == "HEAVY set()"


# The list of training methods, which `mtctl train --help` shows, is that of their classes: they need torch.
@pytest.mark.parametrize("name", sorted(set(commandline.installed_commands()) - {"train"}))
def test_the_help_of_a_command_loads_no_heavy_library(name: str) -> None:
    program = (
        "import sys; from mtctl.commands.main import main\n"
        f"try: main(['{name}', '--help'])\n"
        "finally: print('HEAVY', {'torch', 'scipy', 'SimpleITK', 'matplotlib', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines()[-1] == "HEAVY set()"


def test_the_help_says_the_numbers_and_names_of_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["phantom", "--help"], ["models", "list", "--help"]):
        with pytest.raises(SystemExit):
            main(arguments)
    said = " ".join(capsys.readouterr().out.split())
    assert "slices, {:g} to {:g} mm (default: {:g})".format(*SLICE_BOUNDS_MM, SPACING_MM[2]) in said
    assert f"${VARIABLE}" in said


@pytest.mark.parametrize("name", commandline.installed_commands())
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: mtctl {name} ")


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"mtctl {mtctl.__version__}\n"


@pytest.mark.parametrize(
    "arguments", [[], ["segmnt"], ["--verbose"], ["models"], ["models", "lst"], ["segment"], ["--"]]
)
def test_wrong_usage_ends_with_status_2_and_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("usage: mtctl") and not printed.out


@pytest.mark.parametrize("status", [0, 1, 2])
def test_the_status_of_a_command_is_passed_on(status: int, command: Callable[[Callable[[], int]], None]) -> None:
    command(lambda: status)
    assert main(["phantom"]) == status


def test_an_error_for_the_user_is_one_line_and_status_1(
    command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(MtctlError("scan.nrrd: the file is cut off; copy it again")))
    assert main(["phantom"]) == 1
    assert capsys.readouterr().err == "mtctl: error: scan.nrrd: the file is cut off; copy it again\n"


def test_a_fault_of_ours_is_one_line_too_and_says_how_to_see_more(
    command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(ZeroDivisionError("division by zero")))
    assert main(["phantom"]) == 1
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "unexpected ZeroDivisionError: division by zero" in printed and "MTCTL_DEBUG=1" in printed


def test_a_package_that_is_not_installed_is_named(
    command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(ModuleNotFoundError("No module named 'pydicom'", name="pydicom")))
    assert main(["phantom"]) == 1
    assert "needs the Python package 'pydicom', which is not installed" in capsys.readouterr().err


@pytest.mark.parametrize("error", [MtctlError("known"), ZeroDivisionError("unknown")])
def test_debug_mode_shows_where_it_happened(
    error: Exception, command: Callable[[Callable[[], int]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    command(raising(error))
    monkeypatch.setenv("MTCTL_DEBUG", "1")
    with pytest.raises(type(error)):
        main(["phantom"])


def test_interrupting_is_no_error_but_has_its_own_status(
    command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(KeyboardInterrupt()))
    assert main(["phantom"]) == 130
    assert capsys.readouterr().err == "mtctl: interrupted\n"


def test_a_current_folder_that_was_deleted_is_said(
    command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command(lambda: 0)
    monkeypatch.setattr(os, "getcwd", raising(FileNotFoundError(errno.ENOENT, "No such file or directory")))
    assert main(["phantom"]) == 1
    assert (
        capsys.readouterr().err
        == "mtctl: error: the current folder is not there any more; change to one that is (cd)\n"
    )


def test_a_full_disk_under_the_output_is_called_so(
    command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(OSError(errno.ENOSPC, "No space left on device")))
    assert main(["phantom"]) == 1
    assert capsys.readouterr().err == "mtctl: error: the disk is full; free some space and run again\n"


def test_a_warning_of_a_command_is_one_line_without_its_place_in_the_program(
    command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # which `main` replaces

    def action() -> int:
        print(warnings.formatwarning("run/checkpoint: has no checksum", UserWarning, "trainer.py", 111, "load()"))
        return 0

    command(action)
    assert main(["phantom"]) == 0
    assert capsys.readouterr().out == "mtctl: warning: run/checkpoint: has no checksum\n\n"


@pytest.mark.skipif(os.name == "nt", reason="descriptors of Windows are not inherited by number")
def test_with_all_streams_closed_a_command_does_its_work_and_no_result_takes_their_place(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "for number in range(3): os.close(number)\n"
        "sys.stdin = sys.stdout = sys.stderr = None\n"
        "from mtctl.commands import main as m\n"
        "class Stub:\n"
        "    add_parser = staticmethod(lambda s: s.add_parser('phantom').set_defaults(run=work))\n"
        "def work(args):\n"
        "    print('done', flush=True); print('warning', file=sys.stderr)\n"
        "    result = open('result', 'w'); result.write(str(result.fileno())); return 0\n"
        "m.installed_commands = lambda: {'phantom': lambda: Stub}\n"
        "sys.exit(m.main(['phantom']))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, timeout=300).returncode == 0
    assert int((tmp_path / "result").read_text()) > 2


@pytest.mark.skipif(os.name == "nt", reason="Windows reports a closed pipe as another error")
def test_a_reader_that_leaves_early_causes_no_traceback() -> None:
    program = (
        "import sys, time; from mtctl.commands import main as m\n"
        "class Stub:\n"
        "    add_parser = staticmethod(lambda s: s.add_parser('phantom').set_defaults(run=chatter))\n"
        "def chatter(args):\n"
        "    time.sleep(0.3); print('line\\n' * 100000); return 0\n"
        "m.installed_commands = lambda: {'phantom': lambda: Stub}\n"
        "sys.exit(m.main(['phantom']))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_models_list_shows_the_default_model_with_hash_and_folder(tmp_path: Path) -> None:
    done = run_mtctl("models", "list", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    heading, *lines = done.stdout.splitlines()
    assert heading.split() == ["id", "version", "default", "sha256", "Dice", "folder"]
    rows = [line.split(maxsplit=5) for line in lines]
    assert [row[2] for row in rows].count("default") == 1
    for _, _, _, digest, dice, folder in rows:
        assert len(digest) == 12 and (Path(folder) / "card.json").is_file()
        assert dice == "-" or 80 < float(dice) < 100  # No scan is left to measure a model that learnt from all.
    assert any(row[4] != "-" for row in rows)


def test_models_list_without_any_model_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mtctl.models.shipped.MODEL_FOLDERS", (tmp_path / "nowhere",))
    assert main(["models", "list"]) == 1
    assert capsys.readouterr().err == f"mtctl: error: no model is installed; looked in {tmp_path / 'nowhere'}\n"
