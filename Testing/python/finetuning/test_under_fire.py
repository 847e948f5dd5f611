"""Training that is disturbed ends by a sentence, loses nothing, and finishes when it is started again."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.children import environment
from support.paths import TESTING


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the program forks")
def test_without_disk_or_store_and_killed_on_a_slow_share_training_loses_nothing_and_names_its_ending() -> None:
    """One round of three kinds; the program without arguments plays twenty of five."""
    program = TESTING / "benchmarks" / "training_under_fire.py"
    kinds = ["full disk", "store changed", "slow renames"]
    command = [sys.executable, program, "--rounds", "1", "--slowest", "0.05", "--only", *kinds]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == kinds
    assert all(" amiss: 0," in line or "left out" in line for line in done.stdout.splitlines())
