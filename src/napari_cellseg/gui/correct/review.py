"""Leads through the objects by risk: goes to each, and does what is decided about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cellseg.core.review.risk import RiskTable, rate_objects
from napari_cellseg.gui import features
from napari_cellseg.gui.boxes.review import KEYS, ReviewBox
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.correct.flips import Flips
from napari_cellseg.gui.correct.review_marks import ReviewMarks
from napari_cellseg.gui.correct.safer import SaferOnes
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.job_runner import JobRunner, LatestJob
from napari_cellseg.session.corrections.delta import Index
from napari_cellseg.session.corrections.history import Step
from napari_cellseg.session.corrections.places import Places
from napari_cellseg.session.corrections.queue import ReviewQueue
from napari_cellseg.session.corrections.review import QueueFilter, review_of, without_object
from napari_cellseg.session.corrections.review_features import to_features
from napari_cellseg.session.corrections.states import ObjectState

_RATE_AGAIN_MS = 600
_NAMES = {"accept": "Accept", "skip": "Skip"}


class ReviewGuide(QObject):
    """The review of the labels on the workbench; ``failed(CellsegError)``."""

    failed = Signal(object)

    def __init__(
        self, bench: Workbench, runner: JobRunner, box: ReviewBox, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._bench, self._box = bench, box
        self.queue: ReviewQueue | None = None
        self._places: Places | None = None
        self._layer: LabelsLayer | None = None
        self._marks = ReviewMarks(bench.viewer)
        self._safer = SaferOnes(bench, box, self._marks, self._accept_all)
        self._flips = Flips(bench, runner, box.flips, self.start, self)
        self._jobs = LatestJob(runner, self)
        self._jobs.failed.connect(self._on_failed)
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.timeout.connect(self.start)
        bench.changed.connect(self._on_changed)
        bench.stepped.connect(self._on_stepped)
        box.start_requested.connect(self.start)
        box.requested.connect(self.do)
        box.rest_requested.connect(lambda: self._safer.ask(self.queue))
        box.rest_answered.connect(lambda yes: self._safer.answer(yes, self.queue))
        box.filter_changed.connect(self._on_filter)

    def start(self) -> None:
        """Rate the objects in a worker, then go to the first."""
        binding = self._bench.binding
        if binding is None:
            return
        self._box.show_rating()
        decided = binding.document.decided()
        prediction = self._bench.prediction()
        maps = prediction.maps if prediction is not None else {}
        foreground, contour = maps.get("foreground"), maps.get("contour")
        version, flipped = binding.document.version, self._flips.maps()
        self._jobs.submit(
            lambda: rate_objects(decided.labels, foreground, contour, flipped),
            lambda risks: self._on_rated(binding, version, risks),
        )

    def _on_rated(self, binding: Binding, version: int, risks: RiskTable) -> None:
        if binding is not self._bench.binding:
            return
        document = binding.document
        if document.version != version:
            self.start()
            return
        first = self.queue is None
        self.queue = queue = self.queue or ReviewQueue()
        queue.update(risks)
        self._places = Places(document, risks)
        queue.restore({i: review_of(document.states[i]) for i in document.states})
        self._learn_classes(binding)
        self._box.show_started(self._bench.class_names())
        self._flips.show_rated(risks)
        queue.filter = self._box.filter
        if first:
            self._bind_keys(binding.layer)
        if first or queue.current is None:
            queue.next()
        self._show()

    def _learn_classes(self, binding: Binding) -> None:
        predicted = binding.run.classes if binding.run is not None else None
        classes = predicted.by_id() if predicted is not None else {}
        states = binding.document.states
        given = {i: states[i].cell_class for i in states if states[i].cell_class}
        if self.queue is not None:
            self.queue.set_classes(classes | given)

    def _place(self, label: int | None) -> Index | None:
        return self._places.of(label) if self._places is not None else None

    # What a person does

    def do(self, what: str) -> None:
        """Accept, skip or delete the current object and go on, or only go on or back."""
        queue, binding = self.queue, self._bench.binding
        if queue is None or binding is None:
            return
        label, index = queue.current, self._place(queue.current)
        if what == "previous":
            queue.previous()
        else:
            if label is not None and index is not None:
                self._do_to(label, what)
            queue.next()
        self._show()

    def _do_to(self, label: int, what: str) -> None:
        if what == "delete":
            self._delete(label)
        elif what in _NAMES:
            self._decide([label], what, _NAMES[what])

    def _decide(self, labels: Sequence[int], what: str, name: str) -> None:
        binding = self._bench.binding
        if binding is None:
            return
        states = binding.document.states
        new: dict[int, ObjectState] = {}
        for label in labels:
            if what == "accept":
                new[label] = replace(states[label], decision="accepted", locked=True)
            elif not states[label].locked:  # what is decided stays so
                new[label] = replace(states[label], decision="skipped")
        binding.document.decide(name, new)

    def _delete(self, label: int) -> None:
        """Delete an object wherever it lies: it is accepted and locked as a whole, too."""
        binding, places = self._bench.binding, self._places
        if binding is None or places is None:
            return
        planes = len(places.all_of(label))
        binding.document.change("Delete", places.pixels_of(label))
        where = f", on all {planes} planes it was on" if planes > 1 else ""
        self._bench.told.emit(f"Object {label} is deleted{where}.")

    def _accept_all(self, labels: Sequence[int]) -> None:
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
        if not step:  # labels of another shape
            self.queue = None
            self.stop()
            return
        if step.pixels:
            self._safer.forget()
        if step.facts is not None:  # other objects were predicted
            self._again.start(_RATE_AGAIN_MS)
            return
        states, changed = binding.document.states, {*step.states, *step.pixels.ids}
        there = binding.document.there(changed)
        gone = {i: without_object(queue.entries.get(i)) for i in changed - there}
        queue.restore({**{i: review_of(states[i]) for i in there}, **gone})
        if any(before.cell_class != after.cell_class for before, after in step.states.values()):
            self._learn_classes(binding)
        self._box.show_progress(queue.progress)
        if queue.current in changed:
            self._show_current()

    def _on_changed(self, binding: Binding | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End the review; decisions stay."""
        self._again.stop()
        self._jobs.clear()
        self._note()
        self._safer.forget()
        self._marks.no_frame()
        if self._layer is not None:
            for key in KEYS.values():
                self._layer.bind_key(key, None, overwrite=True)
        self.queue = self._layer = self._places = None
        self._box.show_idle()

    def _note(self) -> None:
        """Put risks and decisions into the layer's table of objects."""
        if self.queue is not None and self._layer is not None:
            self.queue.pause()
            features.put_columns(self._layer, to_features(self.queue))

    def _bind_keys(self, layer: LabelsLayer) -> None:
        self._layer = layer
        for what, key in KEYS.items():
            layer.bind_key(key, lambda _, what=what: self.do(what), overwrite=True)

    def _on_failed(self, error: Exception) -> None:
        if self.queue is None:
            self._box.show_idle()
        else:
            self._box.show_started(self._bench.class_names())
        self.failed.emit(error)

    # What is shown

    def _show(self) -> None:
        """Go to the current object."""
        queue, binding = self.queue, self._bench.binding
        if queue is None or binding is None:
            return
        self._safer.forget()
        self._box.show_progress(queue.progress)
        label, index = queue.current, self._place(queue.current)
        if label is not None and index is not None:
            self._bench.go_to(index, binding.document.objects(index).box(label))
            binding.layer.selected_label = label
        self._show_current()

    def _show_current(self) -> None:
        """Tell what the current object is, and frame it where it is now."""
        queue, binding = self.queue, self._bench.binding
        if queue is None or binding is None:
            return
        label, index = queue.current, self._place(queue.current)
        planes = len(self._places.all_of(label)) if self._places and label is not None else 1
        self._box.show_object(label, queue.entries[label] if label is not None else None, planes)
        if label is None or index is None:
            self._marks.no_frame()
        else:
            self._marks.frame(binding, index, binding.document.objects(index).box(label))
