"""A scene of its own for a test. Imports MRML only when a test asks for it: slicer-core may be missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mtctl import scene


@pytest.fixture
def world() -> Any:
    """An empty scene."""
    from support.scene_example import empty_scene

    return empty_scene()


@pytest.fixture
def scan(world: Any, tmp_path: Path) -> Any:
    """The scan of the example, loaded into the scene."""
    from support.scene_example import load, scan_image

    return load(world, scan_image(), tmp_path)


@pytest.fixture
def case(world: Any, scan: Any) -> scene.CaseNodes:
    """Its case, just shown."""
    from support.scene_example import result_for

    from mtctl import scene

    return scene.show_result(world, scan, result_for(scan))
