"""The review compares with flips where image and model are there, and says what is missing."""

import shutil
import threading

import numpy as np
import pytest

from napari_cellseg.core.progress import Progress, finish
from napari_cellseg.core.review.risk import object_risks
from napari_cellseg.core.workflows import flips as workflow
from napari_cellseg.gui.boxes.review import ReviewBox
from napari_cellseg.gui.correct.review import ReviewGuide
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.job_runner import JobRunner

from .conftest import discs


class Corner:
    """The review of what the tab Segment made."""

    def __init__(self, tab):
        self.tab = tab
        self.image = tab.viewer.add_image(discs(), name="field")
        tab.run()
        self.bench = Workbench(tab.viewer)
        self.box, self.runner = ReviewBox(), JobRunner()
        self.guide = ReviewGuide(self.bench, self.runner, self.box)
        self.bench.take(tab.layer)
        self.start()

    @property
    def flips(self):
        return self.box.flips

    def start(self):
        self.box.start.click()
        self.settle()

    def settle(self):
        self.wait(lambda: not self.runner.busy and self.box.start.isEnabled())

    def wait(self, condition):
        self.tab.qtbot.waitUntil(condition, timeout=60_000)

    def compare(self):
        self.flips.button.click()
        self.settle()


@pytest.fixture
def corner(tab):
    corner = Corner(tab)
    yield corner
    corner.guide.stop()  # its frame holds garbage back


@pytest.fixture
def crooked(monkeypatch):
    """A network whose mirrored maps lack the contours, and half of the foreground on one side."""
    real = workflow.flipped_maps

    def work(*arguments, **options):
        foreground, contour = yield from real(*arguments, **options)
        foreground = foreground.copy()
        foreground[:, :100] //= 2
        return foreground, contour

    monkeypatch.setattr(workflow, "flipped_maps", work)


def risks_of(corner):
    return {label: entry.risk for label, entry in corner.guide.queue.entries.items()}


def test_what_it_costs_is_said_and_the_queue_is_rated_again(corner, crooked):
    record = corner.tab.panel.session.run.record
    assert f"s on {record.device})" in corner.flips.button.text()
    assert "once more" in corner.flips.button.toolTip()
    before = risks_of(corner)
    corner.compare()
    after = risks_of(corner)
    run = corner.tab.panel.session.run
    maps = run.planes.prediction.maps
    image, recipe = run.image, run.recipe
    again = finish(workflow.flipped_maps(image, recipe, run.planes.prediction))
    expected = object_risks(corner.tab.labels, maps["foreground"], maps["contour"], again)
    assert after == dict(zip(expected.ids.tolist(), expected.risk.tolist(), strict=True))
    changed = {label for label, risk in after.items() if risk > before[label]}
    assert changed
    assert len(changed) < len(after)
    total = len(after)
    much = int((expected.parts["changed"] > 0.6).sum())
    assert 0 < much <= len(changed)
    assert corner.flips.note.text() == f"{much} of {total} objects change clearly when mirrored."
    assert corner.flips.button.text() == "Compared with flips"
    assert not corner.flips.button.isEnabled()
    assert corner.flips.bar.isHidden()

    corner.start()  # rated again, it still knows
    assert risks_of(corner) == after
    corner.tab.panel.view.model.diameter.set_pixels(17.0)
    corner.tab.run()  # other maps
    corner.wait(lambda: corner.flips.button.isEnabled())
    corner.settle()
    assert "Compare with flips (" in corner.flips.button.text()


def test_cancelled_it_leaves_the_rating_alone(corner, monkeypatch):
    gate, arrived = threading.Event(), threading.Event()

    def slow(*arguments, **options):
        for k in range(1000):
            yield Progress("Comparing with flips", k, 1000)
            arrived.set()
            gate.wait(0.01)

    monkeypatch.setattr(workflow, "flipped_maps", slow)
    before = risks_of(corner)
    corner.flips.button.click()
    assert corner.flips.button.text() == "Cancel the comparison"
    assert not corner.flips.bar.isHidden()
    corner.wait(arrived.is_set)
    corner.wait(lambda: corner.flips.bar.maximum() == 1000)
    corner.flips.button.click()
    corner.settle()
    assert "Compare with flips (" in corner.flips.button.text()
    assert corner.flips.bar.isHidden()
    assert risks_of(corner) == before


def test_other_labels_on_the_workbench_cancel_it(corner, monkeypatch):
    gate = threading.Event()

    def slow(*arguments, **options):
        while not gate.wait(0.01):
            yield Progress("Comparing with flips", 1, 3)
        return None, None

    monkeypatch.setattr(workflow, "flipped_maps", slow)
    corner.flips.button.click()
    other = corner.tab.viewer.add_labels(np.ones((20, 20), np.int32))
    corner.bench.take(other)
    gate.set()
    corner.wait(lambda: not corner.runner.busy)
    assert corner.flips.button.text() == "Compare with flips"
    assert corner.flips.bar.isHidden()
    corner.start()
    corner.flips.button.click()
    assert "come from elsewhere" in corner.flips.note.text()
    assert not corner.runner.busy


def test_a_closed_image_and_a_missing_model_are_named(corner, cellseg_home):
    folder = cellseg_home / "models" / "valleys"
    shutil.move(folder, cellseg_home / "away")
    corner.compare()
    assert "valleys" in corner.flips.note.text()
    assert corner.flips.button.isEnabled()
    shutil.move(cellseg_home / "away", folder)
    corner.tab.viewer.layers.remove(corner.image)
    corner.compare()
    assert "is closed" in corner.flips.note.text()
