"""Asks a person where an image is now."""

from __future__ import annotations

from pathlib import Path

import napari
from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_cellseg.core.reading import SUFFIXES

WITHOUT = (
    "Without it the labels can be corrected, exported and saved too. To choose the image later, "
    "open the saved work again."
)


def ask_for_image(reason: str, folder: Path) -> Path | None:
    """Show why an image was not found, and let a person choose it; None to go without it.

    Who leaves the choice of a file is asked again.
    """
    window = visible_window()
    if window is None:
        return None
    kinds = " ".join(f"*{suffix}" for suffix in SUFFIXES)
    while _wants_to_choose(window, reason):
        chosen, _ = QFileDialog.getOpenFileName(
            window, "Where is the image?", str(folder), f"Images ({kinds});;All files (*)"
        )
        if chosen:
            return Path(chosen)
    return None


def _wants_to_choose(window: QWidget, reason: str) -> bool:
    box = QMessageBox(window)
    box.setWindowTitle("The image of the saved work")
    box.setIcon(QMessageBox.Icon.Question)
    box.setText(reason)
    box.setInformativeText(WITHOUT)
    choose = box.addButton("Choose the image…", QMessageBox.ButtonRole.AcceptRole)
    box.addButton("Open without it", QMessageBox.ButtonRole.RejectRole)
    box.exec()
    chose = box.clickedButton() is choose
    box.deleteLater()
    return chose


def visible_window() -> QWidget | None:
    """Return the window of the current viewer, None if there is none that a person sees."""
    viewer = napari.current_viewer()
    window = getattr(viewer, "window", None)
    widget = getattr(window, "_qt_window", None)
    return widget if widget is not None and widget.isVisible() else None
