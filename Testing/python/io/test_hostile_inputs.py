"""Every kind of damaged or lying input is refused with its cause, and good scans with odd names are taken."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from support.hostile import HOSTILE, write_good

from mtctl.errors import failure_of
from mtctl.io.inputs import ScanInput, find_scans, name_clashes
from mtctl.io.volumes import read_scan


@pytest.mark.parametrize("name", [name for name in HOSTILE if sys.platform != "darwin" or name != "claims.nrrd"])
def test_a_hostile_input_is_refused_with_its_cause_in_one_line(tmp_path: Path, name: str) -> None:
    make, cause = HOSTILE[name]
    make(tmp_path / name)
    (source,) = find_scans([tmp_path / name])
    with pytest.raises(Exception) as caught:
        read_scan(source.path, None, source.chosen)
    said = failure_of(caught.value, source.path)
    assert said.startswith(f"{tmp_path / name}: ") and "\n" not in said and "unexpected" not in said
    assert re.search(cause, said.removeprefix(f"{tmp_path / name}: "), re.IGNORECASE), said


def test_good_scans_with_odd_names_are_found_and_their_results_have_names_of_their_own(tmp_path: Path) -> None:
    write_good(tmp_path, 12)
    scans = find_scans([tmp_path])
    assert len(scans) == 12 and name_clashes(scans) == {}
    assert max(len(os.fsencode(scan.stem)) for scan in scans) <= 204
    assert {"=1+1", "scan-con"} <= {scan.stem for scan in scans} and ScanInput(
        tmp_path / "slices", folder=True
    ) in scans
