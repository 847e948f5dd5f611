"""What this computer gives to a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtctl.system import machine


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc and a /sys/fs/cgroup of our own, on a computer with 64 cores."""
    monkeypatch.setattr(machine, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(64)), raising=False)
    (tmp_path / "proc" / "self").mkdir(parents=True)
    return tmp_path


def put(root: Path, **files: str) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / name.replace("__", ".")).write_text(content)


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", 64), ("200000 100000", 2), ("150000 100000", 2), ("5000 100000", 1), ("x", 64)]
)
def test_a_process_uses_no_more_cores_than_its_control_group_gives_it(cgroups: Path, quota: str, cores: int) -> None:
    (cgroups / "proc/self/cgroup").write_text("0::/slurm/job\n")
    put(cgroups / "cgroup/slurm", cpu__max=quota)
    put(cgroups / "cgroup/slurm/job", cpu__max="max 100000")
    assert machine.cores() == cores


def test_the_quota_of_version_1_counts_also_where_a_container_sees_the_path_of_its_host(cgroups: Path) -> None:
    (cgroups / "proc/self/cgroup").write_text("5:memory:/docker/ab\n4:cpu,cpuacct:/docker/ab\n1:name=systemd:/x\n")
    put(cgroups / "cgroup/cpu,cpuacct", cpu__cfs_quota_us="300000\n", cpu__cfs_period_us="100000\n")
    assert machine.cores() == 3
    put(cgroups / "cgroup/cpu,cpuacct", cpu__cfs_quota_us="-1\n")
    assert machine.cores() == 64


def test_where_there_are_no_control_groups_the_cores_are_those_of_the_process(cgroups: Path) -> None:
    assert machine.cores() == 64
