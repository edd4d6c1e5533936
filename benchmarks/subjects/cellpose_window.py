"""cellpose 3's corrections: the methods of its window, without the window and its saving."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.cells import packed_cells

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


def ways(_task: str, side: int, _folder: Path) -> dict[str, Callable[[], Any]]:
    """Return the timed functions."""
    from cellpose.gui.gui import MainW
    from skimage.segmentation import find_boundaries

    labels = packed_cells(side).astype(np.uint16)
    count = int(labels.max())
    window = SimpleNamespace(
        cellpix=labels[None].copy(),
        outpix=(labels * find_boundaries(labels, mode="inner"))[None],
        layerz=np.zeros((side, side, 4), np.uint8),
        cellcolors=np.zeros((count + 1, 3), np.uint8),
        ismanual=np.zeros(count, bool),
        zdraw=[None] * count,
        track_changes=[],
        ncells=count,
        NZ=1,
        currentZ=0,
        selected=0,
        prev_selected=0,
        restore=None,
        resize=False,
        masksOn=True,
        outlinesOn=False,
        opacity=128,
        disableAutosave=SimpleNamespace(isChecked=lambda: True),  # it would write all labels
        update_layer=lambda: None,  # its drawing is left out, as ours is
        **{name: SimpleNamespace(setEnabled=bool) for name in ("undo", "redo", "ClearButton")},
    )
    for name in ("draw_mask", "remove_single_cell", "remove_cell", "merge_cells"):
        setattr(window, name, partial(getattr(MainW, name), window))

    def merge() -> None:
        window.selected = window.ncells // 2
        window.merge_cells(window.ncells // 2 + 1)

    return {
        "merge two": merge,
        "delete one": lambda: window.remove_cell(window.ncells // 2),
        "delete 100": lambda: window.remove_cell(list(range(5000, 6000, 10))),
    }
