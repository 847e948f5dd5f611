"""Names of files and folders as figures can show them."""

from __future__ import annotations


def drawable(name: str) -> str:
    """Return a name with a question mark for each byte that is no text, which no font can draw."""
    return name.encode("utf-8", "replace").decode()
