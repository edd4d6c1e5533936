"""What a correction tool is, and the registry that finds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.components import Registry
from napari_cellseg.gui.correct.large import LargeSteps
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.tools.options import ToolOptions

Stroke = npt.NDArray[np.float64]


class Tool:
    """Answers the mouse on the labels; one instance serves one tab.

    Attributes
    ----------
    title
        Text of the button.
    key
        Key that chooses it, in napari's spelling, such as ``"Shift-M"``.
    help
        What to do with the mouse, in one sentence.
    place
        Buttons are ordered by it.
    drags
        Whether a drag draws a line for it; without, a drag moves the view as ever.
    closed
        Whether that line is the outline of an area.
    options
        Fields of `ToolOptions` that it follows.
    large
        Does what takes long; without, everything is done at once.
    """

    title: ClassVar[str]
    key: ClassVar[str]
    help: ClassVar[str]
    place: ClassVar[int]
    drags: ClassVar[bool] = False
    closed: ClassVar[bool] = False
    options: ClassVar[tuple[str, ...]] = ()

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.large: LargeSteps | None = None
        self.settings = ToolOptions()

    def begin(self) -> None:
        """Start: the tool was chosen."""

    def end(self) -> None:
        """Forget what is under way: another tool, layer or plane was chosen."""

    def click(self, position: Sequence[float], modifiers: frozenset[str]) -> None:
        """Answer a click at a position of the world, with keys such as ``"Alt"`` held."""

    def stroke(self, line: Stroke, modifiers: frozenset[str]) -> None:
        """Answer a line, (N, 2) y, x in pixels of the labels, that was drawn by a drag."""

    def press(self, key: str) -> None:
        """Answer another key while the tool is chosen."""

    # What tools have in common

    @property
    def parts(self) -> tuple[npt.NDArray[np.int32], Any]:
        """The shown plane, not to be written to, and where its objects lie."""
        binding = self.bench.binding
        if binding is None:
            raise LookupError("a tool works on a layer")
        index = self.bench.index()
        return binding.document.plane(index), binding.document.objects(index)

    def new_id(self) -> int:
        """Return a number that no object has or had."""
        binding = self.bench.binding
        if binding is None:
            raise LookupError("a tool works on a layer")
        return binding.document.new_id()


TOOLS: Registry[type[Tool]] = Registry("correction tool", "napari_cellseg.gui.tools")
