"""Opening the dock in a napari window that is there already, once a process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

PLUGIN = "napari-cellseg"


def ways(_task: str, _side: int, _folder: Path) -> dict[str, Callable[[], None]]:
    """Open a window with an image; the timed call opens the dock and draws it."""
    import napari
    import numpy as np
    from npe2 import PluginManager
    from qtpy.QtWidgets import QApplication

    manager = PluginManager.instance()
    manager.discover()
    name = manager.get_manifest(PLUGIN).contributions.widgets[0].display_name
    viewer = napari.Viewer()
    viewer.add_image(np.zeros((512, 512), np.uint8))
    QApplication.processEvents()

    def open_dock() -> None:
        viewer.window.add_plugin_dock_widget(PLUGIN, name)
        QApplication.processEvents()
        if "torch" in sys.modules:
            raise RuntimeError("opening the dock imported torch")

    return {f"dock '{name}'": open_dock}
