"""Colours of the curves: those of napari's theme."""

from __future__ import annotations

from typing import Any

from napari.settings import get_settings
from napari.utils.theme import get_theme

from napari_cellseg.gui.boxes.curve import CurveColours


def theme_colours() -> CurveColours:
    """Return the colours of the present theme."""
    theme = get_theme(get_settings().appearance.theme)
    return CurveColours(
        background=_hex(theme.background),
        text=_hex(theme.text),
        grid=_hex(theme.highlight),
        lines=(_hex(theme.icon), _hex(theme.warning), _hex(theme.current)),
    )


def follow_theme(slot: Any) -> None:
    """Call `slot` after each change of the theme."""
    get_settings().appearance.events.theme.connect(slot)


def _hex(colour: Any) -> str:
    return str(colour.as_hex("long"))
