"""What may stand in ``Annotated[...]`` of a parameter."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class Validator:
    """Checks a value before it is written."""

    def validate(self, value: Any) -> None:
        """Raises ValueError for a value that is not allowed."""
        raise NotImplementedError


@dataclass(frozen=True)
class WithinRange(Validator):
    """From minimum to maximum, both included."""

    minimum: float
    maximum: float

    def validate(self, value: Any) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


@dataclass(frozen=True)
class Minimum(Validator):
    """Not less than this."""

    minimum: float

    def validate(self, value: Any) -> None:
        if value < self.minimum:
            raise ValueError(f"Value must be greater than {self.minimum}, is {value}")


@dataclass(frozen=True)
class Maximum(Validator):
    """Not more than this."""

    maximum: float

    def validate(self, value: Any) -> None:
        if value > self.maximum:
            raise ValueError(f"Value must be less than {self.maximum}, is {value}")


@dataclass(frozen=True)
class Choice(Validator):
    """One of these."""

    choices: Sequence[Any]

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"Value is {value}, but must be in one of the following: {self.choices}")


@dataclass(frozen=True)
class Exclude(Validator):
    """None of these."""

    excludedValues: Sequence[Any]

    def validate(self, value: Any) -> None:
        if value in self.excludedValues:
            raise ValueError(f"Value is {value}, but must not be one of {self.excludedValues}")


@dataclass(frozen=True)
class Default:
    """The value to begin with."""

    value: Any


@dataclass(frozen=True)
class Decimals:
    """Decimals of the widget."""

    value: int


@dataclass(frozen=True)
class SingleStep:
    """Step of the widget."""

    value: float


def split(annotated: Any) -> tuple[Any, list[Any]]:
    """The type and its annotations; an annotation given as a class is made an instance."""
    if typing.get_origin(annotated) is not typing.Annotated:
        return annotated, []
    kind, *annotations = typing.get_args(annotated)
    return kind, annotations


def first(annotations: list[Any], kind: type) -> Any:
    """The first annotation of a class, or None."""
    return next((each for each in annotations if isinstance(each, kind)), None)
