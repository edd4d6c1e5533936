"""Leads through the objects by risk: goes to each, and does what is decided about it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cellseg.core.editing.delete import delete
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.review.risk import RiskTable, rate_objects
from napari_cellseg.gui import features, layers
from napari_cellseg.gui.boxes.review import KEYS, ReviewBox
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.job_runner import JobRunner, LatestJob
from napari_cellseg.session.corrections.delta import Index
from napari_cellseg.session.corrections.history import Step
from napari_cellseg.session.corrections.queue import ReviewQueue
from napari_cellseg.session.corrections.review import QueueFilter, Review
from napari_cellseg.session.corrections.review_features import to_features
from napari_cellseg.session.corrections.states import ObjectState

_MARGIN = 3  # px between an object and the frame around it
_MOST_MARKED = 2**25  # pixels of labels in which the objects to accept are marked
_RATE_AGAIN_MS = 600
_STATES = {"accepted": Review.ACCEPTED, "edited": Review.EDITED, "skipped": Review.SKIPPED}


class ReviewGuide(QObject):
    """The review of the labels on the workbench; ``failed(CellsegError)``."""

    failed = Signal(object)

    def __init__(
        self, bench: Workbench, runner: JobRunner, box: ReviewBox, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._bench, self._box = bench, box
        self.queue: ReviewQueue | None = None
        self._places: dict[int, Index] = {}
        self._layer: LabelsLayer | None = None
        self._frame: Layer | None = None
        self._marked: Layer | None = None
        self._rest: list[int] = []
        self._jobs = LatestJob(runner, self)
        self._jobs.failed.connect(self._on_failed)
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.timeout.connect(self.start)
        bench.changed.connect(self._on_changed)
        bench.stepped.connect(self._on_stepped)
        box.start_requested.connect(self.start)
        box.requested.connect(self.do)
        box.rest_requested.connect(self._on_rest_requested)
        box.rest_answered.connect(self._on_rest_answered)
        box.filter_changed.connect(self._on_filter)

    def start(self) -> None:
        """Rate the objects in a worker, then go to the first."""
        binding = self._bench.binding
        if binding is None:
            return
        self._box.show_rating()
        labels = binding.document.decided().labels
        prediction = self._bench.prediction()
        maps = prediction.maps if prediction is not None else {}
        foreground, contour = maps.get("foreground"), maps.get("contour")
        version = binding.document.version

        def rate() -> Generator[Progress, None, RiskTable]:
            return (yield from rate_objects(labels, foreground, contour))

        self._jobs.submit(rate, lambda risks: self._on_rated(binding, version, risks))

    def _on_rated(self, binding: Binding, version: int, risks: RiskTable) -> None:
        if binding is not self._bench.binding:
            return
        document = binding.document
        if document.version != version:
            self.start()
            return
        first = self.queue is None
        queue = self.queue if self.queue is not None else ReviewQueue()
        self.queue = queue
        queue.update(risks)
        lead = document.labels.shape[:-2]
        planes = (np.unravel_index(int(k), lead) if lead else () for k in risks.plane)
        where = (tuple(int(i) for i in plane) for plane in planes)
        self._places = dict(zip(risks.ids.tolist(), where, strict=True))
        queue.restore({i: _review_of(document.states[i]) for i in document.states})
        predicted = binding.run.classes if binding.run is not None else None
        given = {i: document.states[i].cell_class for i in document.states}
        classes = predicted.by_id() if predicted is not None else {}
        queue.set_classes(classes | {i: name for i, name in given.items() if name})
        self._box.show_started(self._bench.class_names())
        if first:
            self._bind_keys(binding.layer)
            queue.next()
        self._show()

    # What a person does

    def do(self, what: str) -> None:
        """Accept, skip or delete the current object and go on, or only go on or back."""
        queue, binding = self.queue, self._bench.binding
        if queue is None or binding is None:
            return
        label = queue.current
        if what == "next":
            queue.next()
        elif what == "previous":
            queue.previous()
        elif label is not None and what == "delete":
            self._delete(label)
            queue.next()
        elif label is not None:
            self._decide([label], what, "Accept" if what == "accept" else "Skip")
            queue.next()
        self._show()

    def _decide(self, labels: list[int], what: str, name: str) -> None:
        binding = self._bench.binding
        if binding is None:
            return
        states = binding.document.states
        new: dict[int, ObjectState] = {}
        for label in labels:
            if what == "accept":
                new[label] = replace(states[label], decision="accepted", locked=True)
            else:
                new[label] = replace(states[label], decision="skipped", locked=False)
        binding.document.decide(name, new)

    def _delete(self, label: int) -> None:
        binding, index = self._bench.binding, self._places.get(label)
        if binding is not None and index is not None:
            plane, objects = binding.document.plane(index), binding.document.objects(index)
            self._bench.edit("Delete", lambda: delete(plane, objects, [label]), index=index)

    def _on_rest_requested(self) -> None:
        queue = self.queue
        if queue is None or queue.current is None:
            return
        self._rest = queue.above(queue.current)
        if not self._rest:
            self._bench.told.emit("No open object is safer than this one.")
        self._box.ask_rest(len(self._rest))
        self._mark(self._rest)

    def _on_rest_answered(self, yes: bool) -> None:
        labels, self._rest = self._rest, []
        self._box.ask_rest(0)
        self._mark([])
        if yes:
            count = len(labels)
            self._decide(labels, "accept", f"Accept {count} object{'s' if count > 1 else ''}")
            self._show()

    def _on_filter(self, shown: QueueFilter) -> None:
        if self.queue is not None:
            self.queue.filter = shown
            if self.queue.current not in self.queue.shown:
                self.queue.next()
            self._show()

    # What follows

    def _on_stepped(self, step: Step) -> None:
        binding, queue = self._bench.binding, self.queue
        if queue is None or binding is None:
            return
        if step.facts is not None:  # other objects were predicted
            self._again.start(_RATE_AGAIN_MS)
            return
        index = next(iter(step.pixels.planes(binding.document.labels.shape)), ((), None))[0]
        there = binding.document.objects(index) if step.pixels else None
        decided: dict[int, Review | None] = {}
        for label in {*step.states, *step.pixels.ids}:
            if there is not None and label not in there:
                decided[label] = Review.DELETED
                continue
            if there is not None:
                self._places[label] = index
            decided[label] = _review_of(binding.document.states[label])
        queue.restore(decided)
        self._box.show_progress(queue.progress)

    def _on_changed(self, binding: Binding | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End the review; decisions stay."""
        self._again.stop()
        self._jobs.clear()
        self._note()
        self._mark([])
        self._show_frame(None)
        if self._layer is not None:
            for key in KEYS.values():
                self._layer.bind_key(key, None, overwrite=True)
        self.queue = self._layer = None
        self._box.show_idle()

    def _note(self) -> None:
        """Put risks and decisions into the layer's table of objects."""
        if self.queue is not None and self._layer is not None:
            self.queue.pause()
            features.put_columns(self._layer, to_features(self.queue))

    def _bind_keys(self, layer: LabelsLayer) -> None:
        self._layer = layer
        for what, key in KEYS.items():
            layer.bind_key(key, _call(partial(self.do, what)), overwrite=True)

    def _on_failed(self, error: Exception) -> None:
        self._box.show_idle()
        self.failed.emit(error)

    # What is shown

    def _show(self) -> None:
        queue, binding = self.queue, self._bench.binding
        if queue is None or binding is None:
            return
        self._box.ask_rest(0)
        self._mark([])
        self._box.show_progress(queue.progress)
        label = queue.current
        entry = queue.entries.get(label) if label is not None else None
        self._box.show_object(label if entry is not None else None, entry)
        index = self._places.get(label) if label is not None else None
        if label is None or index is None or label not in binding.document.objects(index):
            self._show_frame(None)
            return
        box = binding.document.objects(index).box(label)
        self._bench.go_to(index, box)
        binding.layer.selected_label = label
        self._show_frame(self._outline(binding, index, box))

    def _outline(self, binding: Binding, index: Index, box: tuple[slice, slice]) -> Any:
        """Return a frame around a box of a plane, in pixels of the layer."""
        top, bottom = box[0].start - 0.5 - _MARGIN, box[0].stop - 0.5 + _MARGIN
        left, right = box[1].start - 0.5 - _MARGIN, box[1].stop - 0.5 + _MARGIN
        axes = binding.axes
        line = np.zeros((5, len(axes)))
        for axis, k in zip((a for a in "TZ" if a in axes), index, strict=True):
            line[:, axes.index(axis)] = k
        line[:, axes.index("Y")] = [top, top, bottom, bottom, top]
        line[:, axes.index("X")] = [left, right, right, left, left]
        return line

    def _show_frame(self, line: Any) -> None:
        viewer, binding = self._bench.viewer, self._bench.binding
        if line is None or binding is None:
            if self._frame is not None:
                layers.remove(viewer, self._frame)
                self._frame = None
            return
        self._frame = layers.show_line(viewer, binding.layer, self._frame, line, "In review")

    def _mark(self, labels: list[int]) -> None:
        viewer, binding = self._bench.viewer, self._bench.binding
        if self._marked is not None:
            layers.remove(viewer, self._marked)
            self._marked = None
        if not labels or binding is None or binding.document.labels.size > _MOST_MARKED:
            return
        shown = np.isin(binding.document.labels, np.asarray(labels, np.int32)).astype(np.uint8)
        self._marked = layers.show_marked(
            viewer, binding.layer, binding.axes, shown, "To be accepted"
        )


def _review_of(state: ObjectState) -> Review:
    return _STATES.get(state.decision, Review.OPEN)


def _call(action: Callable[[], object]) -> Callable[[Any], None]:
    def bound(_: Any) -> None:
        action()

    return bound
