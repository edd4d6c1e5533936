"""The tabs of the dock: what a panel is, and the registry that finds them."""

from __future__ import annotations

from typing import ClassVar

from qtpy.QtGui import QHideEvent
from qtpy.QtWidgets import QDockWidget, QFrame, QScrollArea, QTabWidget, QWidget

from napari_cellseg.core.components import Registry

# napari's style shows nowhere where the keyboard is, but in text.
_KINDS = "QPushButton QToolButton QCheckBox QSlider QComboBox QAbstractSpinBox QLineEdit".split()
_FOCUS = ", ".join(f"{kind}:focus" for kind in _KINDS) + "{border: 1px solid palette(highlight);}"


class Panel(QScrollArea):
    """One tab, made of the viewer; also a widget of its own.

    Attributes
    ----------
    title
        Text of the tab.
    short
        The same where there is no room for it; "" for none.
    place
        Tabs are ordered by it.
    """

    title: ClassVar[str]
    short: ClassVar[str] = ""
    place: ClassVar[int]

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setStyleSheet(_FOCUS)

    def shut_down(self) -> None:
        """Cancel what runs: the panel was closed, or napari is."""

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        """Shut down if the dock or the window was closed, not if another tab covers this one."""
        super().hideEvent(event)
        if event.spontaneous():
            return
        parent = self.parentWidget()
        while parent is not None and not isinstance(parent, QDockWidget):
            parent = parent.parentWidget()
        if (parent is not None and parent.isHidden()) or not self.window().isVisible():
            self.shut_down()


def come_forward(panel: Panel) -> None:
    """Show the tab that holds `panel`, if it is in a dock."""
    parent = panel.parentWidget()
    while parent is not None and not isinstance(parent, QTabWidget):
        parent = parent.parentWidget()
    if parent is not None:
        parent.setCurrentWidget(panel)


PANELS: Registry[type[Panel]] = Registry("panel", "napari_cellseg.gui.panels")
