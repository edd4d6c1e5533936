"""Gives mouse and keys on the corrected layer to the chosen tool."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.correct.large import LargeSteps
from napari_cellseg.gui.correct.stroke_line import StrokeLine, widget_under
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.geometry import shows_planes
from napari_cellseg.gui.tools.options import ToolOptions
from napari_cellseg.gui.tools.registry import TOOLS, Tool
from napari_cellseg.session.corrections.delta import Index

_LEFT = 1
_STILL = 3  # screen pixels that a hand moves in a click


class Hand(QObject):
    """Holds one tool, or none; ``chosen(str)`` tells which, by name."""

    chosen = Signal(str)

    def __init__(self, bench: Workbench, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bench = bench
        self.large = LargeSteps(bench, self)
        self.tools: dict[str, Tool] = {
            name: kind(bench) for name, kind in sorted(TOOLS.items(), key=lambda t: t[1].place)
        }
        for tool in self.tools.values():
            tool.large = self.large
        self.name = ""
        self._layer: LabelsLayer | None = None
        self._line: StrokeLine | None = None
        self._drag: object | None = None  # stands for the drag under way
        self._index: Index = ()
        self._pausing = False
        self._look_again = QTimer(self)
        self._look_again.setSingleShot(True)
        self._look_again.timeout.connect(self._look_at_selection)
        bench.changed.connect(self._on_changed)
        bench.viewer.dims.events.current_step.connect(self._on_slice)
        bench.viewer.layers.selection.events.active.connect(self._on_active)

    @property
    def tool(self) -> Tool | None:
        """The chosen tool."""
        return self.tools.get(self.name)

    def set_options(self, options: ToolOptions) -> None:
        """Give all tools other settings."""
        for tool in self.tools.values():
            tool.settings = options

    def choose(self, name: str) -> None:
        """Take a tool into the hand; the same once more, or "", puts it down."""
        name = "" if name == self.name or self._layer is None else name
        held = self.tool
        if held is not None:
            held.end()
        self._break_off()
        self.name = name
        tool, layer = self.tool, self._layer
        if layer is not None and tool is not None:
            self._bench.viewer.layers.selection.active = layer
            layer.mode = "pan_zoom"
            layer.help = tool.help
            self._index = self._bench.index()
        elif layer is not None and held is not None and layer.help == held.help:
            layer.help = ""
        if layer is not None:
            self._set_pan(layer)
            self._bind_while_holding(layer, tool is not None)
        self.chosen.emit(name)
        if tool is not None:
            tool.begin()  # last: what it says stands

    def shut_down(self) -> None:
        """Put the tool down and leave the layer to itself."""
        self._detach()
        self.large.stop()

    # The layer

    def _on_changed(self, binding: Binding | None) -> None:
        self._detach()
        if binding is None:
            return
        self._layer = layer = binding.layer
        layer.mouse_drag_callbacks.append(self._on_mouse)
        layer.events.mode.connect(self._on_mode)
        for name, tool in self.tools.items():
            layer.bind_key(tool.key, _call(partial(self.choose, name)), overwrite=True)

    def _detach(self) -> None:
        layer = self._layer
        if layer is None:
            return
        self.choose("")
        self._layer = None
        if self._on_mouse in layer.mouse_drag_callbacks:
            layer.mouse_drag_callbacks.remove(self._on_mouse)
        layer.events.mode.disconnect(self._on_mode)
        for tool in self.tools.values():
            layer.bind_key(tool.key, None, overwrite=True)

    def _on_mode(self) -> None:
        if self._layer is not None and str(self._layer.mode) != "pan_zoom" and self.name:
            self.choose("")

    def _on_slice(self) -> None:
        tool, before = self.tool, self._index
        if tool is None:
            return
        self._index = self._bench.index()
        if self._index != before:  # the viewer also tells when nothing moved
            self._break_off()
            tool.end()
            tool.begin()

    def _on_active(self) -> None:
        # Later: a layer that is added takes the focus for a moment.
        self._look_again.start(0)

    def _look_at_selection(self) -> None:
        """Put the tool down where another layer has mouse and keys."""
        if self.name and self._bench.viewer.layers.selection.active is not self._layer:
            self.choose("")

    # Keys while a tool is held

    def _bind_while_holding(self, layer: LabelsLayer, on: bool) -> None:
        keys: dict[str, Callable[[Any], Any]] = {
            "Escape": _call(lambda: self.choose("")),
            "Space": self._on_space,
        }
        for key in "123456789":
            keys[key] = _call(partial(self._on_key, key))
        for key, action in keys.items():
            layer.bind_key(key, action if on else None, overwrite=True)

    def _on_key(self, key: str) -> None:
        if self.tool is not None:
            self.tool.press(key)

    def _on_space(self, layer: LabelsLayer) -> Generator[None, None, None]:
        """Move the view by the mouse as long as the space bar is held."""
        self._pausing = True
        self._set_pan(layer)
        yield
        self._pausing = False
        self._set_pan(layer)

    def _set_pan(self, layer: LabelsLayer) -> None:
        """Let a drag move the view where it has no other meaning."""
        if str(layer.mode) == "pan_zoom":
            layer.mouse_pan = self._pausing or self.tool is None or not self.tool.drags

    # The mouse

    def _on_mouse(self, layer: LabelsLayer, event: Any) -> Generator[None, None, None]:
        tool = self.tool
        if tool is None or self._pausing or event.button != _LEFT or event.dims_displayed is None:
            return
        if not self._sees_planes():
            self._bench.told.emit("The tools work on planes: show rows and columns, not in 3D.")
            return
        self._drag = drag = object()
        start = _on_canvas(event)
        positions, points = [tuple(event.position)], [_on_canvas(event)]
        moved = False
        yield
        while event.type == "mouse_move":
            moved |= _moved(start, event)
            if tool.drags and not self._pausing and self._drag is drag:
                positions.append(tuple(event.position))
                points.append(_on_canvas(event))
                if moved:
                    self._show_line(event, points, tool.closed)
                event.handled = True
            yield
        if self._drag is not drag:
            return
        self._break_off()
        moved |= _moved(start, event)  # a busy window may tell of no move before the release
        if tuple(event.position) != positions[-1]:
            positions.append(tuple(event.position))
        held = frozenset(str(getattr(key, "name", key)) for key in event.modifiers)
        if not moved:
            tool.click(positions[0], held)
        elif tool.drags and len(positions) > 1:
            tool.stroke(self._bench.points(positions), held)

    def _sees_planes(self) -> bool:
        binding = self._bench.binding
        return binding is not None and shows_planes(
            self._bench.viewer.dims, binding.layer.ndim, binding.axes
        )

    def _break_off(self) -> None:
        """Forget the drag under way, and its line."""
        self._drag = None
        self._hide_line()

    def _show_line(self, event: Any, points: list[tuple[float, float]], closed: bool) -> None:
        if self._line is None:
            canvas = widget_under(event)
            self._line = StrokeLine(canvas) if canvas is not None else None
        if self._line is not None:
            self._line.show_line(points, closed)

    def _hide_line(self) -> None:
        if self._line is not None:
            self._line.remove()
            self._line = None


def _on_canvas(event: Any) -> tuple[float, float]:
    """Return where on the canvas an event of the mouse happened, (x, y) in logical pixels."""
    x, y = np.asarray(event.pos, dtype=float)[:2]
    return float(x), float(y)


def _moved(start: tuple[float, float], event: Any) -> bool:
    """Whether the mouse is further from the start than a hand moves in a click."""
    return max(abs(a - b) for a, b in zip(_on_canvas(event), start, strict=True)) > _STILL


def _call(action: Callable[[], object]) -> Callable[[Any], None]:
    """Return a key binding that calls `action` and returns nothing: a result is a generator."""

    def bound(_: Any) -> None:
        action()

    return bound
