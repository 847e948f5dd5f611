"""slicer.parameterNodeWrapper: typed access to a parameter node, and its binding to widgets.

A subset: bool, int, float, str, pathlib.Path, Enum, nodes and lists of plain values; no parameter packs. What the
application refuses is refused here.
"""

from .annotations import (
    Choice,
    Decimals,
    Default,
    Exclude,
    Maximum,
    Minimum,
    SingleStep,
    Validator,
    WithinRange,
)
from .wrapper import SlicerParameterNamePropertyName, isParameterNodeWrapper, parameterNodeWrapper

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "Exclude",
    "Maximum",
    "Minimum",
    "SingleStep",
    "SlicerParameterNamePropertyName",
    "Validator",
    "WithinRange",
    "isParameterNodeWrapper",
    "parameterNodeWrapper",
]
