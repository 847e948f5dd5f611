"""Damaged files and odd headers, some hundreds of each: none is believed wrongly, none ends the process.

By the ten thousand: Testing/benchmarks/fuzz_reading.py.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.damage import FORMS
from support.fuzzing import judge
from support.paths import ROOT

FILES, HEADERS = 20, 60

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Unknown encoding")]  # pydicom of odd names


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_file_is_never_read_with_other_voxels_where_its_format_has_a_checksum(form: str) -> None:
    place = list(FORMS).index(form)
    judged = [judge("files", 3, place + number * len(FORMS)) for number in range(FILES)]
    assert {one.form for one in judged} == {form}
    assert not [one for one in judged if one.result == "error"]
    if FORMS[form]:
        assert not [one for one in judged if one.result == "other voxels"]
    assert [one for one in judged if one.result == "refused"]


@pytest.mark.parametrize("seed", range(10))
def test_an_odd_header_is_understood_as_by_other_programs_or_refused_or_remarked_on(seed: int) -> None:
    judged = [judge("headers", 1000 + seed, number) for number in range(HEADERS)]
    assert not [one for one in judged if one.result in ("error", "other voxels", "other place")]
    assert len([one for one in judged if one.result == "read right"]) > HEADERS / 10


def test_the_program_prints_what_became_of_its_inputs() -> None:
    program = ROOT / "Testing" / "benchmarks" / "fuzz_reading.py"
    command = [sys.executable, str(program), "--files", "10", "--headers", "4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "10 files in" in done.stdout and "4 headers in" in done.stdout, done.stderr
    assert "ended a process: 0 (wanted 0)" in done.stdout and done.returncode == 0
