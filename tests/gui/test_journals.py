"""Corrections are kept on disk while they are made, and come back after a crash in one click."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_cellseg.core.editing.edit import changes
from napari_cellseg.core.errors import JournalError
from napari_cellseg.gui import contributions
from napari_cellseg.gui.boxes.recovery import RecoveryBox
from napari_cellseg.gui.correct import keeper as module
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.correct.journals import journals_of
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.session.corrections import journal as journal_module
from napari_cellseg.session.corrections._generation import generations, read_generation
from napari_cellseg.session.corrections.keeping import replay
from napari_cellseg.session.corrections.numbering import renumbered
from napari_cellseg.session.corrections.recovery import journals_folder, recoverable
from napari_cellseg.session.corrections.states import ObjectState

ACCEPTED = ObjectState("accepted", True)


def squares(shape=(20, 24)):
    labels = np.zeros(shape, np.int32)
    for k, (y, x) in enumerate([(2, 2), (2, 12), (12, 2), (12, 12)]):
        labels[..., y : y + 6, x : x + 6] = k + 1
    return labels


class Corner:
    """A viewer, its workbench and journals, and the box that offers them."""

    def __init__(self, qtbot):
        self.qtbot = qtbot
        self.viewer = ViewerModel()
        self.bench = Workbench(self.viewer)
        self.journals = journals_of(desk_of(self.viewer))
        self.told = []
        self.journals.failed.connect(self.told.append)
        self.box = RecoveryBox()
        self.box.recover_requested.connect(lambda one: self.journals.recover(one, self.viewer))
        self.box.discard_requested.connect(self.journals.discard)
        self.journals.found.connect(self.box.show_found)

    def open(self, data=None, **options):
        """Correct a new layer."""
        layer = self.viewer.add_labels(squares() if data is None else data, **options)
        self.bench.take(layer)
        return layer

    @property
    def document(self):
        return self.bench.binding.document

    @property
    def keeper(self):
        return self.journals.keeper(self.bench.binding)

    def settle(self):
        self.qtbot.waitUntil(lambda: not self.journals.runner.busy, timeout=60_000)

    def draw(self, rows, columns, value):
        plane = self.document.plane(self.bench.index())
        box = (slice(*rows), slice(*columns))
        after = np.full_like(plane[box], value)
        assert self.bench.edit("Draw", lambda: changes(plane, box, after)) is not None

    def check(self):
        """What would be recovered now is what there is."""
        self.settle()
        assert_kept(kept_in(self.keeper.journal.folder), self.document)

    def end(self):
        """End as a process does: nothing is saved any more."""
        self.journals.close()

    def offered(self):
        self.journals.look()
        self.settle()
        return not self.box.isHidden()


def kept_in(folder):
    """Return what a journal in use would give."""
    generation = read_generation(generations(folder)[0])
    return replay(generation.meta, generation.labels(), generation.records)


def assert_kept(recovered, document):
    np.testing.assert_array_equal(recovered.labels, document.labels)
    assert recovered.states == document.states
    np.testing.assert_array_equal(recovered.erased, document.erased)


def folders():
    root = journals_folder()
    return sorted(root.iterdir()) if root.is_dir() else []


@pytest.fixture
def start(qtbot):
    """Make a viewer, as another start of napari would; its journals end with the test."""
    made = []

    def make():
        made.append(Corner(qtbot))
        return made[-1]

    yield make
    for corner in made:
        corner.settle()
        corner.end()


@pytest.fixture
def stalled(monkeypatch):
    """Have labels written only when the gate opens."""
    gate, real = threading.Event(), journal_module.Snapshot.write

    def write(self, labels):
        assert gate.wait(60)
        real(self, labels)

    monkeypatch.setattr(journal_module.Snapshot, "write", write)
    yield gate
    gate.set()


def test_a_journal_begins_with_the_layer_and_every_step_is_appended(start):
    corner = start()
    layer = corner.open(name="nuclei")
    corner.check()
    (folder,) = folders()
    corner.draw((4, 9), (4, 9), 7)
    corner.document.decide("Accept", {2: ACCEPTED})
    layer.data_setitem((np.array([13, 14]), np.array([13, 13])), 0)
    layer.fill((5, 13), 9)
    corner.check()
    assert corner.keeper.journal.operations == 4
    corner.bench.undo()
    corner.bench.undo()
    corner.check()
    corner.bench.redo()
    document = corner.document
    document.renumber(renumbered(document.decided().labels, document.version))
    corner.check()
    assert folders() == [folder]
    assert corner.keeper.journal.operations == 8
    assert not corner.told


@pytest.mark.parametrize("seed", range(3))
def test_random_steps(start, monkeypatch, seed):
    monkeypatch.setattr(journal_module, "_LEAST", 1500)  # compactions in between
    monkeypatch.setattr(module, "_LARGEST", 60)
    rng = np.random.default_rng(seed)
    corner = start()
    layer = corner.open(squares((2, 20, 24)))
    for _ in range(30):
        what = rng.integers(6)
        if what < 2:
            top, left = rng.integers(0, 18), rng.integers(0, 20)
            layer.data_setitem(
                (rng.integers(0, 2, 5), np.full(5, top), left + rng.integers(0, 4, 5)),
                int(rng.integers(0, 5)),
            )
        elif what == 2:
            ids = np.unique(corner.document.labels)[1:]
            if ids.size:
                corner.document.decide("Accept", {int(rng.choice(ids)): ACCEPTED})
        elif what == 3:
            corner.viewer.dims.set_point(0, int(rng.integers(2)))
            value = int(rng.integers(0, 8))
            plane = corner.document.plane(corner.bench.index())
            box = (slice(3, 12), slice(3, 12))
            after = np.full((9, 9), value, np.int32)
            corner.bench.edit("Draw", lambda p=plane, b=box, a=after: changes(p, b, a))
        elif rng.random() < 0.6:
            corner.bench.undo()
        else:
            corner.bench.redo()
        if rng.random() < 0.3:
            corner.check()
    corner.check()
    assert len(folders()) == 1
    assert not corner.told


def test_steps_before_the_journal_is_there_are_not_lost(start, stalled):
    corner = start()
    corner.open()
    corner.draw((4, 9), (4, 9), 7)
    corner.draw((0, 2), (0, 2), 8)
    assert corner.keeper.journal is None
    stalled.set()
    corner.check()
    assert corner.keeper.journal.operations == 2
    corner.end()
    (found,) = recoverable(journals_folder())
    assert found.operations == 2


def test_a_step_that_is_too_large_leaves_the_others_to_the_compaction(start, monkeypatch):
    monkeypatch.setattr(module, "_LARGEST", 20)
    corner = start()
    corner.open()
    corner.check()
    corner.draw((0, 2), (0, 2), 8)
    before = corner.document.labels.copy()
    corner.draw((4, 12), (4, 12), 7)
    corner.draw((18, 20), (0, 2), 9)
    # Until all is written, what is on disk is a state that there was.
    np.testing.assert_array_equal(kept_in(corner.keeper.journal.folder).labels, before)
    corner.check()
    assert corner.keeper.journal.operations == 3
    corner.draw((18, 20), (4, 6), 10)
    corner.check()


def test_labels_of_another_shape(start):
    corner = start()
    layer = corner.open()
    corner.check()
    corner.draw((4, 9), (4, 9), 7)
    layer.data = np.ones((7, 5), np.int32)
    corner.draw((0, 2), (0, 2), 8)
    corner.check()


def test_saved_labels_need_no_journal(start, tmp_path):
    corner = start()
    layer = corner.open()
    corner.check()
    corner.draw((4, 9), (4, 9), 7)
    (old,) = folders()
    contributions.write_labels(str(tmp_path / "cells.tif"), *layer.as_layer_data_tuple()[:2])
    corner.check()
    (new,) = folders()
    assert new != old
    assert corner.keeper.journal.operations == 0
    corner.end()
    assert folders() == []

    again = start()
    again.open(squares())
    again.check()
    again.draw((4, 9), (4, 9), 7)
    layer = again.bench.layer
    contributions.write_labels(str(tmp_path / "cells.tif"), *layer.as_layer_data_tuple()[:2])
    again.draw((0, 2), (0, 2), 8)  # corrected again after it was saved
    again.settle()
    again.end()
    (found,) = recoverable(journals_folder())
    assert found.operations == 1


def test_saved_while_the_journal_begins(start, stalled, tmp_path):
    corner = start()
    layer = corner.open()
    corner.draw((4, 9), (4, 9), 7)
    contributions.write_labels(str(tmp_path / "cells.tif"), *layer.as_layer_data_tuple()[:2])
    stalled.set()
    corner.check()
    assert corner.keeper.journal.operations == 0
    assert len(folders()) == 1
    assert not corner.told


def test_saved_or_removed_during_a_compaction(start, monkeypatch, tmp_path, request):
    corner = start()
    corner.open()
    corner.check()
    monkeypatch.setattr(module, "_LARGEST", 20)
    gate = request.getfixturevalue("stalled")
    corner.draw((4, 12), (4, 12), 7)
    layer = corner.bench.layer
    contributions.write_labels(str(tmp_path / "cells.tif"), *layer.as_layer_data_tuple()[:2])
    gate.set()
    corner.check()
    assert len(folders()) == 1
    gate.clear()
    corner.draw((4, 12), (4, 12), 9)
    labels = corner.document.labels.copy()
    corner.viewer.layers.remove(layer)
    gate.set()
    corner.settle()
    assert not corner.told
    (found,) = recoverable(journals_folder())
    assert found.operations == 1
    recovered = replay(*found.read())
    np.testing.assert_array_equal(recovered.labels, labels)


def test_removed_layers(start, stalled):
    stalled.set()
    corner = start()
    layer = corner.open()
    corner.settle()
    corner.viewer.layers.remove(layer)
    assert folders() == []  # nothing was corrected
    stalled.clear()
    layer = corner.open()
    corner.viewer.layers.remove(layer)  # sooner than the journal is there
    stalled.set()
    corner.settle()
    assert folders() == []
    stalled.clear()
    layer = corner.open(name="hasty")
    corner.draw((4, 9), (4, 9), 7)
    corner.viewer.layers.remove(layer)
    stalled.set()
    corner.settle()
    (found,) = recoverable(journals_folder())
    assert found.meta["about"]["name"] == "hasty"
    assert found.operations == 1


def test_napari_closes_while_a_journal_is_written(start, stalled):
    corner = start()
    layer = corner.open()
    corner.draw((4, 9), (4, 9), 7)
    labels = corner.document.labels.copy()
    corner.viewer.layers.remove(layer)
    stalled.set()
    corner.end()  # the window's thread hears of nothing any more
    corner.settle()
    left = [found for found in recoverable(journals_folder()) if found.operations]
    assert left
    np.testing.assert_array_equal(replay(*left[0].read()).labels, labels)


def test_recovered_in_one_click(start):
    first = start()
    layer = first.open(
        squares((3, 20, 24)),
        name="nuclei",
        scale=(2, 0.5, 0.25),
        translate=(1, 2, 3),
        units=("um", "um", "um"),
        axis_labels=("z", "y", "x"),
        metadata={"napari-cellseg": {"model": "nuclei"}, "other": object()},
    )
    first.viewer.dims.set_point(0, 3)
    first.draw((4, 9), (4, 9), 7)
    first.draw((12, 14), (12, 18), 0)
    first.document.decide("Accept", {2: ACCEPTED, 3: ObjectState("skipped")})
    first.document.decide("Class", {2: ObjectState("accepted", True, "mitosis")})
    first.draw((0, 2), (0, 2), 9)
    first.bench.undo()
    area = np.zeros(layer.data.shape, bool)
    area[1, 2:9, 3:] = True
    first.document.set_reviewed(~area)
    first.document.set_reviewed(area)
    first.settle()
    first.end()
    (old,) = folders()

    second = start()
    assert second.offered()
    assert "'nuclei' was corrected but not saved: 8 steps" in second.box.text.text()
    second.box.recover.click()
    second.settle()
    assert second.box.isHidden()
    (recovered,) = second.viewer.layers
    assert recovered.name == "nuclei"
    np.testing.assert_array_equal(recovered.data, layer.data)
    for name in ("scale", "translate"):
        np.testing.assert_array_equal(getattr(recovered, name), getattr(layer, name))
    assert recovered.units == layer.units
    assert recovered.axis_labels == layer.axis_labels
    assert recovered.metadata["napari-cellseg"]["model"] == "nuclei"
    done = recovered.metadata["napari-cellseg"]["history"]
    assert done == first.bench.binding.log.entries
    assert [one["name"] for one in done][-3:] == ["Class", done[-1]["name"], done[-1]["name"]]
    assert done[-1]["undo"]
    second.bench.take(recovered)
    assert second.document.states == first.document.states
    np.testing.assert_array_equal(second.document.erased, first.document.erased)
    np.testing.assert_array_equal(second.document.decided().reviewed, area)
    binding = second.bench.binding
    np.testing.assert_array_equal(desk_of(second.viewer).reviewed_before(binding), area)
    second.check()
    (new,) = folders()
    assert new != old
    assert not second.told
    second.end()  # another crash, before anything else is done

    third = start()
    assert third.offered()
    assert "8 steps" in third.box.text.text()
    third.box.recover.click()
    third.settle()
    third.bench.take(third.viewer.layers[0])
    np.testing.assert_array_equal(third.document.decided().reviewed, area)
    assert third.bench.binding.log.entries == done
    assert third.document.states == first.document.states
    third.draw((0, 2), (0, 2), 9)
    third.check()


def test_recovered_with_a_channel_axis_and_turned_axes(start):
    first = start()
    data = np.moveaxis(squares((3, 20, 24)), 0, -1)[:, None].copy()
    layer = first.viewer.add_labels(data, metadata={"napari-cellseg": {"axes": "YCXZ"}})
    first.bench.take(layer)
    first.document.decide("Accept", {2: ACCEPTED})
    first.settle()
    first.end()
    second = start()
    assert second.offered()
    second.box.recover.click()
    second.settle()
    (recovered,) = second.viewer.layers
    np.testing.assert_array_equal(recovered.data, layer.data)
    second.bench.take(recovered)
    assert second.bench.binding.axes == "YCXZ"
    second.draw((0, 2), (0, 2), 9)
    second.check()


def test_several_are_offered_one_after_the_other_and_discarded(start):
    for name in ("a", "b"):
        corner = start()
        corner.open(name=name)
        corner.draw((0, 2), (0, 2), 9)
        corner.settle()
        corner.end()
    other = start()
    other.open()  # in use
    other.settle()
    corner = start()
    assert corner.offered()
    assert "1 step," in corner.box.text.text()
    assert "(1 more)" in corner.box.text.text()
    shown = [corner.box.text.text().split("'")[1]]
    corner.box.discard.click()
    shown.append(corner.box.text.text().split("'")[1])
    assert sorted(shown) == ["a", "b"]
    assert not corner.box.isHidden()
    corner.box.discard.click()
    assert corner.box.isHidden()
    corner.settle()
    assert len(folders()) == 1
    assert not corner.offered()
    assert list(corner.viewer.layers) == []


def test_what_holds_no_corrections_is_cleared_away(start, monkeypatch):
    corner = start()
    corner.open()
    corner.settle()
    # As after a crash before anything was corrected.
    corner.keeper.journal.close(keep=True)
    assert len(folders()) == 1
    assert not start().offered()
    assert folders() == []


def test_a_journal_that_is_gone_or_damaged_is_told_each_time(start):
    for _ in range(2):
        corner = start()
        corner.open()
        corner.draw((0, 2), (0, 2), 9)
        corner.settle()
        corner.end()
    corner = start()
    assert corner.offered()
    for folder in folders():
        for path in generations(folder):
            path.write_bytes(b"nonsense")
    for k in (1, 2):
        corner.box.recover.click()
        corner.settle()
        assert len(corner.told) == k
        assert "damaged and cannot be recovered" in corner.told[-1]
    assert list(corner.viewer.layers) == []


def full_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_told_once_and_editing_goes_on(start, monkeypatch):
    corner = start()
    corner.open()
    corner.check()
    corner.draw((0, 2), (0, 2), 9)
    with monkeypatch.context() as full:
        full.setattr(journal_module, "write_all", full_disk)
        for value in range(10, 14):
            corner.draw((0, 2), (0, 2), value)
            corner.settle()
    assert len(corner.told) == 1
    assert "the disk is full; free some space" in corner.told[0]
    assert corner.document.history.undo_name == "Draw"
    np.testing.assert_array_equal(corner.document.labels[:2, :2], 13)
    monkeypatch.setattr(module, "_REST_S", 0)
    corner.keeper._rest_until = 0.0
    corner.draw((0, 2), (0, 2), 14)
    corner.check()
    assert corner.keeper.journal.operations == 6
    assert len(corner.told) == 1


def test_a_disk_that_is_full_from_the_beginning(start, monkeypatch):
    monkeypatch.setattr(module, "_REST_S", 0)
    corner = start()
    with monkeypatch.context() as full:
        full.setattr(module.Journal, "create", _refuse)
        corner.open()
        corner.settle()
        corner.draw((0, 2), (0, 2), 9)
        corner.draw((0, 2), (0, 2), 10)
        corner.qtbot.wait(50)
    assert corner.told == ["The disk is full."]
    corner.draw((0, 2), (0, 2), 11)
    corner.qtbot.waitUntil(lambda: corner.keeper.journal is not None, timeout=60_000)
    corner.check()
    assert corner.keeper.journal.operations == 3


def _refuse(*_):
    raise JournalError("The disk is full.")


def test_a_journal_is_not_discarded_before_another_holds_its_labels(start, monkeypatch):
    corner = start()
    corner.open()
    corner.draw((0, 2), (0, 2), 9)
    corner.settle()
    corner.end()
    (folder,) = folders()
    second = start()
    assert second.offered()
    with monkeypatch.context() as full:
        full.setattr(module.Journal, "create", _refuse)
        second.box.recover.click()
        second.settle()
    assert second.told == ["The disk is full."]
    assert len(second.viewer.layers) == 1
    assert folders() == [folder]
    assert recoverable(journals_folder())[0].operations == 1


def test_what_is_written_reaches_the_disk_soon_and_a_closed_journal_is_no_failure(
    start, monkeypatch
):
    synced = threading.Event()
    monkeypatch.setattr(journal_module.os, "fsync", lambda _: synced.set())
    corner = start()
    corner.open()
    corner.check()
    synced.clear()
    corner.journals._sync.setInterval(1)
    corner.draw((0, 2), (0, 2), 9)
    corner.qtbot.waitUntil(synced.is_set, timeout=60_000)
    corner.draw((0, 2), (0, 2), 10)
    corner.keeper.sync()
    corner.keeper.note_saved()  # before the worker has come to it
    corner.settle()
    assert not corner.told


# A process that is killed


def model_after(count):
    """Return the labels after so many of the child's operations."""
    labels = squares((64, 64))
    for number in range(count):
        labels[_box(number)] = 10 + number
    return labels


