"""Keeps a Labels layer and its document in step: one history for all that happens to the layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from app_model.types import KeyCode, KeyMod
from napari.layers import Labels as LabelsLayer

from napari_cellseg.core.errors import EditError
from napari_cellseg.gui import conversion, layers
from napari_cellseg.gui.correct.editable import make_editable
from napari_cellseg.gui.geometry import result_shape_and_order
from napari_cellseg.session.corrections.ahead import LARGE, Ahead, Way
from napari_cellseg.session.corrections.delta import Delta, Positions
from napari_cellseg.session.corrections.document import Document
from napari_cellseg.session.corrections.history import Step
from napari_cellseg.session.corrections.log import Log
from napari_cellseg.session.corrections.states import States
from napari_cellseg.session.run import Run

_PIXEL_BY_PIXEL = 2_000_000  # changed pixels; beyond, showing the layer anew is faster
_Values = npt.NDArray[np.integer]
_NAMES = {"paint": "Paint", "erase": "Erase", "fill": "Fill", "polygon": "Polygon"}


class Binding:
    """One layer under correction.

    What napari's own tools paint becomes steps of the document, and the document's steps are
    shown by the layer. Undo and redo of the layer are the document's.

    Parameters
    ----------
    layer
        Labels layer. Its data become int32 in memory if they are not.
    axes
        Letters of its dimensions, with ``C`` for one of length 1 in place of channels.
    states, erased, reviewed
        See `Document`.

    Attributes
    ----------
    run
        The run that the labels come from; None if they come from elsewhere.
    origin
        The image layer that was run on, its axes, and axis, start and stop of the part; or ().
    log
        What was done, by whom and when.
    work_out
        Has a large step worked out by a worker that is to be taken back or done again, and brought
        to `arrive`; None if nobody does.

    Raises
    ------
    EditError
        If the layer cannot be corrected.
    """

    def __init__(
        self,
        layer: LabelsLayer,
        axes: str,
        states: States | None = None,
        erased: Positions | None = None,
        reviewed: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self.layer = layer
        self.axes = axes
        self.run: Run | None = None
        self.origin: tuple[Any, ...] = ()
        make_editable(layer)
        self.work_out: Callable[[Way, Step], None] | None = None
        self._shown = layer.data
        self._busy = False
        self.document = Document(
            conversion.in_label_order(layer.data, axes), self._write, states, erased, reviewed
        )
        self.log = Log(_earlier(layer))
        self.document.stepped.connect(self._on_step)
        layers.forget_history(layer)
        layer.events.paint.connect(self._on_paint)
        layer.events.data.connect(self._on_data)
        self._keys: tuple[tuple[int, Callable[[], object]], ...] = (
            (KeyMod.CtrlCmd | KeyCode.KeyZ, self.undo),
            (KeyMod.CtrlCmd | KeyMod.Shift | KeyCode.KeyZ, self.redo),
        )
        for key, action in self._keys:
            layer.bind_key(key, lambda _, act=action: _ignore(act()), overwrite=True)

    def release(self) -> None:
        """Leave the layer to itself."""
        self.document.stepped.disconnect(self._on_step)
        self.layer.events.paint.disconnect(self._on_paint)
        self.layer.events.data.disconnect(self._on_data)
        for key, _ in self._keys:
            self.layer.bind_key(key, None, overwrite=True)

    def undo(self) -> None:
        """Take the last step back."""
        self._turn("undo", self.document.undo)

    def redo(self) -> None:
        """Do the last undone step again."""
        self._turn("redo", self.document.redo)

    def _turn(self, way: Way, at_once: Callable[[], object]) -> None:
        step = self.document.history.next(back=way == "undo")
        if step is None or layers.stroke_in_progress(self.layer):
            return
        if self.work_out is not None and step.pixels.positions.size > LARGE:
            self.work_out(way, step.reversed if way == "undo" else step)
        else:
            at_once()

    def show(
        self,
        name: str,
        data: npt.NDArray[np.int32],
        frozen: npt.NDArray[np.int32],
        pixels: Delta,
        facts: tuple[Any, Any] | None,
        together: bool,
    ) -> None:
        """Show other predicted labels (T?, Z?, Y, X), see `Document.replace`."""
        self._busy = True
        try:
            layers.replace_data(self.layer, data, self.axes)
        finally:
            self._busy = False
        self._shown = self.layer.data
        shown = conversion.in_label_order(self.layer.data, self.axes)
        self.document.replace(name, shown, frozen, pixels, facts, together)

    def arrive(self, ahead: Ahead) -> Step | None:
        """Show a step that a worker has worked out, see `Document.arrive`."""
        if ahead.version != self.document.version or not ahead.step:
            return self.document.arrive(ahead, self.document.labels)
        self._busy = True
        try:
            layers.replace_data(self.layer, ahead.labels, self.axes)
        finally:
            self._busy = False
        self._shown = self.layer.data
        return self.document.arrive(ahead, conversion.in_label_order(self.layer.data, self.axes))

    def _on_step(self, step: Step) -> None:
        run = step.facts[1] if step.facts is not None else None
        if isinstance(run, Run):  # undo and redo of a run, also while the tab shows another
            self.run = run
        done = self.document.history.done
        self.log.follow(step, done[-1] if done else None)

    def _write(self, pixels: Delta) -> None:
        """Change the layer's data, which are the document's, and what is seen of them."""
        # Of a layer that is hidden, or not drawn yet, napari has no picture to change.
        if pixels.positions.size > _PIXEL_BY_PIXEL or not self.layer.visible:
            pixels.write(self.document.labels)
            self.layer.refresh(extent=False)
            return
        self._busy = True
        try:
            self.layer.data_setitem(self._coordinates(pixels.positions), pixels.after)
        finally:
            self._busy = False
        layers.forget_history(self.layer)

    def _coordinates(self, positions: Positions) -> tuple[npt.NDArray[np.int64], ...]:
        """Return flat positions in the labels as an index into the layer's data."""
        where: list[Any] = list(np.unravel_index(positions, self.document.labels.shape))
        order, channel = result_shape_and_order(self.axes)
        turned = [where[k] for k in order]
        if channel is not None:
            turned.insert(channel, np.zeros(positions.size, np.int64))
        return tuple(turned)

    def _positions(self, where: Iterable[npt.NDArray[np.integer]]) -> Positions:
        """Return an index into the layer's data as flat positions in the labels."""
        turned = [np.asarray(k, np.int64) for k in where]
        order, channel = result_shape_and_order(self.axes)
        if channel is not None:
            turned.pop(channel)
        canonical = tuple(turned[int(k)] for k in np.argsort(order))
        flat = np.ravel_multi_index(canonical, self.document.labels.shape)
        return np.asarray(flat, dtype=np.int64)

    def _on_paint(self, event: Any) -> None:
        if self._busy:
            return
        painted = [_atom(atom) for atom in event.value]
        layers.forget_history(self.layer)
        where = [
            np.concatenate(axis) for axis in zip(*(index for index, *_ in painted), strict=True)
        ]
        flat = self._positions(where)
        positions, first = np.unique(flat, return_index=True)
        last = flat.size - 1 - np.unique(flat[::-1], return_index=True)[1]
        before = np.concatenate([old for _, old, _ in painted])[first]
        after = np.concatenate([new for *_, new in painted])[last]
        pixels = Delta.of(positions, before, after)
        # napari tells of a stroke after it has painted, but of a single fill before it does.
        pixels.write(self.document.labels)
        self.document.record(_NAMES.get(str(self.layer.mode), "Paint"), pixels)

    def _on_data(self) -> None:
        """Follow labels that something else put into the layer."""
        if self._busy or self.layer.data is self._shown:
            return
        old = self.document.labels
        self._busy = True  # making it editable changes the data once more
        try:
            make_editable(self.layer)
        except EditError:
            self.layer.data = self._shown
            raise
        finally:
            self._busy = False
        self._shown = self.layer.data
        if self.layer.ndim != len(self.axes):
            self.axes = conversion.guess_label_axes(self.layer)
        new = conversion.in_label_order(self.layer.data, self.axes)
        layers.forget_history(self.layer)
        if new.shape == old.shape:
            self.document.adopt("Change by another tool", new, Delta.between(old, new))
        else:
            self.document.start_again(new)


def _ignore(result: object) -> None:
    """Return nothing: napari takes a result of a key for a generator."""


def _earlier(layer: LabelsLayer) -> list[Any]:
    """Return what the layer tells of what was done to it before."""
    told = layer.metadata.get(conversion.METADATA_KEY, {})
    return list(told.get(conversion.HISTORY_KEY, ())) if isinstance(told, Mapping) else []


def _atom(atom: Any) -> tuple[tuple[npt.NDArray[np.int64], ...], _Values, _Values]:
    """Return where one piece of napari's history paints, what was there before and is after."""
    if hasattr(atom, "slice_key"):
        shape = tuple(part.stop - part.start for part in atom.slice_key)
        mask = np.ones(shape, dtype=bool) if atom.mask is None else atom.mask
        inside = np.nonzero(np.broadcast_to(mask, shape))
        where = tuple(k + part.start for k, part in zip(inside, atom.slice_key, strict=True))
        old = np.asarray(atom.old_values).reshape(-1)
        return where, old, np.full(old.shape, atom.new_value, old.dtype)
    indices, before, after = atom
    *spread, old, new = np.broadcast_arrays(*indices, before, after)
    return tuple(np.asarray(k).reshape(-1) for k in spread), old.reshape(-1), new.reshape(-1)
