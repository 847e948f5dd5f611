"""The list of the training methods; a new one is a file of its own and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtctl_train.methods.base import Method
from mtctl_train.methods.mtctl import BEST, MTCTL
from mtctl_train.methods.sassnet import SASSNet
from mtctl_train.methods.uamt import UAMT
from mtctl_train.methods.vnet import VNetMethod

#: By the name that `mtctl train --method` takes and that stands in a model's card.
METHODS: Mapping[str, Method[Any]] = {
    "vnet": VNetMethod(),
    "uamt": UAMT(),
    "sassnet": SASSNet(),
    "mtctl": MTCTL(),
    "mtctl-best": BEST,
}
