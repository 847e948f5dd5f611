"""The list of the training methods; a new one is a file of its own and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtctl_train.methods.base import Method
from mtctl_train.methods.mtctl import CROSS_TASK, MTCTL, SEMI_SUPERVISED
from mtctl_train.methods.sassnet import SASSNet
from mtctl_train.methods.uamt import UAMT
from mtctl_train.methods.vnet import VNetMethod

#: By the name that `mtctl train --method` takes and that stands in a model's card.
METHODS: Mapping[str, Method[Any]] = {
    "vnet": VNetMethod(),
    "uamt": UAMT(),
    "sassnet": SASSNet(),
    "mtctl": MTCTL(),
    "mtctl-cross-task": CROSS_TASK,
    "mtctl-semi-supervised": SEMI_SUPERVISED,
}

#: Names in cards and command lines of earlier versions.
FORMER_NAMES: Mapping[str, str] = {"mtctl-best": "mtctl-cross-task"}

#: What each is in a line, for `mtctl train --list-methods`.
IN_A_LINE: Mapping[str, str] = {
    "vnet": "supervised, Dice and cross-entropy; four labelled patches a step",
    "uamt": "semi-supervised, agreement with a mean teacher where it is certain",
    "sassnet": "semi-supervised, distance map and discriminator",
    "mtctl": "semi-supervised, the paper's terms",
    "mtctl-cross-task": "the shipped models': mask, distance and their agreement; supervised without unlabelled scans",
    "mtctl-semi-supervised": "supervised start, then the teacher's soft labels in exchanged boxes, agreement and "
    "guidance between two variations of a scan; not measured in a long run yet",
}
