"""Keeps the corrections of one layer in a journal; whatever takes long is done in a worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import numpy as np

from napari_cellseg.core.errors import CellsegError, JournalError
from napari_cellseg.gui.conversion import CORRECTIONS_KEY, HISTORY_KEY, METADATA_KEY
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.session.corrections.decided import BoolArray
from napari_cellseg.session.corrections.history import Step
from napari_cellseg.session.corrections.journal import Journal
from napari_cellseg.session.corrections.keeping import (
    base_without_masks,
    masks_of,
    record_of,
    record_of_area,
)
from napari_cellseg.session.corrections.recovery import Found, journals_folder

_LARGEST = 4_000_000
"""Changed pixels that are appended in the window's thread; more are left to a compaction."""
_QUICK = 2**25
"""Pixels of a reviewed area that is appended there; a larger one is left to a compaction."""
_REST_S = 20.0
"""After a failure, no labels are written for so long."""

Failed = Callable[[CellsegError], None]


class Work(Protocol):
    """Has a function run in a worker, and its result or failure told in the window's thread."""

    def __call__(
        self, work: Callable[[], Any], done: Callable[[Any], None], failed: Failed
    ) -> None:
        """Start `work`."""


class Keeper:
    """The journal of one binding, from its first labels until they are saved or removed.

    Parameters
    ----------
    binding
        What is corrected.
    work
        See `Work`.
    tell
        Takes a sentence when something cannot be kept.
    found
        The journal that the labels were recovered from; it goes as soon as this one holds them.
    """

    def __init__(
        self, binding: Binding, work: Work, tell: Callable[[str], None], found: Found | None = None
    ) -> None:
        self.binding = binding
        self.journal: Journal | None = None
        self._work, self._tell, self._found = work, tell, found
        self._missed = found.operations if found is not None else 0  # while there is no journal
        self._writing = self._saved = self._ended = False
        self._rest_until = 0.0
        binding.document.stepped.connect(self._on_step)
        binding.document.area_set.connect(self._on_area)
        self._begin()

    @property
    def writing(self) -> bool:
        """Whether all labels are being written."""
        return self._writing

    def sync(self) -> None:
        """Have the disk take what was written: a slow one must not be waited for here."""
        if self.journal is not None:
            self._work(self.journal.sync, _ignore, lambda error: self._tell(str(error)))

    def note_saved(self) -> None:
        """Begin anew: what was kept until now was saved elsewhere."""
        self._missed = 0
        if self._writing and self.journal is None:
            self._saved = True  # what is being written is from before
            return
        if self.journal is not None:
            self.journal.close()
        self._begin()

    def end(self) -> None:
        """Leave a journal behind if there are corrections in it; wait for none to be written."""
        self.binding.document.stepped.disconnect(self._on_step)
        self.binding.document.area_set.disconnect(self._on_area)
        self._ended = True
        self._rest_until = 0.0
        self._go_on()

    def end_now(self) -> None:
        """Do the same before the process ends: here and now, in this thread."""
        base, found = self._all()
        labels = found()
        with suppress(JournalError):  # nobody is there to be told
            if self.journal is None and self._missed and self.binding.document.handled:
                self.journal = Journal.create(journals_folder(), base, labels, self._missed)
                self._missed = 0
            elif self.journal is not None and self.journal.broken:
                self.journal.compact(labels, base)
        self._close()

    def _all(self) -> tuple[dict[str, Any], Callable[[], Any]]:
        """Return what a generation begins with, as it is now, and what gives its labels.

        That takes long, and completes the former: in a worker.
        """
        document = self.binding.document
        decided = document.decided()
        base = base_without_masks(about(self.binding), document.states)

        def labels() -> Any:
            base.update(masks_of(decided))
            return decided.labels

        return base, labels

    # Writing all labels

    def _begin(self) -> None:
        self.journal = None
        self._writing = True
        count, self._missed = self._missed, 0
        base, labels = self._all()

        def failed(error: CellsegError) -> None:
            self._missed += count
            self._on_failed(error)

        self._work(
            lambda: Journal.create(journals_folder(), base, labels(), count), self._on_begun, failed
        )

    def _on_begun(self, journal: Journal) -> None:
        self._writing = False
        if self._saved:
            self._saved = False
            journal.close()
            self._begin()
            return
        self.journal = journal
        journal.miss(self._missed)
        self._missed = 0
        if self._found is not None:
            self._work(self._found.discard, _ignore, lambda error: self._tell(str(error)))
            self._found = None
        self._go_on()

    def _compact(self, journal: Journal) -> None:
        self._writing = True
        base, labels = self._all()
        snapshot = journal.start_compaction(base)

        def failed(error: CellsegError) -> None:
            if journal is self.journal:  # otherwise it was closed, and its folder is gone
                self._on_failed(error)

        self._work(
            lambda: snapshot.write(labels()),
            lambda _: self._on_written(journal, lambda: journal.finish_compaction(snapshot)),
            failed,
        )

    def _on_written(self, journal: Journal, finish: Callable[[], None]) -> None:
        try:
            finish()  # or drops it, if the journal was closed
        except JournalError as error:
            self._on_failed(error)
            return
        if journal is self.journal:
            self._writing = False
            self._go_on()

    def _on_failed(self, error: CellsegError) -> None:
        self._writing = False
        self._rest_until = time.monotonic() + _REST_S
        self._tell(str(error))
        self._go_on()

    # Each step

    def _on_step(self, step: Step) -> None:
        # An empty step tells of labels of another shape.
        quick = bool(step) and step.pixels.positions.size <= _LARGEST
        self._note(quick, lambda: record_of(step))

    def _on_area(self, area: BoolArray | None) -> None:
        self._note(area is None or area.size <= _QUICK, lambda: record_of_area(area))

    def _note(self, quick: bool, record: Callable[[], tuple[str, Any, Any]]) -> None:
        journal = self.journal
        if journal is None:
            self._missed += 1
        elif journal.broken or not quick:
            journal.miss()
        else:
            try:
                journal.append(*record())
            except JournalError as error:
                self._tell(str(error))
        self._go_on()

    def _go_on(self) -> None:
        """Write all labels if it must be, and nothing else writes; then end, if it is to end."""
        if self._writing:
            return
        journal, may = self.journal, time.monotonic() >= self._rest_until
        if journal is None and self._missed and may:
            self._begin()
        elif journal is not None and journal.wants_compaction and may:
            self._compact(journal)
        elif self._ended:
            self._close()

    def _close(self) -> None:
        journal, self.journal = self.journal, None
        if journal is not None:
            journal.close(keep=self.binding.document.handled and journal.operations > 0)


def about(binding: Binding) -> dict[str, Any]:
    """Return what it takes to show the labels again, as plain values."""
    layer = binding.layer
    told = dict(layer.metadata.get(METADATA_KEY, {}))
    if binding.log.entries:
        told[HISTORY_KEY] = binding.log.entries
    return {
        "name": layer.name,
        "axes": binding.axes,
        "scale": np.asarray(layer.scale, dtype=float).tolist(),
        "translate": np.asarray(layer.translate, dtype=float).tolist(),
        "affine": np.asarray(layer.affine.affine_matrix, dtype=float).tolist(),
        "units": [str(unit) for unit in layer.units],
        "axis_labels": list(layer.axis_labels),
        # The corrections change with each step and are kept apart.
        "metadata": {name: value for name, value in told.items() if name != CORRECTIONS_KEY},
    }


def _ignore(result: object) -> None:
    """Do nothing with a result."""
