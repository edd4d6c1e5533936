"""The dock: one tab for each step of the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from napari_cellseg.gui.panel_registry import PANELS

if TYPE_CHECKING:
    from napari.components import ViewerModel


class Dock(QWidget):
    """All panels of gui/panels as tabs.

    Parameters
    ----------
    napari_viewer
        The viewer that the dock works in.
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self.setObjectName("cellseg-dock")
        self.tabs = QTabWidget()
        self.tabs.setUsesScrollButtons(False)
        self.tabs.setElideMode(Qt.TextElideMode.ElideRight)
        self._panels: dict[str, Any] = {}
        for name, kind in sorted(PANELS.items(), key=lambda item: item[1].place):
            panel: Any = kind(napari_viewer)
            self._panels[name] = panel
            self.tabs.addTab(panel, "")
        self._name_tabs()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.tabs)
        self.setMinimumWidth(310)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Shorten the titles of the tabs where they do not fit."""
        super().resizeEvent(event)
        self._name_tabs()
        if self.tabs.tabBar().sizeHint().width() > self.width():
            self._name_tabs(short=True)

    def _name_tabs(self, short: bool = False) -> None:
        for place, panel in enumerate(self._panels.values()):
            title = (short and panel.short) or panel.title
            self.tabs.setTabText(place, title.replace("&", "&&"))  # a single one is a key

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Leave most of the window to the image."""
        return QSize(360, 800)

    def panel(self, name: str) -> Any:
        """Return the tab called `name` and bring it to the front."""
        panel = self._panels[name]
        self.tabs.setCurrentWidget(panel)
        return panel
