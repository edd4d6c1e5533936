"""The review leads from object to object, does what is asked, and follows all that happens."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.key_bindings import coerce_keybinding

from napari_cellseg.core.editing.delete import delete
from napari_cellseg.core.editing.edit import changes
from napari_cellseg.core.editing.merge import merge
from napari_cellseg.core.progress import finish
from napari_cellseg.core.review.risk import rate_objects
from napari_cellseg.gui import drawing
from napari_cellseg.gui.boxes.review import KEYS, ReviewBox
from napari_cellseg.gui.correct import review as module
from napari_cellseg.gui.correct.review import ReviewGuide
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.job_runner import JobRunner
from napari_cellseg.session.corrections.delta import Delta
from napari_cellseg.session.corrections.review import Review
from napari_cellseg.session.corrections.states import ObjectState

ACCEPTED = ObjectState("accepted", True)
TYPES = {"napari-cellseg": {"types": ["round", "flat"]}}


def things(shape=(60, 60)):
    """Sixteen squares; some are small, large, long or at the border."""
    labels = np.zeros(shape, np.int32)
    for k in range(16):
        y, x = 2 + k // 4 * 14, 2 + k % 4 * 14
        labels[..., y : y + 7, x : x + 7] = k + 1
    labels[..., 2:5, 2:4] = 0
    labels[..., 2:14, 30:41] = 3
    labels[..., 16:19, 44:56] = 8
    labels[..., 44:51, 0:9] = 13
    return labels


def order_of(labels):
    """Return the objects, the riskiest first."""
    risks = finish(rate_objects(labels))
    return [int(i) for _, i in sorted(zip(-risks.risk, risks.ids, strict=True))]


class Corner:
    """A viewer with labels on the workbench and their review."""

    def __init__(self, qtbot, data, **options):
        self.qtbot = qtbot
        self.viewer = ViewerModel()
        self.labels = self.viewer.add_labels(data, name="cells", **options)
        self.bench = Workbench(self.viewer)
        self.told = []
        self.bench.told.connect(self.told.append)
        self.box = ReviewBox()
        self.runner = JobRunner()
        self.guide = ReviewGuide(self.bench, self.runner, self.box)
        self.bench.take(self.labels)

    @property
    def document(self):
        return self.bench.binding.document

    @property
    def queue(self):
        return self.guide.queue

    @property
    def current(self):
        return self.queue.current

    def start(self):
        self.box.start.click()
        assert not self.box.start.isEnabled()
        self.settle()
        return self

    def settle(self):
        self.wait(lambda: not self.runner.busy and self.box.start.isEnabled())

    def wait(self, condition):
        self.qtbot.waitUntil(condition, timeout=60_000)

    def press(self, key):
        """Call what napari calls for a key of the layer."""
        self.labels.keymap[coerce_keybinding(key)](self.labels)

    def layer(self, name):
        found = [layer for layer in self.viewer.layers if layer.name == name]
        return found[0] if found else None

    def predict(self, data, facts=("a", "b")):
        """Show other objects, as a slider or another run does."""
        before = self.document.decided().labels
        pixels = Delta.between(before, data)
        self.bench.binding.show("Area", data.copy(), data, pixels, facts, False)

    def check_shown(self, label, index=()):
        """The box tells of the object, the camera looks at it, the frame is around it."""
        assert self.box.what.text().startswith(f"Object {label},")
        assert self.labels.selected_label == label
        box = self.document.objects(index).box(label)
        middle = [(part.start + part.stop - 1) / 2 for part in box]
        world = self.labels.data_to_world((*index, *middle))
        np.testing.assert_allclose(self.viewer.scene.camera.center[-2:], world[-2:])
        frame = self.layer("In review").data[:, 0]  # where its sides begin
        for axis, part in zip((-2, -1), box, strict=True):
            assert frame[:, axis].min() < part.start <= part.stop - 1 < frame[:, axis].max()
        assert (frame[:, :-2] == index).all()


@pytest.fixture
def corner(qtbot):
    return Corner(qtbot, things(), scale=(0.5, 0.5), translate=(3, 4)).start()


def test_goes_from_the_riskiest_to_the_safest(corner):
    order = order_of(corner.document.labels)
    assert order != sorted(order)
    for label in order:
        corner.check_shown(label)
        corner.press(KEYS["next"])
    corner.check_shown(order[0])  # all are open still
    corner.press(KEYS["next"])
    corner.box.buttons["previous"].click()
    corner.check_shown(order[0])
    assert corner.labels in corner.viewer.layers.selection
    assert corner.viewer.layers.selection.active is corner.labels
    assert drawing.region_layer(corner.viewer) is None  # the frame is no region to segment
    assert corner.document.history.undo_name == ""


def test_accept_skip_delete_and_their_undo(corner):
    first, second, third, *rest = order_of(corner.document.labels)
    before = corner.document.labels.copy()
    corner.press("A")
    corner.press("S")
    corner.box.buttons["delete"].click()
    corner.check_shown(rest[0])
    document = corner.document
    assert document.states[first] == ACCEPTED
    assert document.states[second] == ObjectState("skipped")
    np.testing.assert_array_equal(document.labels, np.where(before == third, 0, before))
    assert (corner.box.bar.value(), corner.box.bar.maximum()) == (2, 16)
    assert "1 skipped" in corner.box.time.text()
    assert "left" in corner.box.time.text()

    names = []
    while document.history.undo_name:
        names.append(document.history.undo_name)
        corner.bench.undo()
    assert names == ["Delete", "Skip", "Accept"]
    np.testing.assert_array_equal(document.labels, before)
    assert {corner.queue.state(i) for i in (first, second, third)} == {Review.OPEN}
    assert corner.box.bar.value() == 0
    corner.bench.redo()
    assert corner.queue.state(first) is Review.ACCEPTED
    assert corner.box.bar.value() == 1


def test_skipped_ones_come_last_and_then_there_is_nothing(corner):
    order = order_of(corner.document.labels)
    corner.press("S")
    for _ in order[1:]:
        corner.press("A")
    corner.check_shown(order[0])
    assert "(skipped)" in corner.box.what.text()
    corner.press("A")
    assert "Nothing is left" in corner.box.what.text()
    assert corner.box.bar.value() == 16
    assert corner.layer("In review") is None
    assert not corner.box.buttons["accept"].isEnabled()
    corner.press("D")
    corner.press("A")
    assert corner.document.labels.max() == 16
    corner.press("Q")
    corner.check_shown(order[-1])
    assert "(accepted)" in corner.box.what.text()


def test_skip_leaves_what_is_decided(corner):
    label = corner.current
    corner.press("A")
    corner.press("Q")
    assert corner.current == label
    corner.press("S")
    assert corner.document.states[label] == ACCEPTED
    assert corner.queue.state(label) is Review.ACCEPTED
    assert corner.current != label


def test_the_area_filter(corner):
    corner.box.smallest.setValue(50)
    seen = set()
    for _ in range(5):
        seen.add(corner.current)
        corner.press("N")
    assert seen == {3, 8, 13}
    corner.box.largest.setValue(63)
    corner.check_shown(13)
    corner.box.start.click()  # rated again, the filter stays
    corner.settle()
    corner.press("N")
    corner.check_shown(13)
    corner.box.largest.setValue(51)
    assert "Nothing is left" in corner.box.what.text()
    corner.box.smallest.setValue(0)
    corner.box.largest.setValue(0)
    assert len(corner.queue.shown) == 16
    assert corner.current is not None


def test_the_class_filter_follows_classes_given_meanwhile(qtbot):
    corner = Corner(qtbot, things(), metadata=TYPES)
    corner.document.decide("Class", {5: ObjectState(cell_class="flat")})
    corner.start()
    kind = corner.box.kind
    assert [kind.itemText(k) for k in range(kind.count())] == ["Any class", "round", "flat"]
    kind.setCurrentIndex(2)
    kind.activated.emit(2)
    corner.check_shown(5)
    assert corner.queue.shown == [5]
    corner.document.decide("Class", {9: ObjectState(cell_class="flat")})
    assert set(corner.queue.shown) == {5, 9}
    corner.document.undo()
    assert corner.queue.shown == [5]
    corner.box.start.click()
    corner.settle()
    assert kind.currentData() == "flat"
    assert corner.queue.shown == [5]


def test_the_safer_ones_are_shown_then_accepted_in_one_step(corner):
    order = order_of(corner.document.labels)
    for _ in range(9):
        corner.press("N")
    corner.document.decide("Skip", {order[12]: ObjectState("skipped")})
    safer = [i for i in order[10:] if i != order[12]]
    corner.box.rest.click()
    assert not corner.box.question.isHidden()
    assert f"{len(safer)} open objects" in corner.box._asked.text()
    marked = corner.layer("To be accepted").data.astype(bool)
    np.testing.assert_array_equal(marked, np.isin(corner.document.labels, safer))

    corner.box.no.click()
    assert corner.layer("To be accepted") is None
    assert corner.box.question.isHidden()
    assert len(corner.document.states) == 1

    corner.box.rest.click()
    corner.box.yes.click()
    assert corner.layer("To be accepted") is None
    assert all(corner.document.states[i] == ACCEPTED for i in safer)
    assert len(corner.document.states) == len(safer) + 1
    assert corner.document.history.undo_name == "Accept 5 objects"
    corner.check_shown(order[9])
    corner.bench.undo()
    assert len(corner.document.states) == 1
    assert corner.box.bar.value() == 0


def test_what_happened_since_the_question_is_not_overruled(corner):
    order = order_of(corner.document.labels)
    for _ in range(12):
        corner.press("N")
    corner.box.rest.click()
    corner.document.decide("Skip", {order[13]: ObjectState("skipped")})
    corner.box.yes.click()
    assert set(corner.document.states) == set(order[13:])
    assert corner.document.states[order[13]].decision == "skipped"
    corner.bench.undo()
    corner.box.rest.click()
    plane = corner.document.plane(())
    box = corner.document.objects(()).box(order[14])
    corner.bench.edit("Erase", lambda: changes(plane, box, np.zeros_like(plane[box])))
    assert corner.box.question.isHidden()  # other pixels are not what was shown
    corner.box.yes.click()
    assert corner.document.history.undo_name == "Erase"


def test_nothing_is_safer_than_the_last(corner):
    for _ in range(15):
        corner.press("N")
    corner.box.rest.click()
    assert "No open object is safer" in corner.told[-1]
    assert corner.box.question.isHidden()
    corner.box.yes.click()
    assert corner.document.history.undo_name == ""


def test_other_predicted_objects_are_rated_again(corner, monkeypatch):
    monkeypatch.setattr(module, "_RATE_AGAIN_MS", 50)
    order = order_of(corner.document.labels)
    corner.press("A")
    shown = corner.current
    other = np.where(np.isin(corner.document.labels, [shown, order[5]]), 0, corner.document.labels)
    other[52:56, 50:58] = 40
    corner.predict(other.astype(np.int32))
    corner.press("A")  # at once: there is no such object any more
    assert set(corner.document.states) == {order[0]}
    corner.wait(lambda: 40 in corner.queue.entries)
    corner.settle()
    assert set(corner.queue.entries) == set(np.unique(other)) - {0}
    assert corner.queue.state(order[0]) is Review.ACCEPTED
    assert corner.current in corner.queue.shown
    corner.bench.undo()
    corner.wait(lambda: shown in corner.queue.entries)
    corner.settle()
    assert set(corner.queue.entries) == set(order)
    assert corner.box.bar.value() == 1


def test_what_is_corrected_while_the_objects_are_rated_counts(qtbot):
    corner = Corner(qtbot, things())
    corner.box.start.click()
    plane = corner.document.plane(())
    box = (slice(2, 9), slice(16, 23))
    corner.bench.edit("Erase", lambda: changes(plane, box, np.zeros_like(plane[box])))
    corner.wait(lambda: corner.queue is not None)
    corner.settle()
    assert 2 not in corner.queue.entries
    assert len(corner.queue.entries) == 15


def test_tools_in_between(corner):
    """The queue follows a tool; an object that another took over is not accepted."""
    order = order_of(corner.document.labels)
    label = order[0]
    plane, objects = corner.document.plane(()), corner.document.objects(())
    other = 5 if label != 5 else 9
    box = objects.box(label)
    corner.bench.edit("Fill", lambda: changes(plane, box, np.full_like(plane[box], other)))
    assert corner.queue.state(label) is Review.DELETED
    assert corner.queue.state(other) is Review.EDITED
    assert "(deleted)" in corner.box.what.text()
    assert corner.layer("In review") is None
    corner.press("A")
    assert set(corner.document.states) == {other}
    assert corner.current == next(i for i in order[1:] if i != other)
    corner.bench.undo()
    assert corner.queue.state(label) is Review.OPEN

    new = corner.document.new_id()
    empty = (slice(10, 13), slice(2, 6))
    corner.bench.edit("Draw", lambda: changes(plane, empty, np.full((3, 4), new, np.int32)))
    assert corner.queue.state(new) is Review.EDITED
    assert corner.box.bar.maximum() == 17
    corner.bench.undo()  # as if it had never been
    assert corner.queue.state(new) is None
    assert (corner.box.bar.value(), corner.box.bar.maximum()) == (0, 16)


def test_merged_objects(corner):
    plane, objects = corner.document.plane(()), corner.document.objects(())
    corner.bench.edit("Merge", lambda: merge(plane, objects, [6, 7], bridge=8))
    states = {corner.queue.state(6), corner.queue.state(7)}
    assert states == {Review.EDITED, Review.DELETED}
    assert corner.box.bar.value() == 2


def test_planes_of_a_stack(qtbot):
    data = np.zeros((3, 60, 60), np.int32)
    data[0], data[2] = things(), np.where(things() > 0, things() + 16, 0)
    data[2, 2:14, 30:41] = 19
    corner = Corner(qtbot, data, scale=(4, 0.5, 0.5), translate=(10, 0, 0))
    corner.viewer.dims.set_point(0, 14)
    corner.start()
    seen = set()
    for _ in range(6):
        label = corner.current
        index = (0,) if label <= 16 else (2,)
        seen.add(index)
        assert corner.bench.index() == index
        corner.check_shown(label, index)
        corner.viewer.dims.set_point(0, 14)  # the person looks elsewhere meanwhile
        corner.press("D")
        assert not (corner.document.labels == label).any()
        assert corner.queue.state(label) is Review.DELETED
    assert seen == {(0,), (2,)}
    assert corner.document.labels[:2].any()


def test_an_object_of_several_planes_is_deleted_on_all_of_them(qtbot):
    data = np.zeros((3, 60, 60), np.int32)
    data[:] = np.where(things() == 6, 6, 0)
    data[0] = things()
    corner = Corner(qtbot, data.copy()).start()
    corner.guide.queue.go_to(6)
    corner.guide._show_current()
    assert "on 3 planes" in corner.box.what.text()
    corner.press("D")
    np.testing.assert_array_equal(corner.document.labels, np.where(data == 6, 0, data))
    assert corner.told[-1] == "Object 6 is deleted, on all 3 planes it was on."
    assert corner.queue.state(6) is Review.DELETED
    assert len(corner.document.history) == 1
    corner.bench.undo()
    np.testing.assert_array_equal(corner.document.labels, data)
    assert corner.queue.state(6) is Review.OPEN
    corner.guide.queue.go_to(6)
    plane, objects = corner.document.plane((1,)), corner.document.objects((1,))
    corner.bench.edit("Delete", lambda: delete(plane, objects, [6]), index=(1,))
    assert corner.queue.state(6) is Review.EDITED, "it is there until its last pixel"
    assert "on 2 planes" in corner.box.what.text()
    corner.press("N")
    assert "planes" not in corner.box.what.text()
    label = corner.current
    corner.press("D")
    assert corner.told[-1] == f"Object {label} is deleted."


def test_the_end_leaves_decisions_in_the_table(corner):
    corner.labels.features = {"index": [1, 2], "mine": [1.5, 2.5]}
    order = order_of(corner.document.labels)
    corner.press("A")
    corner.press("D")
    corner.bench.take(None)
    table = corner.labels.features.set_index("index")
    assert table.loc[order[0], "review"] == "accepted"
    assert table.loc[order[1], "review"] == "deleted"
    assert table.loc[order[2], "review"] == "open"
    assert table.loc[2, "mine"] == 2.5
    risks = finish(rate_objects(things()))
    assert table.loc[risks.ids, "risk"].to_numpy() == pytest.approx(risks.risk)
    assert table.loc[3, "risk_reason"]
    assert corner.layer("In review") is None
    assert corner.box.details.isHidden()
    for key in KEYS.values():
        assert coerce_keybinding(key) not in corner.labels.keymap

    corner.bench.take(corner.labels)  # decisions are resumed
    corner.start()
    assert corner.queue.state(order[0]) is Review.ACCEPTED
    assert corner.current == order[2]


def test_labels_of_another_shape_end_the_review(corner):
    corner.press("A")
    corner.labels.data = np.ones((9, 8), np.int32)
    assert corner.queue is None
    assert corner.layer("In review") is None
    assert "review" not in corner.labels.features
    corner.start()
    assert set(corner.queue.entries) == {1}


def test_a_removed_layer_ends_the_review(corner):
    corner.box.rest.click()
    corner.viewer.layers.remove(corner.labels)
    assert corner.queue is None
    assert list(corner.viewer.layers) == []
    corner.guide.do("accept")
    corner.box.start.click()
    assert corner.queue is None


def test_labels_without_objects(qtbot):
    corner = Corner(qtbot, np.zeros((20, 20), np.int32)).start()
    assert "Nothing is left" in corner.box.what.text()
    for key in KEYS.values():
        corner.press(key)
    corner.box.rest.click()
    assert corner.document.history.undo_name == ""
