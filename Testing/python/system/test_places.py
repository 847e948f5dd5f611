"""Where programs put what is no result: a user without a home, a home and a system that are read-only."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from support.children import environment
from support.scans import scan

from mtctl.cases.names import author_of
from mtctl.commands.main import main
from mtctl.io.volumes import write_volume
from mtctl.models.model import Model, find_model
from mtctl.models.site_folder import VARIABLE, site_folder
from mtctl.system import caches, temporary
from mtctl.system.caches import usable_caches
from mtctl.system.files import WriteError
from mtctl.system.machine import user_data
from mtctl.system.temporary import NO_PLACE, make_own_folder, own_folder, remove_orphans, with_place

_NOWHERE = Path(os.devnull) / "nowhere"

_HOME_VARIABLES = ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME",
                   "LOCALAPPDATA", "USERPROFILE", "HOMEPATH", "HOMEDRIVE", "MPLCONFIGDIR")  # fmt: skip


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a user whom the computer's list of users does not know, as a container's may be."""
    for name in (*_HOME_VARIABLES, VARIABLE):
        monkeypatch.delenv(name, raising=False)
    if sys.platform != "win32":

        def unknown(user: int) -> None:
            raise KeyError(f"getpwuid(): uid not found: {user}")

        monkeypatch.setattr("pwd.getpwuid", unknown)


@pytest.fixture
def placeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have no place for temporary files but the test's own, which pytest has made before."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(_NOWHERE)])


@pytest.mark.usefixtures("homeless")
def test_a_user_without_a_home_has_no_site_models_and_uses_those_that_are_shipped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not site_folder().exists() and not user_data().exists()
    assert find_model(None).card.default
    assert main(["models", "list"]) == 0
    printed = capsys.readouterr()
    assert "mtctl-la16" in printed.out and printed.err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="there only the variables tell the home")
@pytest.mark.usefixtures("homeless")
def test_the_home_of_a_user_without_one_is_where_only_an_administrator_can_put_models() -> None:
    assert user_data() == Path("/.local/share") and len(author_of("")) == 12


@pytest.mark.usefixtures("placeless")
def test_without_a_place_for_temporary_files_it_is_said_what_to_set() -> None:
    with pytest.raises(WriteError, match=r"set (TMPDIR|TEMP) to a folder that can") as caught:
        make_own_folder("case")
    assert str(caught.value) == NO_PLACE
    remove_orphans("case")


@pytest.mark.usefixtures("placeless")
def test_a_library_s_words_for_the_want_of_a_place_become_ours(capsys: pytest.CaptureFixture[str]) -> None:
    class WorkCommand:
        HELP = "asks for a temporary file"

        def add_parser(self, subparsers: Any) -> None:
            subparsers.add_parser("work").set_defaults(run=lambda args: tempfile.mkdtemp())

    assert main(["work"], {"work": WorkCommand}) == 1
    assert capsys.readouterr().err == f"mtctl: error: {NO_PLACE}\n"


@pytest.mark.usefixtures("placeless")
def test_where_the_system_has_no_place_temporary_files_go_to_a_hidden_folder_of_the_results_which_then_is_gone(
    tmp_path: Path,
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "out" / f"{temporary._HIDDEN}{ended.pid}-0a").mkdir(parents=True)  # of a run that was killed
    with with_place(tmp_path / "out"):
        folder = make_own_folder("case")
        assert folder.parent.parent == tmp_path / "out" and os.environ["TMPDIR" if os.name == "posix" else "TEMP"]
    assert os.listdir(tmp_path / "out") == []


def test_copies_of_scans_go_at_the_end_and_those_of_a_process_that_was_killed_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with own_folder("upload") as living:
        left = tmp_path / living.name.replace(str(os.getpid()), str(2**22 + 1))  # no process has this number
        left.mkdir()
        (left / "scan.nrrd").touch()
        with pytest.raises(OSError), own_folder("upload") as folder:
            (folder / "scan.nrrd").touch()
            raise OSError("the disk is full")
        assert list(tmp_path.iterdir()) == [living]
    assert not list(tmp_path.iterdir())


def test_where_the_system_has_a_place_nothing_is_made_in_the_results(tmp_path: Path) -> None:
    with with_place(tmp_path / "out"):
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("home", ["read-only", "missing", "fine"])
def test_caches_move_only_where_their_own_folder_cannot_be_written(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in _HOME_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    place = {"read-only": _NOWHERE, "missing": tmp_path / "to be made", "fine": tmp_path}[home]
    for name in ("HOME", "USERPROFILE", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(place))
    with usable_caches():
        moved = os.environ.get("MPLCONFIGDIR")
        assert (moved is not None) == (home == "read-only")
        assert moved is None or Path(moved).is_dir()
    assert "MPLCONFIGDIR" not in os.environ and (moved is None or not Path(moved).exists())


def test_what_the_user_has_named_for_the_caches_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLCONFIGDIR", str(_NOWHERE))
    monkeypatch.setattr(caches, "_can_be_written", lambda folder: False)
    with usable_caches():
        assert os.environ["MPLCONFIGDIR"] == str(_NOWHERE)


@pytest.mark.slow
def test_with_neither_home_nor_place_a_scan_is_segmented_without_a_word_too_much(
    tiny_model: Model, tmp_path: Path
) -> None:
    write_volume(scan((24, 28, 32)), tmp_path / "a.nrrd")
    program = (
        "import os, sys, tempfile\n"
        "if sys.platform != 'win32':\n"
        "    import pwd\n"
        "    def unknown(user): raise KeyError(user)\n"
        "    pwd.getpwuid = unknown\n"
        "known = tempfile._candidate_tempdir_list\n"
        "own = lambda: [os.environ.get('TMPDIR') or os.environ.get('TEMP') or os.path.join(os.devnull, 'nowhere')]\n"
        "tempfile._candidate_tempdir_list = own\n"
        "from mtctl.commands.main import main\n"
        "sys.exit(main())\n"
    )
    variables = {
        name: value for name, value in environment().items() if name not in (*_HOME_VARIABLES, "TMPDIR", "TEMP")
    }
    arguments = ["segment", "a.nrrd", "-o", "out", "--model", str(tiny_model.folder), "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=tmp_path, env=variables, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".json", ".nrrd", ".nrrd", ".nrrd", ".png"]
