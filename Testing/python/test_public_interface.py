"""What programs import from `mtctl` itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mtctl


def test_every_public_name_is_there_and_no_other() -> None:
    assert all(getattr(mtctl, name) is not None for name in mtctl.__all__)
    with pytest.raises(AttributeError, match="module 'mtctl' has no attribute 'Segmentation'"):
        mtctl.Segmentation  # noqa: B018


def test_nothing_heavy_is_loaded_before_a_name_is_used() -> None:
    program = "import sys, mtctl; print({'torch', 'numpy', 'SimpleITK'} & set(sys.modules), mtctl.__version__)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["set()", mtctl.__version__]


def test_a_card_is_read_without_torch() -> None:
    program = (
        "import sys; import mtctl.models.verdict; from mtctl.models.catalogue import read_catalogue\n"
        "assert read_catalogue().shipped; print({'torch', 'scipy'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "set()"
