"""The size of the patient, as it was typed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtctl.measures.body_size import BodySize


def typed_body(ui: Any) -> BodySize | None:
    """Return the person's size; None where height or weight was not typed in.

    Raises:
        MeasureError: It is of no person.
    """
    from mtctl.measures.body_size import BodySize  # Not before a case is open: scipy takes its time.

    height, weight = float(ui.heightBox.value), float(ui.weightBox.value)
    return BodySize(height, weight) if height and weight else None