def _box(number):
    y, x = number * 7 % 60, number * 13 % 60
    return slice(y, y + 4), slice(x, x + 4)


def main():
    """Correct as fast as it goes, telling of each step when it is done."""
    from qtpy.QtWidgets import QApplication

    application = QApplication([])
    viewer = ViewerModel()
    bench = Workbench(viewer)
    journals = journals_of(desk_of(viewer))
    bench.take(viewer.add_labels(squares((64, 64)), name="killed"))
    while journals.runner.busy:
        application.processEvents()
    plane = bench.binding.document.plane(())
    for number in range(100_000):
        box = _box(number)
        after = np.full((4, 4), 10 + number, np.int32)
        bench.edit("Draw", lambda b=box, a=after: changes(plane, b, a))
        sys.stdout.write(f"{number + 1}\n")
        sys.stdout.flush()
        application.processEvents()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_killed_process(start, cellseg_home):
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "NAPARI_CONFIG": ""}
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__))], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        for line in child.stdout:
            if int(line) == 40:
                break
        child.send_signal(signal.SIGKILL)
        done = [int(line) for line in child.stdout.read().split("\n")[:-1]]
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    safe = done[-1] if done else 40

    corner = start()
    assert corner.offered()
    assert "'killed' was corrected" in corner.box.text.text()
    corner.box.recover.click()
    corner.settle()
    (layer,) = corner.viewer.layers
    recovered = int(layer.data.max()) - 9
    assert safe <= recovered <= safe + 1
    np.testing.assert_array_equal(layer.data, model_after(recovered))
    corner.bench.take(layer)
    drawn = np.unique(layer.data[layer.data > 4]).tolist()
    assert {corner.document.states[i].decision for i in drawn} == {"edited"}
    corner.check()


if __name__ == "__main__":
    main()
