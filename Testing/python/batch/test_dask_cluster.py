"""A run on a Dask cluster: a scheduler, two worker processes, and one of them killed in the middle."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.batch_command import contents
from support.children import environment, wait_for
from support.deadly_inputs import DeadlyInput
from support.segment_command import names, run

from mtctl.batch.case import Request
from mtctl.batch.dask_cluster import run_on_cluster
from mtctl.batch.runner import BatchError, BatchTask, Failure, Job
from mtctl.io.inputs import ScanInput
from mtctl.models.model import Model
from mtctl.system.files import TEMPORARY_PREFIX

pytestmark = pytest.mark.slow

LocalCluster = pytest.importorskip("distributed").LocalCluster


class Cluster:
    """A scheduler in this process, and workers, each a process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._scheduler = LocalCluster(
            n_workers=0, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address=None
        )
        self._processes: list[subprocess.Popen[str]] = []
        self.address = str(self._scheduler.scheduler_address)

    def start_worker(self) -> subprocess.Popen[str]:
        # Without its nanny, which would start it again: it is gone, as a machine that is switched off.
        process = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", self.address, "--nthreads", "1", "--no-nanny",
             "--no-dashboard"],
            cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True, env=environment(),
        )  # fmt: skip
        self._processes.append(process)
        return process

    def wait_for_workers(self, count: int) -> None:
        """Wait until there are so many; start those that lack."""
        for _ in range(count - sum(process.poll() is None for process in self._processes)):
            self.start_worker()
        wait_for(lambda: len(self._scheduler.scheduler.workers) >= count)

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self._scheduler.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("dask"))
    yield cluster
    cluster.close()


def test_with_a_worker_killed_all_results_are_there_and_the_same_as_here(
    tiny_model: Model, scans: Path, whole: Path, cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    victim = cluster.start_worker()
    cluster.wait_for_workers(2)

    def kill() -> None:
        wait_for(lambda: bool(list(out.glob("*.json"))), seconds=240)
        victim.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    killing = threading.Thread(target=kill)
    killing.start()
    assert run(tiny_model, scans, "-o", out, "--scheduler", cluster.address) == 0
    killing.join()
    output = capsys.readouterr().out
    assert "4 of 4 done" in output and len(re.findall(r"^\[\d/4\] s\d: ", output, re.MULTILINE)) == 4
    assert contents(out) == contents(whole)
    assert names(out) == names(whole)


def job(model: Model, sources: list[Path], out: Path) -> Job:
    out.mkdir(exist_ok=True)
    return Job([ScanInput(source) for source in sources], BatchTask(Request(out), model.folder, "cpu"))


def test_one_bad_scan_does_not_stop_the_others(
    tiny_model: Model, scans: Path, cluster: Cluster, tmp_path: Path
) -> None:
    cluster.wait_for_workers(1)
    sources = [tmp_path / "absent.nrrd", scans / "s0.image.nrrd"]
    todo = job(tiny_model, sources, tmp_path / "out")
    results = {result.source.path: result for result in run_on_cluster(todo, cluster.address)}
    failure = results[sources[0]]
    assert isinstance(failure, Failure) and failure.cause == "no such file or folder; check the name"
    assert not isinstance(results[sources[1]], Failure)
    assert not [name for name in names(tmp_path / "out") if name.startswith(TEMPORARY_PREFIX)]


@pytest.mark.skipif(sys.platform == "win32", reason="a process ends itself in another way there")
def test_a_scan_that_holds_its_reader_ends_two_workers_and_costs_itself_alone(
    tiny_model: Model, scans: Path, cluster: Cluster, tmp_path: Path
) -> None:
    cluster.wait_for_workers(3)
    sources = [DeadlyInput(tmp_path / "hang.nrrd"), DeadlyInput(scans / "s0.image.nrrd")]
    todo = replace(job(tiny_model, [], tmp_path / "out"), sources=sources)
    results = {result.source.path.name: result for result in run_on_cluster(todo, cluster.address)}
    failure = results["hang.nrrd"]
    assert isinstance(failure, Failure) and "ended while it read it (its Dask workers died)" in failure.cause
    assert not isinstance(results["s0.image.nrrd"], Failure)
    assert not [name for name in names(tmp_path / "out") if name.startswith(TEMPORARY_PREFIX)]


def test_a_worker_that_does_not_see_the_folders_is_named_before_anything_is_done(
    tiny_model: Model, scans: Path, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.wait_for_workers(1)
    sources = [scans / "s0.image.nrrd"]
    with monkeypatch.context() as patched:
        # As if the workers' disk held another folder of the same name: the file that is to be seen is not put there.
        patched.setattr("mtctl.batch.dask_cluster.Path.touch", lambda path: None)
        with pytest.raises(BatchError, match=r"worker tcp://\S+ on \S+ does not see the output folder .*shared folder"):
            list(run_on_cluster(job(tiny_model, sources, tmp_path / "out"), cluster.address))
    assert names(tmp_path / "out") == set()
    here = job(tiny_model, sources, tmp_path / "out")
    elsewhere = replace(here, task=replace(here.task, model=tmp_path / "no model"))
    with pytest.raises(BatchError, match="does not see the model folder"):
        list(run_on_cluster(elsewhere, cluster.address))
    with monkeypatch.context() as patched:
        patched.setattr("mtctl.batch.dask_cluster.mtctl.__version__", "9.9")
        with pytest.raises(BatchError, match=r"this process 9\.9; install the same everywhere"):
            list(run_on_cluster(job(tiny_model, sources, tmp_path / "out"), cluster.address))


def test_without_workers_or_a_scheduler_the_run_says_so(
    tiny_model: Model,
    scans: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("mtctl.batch.dask_cluster._ANSWER_SECONDS", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    assert run(tiny_model, scans, "-o", tmp_path / "out", "--scheduler", address) == 1
    assert f"no Dask scheduler answers at {address}" in capsys.readouterr().err


def test_a_worker_has_a_folder_for_matplotlib_s_caches_before_it_is_imported(tmp_path: Path) -> None:
    program = (
        "import os, sys; from mtctl.batch import dask_cluster as cluster; from mtctl.figures import names;"
        "assert 'matplotlib' not in sys.modules; cluster._prepare_caches(); import matplotlib;"
        "print(matplotlib.get_cachedir() == os.environ['MPLCONFIGDIR'])"
    )
    (tmp_path / "home").write_text("no folder")
    home = {name: str(tmp_path / "home") for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA")}
    variables = {name: text for name, text in environment(**home).items() if name != "MPLCONFIGDIR"}
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n", "")
