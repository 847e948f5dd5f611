"""The body surface area, by which the volume of an atrium is divided to compare people of different size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from mtctl.measures.uncertain_mask import MeasureError
from mtctl.system.fields import Matching, Within

#: DuBois and DuBois, Arch Intern Med 1916;17:863. Mosteller, N Engl J Med 1987;317:1098.
FORMULAE = ("dubois", "mosteller")

# From a child to the largest person; what lies outside is another unit or a slip.
_HEIGHT_CM, _WEIGHT_KG = (40.0, 250.0), (2.0, 400.0)


@dataclass(frozen=True)
class BodySize:
    """A person's size.

    Attributes:
        height_cm, weight_kg: As given.
        formula: One of `FORMULAE`.

    Raises:
        MeasureError: They are in other units, or of no person.
    """

    height_cm: Annotated[float, Within(0.0, 1e6)]
    weight_kg: Annotated[float, Within(0.0, 1e6)]
    formula: Annotated[str, Matching("dubois|mosteller", "'dubois' or 'mosteller'")] = "dubois"

    def __post_init__(self) -> None:
        if self.formula not in FORMULAE:
            raise MeasureError(f"a formula '{self.formula}' is unknown; take {' or '.join(FORMULAE)}")
        if 0.4 <= self.height_cm <= 2.5:
            raise MeasureError(
                f"a height of {self.height_cm:g} cm: is this in metres? Give centimetres, {100 * self.height_cm:g}"
            )
        if 400 < self.height_cm <= 2500:
            raise MeasureError(
                f"a height of {self.height_cm:g} cm: is this in millimetres? Give centimetres, {self.height_cm / 10:g}"
            )
        if 2000 <= self.weight_kg <= 400_000:
            raise MeasureError(
                f"a weight of {self.weight_kg:g} kg: is this in grams? Give kilograms, {self.weight_kg / 1000:g}"
            )
        for name, unit, value, (low, high) in (
            ("height", "cm", self.height_cm, _HEIGHT_CM),
            ("weight", "kg", self.weight_kg, _WEIGHT_KG),
        ):
            if not (math.isfinite(value) and low <= value <= high):
                raise MeasureError(
                    f"a {name} of {value:g} {unit} cannot be a person's; give {low:g} to {high:g} {unit}"
                )

    @property
    def area_m2(self) -> float:
        """Body surface area."""
        if self.formula == "mosteller":
            return math.sqrt(self.height_cm * self.weight_kg / 3600)
        return float(0.007184 * self.height_cm**0.725 * self.weight_kg**0.425)
