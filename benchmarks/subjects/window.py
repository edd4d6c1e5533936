"""What a person does in the dock, and how long the window stands still meanwhile at most."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import napari
import numpy as np

from benchmarks.cells import packed_cells, packed_picture
from benchmarks.stalls import Stalls, rest, wait
from benchmarks.times import Times
from napari_cellseg.core.arrays import Image
from napari_cellseg.core.finetuning.settings import FineTuneSettings
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.progress import finish
from napari_cellseg.core.provenance import RunRecord, now
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.gui import geometry
from napari_cellseg.gui.contributions import open_dock
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.overlays import REVIEWED_NAME
from napari_cellseg.gui.segment.network import Fresh, Request
from napari_cellseg.gui.segment.scope import Part
from napari_cellseg.session.corrections.states import ObjectState
from napari_cellseg.session.locks import Locks
from napari_cellseg.session.planes import Planes
from napari_cellseg.session.run import Run

_AFTER_MS = 600  # what was started by a timer belongs to it too
_DRAG_MS = 40
_TAUGHT = 512  # px
_STACKED = 2**26  # px
_SHORT = FineTuneSettings(
    minutes=None, steps=24, patch_size=64, batch_size=2, epoch_steps=8, patience=0, replay=0,
    fit_post=False,
)  # fmt: skip
ACCEPTED = ObjectState("accepted", True)


class Window:
    """A viewer with the dock, an image of packed cells and what a network would leave of it."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.cells = packed_cells(side)
        self.picture = packed_picture(self.cells)
        self.viewer = napari.Viewer()
        self.viewer.window.resize(1400, 900)
        self.dock = open_dock(self.viewer)
        self.panels = {
            name: self.dock.panel(name) for name in ("measure", "finetune", "correct", "segment")
        }
        self.made = self._run()
        self.image = self.viewer.add_image(self.picture, name="cells", axis_labels=("y", "x"))
        rest(3000)  # libraries that are loaded in the background
        self.wait()

    def wait(self) -> None:
        """Wait until no worker is busy."""
        hand = self.panels["correct"].hand
        runners = [panel.runner for panel in self.panels.values()]
        wait(lambda: not (hand.large.busy or any(one.busy for one in runners)))
        rest(_AFTER_MS)

    def _run(self) -> Run:
        """Return what the tab Segment would have after a run of a network."""
        cells = self.cells
        contour = np.zeros(cells.shape, np.uint8)
        for here, there in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
            contour[here][(cells[here] != cells[there]) & (cells[here] > 0)] = 200
        foreground = np.where(cells > 0, 160 + cells % 90, 20).astype(np.uint8)
        planes = Planes(Prediction({"foreground": foreground, "contour": contour}, "YX"))
        image = Image(self.picture, "YX", name="cells")
        recipe = Recipe(model="none")
        record = RunRecord.of(image, recipe, device="cpu", objects=0, seconds=1.0, started=now())
        start = Run(image, recipe, record, planes, self.cells, {}, Locks.none())
        return finish(start.relabelled(recipe.post))

    def show_run(self) -> None:
        panel = self.panels["segment"]
        part = Part(geometry.full_box(self.image, "YX"))
        request = Request(self.image, "YX", part, self.made.recipe, "cpu", 0)
        panel.network.succeeded.emit(request, Fresh(self.made, self.made.labels.copy()))
        self.wait()

    def drag_threshold(self) -> None:
        panel = self.panels["segment"]
        control = panel.view.live.form.controls["foreground_threshold"]
        for move, value in enumerate(np.linspace(0.5, 0.7, 16)):
            control.set_value(float(value))
            control.changed.emit(control.value())
            rest(_DRAG_MS)
            if move in (7, 11):  # the hand rests: the whole image follows
                self.wait()
        self.wait()

    def take_up(self) -> None:
        self.dock.panel("correct")
        self.wait()

    def no_area(self) -> None:
        for layer in [one for one in self.viewer.layers if one.name == REVIEWED_NAME]:
            self.viewer.layers.remove(layer)
        self.wait()

    def review(self, which: str) -> None:
        getattr(self.panels["correct"].view.reviewed, f"{which}_requested").emit()
        self.wait()

    def lasso(self) -> None:
        hand = self.panels["correct"].hand
        hand.choose("delete")
        low, high = 0.07 * self.side, 0.93 * self.side
        hand.tool.stroke(
            np.array([(low, low), (low, high), (high, high), (high, low)]), frozenset()
        )
        self.wait()

    def undo(self) -> None:
        self.panels["correct"].bench.undo()
        self.wait()

    def open_measure(self) -> None:
        self.dock.panel("measure")
        self.wait()

    def measure(self) -> None:
        panel = self.panels["measure"]
        panel.view.measure.button.click()
        self.wait()

    def open_taught(self, shape: tuple[int, ...]) -> None:
        """Open an image of which every object is accepted; the tab Fine-tune is not there."""
        self.dock.panel("segment")
        self.viewer.layers.clear()
        side = shape[-1]
        picture, cells = (
            np.broadcast_to(one[:side, :side], shape).copy() for one in (self.picture, self.cells)
        )
        names = ("z", "y", "x")[-len(shape) :]
        self.viewer.add_image(picture, name="taught", axis_labels=names)
        labels = self.viewer.add_labels(cells, name="taught cells", axis_labels=names)
        document = desk_of(self.viewer).bind(labels).document
        document.decide("Accept", {int(k): ACCEPTED for k in np.unique(cells[..., :, :])[1:9]})
        self.wait()

    def gather(self) -> None:
        """Accept one more object, and count what there is to learn from."""
        panel = self.dock.panel("finetune")
        self.wait()
        document = panel.sources.layer_to_show().document
        document.decide("Accept", {int(document.labels.max()): ACCEPTED})
        self.wait()
        wait(lambda: not panel.sources.counting)

    def train(self) -> None:
        """Teach the included model in a process of its own, with two previews."""
        panel = self.panels["finetune"]
        panel.view.training.form.set_params(_SHORT)
        panel.view.training.button.click()
        wait(lambda: panel.view.run.preview.isEnabled())
        for _ in range(2):
            panel.view.run.preview.click()
            wait(lambda: panel.view.run.preview.isEnabled() or not panel.runs.running)
        wait(lambda: not panel.runs.running)
        self.wait()


