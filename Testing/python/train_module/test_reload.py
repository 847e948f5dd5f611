"""MT-CTL Train comes and goes: no visit leaves a reader of its parameters behind."""

from __future__ import annotations

from typing import Any

import pytest
from support.instances import living

pytestmark = pytest.mark.host


def test_the_parameter_node_is_read_by_one_wrapper_however_often_the_module_was_entered(host: Any, module: Any) -> None:
    import slicer

    kind = type(module._parameterNode)
    for _ in range(3):
        host.leave()
        assert living(kind) == 0
        host.enter("MTCTLTrain")
        assert living(kind) == 1
    slicer.mrmlScene.Clear(0)
    host.process_events()
    assert living(kind) == 1
    module.ui.minutesBox.value = 17
    assert module._parameterNode.minutes == 17
