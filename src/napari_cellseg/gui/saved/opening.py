"""Opens saved work in the current viewer, and says in its window what a person has to know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import napari
from napari.layers import Layer
from napari.utils.notifications import show_error, show_warning

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.gui.saved.ask import ask_for_image, visible_window
from napari_cellseg.gui.saved.opened import WORK_FILE_KEY
from napari_cellseg.gui.saved.reader import read_layers

NOTHING = ((None,),)
"""What a reader returns that has opened nothing, and has said why."""


def open_works(paths: Sequence[Path]) -> list[Any]:
    """Return the layers of saved works, as napari takes them from a reader.

    In a window, work that cannot be opened is left out with an error in words: napari would bury
    them under its own, which advise to look for another plugin.

    Raises
    ------
    CellsegError
        Without a window, if a file cannot be opened.
    """
    ask = ask_for_image if visible_window() is not None else None
    found: list[Any] = []
    for path in paths:
        try:
            layers = read_layers(path, ask)
        except CellsegError as error:
            if ask is None:
                raise
            show_error(str(error))
            continue
        twin = _open_already(path)
        if twin is not None:
            show_warning(
                f"'{path.name}' was open already, as '{twin.name}', and is now open twice: what "
                "you have corrected is in the first, and the second is as it was saved."
            )
        found += layers
    return found or list(NOTHING)


def _open_already(path: Path) -> Layer | None:
    for layer in getattr(napari.current_viewer(), "layers", ()):
        if layer.metadata.get(WORK_FILE_KEY) == str(path.absolute()):
            return layer
    return None
