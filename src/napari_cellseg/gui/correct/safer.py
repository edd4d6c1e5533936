"""Accepts all open objects that are safer than one, once a person has seen which they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from napari_cellseg.gui.boxes.review import ReviewBox
from napari_cellseg.gui.correct.review_marks import ReviewMarks
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.session.corrections.queue import ReviewQueue
from napari_cellseg.session.corrections.review import Review


class SaferOnes:
    """The question, with the objects marked in the viewer, and its answer.

    Parameters
    ----------
    accept
        Accepts objects together.
    """

    def __init__(
        self,
        bench: Workbench,
        box: ReviewBox,
        marks: ReviewMarks,
        accept: Callable[[Sequence[int]], None],
    ) -> None:
        self._bench, self._box, self._marks, self._accept = bench, box, marks, accept
        self._labels: list[int] = []

    def ask(self, queue: ReviewQueue | None) -> None:
        """Show what is safer than the current object."""
        if queue is None or queue.current is None:
            return
        self._labels = queue.above(queue.current)
        if not self._labels:
            self._bench.told.emit("No open object is safer than this one.")
        self._box.ask_rest(len(self._labels))
        self._marks.mark(self._bench.binding, self._labels)

    def answer(self, yes: bool, queue: ReviewQueue | None) -> None:
        """Accept what was shown, or not."""
        labels, binding = self._labels, self._bench.binding
        self.forget()
        if not yes or queue is None or binding is None:
            return
        # What was decided about them since they were shown holds.
        there = binding.document.there(labels)
        labels = [i for i in labels if i in there and queue.state(i) is Review.OPEN]
        if labels:
            self._accept(labels)

    def forget(self) -> None:
        """Take the question back."""
        self._labels = []
        self._box.ask_rest(0)
        self._marks.mark(None, [])
