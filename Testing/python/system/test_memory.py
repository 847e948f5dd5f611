"""What a process keeps of the memory that it has freed."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

#: Resident MB with 200 MB in arrays, after they were freed, and after memory was given back.
CHILD = """
import sys
from pathlib import Path
import numpy as np
from mtctl.system.memory import release_memory, keep_freed_memory

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1000

if sys.argv[1] == "keep":
    keep_freed_memory()
before = resident()
arrays = [np.ones(5_000_000) for _ in range(5)]
print(resident() - before)
arrays.clear()
print(resident() - before)
release_memory()
print(resident() - before)
"""


def resident(how: str) -> list[float]:
    done = subprocess.run([sys.executable, "-c", CHILD, how], capture_output=True, text=True, timeout=60, check=True)
    return [float(line) for line in done.stdout.split()]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc's ways are those of glibc")
def test_a_training_process_keeps_what_it_freed_until_it_is_told_to_give_it_back() -> None:
    used, freed, given = resident("keep")
    assert used > 190 and freed > 190 and given < 60
    used, freed, _ = resident("as usual")
    assert used > 190 and freed < 60
