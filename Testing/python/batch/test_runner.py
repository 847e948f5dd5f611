"""Runs over many scans as a data engineer starts them: what is found, what goes on in spite of all, what is left."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.batch_command import command, contents
from support.children import environment, hearing, wait_for
from support.deadly_inputs import DeadlyInput
from support.dicom_series import dicom_scan, write_series
from support.scans import scan
from support.segment_command import names, run, run_with_figures, spoil

from mtctl.batch.case import Outcome, Request
from mtctl.batch.cohort import TABLE
from mtctl.batch.runner import BatchTask, Failure, Job, attempt, run_in_processes
from mtctl.batch.throughput import Throughput
from mtctl.io.inputs import ScanInput, find_scans
from mtctl.io.results import ResultFiles, finish_interrupted
from mtctl.io.volumes import write_volume
from mtctl.models.model import Model
from mtctl.system.files import TEMPORARY_PREFIX, make_folder, remove_parts
from mtctl.system.process_tree import family_of, is_running

pytestmark = pytest.mark.slow


def test_a_folder_stands_for_its_scans_and_not_for_masks_results_or_hidden_files(tmp_path: Path) -> None:
    for name in (
        "b/two.nii.gz", "a.image.nrrd", "a.label.nrrd", "old/x.seg.nrrd", "old/x.uncertainty.nrrd", "._a.image.nrrd",
        ".hidden/c.nrrd", "notes.txt", "B.MHA",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [scan.path.relative_to(tmp_path).as_posix() for scan in find_scans([tmp_path])]
    assert found == ["B.MHA", "a.image.nrrd", "b/two.nii.gz"]


def test_a_pattern_stands_for_all_that_match_and_a_file_with_such_a_name_for_itself(tmp_path: Path) -> None:
    for name in ("a1.nrrd", "a2.nrrd", "b1.nrrd", "deep/a3.nrrd", "a[1].nrrd"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [scan.path.name for scan in find_scans([tmp_path / "a?.nrrd"])] == ["a1.nrrd", "a2.nrrd"]
    assert [scan.path.name for scan in find_scans([tmp_path / "**" / "a3.*"])] == ["a3.nrrd"]
    assert find_scans([tmp_path / "a[1].nrrd"]) == [ScanInput(tmp_path / "a[1].nrrd")]
    assert find_scans([tmp_path / "z*.nrrd"]) == [ScanInput(tmp_path / "z*.nrrd")]
    assert len(find_scans([tmp_path / "a1.nrrd", tmp_path])) == 5


def test_a_folder_of_examinations_is_one_scan_each_however_deep_their_series_lie(tmp_path: Path) -> None:
    array, geometry = dicom_scan()
    for patient in ("P1", "P2"):
        for number in (1, 2):
            uid = f"1.2.3.{patient[1]}.{number}"
            write_series(
                tmp_path / patient / f"S{number}", array[: 4 * number], geometry, uid=uid, study=f"1.2.{patient[1]}"
            )
    (tmp_path / "P1" / "notes.txt").write_text("-")
    assert find_scans([tmp_path]) == [ScanInput(tmp_path / name, folder=True) for name in ("P1", "P2")]
    assert find_scans([tmp_path / "P1"]) == [ScanInput(tmp_path / "P1", folder=True)]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_are_followed_and_a_loop_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "a.nrrd").touch()
    (tmp_path / "data" / "deep" / "up").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "archive")
    assert find_scans([tmp_path / "data"]) == [ScanInput(tmp_path / "data" / "linked" / "a.nrrd")]


def hostile(folder: Path) -> dict[str, str]:
    """Bad inputs of every kind, and what is said of each."""
    expected = {name: cause for name, cause in spoil(folder).items() if name not in ("absent.nrrd", "empty folder")}
    (folder / "nothing.mha").touch()
    (folder / "none.nii.gz").touch()
    (folder / "sub dir").mkdir()
    write_volume(scan((24, 28, 32)), folder / "text.nii.gz")
    write_volume(scan((24, 28, 32)), folder / "sub dir" / "two words.nii.gz")
    (folder / "text.mha").write_text("not an image\n")
    head = b"NRRD0004\ntype: float\ndimension: 3\nsizes: 1024 1024 2560\nencoding: raw\nspacings: 1 1 1\n\n"
    for name, content in (("sparse.nrrd", b""), ("zeros.nii", b""), ("claims.nrrd", head)):
        (folder / name).write_bytes(content)
        os.truncate(folder / name, 10 * 10**9)
    expected |= {
        "nothing.mha": "the file is empty",
        "none.nii.gz": "the file is empty",
        "two words.nrrd": "would write the same files",
        "text.mha": "not a MetaImage file",
        "sparse.nrrd": "not a NRRD file|header is longer than any",
        "zeros.nii": "not a NIfTI-1 file",
        "claims.nrrd": "cannot be a scan of a heart",
    }
    if sys.platform != "win32":
        (folder / "sub dir" / "loop").symlink_to(folder)
        (folder / "itself.nrrd").symlink_to(folder / "itself.nrrd")
        (folder / "dangling.nrrd").symlink_to(folder / "gone.nrrd")
        os.mkfifo(folder / "sub dir" / "pipe")
        expected |= {"itself.nrrd": "a link that leads nowhere", "dangling.nrrd": "a link that leads nowhere"}
    return expected


ODD_NAMES = ("two words.nrrd", "Jos\u00e9 \u5fc3\u623f.nrrd", "it's <b>&.nrrd" if os.name != "nt" else "it's & b.nrrd")


@pytest.mark.skipif(sys.platform == "darwin", reason="HFS+ stores sparse files in full")
def test_in_a_hostile_folder_every_good_scan_is_done_and_every_bad_one_named_with_its_cause(
    tiny_model: Model, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    expected = hostile(folder)
    for number, name in enumerate(ODD_NAMES):
        write_volume(scan((24, 28, 32), seed=number), folder / "sub dir" / name)
    assert run(tiny_model, folder, "-o", out) == 1
    printed = capfd.readouterr()
    total = len(expected) + len(ODD_NAMES) + 1
    assert f"{len(ODD_NAMES) + 1} of {total} done" in printed.out
    summary = printed.out.partition(f"{len(expected)} failed:")[2].splitlines()
    rows = (out / TABLE).read_text(encoding="utf-8")
    for name, cause in expected.items():
        (line,) = [line for line in summary if f"/{name}: " in line.replace(os.sep, "/")]
        assert re.search(cause, line, re.IGNORECASE), line
        assert re.search(cause, rows, re.IGNORECASE)
    for name in (*ODD_NAMES, "text.nrrd"):  # text.nii.gz is good, and text.mha, which comes first, is not
        assert ResultFiles(out, name.removesuffix(".nrrd")).complete([".seg.nrrd", ".json", ".png"])
    assert not [name for name in names(out) if name.startswith(TEMPORARY_PREFIX)]


def test_killed_at_any_moment_a_run_leaves_whole_results_and_the_next_one_completes_them(
    tiny_model: Model, scans: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(command(tiny_model, scans, "-o", out, "--workers", 2), stdout=subprocess.DEVNULL)
    wait_for(lambda: out.is_dir() and any(out.glob("*.json")))
    time.sleep(random.Random(7).uniform(0, 0.5))
    workers = family_of(process.pid) - {process.pid}
    process.kill()
    process.wait()
    for report in out.glob("*.json"):
        assert ResultFiles(out, report.stem).complete([".seg.nrrd", ".uncertainty.nrrd", ".distance.nrrd", ".png"])
    wait_for(lambda: not any(map(is_running, workers)))
    assert run(tiny_model, scans, "-o", out) == 0
    assert contents(out) == contents(whole)
    assert names(out) == names(whole)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to another process there")
@pytest.mark.parametrize(
    ("blow", "workers"), [(signal.SIGINT, 2), (signal.SIGTERM, 1)], ids=["control-c", "a scheduler's end"]
)
def test_interrupted_a_run_leaves_only_whole_results_and_a_table_of_them(
    tiny_model: Model, scans: Path, tmp_path: Path, blow: signal.Signals, workers: int
) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        hearing(command(tiny_model, scans, "-o", out, "--workers", workers)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    wait_for(lambda: any(out.glob("*.json")))
    os.killpg(process.pid, blow) if blow == signal.SIGINT else process.send_signal(blow)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "mtctl: interrupted\n"
    done = {path.stem for path in out.glob("*.json")}
    assert not [name for name in names(out) if name.startswith(TEMPORARY_PREFIX)]
    assert {name.split(".")[0] for name in names(out)} == done | {"cohort"}
    assert (out / TABLE).read_text(encoding="utf-8").count(",done,") == len(done)


@pytest.fixture
def files(tmp_path: Path) -> ResultFiles:
    out = tmp_path / "out"
    out.mkdir()
    return ResultFiles(out, "a")


def exchange_cut_short(files: ResultFiles, monkeypatch: pytest.MonkeyPatch, moves: int) -> None:
    """Replace a.seg.nrrd and a.json by newer ones, as a process that gets Ctrl-C after so many moves."""
    real, count = os.replace, iter(range(100))

    def replace(source: Path, target: Path) -> None:
        if Path(source).name != "note" and next(count) >= moves:
            raise KeyboardInterrupt  # no OSError: nothing is undone
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr("mtctl.io.results.os.replace", replace)
        with pytest.raises(KeyboardInterrupt), files.replacing(["a.json", "a.seg.nrrd"]) as fresh:
            for ending in (".seg.nrrd", ".json"):
                (fresh / f"a{ending}").write_text("new")


@pytest.mark.parametrize("moves", range(4))
def test_an_exchange_that_was_cut_short_is_finished_by_the_next_one_that_looks(
    files: ResultFiles, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    for ending in (".seg.nrrd", ".json"):
        files.path(ending).write_text("old")
    exchange_cut_short(files, monkeypatch, moves)
    finish_interrupted(files.out, ["b"])
    assert any(name.startswith(TEMPORARY_PREFIX) for name in names(files.out)), "another case's are left alone"
    finish_interrupted(files.out, ["a"])
    assert names(files.out) == {"a.seg.nrrd", "a.json"}
    assert {path.read_text() for path in files.out.iterdir()} == {"new"}


@pytest.mark.parametrize("gone_first", ["new", "old"])
def test_a_process_that_is_killed_while_it_tidies_up_costs_no_result_and_leaves_nothing(
    files: ResultFiles, monkeypatch: pytest.MonkeyPatch, gone_first: str
) -> None:
    """Seen on a cluster: the kill came right after the report, when half of the hidden folder was removed."""
    files.path(".json").write_text("old")
    real = shutil.rmtree

    def killed_half_way(path: Path, ignore_errors: bool) -> None:
        real(Path(path) / gone_first)
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr("mtctl.io.results.shutil.rmtree", killed_half_way)
        with pytest.raises(SystemExit), files.replacing(["a.json"]) as fresh:
            (fresh / "a.json").write_text("new")
    finish_interrupted(files.out, ["a"])
    assert names(files.out) == {"a.json"} and files.path(".json").read_text() == "new"


def test_what_was_not_ready_to_be_moved_is_removed(files: ResultFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("mtctl.io.results.shutil.rmtree", lambda path, ignore_errors: None)
        with pytest.raises(ZeroDivisionError), files.replacing([]) as fresh:
            (fresh / "a.seg.nrrd").write_text("half")
            raise ZeroDivisionError
    finish_interrupted(files.out, ["a"])
    assert names(files.out) == set()


def test_parts_of_a_table_that_a_killed_process_left_are_removed_and_those_of_a_living_one_kept(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for number in (ended.pid, os.getppid()):
        (tmp_path / f"{TEMPORARY_PREFIX}{number}-0a0a0a0a-cohort.csv").touch()
    other = tmp_path / f"{TEMPORARY_PREFIX}{ended.pid}-0a0a0a0a-other-cohort.csv"
    other.touch()
    remove_parts(tmp_path / "cohort.csv")
    assert names(tmp_path) == {f"{TEMPORARY_PREFIX}{os.getppid()}-0a0a0a0a-cohort.csv", other.name}
    make_folder(tmp_path)


def moments(pace: Throughput, times: list[float]) -> Iterator[str]:
    for time_ in times:
        pace.finish(time_, computed=True)
        yield str(pace)


def test_throughput_and_time_left_come_from_the_scans_that_were_computed() -> None:
    pace = Throughput(total=10, began=0.0)
    pace.finish(5.0, computed=False)
    assert str(pace) == ""
    assert list(moments(pace, [15.0, 25.0])) == ["6.0 scans/min, 80 s left", "6.0 scans/min, 70 s left"]
    for _ in range(6):
        pace.finish(25.0, computed=False)
    assert str(pace) == "6.0 scans/min, 10 s left"
    pace.finish(35.0, computed=True)
    assert str(pace) == "" and pace.finished == 10


def test_done_cases_are_kept_and_only_the_others_computed(
    tiny_model: Model, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(scans, tmp_path / "in"))
    assert run(tiny_model, folder / "s0.image.nrrd", folder / "s1.image.nrrd", "-o", tmp_path / "out") == 0
    stamps = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("s*")}
    capsys.readouterr()
    assert run(tiny_model, folder / "s[0-2]*", "-o", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert printed.count("unchanged, kept") == 2 and "3 of 3 done" in printed
    assert stamps.items() <= {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("s*")}.items()


def test_workers_share_the_cores_and_take_the_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    from mtctl.batch import runner as batch

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(batch, "cores", lambda: 8)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    environments = batch._environments(3, "auto")
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in environments] == ["0", "1", "0"]
    assert {environment["OMP_NUM_THREADS"] for environment in environments} == {"2"}
    assert "CUDA_VISIBLE_DEVICES" not in batch._environments(2, "cpu")[0]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")  # what a scheduler has given
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in batch._environments(2, "cuda")] == ["5", "7"]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # what the user has decided
    assert batch._environments(2, "cpu")[0]["OMP_NUM_THREADS"] == "3"


def test_scans_that_end_or_hold_their_reader_cost_themselves_alone(
    tiny_model: Model, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    out = tmp_path / "out"
    out.mkdir()
    good = scans / "s0.image.nrrd"
    sources = [DeadlyInput(path) for path in (Path("hang.nrrd"), good, Path("crash.nrrd"))]
    results = list(run_in_processes(Job(sources, BatchTask(Request(out), tiny_model.folder, "cpu")), workers=1))
    assert {result.source.path for result in results if isinstance(result, Outcome)} == {good}
    causes = {result.source.path.stem: result.cause for result in results if isinstance(result, Failure)}
    assert causes.keys() == {"crash", "hang"}
    assert re.search(r"ended while it read it \((SIGSEGV|exit status 15)\): the file is damaged", causes["crash"])
    assert "could not be read within 1 s" in causes["hang"]
    assert not [name for name in names(out) if name.startswith(TEMPORARY_PREFIX)]


def test_whatever_one_scan_raises_is_its_own_failure_in_one_line_without_places_in_a_library(
    tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(
            "Exception thrown in SimpleITK ImageFileReader_Execute: /build/ITK/itkNrrdImageIO.cxx:230:\n"
            "ITK ERROR: NrrdImageIO(0x55d0c8a0): DICOM tag of an unknown kind"
        )

    monkeypatch.setattr("mtctl.batch.case.read_scan", fail)
    result = attempt(BatchTask(Request(tmp_path), tiny_model.folder, "cpu"), ScanInput(tmp_path / "a.nrrd"))
    assert isinstance(result, Failure) and result.cause == "unexpected RuntimeError: DICOM tag of an unknown kind"


def test_a_picture_that_cannot_be_drawn_costs_itself_alone_and_is_drawn_by_the_next_run(
    tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(view: object, path: Path) -> None:
        raise TypeError("no such font")

    write_volume(scan(), tmp_path / "a.nrrd")
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr("mtctl.figures.case_figure.write_case_figure", failing)
        assert run_with_figures(tiny_model, tmp_path / "a.nrrd", "-o", out) == 0
    assert (out / "a.seg.nrrd").exists() and not (out / "a.png").exists()
    assert "no picture: unexpected TypeError: no such font" in capsys.readouterr().out
    assert run(tiny_model, tmp_path / "a.nrrd", "-o", out) == 0
    assert (out / "a.png").exists() and "no picture" not in (out / "a.json").read_text(encoding="utf-8")
