"""Keeps the list of what there is to learn from in step with the layers and the corrections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QFileDialog

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.finetuning.settings import FineTuneSettings
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.gui import conversion, overlays
from napari_cellseg.gui.boxes.sources import SourcesBox
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.correct.desk import bare, desk_of
from napari_cellseg.gui.finetune.pairs import model_of, open_labels
from napari_cellseg.gui.job_runner import JobRunner, LatestJob, single_step
from napari_cellseg.gui.layers import labels_layers
from napari_cellseg.session.finetuning.material import Material, PairFolder
from napari_cellseg.session.finetuning.overview import Overview, look

_REST_MS = 300
"""After the last change of a layer or a tick, before everything is counted anew."""


class Sources(QObject):
    """What there is to learn from, and what of it is ticked.

    Signals: ``changed(Overview)`` when the ticked sources were counted anew,
    ``failed(CellsegError)``.
    """

    changed = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        viewer: ViewerModel,
        runner: JobRunner,
        box: SourcesBox,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._box = viewer, box
        self._desk = desk_of(viewer)
        self._awake = False
        self._outdated = False
        self._folders: list[PairFolder] = []
        self._unticked: set[str] = set()
        self._card: Card | None = None
        self._settings = FineTuneSettings.quick()
        self._bindings: dict[Binding, Any] = {}
        self._jobs = LatestJob(runner, self)
        self._jobs.failed.connect(self.failed)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST_MS)
        self._rest.timeout.connect(self.refresh)
        self.overview = Overview((), ())
        box.ticked.connect(self._on_ticked)
        box.folder_requested.connect(self._on_folder)
        box.forget_requested.connect(self._on_forget)
        self._desk.bound.connect(self._follow)
        self._desk.released.connect(self._on_released)
        events = viewer.layers.events
        for event in (events.inserted, events.removed):
            event.connect(self._on_layers)

    # Who looks

    def wake(self) -> None:
        """Somebody looks: take up what was corrected before, and count."""
        self._awake = True
        for layer in labels_layers(self._viewer):
            binding = self._bound(layer)
            if binding is not None:
                self._follow(binding)
        self.refresh()

    def sleep(self) -> None:
        """Nobody looks."""
        self._awake = False
        self._rest.stop()

    def prepare_for(self, card: Card | None, settings: FineTuneSettings) -> None:
        """Say what the sources would be used for with another model or other settings."""
        if (card, settings) != (self._card, self._settings):
            self._card, self._settings = card, settings
            self._soon()

    # What there is

    @property
    def counting(self) -> bool:
        """Whether the list is about to change."""
        return self._outdated

    def materials(self) -> list[Material]:
        """Return all that there is to learn from, frozen as it is now."""
        found: list[Material] = []
        for binding in self._reviewed():
            one = open_labels(self._viewer, binding)
            if one is not None:
                found.append(one)
        return [*found, *self._folders]

    def chosen(self) -> list[Material]:
        """Return what is ticked, frozen as it is now."""
        broken = {row.key for row in self.overview.rows if row.problem}
        barred = self._unticked | broken
        return [one for one in self.materials() if one.key not in barred]

    def parent_model(self) -> str:
        """Return the name of the model that made the first ticked labels, "" if none did."""
        for binding in self._reviewed():
            if str(binding.layer.unique_id) not in self._unticked:
                name = model_of(binding)
                if name:
                    return name
        return ""

    def layer_to_show(self) -> Binding | None:
        """Return the labels over which a preview is shown: the first ticked ones."""
        for binding in self._reviewed():
            if str(binding.layer.unique_id) not in self._unticked:
                return binding
        return None

    def refresh(self) -> None:
        """Count everything anew."""
        self._rest.stop()
        if not self._awake:
            return
        self._outdated = True
        materials, unticked = self.materials(), frozenset(self._unticked)
        card, settings = self._card, self._settings
        ticked = [one.key for one in materials if one.key not in unticked]
        folders = [one.key for one in self._folders]
        self._jobs.submit(
            single_step(lambda: look(materials, ticked, card, settings)),
            lambda found: self._show(found, ticked, folders),
        )

    def _show(self, found: Overview, ticked: Sequence[str], folders: Sequence[str]) -> None:
        self.overview = found
        self._outdated = self._rest.isActive()
        self._box.show_rows(found.rows, ticked, folders)
        self.changed.emit(found)

    def _reviewed(self) -> list[Binding]:
        """Return the bindings of open labels in which anything was decided, topmost first."""
        found = [self._desk.of(layer) for layer in labels_layers(self._viewer)]
        return [one for one in found if one is not None and self._decided(one)]

    @staticmethod
    def _decided(binding: Binding) -> bool:
        document = binding.document
        return bool(document.states.locked) or document.reviewed is not None

    def _bound(self, layer: LabelsLayer) -> Binding | None:
        """Return the binding of a layer; one with decisions from an earlier time gets one."""
        found = self._desk.of(layer)
        told = bare(layer).metadata.get(conversion.METADATA_KEY, {})
        if found is not None or conversion.CORRECTIONS_KEY not in told:
            return found
        try:
            return self._desk.bind(layer)
        except CellsegError:
            return None  # the tab Correct says why, when it is chosen there

    # What changes

    def _soon(self, *_: Any) -> None:
        if self._awake:
            self._outdated = True
            self._rest.start()

    def _follow(self, binding: Binding) -> None:
        if binding not in self._bindings:
            self._bindings[binding] = binding.document
            self._take_area(binding)
            binding.document.stepped.connect(self._soon)
            binding.document.area_set.connect(self._soon)
        self._soon()

    def _take_area(self, binding: Binding) -> None:
        """Let the labels know the area that is kept with them, as the tab Correct would."""
        area = overlays.reviewed_layer(self._viewer.layers, binding.layer)
        if binding.document.reviewed is None and area is None:
            before = self._desk.reviewed_before(binding)
            if before is not None:
                binding.document.set_reviewed(before)

    def _on_released(self, binding: Binding) -> None:
        document = self._bindings.pop(binding, None)
        if document is not None:
            document.stepped.disconnect(self._soon)
            document.area_set.disconnect(self._soon)
        self._soon()

    def _on_layers(self, event: Any) -> None:
        self._soon()

    def _on_ticked(self, key: str, on: bool) -> None:
        (self._unticked.discard if on else self._unticked.add)(key)
        self._soon()

    def _on_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(
            self._box, "A folder with images/ and labels/ (and known/, if not all is labelled)"
        )
        if path:
            self.add_folder(Path(path))

    def add_folder(self, path: Path) -> None:
        """Offer the pairs of a folder."""
        if path not in [one.path for one in self._folders]:
            self._folders.append(PairFolder(path))
            self.refresh()

    def _on_forget(self, key: str) -> None:
        self._folders = [one for one in self._folders if one.key != key]
        self._unticked.discard(key)
        self.refresh()

    def shut_down(self) -> None:
        """Stop counting."""
        self.sleep()
        self._jobs.clear()
