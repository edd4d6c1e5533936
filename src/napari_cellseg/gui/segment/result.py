"""The result on screen: the layer that shows a run, kept in step with the session."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, Signal

from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.gui import classes, layers
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.correct.journals import journals_of
from napari_cellseg.gui.geometry import spatial_axes
from napari_cellseg.gui.segment.network import Fresh, Request
from napari_cellseg.session.corrections.decided import Decided
from napari_cellseg.session.corrections.delta import Delta
from napari_cellseg.session.corrections.history import Step
from napari_cellseg.session.locks import Int32Array
from napari_cellseg.session.run import Run


class ResultLayer(QObject):
    """Shows a run as a Labels layer that a person can correct.

    Signals: ``went_back(Run)`` after the undo or redo of another run, ``fitted(PostParams)`` when
    other settings were fitted to the corrections, ``edited`` after any other step, ``lost`` when
    the layer was removed.
    """

    went_back = Signal(object)
    fitted = Signal(object)
    edited = Signal()
    lost = Signal()

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._desk = desk_of(viewer)
        journals_of(self._desk)
        self._desk.settings_found.connect(self._on_settings_found)
        self.binding: Binding | None = None
        self.layer: LabelsLayer | None = None
        self.axes = ""
        self._origin: tuple[Any, ...] = ()
        self._updating = False
        self._by_class = False
        viewer.layers.events.removed.connect(self._on_removed)

    def show(self, fresh: Fresh, request: Request) -> None:
        """Show a run in a new layer; the layer of the last one is the user's from now on."""
        self._forget()
        run = fresh.run
        source, axes = request.layer, request.axes
        self.axes = spatial_axes(source, axes).removeprefix("C")
        metadata = metadata_of(run, self.axes)
        self.layer = layers.add_result(
            self._viewer, source, axes, request.part.box, fresh.shown, metadata
        )
        self._bind(run, _origin(request))

    def adopt(self, layer: LabelsLayer, run: Run, origin: tuple[Any, ...]) -> None:
        """Take up a layer that shows `run` already; `origin` as of `Binding`."""
        self._forget()
        self.layer, self.axes = layer, ""  # as the layer tells
        self._bind(run, origin)

    def leave(self) -> None:
        """Leave the layer to its user; nothing is shown or told any more."""
        self._forget()
        self._desk.settings_found.disconnect(self._on_settings_found)

    def _bind(self, run: Run, origin: tuple[Any, ...]) -> None:
        self._origin = origin
        self.binding = self._desk.bind(self.layer, self.axes)
        self.axes = self.binding.axes
        self.binding.run, self.binding.origin = run, origin
        self.binding.document.stepped.connect(self._on_stepped)
        self._show_classes(run)

    def update(self, old: Run, new: Run, data: Int32Array, pixels: Delta, name: str) -> None:
        """Show another run: `data`, a copy of its labels that the layer may keep.

        Parameters
        ----------
        old
            The run on screen.
        pixels
            What changes on screen.
        name
            What was done, for the history; the same again continues the last step.
        """
        if self.binding is None or self.layer is None:
            return
        layers.describe(self.layer, metadata_of(new, self.axes))
        same = old.recipe == new.recipe and old.planes is new.planes
        facts = None if same else (old.without_labels(), new.without_labels())
        self._updating = True
        try:
            together = old.planes is new.planes  # runs are taken back one by one
            self.binding.show(name, data, new.labels, pixels, facts, together)
        finally:
            self._updating = False
        self.binding.run = new
        self._show_classes(new)

    def _on_stepped(self, step: Step) -> None:
        if self._updating or self.binding is None or self.layer is None:
            return
        if step.facts is None:
            self.edited.emit()
            return
        run = step.facts[1].with_labels(self.binding.document.decided())
        self.binding.run = run
        layers.describe(self.layer, metadata_of(run, self.axes))
        self._show_classes(run)
        self.went_back.emit(run)

    def _show_classes(self, run: Run) -> None:
        if self.layer is not None and run.classes is not None:
            classes.show_features(self.layer, run.classes)
            if self._by_class:
                classes.colour(self.layer, run.classes)

    def colour_by_class(self, on: bool, run: Run | None) -> None:
        """Colour the objects of `run`, which is on screen, by class, or each by itself again."""
        self._by_class = on
        if self.layer is None or run is None or run.classes is None:
            return
        if on:
            classes.colour(self.layer, run.classes)
        else:
            classes.colour_each(self.layer)

    @property
    def is_ours(self) -> bool:
        """Whether the layer is still there and shows labels of the run's shape."""
        return (
            self.binding is not None
            and self.binding.layer in self._viewer.layers
            and _shows_its_run(self.binding)
        )

    def continues(self, request: Request) -> bool:
        """Whether the run is one of the same part of the same image as is shown."""
        return self.is_ours and self._origin == _origin(request)

    def earlier(self, request: Request | None = None) -> Binding | None:
        """Return labels that an earlier run left, still open: of the same part of the same image.

        Parameters
        ----------
        request
            Says of which; None for the selected labels, else those of the last run of all.
        """
        found = self._open(() if request is None else _origin(request))
        if request is None:
            active = self._viewer.layers.selection.active
            found.sort(key=lambda one: one.layer is active)
        return found[-1] if found else None

    def selected(self) -> Binding | None:
        """Return the labels that are selected, if a run left them and they are not shown here."""
        active = self._viewer.layers.selection.active
        found = [one for one in self._open(()) if one.layer is active is not self.layer]
        return found[-1] if found else None

    def _open(self, origin: tuple[Any, ...]) -> list[Binding]:
        found = self._desk.runs_of(origin)
        return [one for one in found if _shows_its_run(one) and one.layer in self._viewer.layers]

    @property
    def version(self) -> int:
        """Another number after each change of the labels."""
        return self.binding.document.version if self.binding is not None else -1

    @property
    def last_step(self) -> Step | None:
        """What was done last, None if nothing can be taken back."""
        done = self.binding.document.history.done if self.binding is not None else ()
        return done[-1] if done else None

    def decided(self) -> Decided | None:
        """Return what must stay as it is, None without a result."""
        return self.binding.document.decided() if self.binding is not None else None

    def _on_settings_found(self, binding: Binding, post: PostParams) -> None:
        if binding is self.binding and self.is_ours:
            self.fitted.emit(post)

    def _on_removed(self, event: Any) -> None:
        if self.layer is not None and event.value is self.layer:
            self._forget()
            self.lost.emit()

    def _forget(self) -> None:
        if self.binding is not None:
            self.binding.document.stepped.disconnect(self._on_stepped)
        self.layer = self.binding = None
        self._origin = ()


def _shows_its_run(binding: Binding) -> bool:
    run = binding.run
    return run is not None and binding.document.labels.shape == run.planes.shape


def _origin(request: Request) -> tuple[Any, ...]:
    box = request.part.box.items()
    return request.layer, request.axes, tuple((axis, p.start, p.stop) for axis, p in box)


def metadata_of(run: Run, axes: str) -> dict[str, Any]:
    """Return what the layer of a run says about itself."""
    return {**run.record.to_dict(), "axes": axes, "edited": list(run.locks.ids)}
