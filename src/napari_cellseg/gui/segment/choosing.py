"""Keeps image, model and preparation of the session in step with what the user chooses."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from qtpy.QtCore import QObject, Signal

from napari_cellseg.core.recipe import Recipe
from napari_cellseg.gui import conversion, drawing, layers
from napari_cellseg.gui.boxes.segment_view import SegmentView
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.preferences import Preferences
from napari_cellseg.gui.segment.measure import DiameterLine
from napari_cellseg.gui.segment.network import NetworkRuns
from napari_cellseg.session.session import Session
from napari_cellseg.session.settings import SegmentSettings


class Choosing(QObject):
    """Signals: ``changed()`` when something else is chosen, ``failed(CellsegError)``."""

    changed = Signal()
    failed = Signal(object)

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        network: NetworkRuns,
        view: SegmentView,
        preferences: Preferences,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._session, self._network = viewer, session, network
        self._view, self._preferences = view, preferences
        self._desk = desk_of(viewer)
        self._line = DiameterLine(viewer, self)
        self._connect()

    def _connect(self) -> None:
        view = self._view
        self._session.settings_changed.connect(self._on_settings)
        view.empty.sample_requested.connect(self._open_sample)
        view.image.changed.connect(self._on_image)
        view.model.changed.connect(self._on_model)
        view.model.failed.connect(self.failed)
        view.model.diameter.measure_requested.connect(self._on_measure)
        self._line.measured.connect(view.model.diameter.set_pixels)
        view.run.region_requested.connect(self._on_draw_region)
        self._desk.model_chosen.connect(self._on_model_chosen)
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.connect(self._on_layers)
        for layer in self._viewer.layers:
            layer.events.name.connect(self._on_layers)
        self._viewer.layers.selection.events.active.connect(self._on_active)

    def begin(self) -> None:
        """Choose the default model, and the image that is selected."""
        self._on_settings(self._session.settings)
        self._view.model.choose(self._preferences.models.default)
        self._on_model()
        self._on_layers()

    def stop(self) -> None:
        """Draw no longer."""
        self._line.stop()

    # The image

    def _on_layers(self, event: Any = None) -> None:
        if getattr(event, "type", "") == "inserted":
            event.value.events.name.connect(self._on_layers)
        self._view.image.refresh_layers()
        self._view.show_empty(self._view.image.layer is None)
        self.changed.emit()

    def _on_active(self, event: Any) -> None:
        if event.value in layers.image_layers(self._viewer) and not self._network.running:
            self._view.image.choose(event.value)

    def _on_image(self) -> None:
        image, layer = self._view.image, self._view.image.layer
        if layer is not None and not image.problem:
            size = conversion.to_image(layer, image.axes).pixel_size
            self._view.model.diameter.show_pixel_size(size[0] if size else None)
        self._take_preparation()

    def _open_sample(self, name: str) -> None:
        self._viewer.open_sample("napari-cellseg", name)

    def _on_measure(self) -> None:
        image = self._view.image
        if image.layer is not None:
            self._line.start(image.layer, image.axes)

    def _on_draw_region(self) -> None:
        layer = self._view.image.layer
        if layer is not None:
            drawing.start_drawing(self._viewer, layer, drawing.REGION_NAME, "add_rectangle")

    # The model

    def _on_settings(self, settings: SegmentSettings) -> None:
        """Let other tabs know what is set here."""
        self._desk.settings = settings

    def _on_model(self) -> None:
        entry, session = self._view.model.entry, self._session
        if entry is not None:
            self._view.live.show_source("instances" if "instances" in entry.card.maps else "maps")
            self._view.live.show_types(entry.card.types)
            start = Recipe.for_model(entry.card, entry.name)
            start = start.replace(tiling=start.tiling.replace(tile=self._preferences.runtime.tile))
            # Not by name alone: the model of that name may have been trained again.
            if start != session.start:
                session.choose_model(start)
        self._view.live.show_params(session.recipe.post, session.start.post)
        self._take_preparation()

    def _on_model_chosen(self, folder: str) -> None:
        """Use a model that another tab offers; it may have come a moment ago."""
        self._view.model.refresh_models()
        self._view.model.choose(folder)

    def _take_preparation(self) -> None:
        preparation = self._session.recipe.preparation.replace(
            channels=self._view.image.channels, diameter=self._view.model.diameter.pixels
        )
        self._session.change_recipe(preparation=preparation)
        self.changed.emit()
