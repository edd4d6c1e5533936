"""Settings fitted to corrections: from the tab Correct to the sliders of the tab Segment."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_cellseg.core.errors import DataError
from napari_cellseg.core.fitting.result import FitResult
from napari_cellseg.core.fitting.tally import FitScore
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows import fit as workflow
from napari_cellseg.gui.boxes.fit import FitBox
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.correct.fit import Fit
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.job_runner import JobRunner
from napari_cellseg.session.corrections.states import ObjectState
from napari_cellseg.session.planes import Planes

from .conftest import discs

ACCEPTED = ObjectState("accepted", True)
IDLE = "Fit settings to my corrections"


def squares():
    labels = np.zeros((30, 40), np.int32)
    labels[3:9, 3:9], labels[3:9, 20:26], labels[15:25, 5:15] = 1, 2, 3
    return labels


def prediction(labels):
    return Prediction({"foreground": np.where(labels > 0, 220, 10).astype(np.uint8)}, "YX")


def found(start, **changes):
    """Return the outcome of a fit."""
    params = start.replace(**changes)
    after = FitScore(0.9, 0.95) if changes else FitScore(0.5, 0.25)
    return FitResult(params, start, FitScore(0.5, 0.25), after, 0.01, 3, 1200, 7)


class Search:
    """Stands in for the search: waits after its first step until it is let go."""

    def __init__(self):
        self.gate, self.arrived = threading.Event(), threading.Event()
        self.changes = {"foreground_threshold": 0.25}
        self.error = None
        self.cases, self.closed = [], 0

    def __call__(self, case, start):
        self.cases.append((case, start))
        try:
            yield Progress("Fitting")
            yield Progress("Fitting", 5, metrics={"before": 0.375, "best": 0.5})
            self.arrived.set()
            while not self.gate.is_set():
                yield Progress("Fitting", 5, metrics={"before": 0.375, "best": 0.5})
                time.sleep(0.005)
            if self.error is not None:
                raise self.error
            return found(start, **self.changes)
        finally:
            self.closed += 1


class Corner:
    """A viewer with predicted labels on the workbench, and the fit."""

    def __init__(self, qtbot):
        self.qtbot = qtbot
        self.viewer = ViewerModel()
        self.bench = Workbench(self.viewer)
        self.box, self.runner = FitBox(), JobRunner()
        self.area = None
        self.fit = Fit(self.bench, self.runner, self.box, lambda: self.area)
        self.settings = []
        desk_of(self.viewer).settings_found.connect(lambda *told: self.settings.append(told))
        self.labels = self.add()
        self.bench.take(self.labels)

    def add(self):
        layer = self.viewer.add_labels(squares())
        binding = desk_of(self.viewer).bind(layer)
        post = PostParams(foreground_threshold=0.75)
        recipe = Recipe().replace(post=post)
        binding.run = SimpleNamespace(
            planes=Planes(prediction(squares())), recipe=recipe, classes=None
        )
        return layer

    @property
    def document(self):
        return self.bench.binding.document

    @property
    def text(self):
        return self.box.text.text()

    def start(self):
        self.box.button.click()

    def settle(self):
        self.qtbot.waitUntil(lambda: not self.runner.busy, timeout=60_000)


@pytest.fixture
def search(monkeypatch):
    search = Search()
    monkeypatch.setattr(workflow, "fit", search)
    yield search
    search.gate.set()


@pytest.fixture
def corner(qtbot, search):
    corner = Corner(qtbot)
    yield corner
    search.gate.set()
    corner.fit.cancel()
    corner.settle()


def test_nothing_reviewed_is_told(corner, search):
    corner.start()
    assert "Accept or edit some objects, or mark the reviewed area" in corner.text
    assert corner.box.button.text() == IDLE
    assert not corner.runner.busy
    corner.document.decide("Skip", {1: ObjectState("skipped")})  # says nothing about right
    corner.start()
    assert not corner.runner.busy


def test_labels_from_elsewhere_are_told(corner):
    corner.start()
    other = corner.viewer.add_labels(squares())
    corner.bench.take(other)
    assert corner.text == ""
    corner.document.decide("Accept", {1: ACCEPTED})
    corner.start()
    assert "come from elsewhere" in corner.text
    corner.bench.take(None)
    corner.start()
    assert "come from elsewhere" in corner.text


def test_a_fit_of_what_is_decided(corner, search):
    corner.document.decide("Accept", {1: ACCEPTED})
    corner.document.decide("Skip", {2: ObjectState("skipped")})
    corner.area = np.zeros((30, 40), bool)
    corner.area[:12] = True
    corner.start()
    assert corner.box.button.text() == "Cancel"
    assert not corner.box.bar.isHidden()
    corner.qtbot.waitUntil(lambda: "0.375 to 0.500" in corner.text, timeout=60_000)
    before = corner.document.labels.copy()
    corner.document.decide("Accept", {3: ACCEPTED})  # the person goes on meanwhile
    search.gate.set()
    corner.settle()
    ((case, start),) = search.cases
    assert start == PostParams(foreground_threshold=0.75)
    assert tuple(case.accepted) == (1,)
    np.testing.assert_array_equal(case.area, corner.area)
    np.testing.assert_array_equal(case.truth, before)
    assert "PQ 0.500 to 0.900, AP 0.250 to 0.950" in corner.text
    assert "0.75 to 0.25" in corner.text
    assert corner.box.button.text() == IDLE
    assert corner.box.bar.isHidden()

    corner.box.apply.click()
    assert corner.settings == [(corner.bench.binding, PostParams(foreground_threshold=0.25))]
    assert corner.text == ""
    corner.fit.apply()
    assert len(corner.settings) == 1


def test_settings_that_fit_already_are_not_applied(corner, search):
    search.changes = {}
    search.gate.set()
    corner.document.decide("Accept", {1: ACCEPTED})
    corner.start()
    corner.settle()
    assert "present settings fit the 3 reviewed objects best" in corner.text
    assert corner.box._answer.isHidden()


def test_cancel(corner, search):
    corner.document.decide("Accept", {1: ACCEPTED})
    corner.start()
    assert search.arrived.wait(60)
    corner.box.button.click()
    corner.settle()
    assert search.closed == 1
    assert (corner.text, corner.box.button.text()) == ("", IDLE)
    search.gate.set()
    corner.start()
    corner.settle()
    assert "PQ" in corner.text
    corner.box.dismiss.click()
    assert corner.text == ""
    assert not corner.settings


def test_a_failure_is_told(corner, search):
    search.error = DataError("No object was reviewed: accept some.")
    search.gate.set()
    corner.document.decide("Accept", {1: ACCEPTED})
    corner.start()
    corner.settle()
    assert corner.text == "No object was reviewed: accept some."
    assert corner.box.button.text() == IDLE


def test_other_labels_end_the_fit_and_have_their_own(corner, search):
    other = corner.add()
    corner.document.decide("Accept", {1: ACCEPTED})
    corner.start()
    assert search.arrived.wait(60)
    corner.bench.take(other)
    assert (corner.text, corner.box.button.text()) == ("", IDLE)
    corner.document.decide("Accept", {2: ACCEPTED})
    corner.start()  # while the first one may still be stopping
    corner.qtbot.waitUntil(lambda: search.closed == 1, timeout=60_000)
    again = corner.qtbot.waitUntil
    again(lambda: len(search.cases) == 2 and "0.375" in corner.text, timeout=60_000)
    assert corner.box.button.text() == "Cancel"
    corner.box.button.click()
    corner.settle()
    assert search.closed == 2
    assert corner.box.button.text() == IDLE
    search.gate.set()
    corner.start()
    corner.settle()
    corner.bench.take(corner.labels)
    assert corner.text == ""
    corner.fit.apply()  # found for other labels
    assert not corner.settings


def test_from_corrections_to_the_sliders(qtbot, tab):
    """A real fit: small objects, which the settings removed, were drawn by a person."""
    tab.viewer.add_image(discs())
    tab.run()
    everything = tab.labels.copy()
    tab.move("min_area", 150)
    assert np.unique(tab.labels).size < np.unique(everything).size - 3
    bench, box, runner = Workbench(tab.viewer), FitBox(), JobRunner()
    area = np.ones(tab.labels.shape, bool)
    fit = Fit(bench, runner, box, lambda: area)
    bench.take(tab.layer)
    document = bench.binding.document
    missing = np.isin(everything, np.unique(everything[tab.labels == 0]))
    plane = document.plane(())
    drawn = np.where((plane == 0) & missing & (everything > 0), everything + 1000, plane)
    drawn[:, :100] = plane[:, :100]  # those on the left are still missing
    area[:, :100] = False
    tab.layer.data = drawn.astype(np.int32)
    by_hand = set(document.states)
    assert by_hand

    fit.start()
    qtbot.waitUntil(lambda: not runner.busy, timeout=300_000)
    assert "area" in box.text.text().lower()
    box.apply.click()
    tab.settle()
    shown = tab.panel.view.live.form.controls["min_area"].value()
    assert shown < 50
    assert tab.panel.session.recipe.post.min_area == shown
    assert (tab.labels[:, :90] > 0).sum() > (drawn[:, :90] > 0).sum()
    for label in by_hand:
        np.testing.assert_array_equal(tab.labels == label, drawn == label)
    bench.undo()
    tab.settle()
    np.testing.assert_array_equal(tab.labels, drawn)
    assert tab.panel.view.live.form.controls["min_area"].value() == 150
