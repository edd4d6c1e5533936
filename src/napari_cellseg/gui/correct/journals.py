"""Keeps corrections on disk while they are made, and offers what a crash left behind."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cellseg.core import run_length
from napari_cellseg.core.errors import CellsegError, JournalError
from napari_cellseg.gui import conversion, layers
from napari_cellseg.gui.correct.attic import Attic
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.correct.desk import Desk
from napari_cellseg.gui.correct.keeper import Failed, Keeper
from napari_cellseg.gui.job_runner import JobRunner, single_step
from napari_cellseg.session.corrections.history import Step
from napari_cellseg.session.corrections.keeping import Recovered, replay
from napari_cellseg.session.corrections.recovery import Found, journals_folder, recoverable
from napari_cellseg.session.corrections.states import States
from napari_cellseg.session.corrections.stored import to_store

_SYNC_MS = 2000


class Journals(QObject):
    """The journals of one viewer.

    Signals: ``failed(str)`` when something cannot be recovered, and once, when corrections cannot
    be kept; ``found(list)`` with the journals that can be recovered.
    """

    failed = Signal(str)
    found = Signal(object)

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self.runner = JobRunner(self)
        self._attic = Attic(desk, self.runner, self)
        self._keepers: dict[Binding, Keeper] = {}
        self._ending: list[Keeper] = []
        self._recovering: Found | None = None
        self._told = False
        desk.bound.connect(self._on_bound)
        desk.released.connect(self._on_released)
        self._sync = QTimer(self)
        self._sync.setSingleShot(True)
        self._sync.setInterval(_SYNC_MS)
        self._sync.timeout.connect(self._on_sync)
        _OPEN.add(self)

    # Keeping

    def keeper(self, binding: Binding) -> Keeper | None:
        """Return what keeps a binding's corrections, None if nothing does."""
        return self._keepers.get(binding)

    def _on_bound(self, binding: Binding) -> None:
        self._keepers[binding] = Keeper(binding, self._work, self._tell_once, self._recovering)
        binding.document.stepped.connect(self._on_stepped)

    def _on_released(self, binding: Binding) -> None:
        keeper = self._keepers.pop(binding, None)
        if keeper is not None:
            binding.document.stepped.disconnect(self._on_stepped)
            keeper.end()
            self._ending = [one for one in (*self._ending, keeper) if one.writing]

    def _on_stepped(self, step: Step) -> None:
        self._sync.start()

    def _on_sync(self) -> None:
        for keeper in self._keepers.values():
            keeper.sync()

    def note_saved(self, data: Any) -> None:
        """End the journal of the layer that holds `data`, which were saved; another begins."""
        for keeper in self._keepers.values():
            if keeper.binding.layer.data is data:
                keeper.note_saved()

    def close(self) -> None:
        """Leave the journals of corrected labels for the next start, and remove the others."""
        for keeper in (*self._keepers.values(), *self._ending):
            keeper.end_now()
        self._keepers.clear()
        self._ending.clear()

    def _work(self, work: Callable[[], Any], done: Callable[[Any], None], failed: Failed) -> None:
        job = self.runner.create(single_step(work))
        job.succeeded.connect(done)
        job.failed.connect(failed)
        job.start()

    def _tell(self, error: CellsegError) -> None:
        self.failed.emit(str(error))

    def _tell_once(self, text: str) -> None:
        if not self._told:
            self._told = True
            self.failed.emit(text)

    # Recovering

    def look(self) -> None:
        """Look, in a worker, for what a crash left behind."""
        self._work(_left_behind, self._on_looked, self._tell)

    def _on_looked(self, left: list[Found]) -> None:
        if left:
            self.found.emit(left)

    def recover(self, found: Found, viewer: Any) -> None:
        """Show the labels of a journal; it is removed when another one keeps them."""

        def read() -> Recovered:
            base, labels, records = found.read()
            return replay(base, labels, records)

        self._work(read, lambda recovered: self._show(viewer, found, recovered), self._tell)

    def _show(self, viewer: Any, found: Found, recovered: Recovered) -> None:
        self._recovering = found
        try:
            show_recovered(self._desk, viewer, recovered)
        finally:
            self._recovering = None

    def discard(self, found: Found) -> None:
        """Remove a journal that is not wanted."""
        self._work(found.discard, lambda _: None, self._tell)


_OPEN: WeakSet[Journals] = WeakSet()


def journals_of(desk: Desk) -> Journals:
    """Return the journals of a desk: the same for every tab."""
    if desk.journals is None:
        desk.journals = Journals(desk)
    return desk.journals


@atexit.register
def _close_all() -> None:
    for journals in list(_OPEN):
        journals.close()


def note_saved(data: Any) -> None:
    """Tell all viewers that `data` of a layer were saved."""
    for journals in list(_OPEN):
        journals.note_saved(data)


def _left_behind() -> list[Found]:
    """Return the journals that hold corrections, and remove those that hold none."""
    left = []
    for found in recoverable(journals_folder()):
        if found.operations:
            left.append(found)
        else:
            with suppress(JournalError):  # somebody else uses it by now
                found.discard()
    return left


def show_recovered(desk: Desk, viewer: Any, recovered: Recovered) -> LabelsLayer:
    """Add recovered labels as a layer under correction."""
    about = dict(recovered.about)
    if recovered.done:
        before = about["metadata"].get(conversion.HISTORY_KEY, ())
        done = [*before, *recovered.done]
        about["metadata"] = {**about["metadata"], conversion.HISTORY_KEY: done}
    if recovered.reviewed is not None:  # where the tab looks for an area of before
        reviewed = run_length.encode(recovered.reviewed)
        told = to_store(States(), "", reviewed, recovered.labels.shape)
        about["metadata"] = {**about["metadata"], conversion.CORRECTIONS_KEY: told}
    layer = layers.add_labels(viewer, recovered.labels, about)
    known = {"states": recovered.states, "erased": recovered.erased}
    desk.bind(layer, about["axes"], **known, reviewed=recovered.reviewed)
    return layer
