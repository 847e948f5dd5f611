"""The module MTCTLSegment asks a child of this process about places on the border of the ball, in the test host."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from support.question_child import QuestionChild, made_up_questions
from support.segment_module import settle

from mtctl.geometry import Geometry, Mask, Triple
from mtctl.review.answers import Said, ShownQuestion
from mtctl.worker.client import WorkerClient

#: As it is where no test has replaced it.
ASK = WorkerClient.ask

#: Seconds that something may take on a busy machine.
PATIENCE = 20

VEIN, ROOF, FLOOR = "left inferior vein", "roof", "floor"

#: Places on the border of the ball, in voxels (x, y, z) of a scan of SIZE voxels; in others they lie alike.
CORNERS = {
    VEIN: (48, 24, 20),
    ROOF: (28, 24, 30),
    FLOOR: (28, 24, 6),
    "right inferior vein": (8, 24, 20),
    "mitral plane": (28, 44, 20),
}
SIZE = (56, 48, 40)


def let_ask(module: Any, child: QuestionChild, patched: pytest.MonkeyPatch) -> None:
    """Have the module, and what it becomes by a reload, ask this child, without a rest after the last change."""
    patched.setattr(WorkerClient, "ask", ASK)
    patched.setattr("MTCTLSegmentLib.jobs.warm_worker.ProcessTransport", child.transport)
    patched.setattr("MTCTLSegmentLib.panels.questions._REST_MS", 0)
    _start_from(module, child.transport, 0)


def let_ask_no_more(module: Any) -> None:
    """Have the module, which may have been reloaded since, start its own children again."""
    from MTCTLSegmentLib.jobs.qprocess_transport import ProcessTransport

    _start_from(module, ProcessTransport, 300)


def _start_from(module: Any, transport: Callable[[], Any], rest_ms: int) -> None:
    module.logic.worker.client.close()
    module.logic.worker.client._make_transport = transport
    module.questionPanel._rest.setInterval(rest_ms)


def questions_at(names: Iterable[str], geometry: Geometry) -> Callable[[Mask, Said], list[ShownQuestion]]:
    """Return what asks about these places: the roof is too far out, all others end too early."""
    sides = {name: "outside" if name == ROOF else "inside" for name in names}
    return made_up_questions({name: (_place(name, geometry), side) for name, side in sides.items()}, geometry)


def _place(name: str, geometry: Geometry) -> Triple:
    voxel = np.round(np.array(CORNERS[name]) * geometry.size / SIZE)
    x, y, z = geometry.index_to_physical(voxel).tolist()
    return x, y, z


def strip(module: Any) -> str:
    """Return the words of the question."""
    return str(module.ui.questionLabel.text)


def quiet(host: Any, module: Any) -> None:
    """Wait until the list is of the present state."""
    settle(host, module)
    panel = module.questionPanel
    assert host.wait_until(lambda: not panel._dialogue.asking and not panel._dialogue.answering, PATIENCE)


def crosshair() -> Triple:
    """Return where the views are, LPS mm."""
    import slicer

    right, front, up = slicer.util.getNode("vtkMRMLCrosshairNodedefault").GetCrosshairRAS()
    return -right, -front, up


def paint(module: Any, review: Any, radius_mm: float, effect: str = "Paint") -> None:
    """A stroke of the brush in the middle of the scan's upper part, where no question is."""
    geometry = review.session.maps.geometry
    x, y, z = geometry.index_to_physical((10, 10, 36)).tolist()
    editor = module.ui.segmentEditor
    editor.setActiveEffectByName(effect)
    editor.activeEffect().paint_at((-x, -y, z), radius_mm)


def erase(module: Any, review: Any) -> None:
    """A smaller stroke at the same place that takes away again."""
    paint(module, review, 2.0, "Erase")
