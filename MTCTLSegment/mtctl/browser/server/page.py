"""The page: template, style and script are files beside this one; nothing comes from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from trame.widgets import html
from trame_client.ui.core import AbstractLayout  # type: ignore[import-untyped]

from mtctl.review.answers import Side
from mtctl.scene.displays import heatmap_colors
from mtctl.scene.editing import preview_color

STATIC = Path(__file__).with_name("static")

#: Folder of the address, with the version: browsers keep what they have seen.
_ADDRESS = "mtctl_reviewer"


def make_page(server: Any) -> None:
    """Give trame's server the page."""
    server.enable_module(
        {
            "serve": {_ADDRESS: str(STATIC)},
            "styles": [f"{_ADDRESS}/page.css"],
            "scripts": [f"{_ADDRESS}/page.js"],
        }
    )
    server.state.trame__title = "MTCTL review"
    server.state.trame__favicon = None
    _Page(server).flush_content()


class _Page(AbstractLayout):  # type: ignore[misc]
    def __init__(self, server: Any) -> None:
        template = (STATIC / "page.html").read_text(encoding="utf-8")
        super().__init__(server, html.Div(template, trame_server=server, id="reviewer", style=_colors_css()))


def _colors_css() -> str:
    """Return the colours that the views draw with as variables of the style."""
    sides = (f"--{side}: {preview_color(side)}" for side in get_args(Side))
    return "; ".join((f"--heat: {_heatmap_css()}", *sides))


def _heatmap_css() -> str:
    """Return the heatmap's colours: the values of a CSS gradient."""
    colors = (255 * heatmap_colors()[::15]).round().astype(int).tolist()
    return ", ".join(f"rgb({red}, {green}, {blue})" for red, green, blue in colors)
