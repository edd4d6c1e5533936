"""The tab Fine-tune with a process that only pretends to train."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from qtpy.QtCore import QTimer

from napari_cellseg.core.errors import Cancelled, TrainingError
from napari_cellseg.core.finetuning import estimate as estimates
from napari_cellseg.core.finetuning.events import Preview
from napari_cellseg.core.finetuning.jobs.job import Job, jobs_folder, unfinished
from napari_cellseg.core.finetuning.judgement.gate import Comparison, Gain, GateReport, Verdict
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.zoo.contents import read_all, write_folder
from napari_cellseg.core.zoo.store import find_model, user_folder
from napari_cellseg.gui import overlays
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.finetune import gate as gates
from napari_cellseg.gui.finetune import runs
from napari_cellseg.session.corrections.states import ObjectState
from napari_cellseg.session.finetuning import process as processes

from .conftest import discs

ACCEPTED = ObjectState("accepted", True)


def grid(shape=(96, 120)):
    labels = np.zeros(shape, np.int32)
    for number, (row, column) in enumerate(np.ndindex(3, 4), 1):
        labels[6 + 28 * row : 22 + 28 * row, 6 + 28 * column : 22 + 28 * column] = number
    return labels


def report(accepted, reason):
    gain = Gain(parent=0.5, child=0.75, difference=0.25, low=0.125, high=0.375)
    names = ("ap50", "map", "pq", "aji", "dice")
    new = Comparison(
        images=1, objects=7, level="objects", units=7, metrics=dict.fromkeys(names, gain),
        quality=gain, chance=0.01,
    )  # fmt: skip
    verdict = Verdict(accepted=accepted, reason=reason)
    return GateReport(new=new, replay=None, margin=0.02, verdict=verdict)


class Stage:
    """What stands in for the training process: does as the test says."""

    def __init__(self):
        self.go, self.accepted, self.error = threading.Event(), True, None
        self.made, self.steps, self.rate = [], 10**6, 0.002

    def __call__(self, job, device="auto", *, resume=False):
        self.made.append(Actor(self, job, resume))
        return self.made[-1]


class Actor:
    def __init__(self, stage, job, resume):
        self.stage, self.job, self.resume = stage, job, resume
        self.orders, self.closed = [], False
        self.waits = self.looks = self.stops = False

    def pause(self):
        self.orders.append("pause")
        self.waits = True

    def go_on(self):
        self.orders.append("resume")
        self.waits = False

    def preview(self):
        self.looks = True

    def cancel(self):
        self.orders.append("cancel")
        self.stops = True

    def events(self):
        stage, done = self.stage, 0
        try:
            yield Progress("Starting")
            while not stage.go.is_set() and done < stage.steps:
                if self.stops:
                    raise Cancelled("Cancelled. The last checkpoint is kept.")
                if self.looks:
                    self.looks = False
                    folder = find_model("valleys").folder
                    yield Preview("Training", done, 1000, folder=folder)
                if self.waits:
                    yield Progress("Paused", done, 1000)
                else:
                    done += 1
                    metrics = {"loss": 1 / done, "rate": 1e-3}
                    if done % 10 == 0:
                        metrics |= {"validation_loss": 2 / done, "ap50": 1 - 1 / done}
                    yield Progress("Training", done, 1000, metrics=metrics)
                time.sleep(stage.rate)
            if stage.error is not None:
                raise stage.error
            reason = "The new model is better." if stage.accepted else "May be chance."
            write_folder(self.job.child_folder, read_all(find_model("valleys").folder))
            report(stage.accepted, reason).save(self.job.gate_file)
            return processes.Outcome(self.job.child_folder, stage.accepted, reason)
        finally:
            self.closed = True


def put_checkpoint(job):
    job.run_folder.mkdir(parents=True, exist_ok=True)
    from napari_cellseg.core.training.run import Run

    Run(job.run_folder, []).checkpoint.touch()


@pytest.fixture
def stage(monkeypatch):
    from napari_cellseg.gui.panels import finetune
    from napari_cellseg.gui.preferences import Models, Preferences

    preferences = Preferences(models=Models(default="valleys"))
    monkeypatch.setattr(finetune, "read_preferences", lambda: preferences)
    stage = Stage()
    monkeypatch.setattr(processes, "TrainingProcess", stage)
    monkeypatch.setattr(
        estimates, "estimate", lambda *_: SimpleNamespace(seconds=90, memory_bytes=2**31, note="")
    )
    return stage


class Tab:
    """The tab, driven as a user would."""

    def __init__(self, qtbot, viewer=None):
        from napari_cellseg.gui.panels.finetune import FineTunePanel

        self.qtbot = qtbot
        self.viewer = viewer or ViewerModel()
        self.panel = FineTunePanel(self.viewer)
        self.desk = desk_of(self.viewer)
        self.chosen = []
        self.desk.model_chosen.connect(self.chosen.append)

    @property
    def view(self):
        return self.panel.view

    def open(self, name="field", seed=0):
        """Open an image with labels; some of them accepted."""
        self.viewer.add_image(discs((96, 120), seed), name=name)
        layer = self.viewer.add_labels(grid(), name=f"{name} cells")
        binding = self.desk.bind(layer)
        binding.document.decide("Accept", {1: ACCEPTED, 2: ACCEPTED, 3: ACCEPTED})
        return binding

    def look(self):
        self.panel.show()
        self.settle()

    def settle(self):
        self.until(lambda: not self.panel.sources.counting and not self.panel.runner.busy)

    def until(self, condition):
        self.qtbot.waitUntil(condition, timeout=60_000)

    def teach(self):
        self.view.training.button.click()
        self.until(lambda: "Training " in self.view.run.status.text())

    def ended(self):
        self.until(lambda: not self.panel.runs.running)
        self.settle()

    def close(self):
        self.panel.shut_down()
        self.until(lambda: not self.panel.runner.busy)
        self.panel.close()
        self.panel.deleteLater()


@pytest.fixture
def tab(qtbot, valleys, stage):
    tab = Tab(qtbot)
    yield tab
    stage.go.set()
    tab.close()


def test_nothing_to_learn_from_is_told(tab):
    tab.viewer.add_image(discs())
    tab.look()
    assert "Accept or correct some objects" in tab.view.sources.note.text()
    assert not tab.view.sources.note.isHidden()
    assert not tab.view.training.button.isEnabled()
    assert "Tick what the model shall learn from" in tab.view.training.button.toolTip()


def test_the_list_follows_the_corrections(tab):
    binding = tab.open()
    tab.look()
    (row,) = tab.panel.sources.overview.rows
    assert (row.name, row.objects, row.decided) == ("field cells", 3, 3)
    assert row.part == "training, a strip for validation"
    assert tab.view.sources.list.item(0).text().startswith("field cells\n3 objects")
    assert tab.view.training.button.isEnabled()
    assert "About 90 s" in tab.view.training.estimate.text() or "2 min" in (
        tab.view.training.estimate.text()
    )
    binding.document.decide("Accept", {4: ACCEPTED})
    tab.settle()
    assert tab.panel.sources.overview.rows[0].objects == 4
    area = np.zeros((96, 120), bool)
    area[:50] = True
    binding.document.set_reviewed(area)
    tab.settle()
    assert tab.panel.sources.overview.rows[0].objects == 8
    item = tab.view.sources.list.item(0)
    item.setCheckState(item.checkState().Unchecked)
    tab.settle()
    assert not tab.view.training.button.isEnabled()


def test_stacks_enter_plane_by_plane(tab):
    image = np.stack([discs((96, 120), seed) for seed in range(5)])
    tab.viewer.add_image(image, axis_labels=("z", "y", "x"))
    labels = np.stack([grid() + 20 * k for k in range(5)])
    layer = tab.viewer.add_labels(labels, axis_labels=("z", "y", "x"))
    binding = tab.desk.bind(layer)
    binding.document.decide("Accept", {21: ACCEPTED, 64: ACCEPTED, 65: ACCEPTED})
    tab.look()
    (row,) = tab.panel.sources.overview.rows
    assert (row.planes, row.of_planes, row.objects) == (2, 5, 3)
    assert sorted(row.part.split(", ")) == ["1 training", "1 validation"]
    first, second = tab.panel.sources.overview.sources
    np.testing.assert_array_equal(first.image.plane()[..., 0], image[1])
    np.testing.assert_array_equal(second.image.plane()[..., 0], image[3])
    np.testing.assert_array_equal(second.labels > 0, np.isin(labels[3], (64, 65)))


def test_labels_of_a_region_get_their_part_of_the_image(tab):
    image = discs((96, 120))
    tab.viewer.add_image(image, scale=(0.5, 0.5), translate=(3, 4))
    tab.viewer.add_image(np.zeros((96, 121)))
    layer = tab.viewer.add_labels(
        grid()[6:60, 8:100].copy(), scale=(0.5, 0.5), translate=(3 + 3, 4 + 4)
    )
    tab.desk.bind(layer).document.decide("Accept", {1: ACCEPTED})
    tab.look()
    (source,) = tab.panel.sources.overview.sources
    np.testing.assert_array_equal(source.image.plane()[..., 0], image[6:60, 8:100])


def test_folders_of_pairs_enter_and_leave(tab, tmp_path):
    for kind, pixels in (("images", discs((96, 120))), ("labels", grid().astype(np.uint16))):
        (tmp_path / "set" / kind).mkdir(parents=True)
        tifffile.imwrite(tmp_path / "set" / kind / "one.tif", pixels)
    tab.look()
    tab.panel.sources.add_folder(tmp_path / "set")
    tab.panel.sources.add_folder(tmp_path / "empty")
    tab.settle()
    good, bad = tab.panel.sources.overview.rows
    assert (good.objects, good.share, good.problem) == (12, 1.0, "")
    assert "no folder 'images'" in bad.problem
    assert "no folder 'images'" in tab.view.sources.list.item(1).text()
    assert tab.view.training.button.isEnabled()
    tab.view.sources.list.setCurrentRow(0)
    tab.view.sources.forget.click()
    tab.settle()
    assert [row.name for row in tab.panel.sources.overview.rows] == ["empty"]
    assert not tab.view.training.button.isEnabled()


def test_a_better_model_is_installed_chosen_and_rolled_back(tab, stage):
    tab.open()
    tab.look()
    tab.teach()
    (actor,) = stage.made
    assert actor.job.parent_name == "valleys"
    assert len(actor.job.sources()) == 1
    tab.until(lambda: len(tab.view.run.curve.points("ap50")[0]) >= 2)
    assert tab.view.run.curve.plots
    stage.go.set()
    tab.ended()
    child = user_folder() / "valleys-tuned"
    assert tab.chosen == [str(child)]
    gate = tab.view.gate
    assert "'valleys-tuned' is in use" in gate.title.text()
    assert "0.50" in gate.table.text()
    assert "+0.12 to +0.38" in gate.table.text()
    assert not gate.again.isHidden()
    assert not actor.job.folder.exists()
    asked = []
    tab.desk.run_requested.connect(lambda: asked.append(1))
    gate.again.click()
    assert asked == [1]
    assert gate.keep.text() == "Roll back"
    gate.keep.click()
    assert tab.chosen[-1] == str(user_folder() / "valleys")
    assert child.exists()
    gate.use.click()
    assert tab.chosen[-1] == str(child)


def test_a_model_whose_name_is_taken_is_told_by_its_new_name(tab, stage):
    stage.go.set()
    tab.open()
    tab.look()
    tab.view.training.name.setText("valleys")
    tab.view.training.button.click()
    tab.ended()
    assert tab.chosen == [str(user_folder() / "valleys-2")]
    assert "'valleys-2' is in use" in tab.view.gate.title.text()
    tab.view.gate.keep.click()
    assert "parent 'valleys' stays" in tab.view.gate.title.text()
    assert "'valleys-2'" in tab.view.gate.use.toolTip()


def test_a_model_that_is_no_better_is_only_used_on_demand(tab, stage):
    stage.accepted = False
    stage.go.set()
    tab.open()
    tab.look()
    tab.view.training.button.click()
    tab.ended()
    gate = tab.view.gate
    assert tab.chosen == []
    assert "parent 'valleys' stays in use" in gate.title.text()
    assert gate.reason.text() == "May be chance."
    assert gate.use.text() == "Use it anyway"
    gate.use.click()
    tab.settle()
    assert tab.chosen == [str(user_folder() / "valleys-tuned")]


def test_a_model_that_nobody_wants_is_deleted(tab, stage):
    stage.accepted = False
    stage.go.set()
    tab.open()
    tab.look()
    tab.view.training.button.click()
    tab.ended()
    folder = stage.made[0].job.folder
    assert folder.exists()
    tab.view.gate.keep.click()
    tab.settle()
    assert not folder.exists()
    assert tab.view.gate.isHidden()
    assert tab.chosen == []


def test_a_failed_installation_is_told(tab, stage, monkeypatch):
    def fail(_):
        yield Progress("Installing")
        raise TrainingError("The disk is full: make room.")

    monkeypatch.setattr(gates, "_install", fail)
    stage.go.set()
    tab.open()
    tab.look()
    tab.view.training.button.click()
    tab.ended()
    assert tab.view.gate.message.text() == "The disk is full: make room."
    assert tab.view.gate.use.text() == "Use the new model"
    assert tab.chosen == []


def test_pause_go_on_and_cancel(tab, stage):
    tab.open()
    tab.look()
    tab.teach()
    (actor,) = stage.made
    run = tab.view.run
    assert not tab.view.training.isVisible()  # one at a time
    run.pause.click()
    tab.until(lambda: run.pause.text() == "Go on" and run.pause.isEnabled())
    assert "Paused" in run.status.text()
    run.pause.click()
    tab.until(lambda: run.pause.text() == "Pause" and run.pause.isEnabled())
    put_checkpoint(actor.job)
    run.cancel.click()
    assert "Cancelling" in run.status.text()
    tab.ended()
    assert actor.orders == ["pause", "resume", "cancel"]
    assert tab.view.training.isVisible()
    assert run.cancel.isHidden()
    assert not tab.view.unfinished.isHidden()  # it can go on
    tab.view.unfinished.resume.click()
    tab.until(lambda: len(stage.made) == 2)
    assert stage.made[1].resume
    assert stage.made[1].job.folder == actor.job.folder


def test_a_cancelled_run_without_checkpoint_leaves_nothing(tab, stage):
    tab.open()
    tab.look()
    tab.teach()
    tab.view.run.cancel.click()
    tab.ended()
    assert not any(jobs_folder().iterdir())
    assert tab.view.unfinished.isHidden()


def test_a_failure_is_told_and_the_window_is_ready_again(tab, stage):
    stage.error = TrainingError("The loss is not finite: choose a lower learning rate.")
    tab.open()
    tab.look()
    tab.teach()
    stage.go.set()
    tab.ended()
    assert "lower learning rate" in tab.view.run.message.text()
    assert tab.view.training.button.isEnabled()


def test_layers_may_go_and_change_while_it_runs(tab, stage):
    binding = tab.open()
    before = binding.document.labels.copy()
    tab.look()
    tab.teach()
    binding.layer.data[:] = 0
    tab.viewer.layers.clear()
    (actor,) = stage.made
    (source,) = actor.job.sources()
    np.testing.assert_array_equal(source.labels > 0, np.isin(before, (1, 2, 3)))
    stage.go.set()
    tab.ended()
    assert len(tab.chosen) == 1


def test_a_preview_on_the_view(tab, stage):
    tab.open()
    tab.look()
    tab.teach()
    run = tab.view.run
    tab.until(run.preview.isEnabled)
    run.preview.click()
    assert not run.preview.isEnabled()
    tab.until(lambda: overlays.TRAINED_NAME in tab.viewer.layers)
    shown = tab.viewer.layers[overlays.TRAINED_NAME]
    assert shown.data.shape == (96, 120)
    assert shown.data.max() > 5
    tab.until(run.preview.isEnabled)
    stage.go.set()
    tab.ended()
    assert overlays.TRAINED_NAME not in tab.viewer.layers


def test_closing_in_mid_run_offers_to_go_on(qtbot, valleys, stage):
    tab = Tab(qtbot)
    tab.open()
    tab.look()
    tab.teach()
    put_checkpoint(stage.made[0].job)
    tab.close()
    assert stage.made[0].closed
    assert "cancel" in stage.made[0].orders
    again = Tab(qtbot)
    again.look()
    assert not again.view.unfinished.isHidden()
    assert "'valleys-tuned'" in again.view.unfinished.text.text()
    again.view.unfinished.discard.click()
    again.settle()
    assert unfinished() == []
    assert again.view.unfinished.isHidden()
    again.close()


def test_train_elsewhere_writes_a_zip(tab, tmp_path):
    tab.open()
    tab.look()
    tab.panel.elsewhere.write(tab.panel.plan.order(), tmp_path / "away.zip")
    tab.settle()
    assert "napari-cellseg finetune away.zip" in tab.view.training.message.text()
    job = Job.load(tmp_path / "away.zip", tmp_path / "there")
    assert job.name == "valleys-tuned"
    assert len(job.sources()) == 1
    assert not any(jobs_folder().iterdir())


def test_presets_and_own_settings(tab):
    tab.open()
    tab.look()
    box = tab.view.training
    quick = box.settings
    box.preset.setCurrentIndex(box.preset.findData("thorough"))
    box.preset.activated.emit(box.preset.currentIndex())
    assert box.settings.minutes > quick.minutes
    box.form.controls["learning_rate"]._spin.setValue(2e-4)
    assert box.settings.learning_rate == pytest.approx(2e-4)
    assert box.preset.currentText() == "Own settings"
    box.name.setText("mine")
    tab.settle()
    order = tab.panel.plan.order()
    assert (order.name, order.settings) == ("mine", box.settings)


def test_the_parent_is_the_model_of_the_labels_or_a_choice(tab, valleys):
    included = next(iter(tab_entries()))
    binding = tab.open()
    binding.layer.metadata["napari-cellseg"] = {"recipe": {"model": "valleys"}}
    tab.look()
    assert tab.panel.plan.parent_entry.name == "valleys"
    tab.view.training.parent_chosen.emit(included)
    tab.settle()
    assert str(tab.panel.plan.parent_entry.folder) == included
    tab.panel.sources.refresh()
    tab.settle()
    assert str(tab.panel.plan.parent_entry.folder) == included


def tab_entries():
    from napari_cellseg.core.zoo.store import list_models

    return [str(entry.folder) for entry in list_models() if entry.group == "included"]


def test_the_window_goes_on_while_steps_stream_in(tab, stage):
    """Stalls of the event loop, by a timer that should fire every 10 ms."""
    stage.rate = 0.0005
    tab.open()
    tab.look()
    beats = []
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append((time.perf_counter(), time.thread_time())))
    tab.view.run.curve.begin(__import__("pyqtgraph"))
    tab.teach()
    tab.qtbot.wait(300)
    timer.start(10)
    tab.qtbot.wait(2000)
    timer.stop()
    assert len(stage.made) == 1
    assert 10 < len(tab.view.run.curve.points("loss")[0]) < 600
    passed, computed = np.diff(beats, axis=0).T
    assert len(beats) > 10
    assert computed.max() < 0.1  # of this thread alone: others may keep it from the processor
    assert np.median(passed) < 0.1


def test_widgets_explain_themselves_and_fit_a_narrow_dock(tab):
    from qtpy.QtWidgets import QAbstractButton, QComboBox, QLineEdit, QListWidget, QTreeWidget

    tab.open()
    tab.look()
    kinds = (QAbstractButton, QComboBox, QLineEdit, QListWidget, QTreeWidget)
    for widget in tab.view.findChildren(QAbstractButton):
        inner = widget.objectName().startswith("qt_")
        assert widget.toolTip() or widget.parentWidget().toolTip() or inner, widget
    for kind in kinds:
        for widget in tab.view.findChildren(kind):
            inner = widget.objectName().startswith("qt_")
            assert widget.accessibleName() or inner, widget
    assert tab.view.minimumSizeHint().width() <= 330


def test_the_tree_of_models(tab, valleys):
    parent = find_model("valleys")
    contents = read_all(parent.folder)
    sha = parent.card.weights_sha256[:12]
    card = parent.card.replace(
        name="child", lineage=(f"valleys {sha}",), weights_sha256="ab" * 32,
        scores={"corrections": {"ap50": 0.5, "pq": 0.25}},
    )  # fmt: skip
    write_folder(user_folder() / "child", {**contents, "card.json": card.to_json().encode()})
    tab.look()
    tab.view.lineage.more.click()
    tab.settle()
    tree = tab.view.lineage.tree
    tops = [tree.topLevelItem(k) for k in range(tree.topLevelItemCount())]
    (top,) = [one for one in tops if one.text(0) == "valleys"]
    assert top.childCount() == 1
    assert [top.child(0).text(k) for k in range(3)] == ["child", "0.50", "0.25"]
    tree.setCurrentItem(top.child(0))
    tab.view.lineage.use.click()
    assert tab.chosen == [str(user_folder() / "child")]


def test_unknown_parents_are_shown_by_name():
    from napari_cellseg.core.zoo.store import list_models
    from napari_cellseg.session.finetuning.lineage import family

    entry = list_models()[0]
    card = entry.card.replace(lineage=("lost 0123456789ab",))
    one = replace(entry, folder=Path("here"), card=card)
    (root,) = family([one])
    assert (root.key, root.size) == ("here", 1)
    other = replace(one, folder=Path("there"), card=card.replace(weights_sha256="cd" * 32))
    (root,) = family([one, other])
    assert (root.title, root.key, root.size) == ("lost", "", 3)


def test_a_flood_of_steps_is_calmed():
    def flood():
        for done in range(2000):
            yield Progress("Training", done, metrics={"loss": 1.0})
            if done == 700:
                yield Progress("Training", done, metrics={"loss": 1.0, "ap50": 0.5})
        yield Progress("Saving")
        return "made"

    steps = list(followed := iter_and_keep(runs.calmed(flood())))
    assert len(steps) < 100
    assert any("ap50" in step.metrics for step in steps)
    assert steps[-1].stage == "Saving"
    assert followed.result == "made"


class iter_and_keep:  # noqa: N801
    """Iterate over a generator and keep what it returns."""

    def __init__(self, generator):
        self.generator, self.result = generator, None

    def __iter__(self):
        self.result = yield from self.generator


def test_another_tab_chooses_a_model_and_runs_it(qtbot, valleys, stage, monkeypatch):
    """As the verdict does: the model came a moment ago, and the tab Segment knows nothing of it."""
    from napari_cellseg.gui.dock import Dock
    from napari_cellseg.gui.panels import segment
    from napari_cellseg.gui.preferences import Models, Preferences, Runtime

    preferences = Preferences(runtime=Runtime(warm_up=False), models=Models(default="valleys"))
    monkeypatch.setattr(segment, "read_preferences", lambda: preferences)
    viewer = ViewerModel()
    viewer.add_image(discs((96, 120)))
    dock = Dock(viewer)
    panel, _ = dock.panel("segment"), dock.panel("finetune")
    parent = find_model("valleys")
    card = parent.card.replace(name="child").to_json().encode()
    write_folder(user_folder() / "child", {**read_all(parent.folder), "card.json": card})
    desk_of(viewer).model_chosen.emit(str(user_folder() / "child"))
    assert panel.view.model.entry.name == "child"
    assert panel.session.recipe.model == "child"
    desk_of(viewer).run_requested.emit()
    assert dock.tabs.currentWidget() is panel
    qtbot.waitUntil(lambda: panel.result.layer is not None, timeout=60_000)
    assert panel.session.run.recipe.model == "child"
    qtbot.waitUntil(lambda: not panel.live.busy and not panel.runner.busy, timeout=60_000)
    dock.deleteLater()


def test_steps_that_arrive_while_the_bar_is_moved_do_not_pile_up(monkeypatch):
    """napari processes events while it moves a bar: the next step may come in the middle of it."""
    from napari_cellseg.gui import activity

    depths = []

    class Bar:
        total, n = 0, 0

        def __init__(self, **_):
            pass

        def set_description(self, _):
            depths.append(1)
            if len(depths) < 5000:
                shown.show(Progress("Training", len(depths), 10**4))

        def update(self, step):
            self.n += step

    monkeypatch.setattr(activity, "progress", Bar)
    shown = activity.Activity(SimpleNamespace(window=object()), "CellSeg", lambda: None)
    for done in range(3):
        shown.show(Progress("Training", done, 10))
    assert len(depths) == 3
