"""Bounds of the numbers in the document of a review: no review takes a year, and no scan has so much volume."""

from __future__ import annotations

from typing import Annotated

from mtctl.system.fields import Within

Seconds = Annotated[float, Within(0.0, 4e7)]
Millilitres = Annotated[float, Within(0.0, 1e6)]
