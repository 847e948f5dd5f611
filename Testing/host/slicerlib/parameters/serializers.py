"""How values of each type are written into a parameter node, and which assignments are refused."""

from __future__ import annotations

import enum
import pathlib
import types
import typing
from dataclasses import dataclass, field
from typing import Any

import slicer

from .annotations import Validator

PATHS = (pathlib.Path, pathlib.PurePath)


def node_types(kind: Any) -> list[type]:
    """The MRML classes of ``vtkMRMLXNode``, ``vtkMRMLXNode | None`` or a union of several; empty for other types."""
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    members = [each for each in (typing.get_args(kind) if union else [kind]) if each is not type(None)]
    nodes = [each for each in members if isinstance(each, type) and issubclass(each, slicer.vtkMRMLNode)]
    return nodes if len(nodes) == len(members) else []


@dataclass(frozen=True)
class Serializer:
    """One parameter's type: ``accepted`` are the classes that may be assigned."""

    kind: Any
    accepted: tuple[type, ...]
    default: Any
    validators: list[Validator] = field(default_factory=list)

    def check(self, value: Any) -> None:
        """Raises TypeError or ValueError for what the application refuses: np.float32, 5.0 for an int, out of range."""
        if value is None:
            raise ValueError("Value must not be None")
        if not isinstance(value, self.accepted):
            raise TypeError(f"Value must be of type '{self.accepted}', is type '{type(value)}' value '{value}'")
        for validator in self.validators:
            validator.validate(value)

    def is_in(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(name))

    def write(self, node: Any, name: str, value: Any) -> None:
        self.check(value)
        node.SetParameter(name, self.to_text(value))

    def read(self, node: Any, name: str) -> Any:
        return self.from_text(node.GetParameter(name))

    def to_text(self, value: Any) -> str:
        return str(value)

    def from_text(self, text: str) -> Any:
        return self.kind(text)


class BoolSerializer(Serializer):
    """ "True" and "False"."""

    def from_text(self, text: str) -> bool:
        return text == "True"


class EnumSerializer(Serializer):
    """By the member's name."""

    def to_text(self, value: Any) -> str:
        return str(value.name)

    def from_text(self, text: str) -> Any:
        return self.kind[text]


class NodeSerializer(Serializer):
    """A node reference of the same name, beside an empty parameter that says that there is one."""

    def check(self, value: Any) -> None:
        if value is not None:
            super().check(value)

    def write(self, node: Any, name: str, value: Any) -> None:
        self.check(value)
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, None if value is None else value.GetID())

    def read(self, node: Any, name: str) -> Any:
        return node.GetNodeReference(name)


def serializer_for(kind: Any, validators: list[Validator]) -> Serializer:
    """The serializer of a parameter's type.

    Raises:
        TypeError: for a type that the host does not know.
    """
    if kind is bool:
        return BoolSerializer(bool, (bool,), False, validators)
    if kind is int:
        return Serializer(int, (int,), 0, validators)
    if kind is float:
        return Serializer(float, (int, float), 0.0, validators)
    if kind is str:
        return Serializer(str, (str,), "", validators)
    if kind in PATHS:
        return Serializer(kind, (kind,), kind(), validators)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return EnumSerializer(kind, (kind,), next(iter(kind)), validators)
    if node_types(kind):
        return NodeSerializer(kind, tuple(node_types(kind)), None, validators)
    raise TypeError(f"the test host's parameterNodeWrapper knows no type {kind}")
