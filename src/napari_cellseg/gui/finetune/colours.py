"""Colours of the curves: those of napari's theme."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from napari.utils.theme import get_theme

from napari_cellseg.gui.boxes.curve import CurveColours


def theme_colours(viewer: ViewerModel) -> CurveColours:
    """Return the colours of a viewer's present theme, which may be another than in the settings."""
    theme = get_theme(viewer.theme)
    return CurveColours(
        background=_hex(theme.background),
        text=_hex(theme.text),
        grid=_hex(theme.highlight),
        lines=(_hex(theme.icon), _hex(theme.warning), _hex(theme.current)),
    )


def follow_theme(viewer: ViewerModel, slot: Any) -> None:
    """Call `slot` after each change of a viewer's theme."""
    viewer.events.theme.connect(slot)


def _hex(colour: Any) -> str:
    return str(colour.as_hex("long"))
