"""The labels under correction in one viewer, shared by the tabs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
import numpy.typing as npt
from napari.components import LayerList, ViewerModel
from napari.layers import Labels as LabelsLayer
from psygnal import Signal

from napari_cellseg.gui.conversion import guess_label_axes
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.correct.decisions import KeptDecisions, kept_with
from napari_cellseg.gui.gl_context import delete_in_own_context
from napari_cellseg.gui.overlays import labels_of_reviewed
from napari_cellseg.session.settings import SegmentSettings


class Desk:
    """Knows the binding of each labels layer; ``bound(Binding)`` tells of a new one.

    From tab to tab: ``settings_found(Binding, PostParams)`` for the sliders,
    ``model_chosen(str)`` with the folder of a model to segment with from now on,
    ``run_requested()`` to segment again, and ``opened()`` when another tab Segment takes over.
    """

    bound = Signal(object)
    released = Signal(object)
    settings_found = Signal(object, object)
    model_chosen = Signal(str)
    run_requested = Signal()
    opened = Signal()

    def __init__(self, layers: LayerList) -> None:
        self._layers = ref(layers)  # a desk must not keep its viewer in memory
        self._bindings: dict[LabelsLayer, Binding] = {}
        self._kept: dict[Binding, KeptDecisions] = {}
        self.journals: Any = None
        self.settings: SegmentSettings | None = None  # those of the tab Segment, if it is open
        layers.events.removed.connect(self._on_removed)

    def bind(self, layer: LabelsLayer, axes: str = "", **options: Any) -> Binding:
        """Return the binding of a layer, a new one if it has none.

        A new one knows what was decided before and is kept with the layer, unless `options` tell.

        Raises
        ------
        EditError
            If the layer cannot be corrected.
        """
        layer = bare(layer)
        found = self._bindings.get(layer)
        if found is None:
            axes = axes or guess_label_axes(layer)
            kept = kept_with(layer, axes)
            known: dict[str, Any] = {"states": kept.states, "erased": kept.erased, **options}
            found = self._bindings[layer] = Binding(layer, axes, **known)
            self._kept[found] = KeptDecisions(found, self._layers)
            self.bound.emit(found)
        return found

    def of(self, layer: LabelsLayer) -> Binding | None:
        """Return the binding of a layer, None if it has none."""
        return self._bindings.get(bare(layer))

    def runs_of(self, origin: tuple[Any, ...]) -> list[Binding]:
        """Return the labels that a run of this part of an image left, the oldest first.

        Parameters
        ----------
        origin
            As of `Binding`; () for all runs.
        """
        found = [one for one in self._bindings.values() if one.run is not None and one.origin]
        return [one for one in found if not origin or one.origin == origin]

    def reviewed_before(self, binding: Binding) -> npt.NDArray[np.bool_] | None:
        """Return the reviewed area that is kept with the labels, None if there is none."""
        reviewed = kept_with(binding.layer, binding.axes).reviewed
        fits = reviewed is not None and reviewed.shape == binding.document.labels.shape
        return reviewed if fits else None

    def touch(self, binding: Binding) -> None:
        """Keep the reviewed area with the labels: it has changed."""
        if binding in self._kept:
            self._kept[binding].touch()

    def note(self, data: Any) -> LabelsLayer | None:
        """Keep now all that was decided with the layer that holds `data`; return it, if any."""
        for binding, kept in self._kept.items():
            if binding.layer.data is data:
                kept.note()
                return binding.layer
        return None

    def _on_removed(self, event: Any) -> None:
        of = labels_of_reviewed(self._bindings, event.value)
        if of is not None:
            self._kept[self._bindings[of]].forget_reviewed()
        binding = self._bindings.pop(event.value, None)
        if binding is not None:
            self._kept.pop(binding).release()
            binding.release()
            self.released.emit(binding)


_DESKS: WeakKeyDictionary[LayerList, Desk] = WeakKeyDictionary()


def desk_of(viewer: ViewerModel) -> Desk:
    """Return the desk of a viewer: the same one for every tab."""
    layers = bare(bare(viewer).layers)
    desk = _DESKS.get(layers)
    if desk is None:
        desk = _DESKS[layers] = Desk(layers)
        delete_in_own_context(bare(viewer))
    return desk


def with_decisions(data: Any, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a Labels layer with all that was decided until now."""
    for desk in list(_DESKS.values()):
        layer = desk.note(data)
        if layer is not None:
            return {**attributes, "metadata": layer.metadata}
    return dict(attributes)


def bare(thing: Any) -> Any:
    """Return a viewer or layer without the wrapping in which napari hands it to plugins."""
    return getattr(thing, "__wrapped__", thing)
