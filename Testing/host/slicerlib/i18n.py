"""slicer.i18n: texts in the user's language; here always as written."""

from __future__ import annotations

__all__ = ["getContext", "tr", "translate"]


def tr(text: str) -> str:
    """The text, translated."""
    return text


def translate(context: str, text: str) -> str:
    """The text, translated in a context."""
    return text


def getContext(sourceFile: str) -> str:
    """The translation context of a source file."""
    return sourceFile
