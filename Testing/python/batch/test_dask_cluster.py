"""A run on a Dask cluster: a real scheduler, two worker processes, and one of them killed in the middle."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.batch_command import command, contents
from support.children import wait_for
from support.segment_command import names, run

from mtctl.batch.case import Request
from mtctl.batch.dask_cluster import run_on_cluster
from mtctl.batch.runner import BatchError, BatchTask, Failure, Job
from mtctl.models.model import Model
from mtctl.system.files import TEMPORARY_PREFIX

pytestmark = pytest.mark.slow

pytest.importorskip("distributed")


@dataclass
class Cluster:
    """A scheduler and its workers, each a process."""

    folder: Path
    address: str = ""
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]],
            cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def worker(self) -> subprocess.Popen[str]:
        # Without its nanny, which would start it again: it is gone, as a machine that is switched off.
        return self.start("worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard")

    def workers(self) -> int:
        from distributed import Client

        with suppress(OSError), Client(self.address, timeout=5, set_as_default=False) as client:
            return len(client.scheduler_info(n_workers=-1)["workers"])
        return 0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cluster = Cluster(tmp_path_factory.mktemp("dask"), f"tcp://127.0.0.1:{port}")
    cluster.start("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    yield cluster
    for process in cluster.processes:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def whole(tiny_model: Model, scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of an undisturbed run here."""
    out = tmp_path_factory.mktemp("whole")
    assert run(tiny_model, scans, "-o", out) == 0
    return out


def killing(cluster: Cluster, out: Path) -> Callable[[], None]:
    victim = cluster.worker()
    cluster.worker()
    wait_for(lambda: cluster.workers() == 2)

    def kill() -> None:
        wait_for(lambda: len(list(out.glob("*.json"))) >= 2, seconds=240)
        victim.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    return kill


def test_with_a_worker_killed_all_results_are_there_and_the_same_as_here(
    tiny_model: Model, scans: Path, whole: Path, cluster: Cluster, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    kill = killing(cluster, out)
    process = subprocess.Popen(
        command(tiny_model, scans, "-o", out, "--scheduler", cluster.address),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    kill()
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert "6 of 6 done" in output and len(re.findall(r"^\[\d/6\] s\d: ", output, re.MULTILINE)) == 6
    assert contents(out) == contents(whole)
    assert names(out) == names(whole)


def job(model: Model, sources: list[Path], out: Path) -> Job:
    out.mkdir(exist_ok=True)
    return Job(sources, BatchTask(Request(out), model.folder, "cpu"))


def test_one_bad_scan_does_not_stop_the_others(
    tiny_model: Model, scans: Path, cluster: Cluster, tmp_path: Path
) -> None:
    if not cluster.workers():
        cluster.worker()
        wait_for(lambda: cluster.workers() > 0)
    sources = [tmp_path / "absent.nrrd", scans / "s0.image.nrrd"]
    results = {
        result.source: result for result in run_on_cluster(job(tiny_model, sources, tmp_path / "out"), cluster.address)
    }
    failure = results[sources[0]]
    assert isinstance(failure, Failure) and failure.cause == "no such file or folder; check the name"
    assert not isinstance(results[sources[1]], Failure)
    assert not [name for name in names(tmp_path / "out") if name.startswith(TEMPORARY_PREFIX)]


def test_a_worker_that_does_not_see_the_folders_is_named_before_anything_is_done(
    tiny_model: Model, scans: Path, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not cluster.workers():
        cluster.worker()
        wait_for(lambda: cluster.workers() > 0)
    sources = [scans / "s0.image.nrrd"]
    with monkeypatch.context() as patched:
        # As if the workers' disk held another folder of the same name: the file that is to be seen is not put there.
        patched.setattr("mtctl.batch.dask_cluster.Path.touch", lambda path: None)
        with pytest.raises(BatchError, match=r"worker tcp://\S+ on \S+ does not see the output folder .*shared folder"):
            list(run_on_cluster(job(tiny_model, sources, tmp_path / "out"), cluster.address))
    assert names(tmp_path / "out") == set()
    elsewhere = Job(sources, BatchTask(Request(tmp_path / "out"), tmp_path / "no model", "cpu"))
    with pytest.raises(BatchError, match="does not see the model folder"):
        list(run_on_cluster(elsewhere, cluster.address))
    with monkeypatch.context() as patched:
        patched.setattr("mtctl.batch.dask_cluster.mtctl.__version__", "9.9")
        with pytest.raises(BatchError, match=r"this process 9\.9; install the same everywhere"):
            list(run_on_cluster(job(tiny_model, sources, tmp_path / "out"), cluster.address))


def test_without_workers_or_a_scheduler_the_run_says_so(
    tiny_model: Model, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    assert run(tiny_model, scans, "-o", tmp_path / "out", "--scheduler", address) == 1
    assert f"no Dask scheduler answers at {address}" in capsys.readouterr().err