def ways(_task: str, side: int, folder: Path) -> dict[str, Callable[[], Times]]:
    """Open a window; the ways follow one another as the steps of a session do."""
    os.environ["NAPARI_CELLSEG_HOME"] = str(folder / "home")
    window = Window(side)
    small = min(side, _TAUGHT)
    stack = (_STACKED // side**2 + 1, side, side)
    steps: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "a result appears": (window.wait, window.show_run),
        "a threshold is dragged": (window.wait, window.drag_threshold),
        "another result replaces it": (window.wait, window.show_run),
        "the tab Correct takes it up": (window.wait, window.take_up),
        "this slice is reviewed": (window.wait, lambda: window.review("slice")),
        "this view is reviewed": (window.no_area, lambda: window.review("view")),
        "a lasso deletes 3 of 4 objects": (window.no_area, window.lasso),
        "that is undone": (window.wait, window.undo),
        "all objects are measured": (window.open_measure, window.measure),
        "a stack is gathered": (lambda: window.open_taught(stack), window.gather),
        "a model learns, with previews": (
            lambda: (window.open_taught((small, small)), window.gather()),
            window.train,
        ),
    }
    return {way: partial(stalls, *step) for way, step in steps.items()}


def stalls(prepare: Callable[[], Any], work: Callable[[], Any]) -> Times:
    """Return the longest stall while something is done."""
    prepare()
    with Stalls() as found:
        work()
    return Times(found.longest.computed, found.longest.wall)
