"""Keeps with a layer what was decided about its labels, so that it is saved with them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from weakref import ReferenceType

import numpy as np
from napari.components import LayerList
from napari.layers import Labels as LabelsLayer
from napari.utils.notifications import show_warning
from qtpy.QtCore import QCoreApplication, QTimer

from napari_cellseg.core import run_length
from napari_cellseg.core.errors import DataError
from napari_cellseg.gui import conversion, features
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.overlays import reviewed_layer
from napari_cellseg.session.corrections.history import Step
from napari_cellseg.session.corrections.stored import Stored, read_stored, to_store

_REST_MS = 400
"""The hand has rested for so long before anything is noted."""
_QUICK = 2**22
"""Labels of more pixels take too long to note masks of; theirs are noted when they are saved."""
_COLUMNS = ("decision", "locked")


class KeptDecisions:
    """Follows one binding: features table and metadata of its layer tell what was decided."""

    def __init__(self, binding: Binding, layers: ReferenceType[LayerList]) -> None:
        self._binding = binding
        self._layers = layers
        self._predicted = _predicted(binding)
        self._states_changed = True
        self._erased = ""
        self._erased_known = False
        self._timer: QTimer | None = None
        binding.document.stepped.connect(self._on_stepped)
        if binding.document.handled:
            self.touch()

    def touch(self) -> None:
        """Note everything once the hand rests."""
        if self._timer is None and QCoreApplication.instance() is not None:
            self._timer = QTimer()
            self._timer.setSingleShot(True)
            self._timer.timeout.connect(self._on_rest)
        if self._timer is not None:
            with suppress(RuntimeError):  # Qt is gone already: napari ends, nothing can be noted
                self._timer.start(_REST_MS)

    def note(self) -> None:
        """Note everything now."""
        if self._timer is not None:
            self._timer.stop()
        self._note(masks=True)

    def forget_reviewed(self) -> None:
        """Note that the reviewed area was taken away."""
        told = _told(self._binding.layer)
        if told.pop("reviewed", None) is not None:
            self._tell(told if set(told) - {"shape"} else {})

    def release(self) -> None:
        """Note everything and follow no longer."""
        self.note()
        self._binding.document.stepped.disconnect(self._on_stepped)

    def _on_stepped(self, step: Step) -> None:
        # A step of nothing tells of other labels.
        self._erased_known &= bool(step) and not (step.freed.size or step.claimed.size)
        self._states_changed |= bool(step.states) or not step
        self.touch()

    def _on_rest(self) -> None:
        self._note(masks=self._binding.document.labels.size <= _QUICK)

    def _note(self, masks: bool) -> None:
        document, layer = self._binding.document, self._binding.layer
        told = _told(layer)
        same_shape = tuple(told.get("shape", ())) == document.labels.shape
        reviewed = str(told.get("reviewed", "")) if same_shape else ""
        if masks:
            reviewed = self._reviewed(reviewed)
            self._look_at_erased()
        shape = document.labels.shape
        self._tell(to_store(document.states, self._erased, reviewed, shape))
        self._show_features()

    def _reviewed(self, before: str) -> str:
        """Return the mask on screen as text, the one `before` if there is none."""
        mask = reviewed_layer(self._layers() or (), self._binding.layer)
        if mask is None:
            return before
        marked = conversion.in_label_order(np.asarray(mask.data), self._binding.axes)
        return run_length.encode(marked) if marked.any() else ""

    def _look_at_erased(self) -> None:
        if not self._erased_known:
            positions = self._binding.document.erased
            self._erased = run_length.encode_positions(positions) if positions.size else ""
            self._erased_known = True

    def _tell(self, told: dict[str, Any]) -> None:
        metadata = self._binding.layer.metadata
        own = dict(metadata.get(conversion.METADATA_KEY, {}))
        own.pop(conversion.CORRECTIONS_KEY, None)
        if told:
            own[conversion.CORRECTIONS_KEY] = told
        if self._binding.log.entries:
            own[conversion.HISTORY_KEY] = self._binding.log.entries
        if own or conversion.METADATA_KEY in metadata:
            metadata[conversion.METADATA_KEY] = own

    def _show_features(self) -> None:
        layer, told = self._binding.layer, self._binding.document.states.to_json()
        there = features.columns_of(layer)
        if "decision" not in there and not told["id"]:
            return
        if "decision" in there and not self._states_changed:
            return
        given = {i: name for i, name in zip(told["id"], told["class"], strict=True) if name}
        classes = {**self._classes(), **given}
        features.drop_columns(layer, (*_COLUMNS, "class"))
        if told["id"]:
            decided = {
                features.INDEX: np.array(told["id"], np.int64),
                "decision": np.array(told["decision"], dtype=object),
                "locked": np.array(told["locked"], dtype=bool),
            }
            features.put_columns(layer, decided)
        if classes:
            ids = np.array(list(classes), np.int64)
            names = np.array(list(classes.values()), dtype=object)
            features.put_columns(layer, {features.INDEX: ids, "class": names})
        self._states_changed = False

    def _classes(self) -> dict[int, str]:
        """Return the class of each object by itself, whatever a person gave it."""
        run = self._binding.run
        return run.classes.by_id() if run is not None and run.classes else self._predicted


def _predicted(binding: Binding) -> dict[int, str]:
    """Return the classes in the features table that are not by hand."""
    table, states = features.columns_of(binding.layer), binding.document.states
    names = table.get("class", np.full(table[features.INDEX].size, "")).tolist()
    rows = zip(table[features.INDEX].tolist(), names, strict=True)
    return {i: str(name) for i, name in rows if name and states[i].cell_class != name}


def kept_with(layer: LabelsLayer, axes: str) -> Stored:
    """Return what is kept with a layer; nothing, after a warning, if it is damaged."""
    told = _told(layer)
    if not told or layer.multiscale:
        return Stored()
    shape = conversion.in_label_order(layer.data, axes).shape
    try:
        return read_stored(told, shape)
    except DataError as error:
        show_warning(str(error))
        del layer.metadata[conversion.METADATA_KEY][conversion.CORRECTIONS_KEY]
        return Stored()


def _told(layer: LabelsLayer) -> dict[str, Any]:
    own = layer.metadata.get(conversion.METADATA_KEY, {})
    told = own.get(conversion.CORRECTIONS_KEY, {}) if isinstance(own, Mapping) else {}
    return dict(told) if isinstance(told, Mapping) else {}
