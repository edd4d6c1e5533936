"""The labels layer that the tab Correct works on, and what its tools need to know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, Signal

from napari_cellseg.core.editing.edit import Edit
from napari_cellseg.core.errors import CellsegError, EditError
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.gui import camera
from napari_cellseg.gui.conversion import METADATA_KEY
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.correct.desk import bare, desk_of
from napari_cellseg.gui.geometry import Box, slice_box, view_box
from napari_cellseg.session.corrections.delta import Index
from napari_cellseg.session.corrections.history import Step
from napari_cellseg.session.corrections.states import ObjectState

Pixel = tuple[int, int]
_UNDONE = "Undone:"


class Workbench(QObject):
    """What is corrected at present.

    Signals: ``changed(Binding | None)`` when another layer, or none, is corrected;
    ``stepped(Step)`` after each step, undo and redo on it; ``told(str)`` with a sentence for the
    person.
    """

    changed = Signal(object)
    stepped = Signal(object)
    told = Signal(str)

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.binding: Binding | None = None
        self._said = ""
        self.told.connect(self._on_told)
        self._desk = desk_of(viewer)
        self._desk.released.connect(self._on_released)

    @property
    def layer(self) -> LabelsLayer | None:
        """The layer that is corrected."""
        return self.binding.layer if self.binding is not None else None

    def take(self, layer: LabelsLayer | None) -> None:
        """Correct `layer` from now on, None for no layer."""
        old = self.binding
        if (bare(layer) if layer is not None else None) is self.layer:
            return
        problem = ""
        try:
            binding = self._desk.bind(layer) if layer is not None else None
        except CellsegError as error:
            binding, problem = None, str(error)
        if old is not None:
            old.document.stepped.disconnect(self._on_stepped)
        self.binding = binding
        if binding is not None:
            binding.document.stepped.connect(self._on_stepped)
        self.changed.emit(binding)
        self.told.emit(problem)  # last: what was said of other labels is over

    # Where things are

    def plane_box(self) -> Box:
        """Return the shown plane in pixels of the labels."""
        binding = self._required()
        return slice_box(binding.layer, binding.axes, self.viewer.dims.point)

    def visible_box(self) -> Box:
        """Return the part of the shown plane that is within the canvas."""
        binding = self._required()
        return view_box(binding.layer, binding.axes, self.viewer.dims.point)

    def index(self) -> Index:
        """Return the index of the shown plane in the labels."""
        box = self.plane_box()
        return tuple(box[axis].start for axis in "TZ" if axis in box)

    def points(self, positions: Iterable[Sequence[float]]) -> npt.NDArray[np.float64]:
        """Return positions of the world as (N, 2) y, x in pixels of the labels."""
        binding = self._required()
        layer, columns = binding.layer, [binding.axes.index(axis) for axis in "YX"]
        found = [layer.world_to_data(np.asarray(p)[-layer.ndim :]) for p in positions]
        return np.asarray(found, dtype=float).reshape(-1, layer.ndim)[:, columns]

    def pixel(self, position: Sequence[float]) -> Pixel | None:
        """Return the pixel at a position of the world, None if it is beside the labels."""
        y, x = np.round(self.points([position])[0]).astype(int)
        rows, columns = self._required().document.labels.shape[-2:]
        return (int(y), int(x)) if 0 <= y < rows and 0 <= x < columns else None

    def object_at(self, position: Sequence[float]) -> int:
        """Return the object at a position of the world, 0 if there is none."""
        pixel = self.pixel(position)
        return 0 if pixel is None else int(self._required().document.plane(self.index())[pixel])

    def go_to(self, index: Index, box: tuple[slice, slice], margin: float = 5.0) -> None:
        """Show a box of a plane in the middle of the canvas, with `margin` times its size."""
        binding = self._required()
        camera.go_to(self.viewer, binding.layer, binding.axes, index, box, margin)

    # What was predicted

    def prediction(self) -> Prediction | None:
        """Return what the network left for these labels, None if they come from elsewhere."""
        run = self.binding.run if self.binding is not None else None
        fits = run is not None and run.planes.shape == self._required().document.labels.shape
        return run.planes.prediction if run is not None and fits else None

    def maps(self, index: Index) -> Mapping[str, npt.NDArray[np.uint8]]:
        """Return the probability maps (Y, X) of one plane, times 255; empty if there are none."""
        prediction = self.prediction()
        if prediction is None:
            return {}
        return {name: stack[index] for name, stack in prediction.maps.items()}

    def class_names(self) -> tuple[str, ...]:
        """Return the classes that objects may have: those of the model, or given before."""
        if self.binding is None:
            return ()
        prediction = self.prediction()
        if prediction is not None and prediction.classes:
            return tuple(prediction.classes)
        return tuple(self.binding.layer.metadata.get(METADATA_KEY, {}).get("types", ()))

    # What is done

    def edit(
        self,
        name: str,
        tool: Callable[[], Iterable[Edit]],
        states: Mapping[int, ObjectState] | None = None,
        index: Index | None = None,
    ) -> Step | None:
        """Run a tool of core/editing on the shown plane; tell why, where it refuses.

        Returns
        -------
        The step, None if nothing changed.
        """
        binding = self.binding
        if binding is None:
            self.told.emit("Choose a labels layer to correct.")
            return None
        try:
            where = self.index() if index is None else index
            step = binding.document.edit(name, where, tool(), states)
        except EditError as error:
            self.told.emit(str(error))
            return None
        self.told.emit("" if step is not None else f"{name}: nothing to change here.")
        return step

    def undo(self) -> None:
        """Take the last step back."""
        if self.binding is not None:
            self.binding.undo()

    def redo(self) -> None:
        """Do the last undone step again."""
        if self.binding is not None:
            self.binding.redo()

    def _required(self) -> Binding:
        if self.binding is None:
            raise EditError("Choose a labels layer to correct.")
        return self.binding

    def _on_told(self, text: str) -> None:
        self._said = text

    def _on_stepped(self, step: Step) -> None:
        if step.takes_back:
            self.told.emit(f"{_UNDONE} {step.name}.")
        elif self._said.startswith(_UNDONE):
            self.told.emit("")
        self.stepped.emit(step)

    def _on_released(self, binding: Binding) -> None:
        if binding is self.binding:
            binding.document.stepped.disconnect(self._on_stepped)
            self.binding = None
            self.changed.emit(None)
