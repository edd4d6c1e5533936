"""Keyboard order of widgets that are made after the others."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtWidgets import QWidget


def put_in_tab_order(first: QWidget, others: Iterable[QWidget]) -> None:
    """Let Tab go from `first` to each of the others in turn; Qt would put new ones last of all."""
    for other in others:
        QWidget.setTabOrder(first, other)
        first = other
