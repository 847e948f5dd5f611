"""Names for MRML objects, whose classes have no type information."""

from __future__ import annotations

from typing import Any

Node = Any
"""A vtkMRMLNode of the class that the name of the variable or the docstring says."""

Scene = Any
"""A vtkMRMLScene."""
