"""The correction tools: what a click or a line changes, what the history calls it, what is told."""

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_cellseg.gui.correct import binding as bindings
from napari_cellseg.gui.correct.hand import Hand
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.tools import delete as deleting
from napari_cellseg.gui.tools.options import ToolOptions
from napari_cellseg.session.corrections.states import ObjectState

SHAPE = (40, 50)


def field():
    """Return five objects: 1 and 2 two pixels apart, 3 large, 4 with a hole, 5 of four pixels."""
    labels = np.zeros(SHAPE, np.int32)
    labels[4:14, 4:14] = 1
    labels[4:14, 16:22] = 2
    labels[20:36, 4:24] = 3
    labels[20:30, 30:40] = 4
    labels[24:26, 34:36] = 0
    labels[2:4, 40:42] = 5
    return labels


class Corner:
    """A viewer with labels on the workbench, and all tools in a hand."""

    def __init__(self, data, **options):
        self.viewer = ViewerModel()
        self.layer = self.viewer.add_labels(data.copy(), **options)
        self.bench = Workbench(self.viewer)
        self.hand = Hand(self.bench)
        self.told = []
        self.bench.told.connect(self.told.append)
        self.bench.take(self.layer)

    @property
    def document(self):
        return self.bench.binding.document

    @property
    def plane(self):
        """The shown plane."""
        return np.array(self.document.plane(self.bench.index()))

    @property
    def last(self):
        return self.document.history.undo_name

    def choose(self, name, **options):
        self.hand.set_options(ToolOptions(**options))
        if self.hand.name != name:
            self.hand.choose(name)

    def click(self, y, x, *held):
        """Click a pixel of the shown plane with the tool in the hand."""
        index = (*self.bench.index(), y, x)
        self.hand.tool.click(tuple(self.layer.data_to_world(index)), frozenset(held))

    def stroke(self, *points):
        self.hand.tool.stroke(np.asarray(points, float), frozenset())

    def know(self, foreground=None, classes=()):
        """Pretend that a network left these maps, of one plane."""
        shape = self.document.labels.shape
        maps = {} if foreground is None else {"foreground": np.broadcast_to(foreground, shape)}
        prediction = SimpleNamespace(maps=maps, classes=classes)
        planes = SimpleNamespace(shape=shape, prediction=prediction)
        self.bench.binding.run = SimpleNamespace(planes=planes, classes=None)


@pytest.fixture(params=["plane", "stack"])
def corner(request, qtbot):
    """Labels in a plane, and in the middle of a stack whose other planes hold other ones."""
    if request.param == "plane":
        yield Corner(field(), scale=(0.5, 0.25), translate=(3, -7))
        return
    others = np.where(field() > 0, field() + 10, 0)
    data = np.stack([others, field(), others])
    corner = Corner(data, scale=(2, 0.5, 0.25), translate=(1, 3, -7), axis_labels=("z", "y", "x"))
    corner.viewer.dims.set_point(0, 3)
    yield corner
    now = corner.document.labels
    np.testing.assert_array_equal(now[[0, 2]], data[[0, 2]])


def edited(corner):
    return set(corner.document.states.where("edited"))


def undone(corner):
    """Take the last step back; it must restore everything."""
    corner.bench.undo()
    np.testing.assert_array_equal(corner.plane, field())
    assert not corner.document.states
    assert corner.document.erased.size == 0


# Merge


def test_merge_by_clicks(corner):
    corner.choose("merge")
    corner.click(8, 8)
    assert "Object 1" in corner.told[-1]
    np.testing.assert_array_equal(corner.plane, field())
    corner.click(8, 18)
    assert (corner.plane[4:14, 4:22] == 1).all()  # with the gap
    changed = corner.plane != field()
    assert not changed[:, :14].any()
    assert not changed[:, 22:].any()
    assert corner.last == "Merge"
    assert edited(corner) == {1}
    assert corner.document.states[1].locked
    corner.click(30, 10)  # the first becomes part of the larger one, which is the first from now on
    assert set(np.unique(corner.plane)) == {0, 3, 4, 5}
    corner.click(22, 32)
    assert set(np.unique(corner.plane)) == {0, 3, 5}
    corner.bench.undo()
    corner.bench.undo()
    undone(corner)


def test_merge_by_a_line_and_the_gap_that_stays(corner):
    corner.choose("merge", bridge=0)
    corner.stroke((8, 6), (9, 20))
    expected = np.where(field() == 2, 1, field())
    np.testing.assert_array_equal(corner.plane, expected)
    undone(corner)
    corner.stroke((30, 10), (30, 12))
    assert "only one object" in corner.told[-1]
    assert "across" in corner.told[-1]


def test_merge_forgets_an_object_that_is_gone_or_background(corner):
    corner.choose("merge")
    corner.click(2, 40)
    corner.hand.tools["delete"].click(
        tuple(corner.layer.data_to_world((*corner.bench.index(), 2, 40))), frozenset()
    )
    corner.click(8, 8)
    assert "Object 1" in corner.told[-1]
    corner.click(38, 38)
    assert "become part" in corner.told[-1]
    before = corner.plane
    corner.click(8, 18)  # the first again: background was clicked in between
    np.testing.assert_array_equal(corner.plane, before)
    corner.click(8, 8)
    assert corner.last == "Merge"


# Split


def test_split_by_a_line(corner):
    corner.choose("split")
    corner.stroke((18, 10), (38, 10))
    now = corner.plane
    assert set(np.unique(now[20:36, 4:10])) <= {3, int(now[25, 5])}
    assert now[25, 20] == 3  # the larger piece keeps the number
    new = int(now[25, 5])
    assert new > corner_highest(corner)
    np.testing.assert_array_equal((now == 3) | (now == new), field() == 3)
    assert corner.last == "Split"
    assert edited(corner) == {3, new}
    undone(corner)
    corner.stroke((38, 2), (38, 30))
    assert "no object" in corner.told[-1]
    assert len(corner.document.history) == 0


def corner_highest(corner):
    """Return the highest number that there was at first, in any plane."""
    return 15 if corner.document.labels.ndim == 3 else 5


def test_split_between_two_clicks(corner):
    corner.choose("split")
    corner.click(28, 7)
    assert "other cell" in corner.told[-1]
    corner.click(28, 21)
    now = corner.plane
    assert now[28, 7] != now[28, 21]
    np.testing.assert_array_equal(np.isin(now, now[28, [7, 21]]), field() == 3)
    undone(corner)
    corner.click(28, 7)
    corner.click(38, 38)  # background: from the beginning
    assert "within" in corner.told[-1]
    corner.click(28, 21)
    corner.click(28, 21)
    assert "same pixel" in corner.told[-1]
    corner.click(28, 7)
    corner.click(8, 8)  # another object: its first click
    np.testing.assert_array_equal(corner.plane, field())
    corner.click(12, 12)
    assert corner.last == "Split"
    assert corner.plane[4, 4] != corner.plane[13, 13]


@pytest.mark.parametrize("pieces", [2, 4])
def test_split_into_pieces(corner, pieces):
    corner.choose("split-into", pieces=pieces)
    corner.know(np.full(SHAPE, 200, np.uint8))
    corner.click(28, 7)
    now = corner.plane
    assert len(np.unique(now[field() == 3])) == pieces
    np.testing.assert_array_equal(now[field() != 3], field()[field() != 3])
    assert corner.last == f"Split into {pieces}"
    undone(corner)


def test_split_into_refuses_in_words(corner):
    corner.choose("split-into", pieces=5)
    corner.click(2, 40)
    assert "only 4 pixels" in corner.told[-1]
    corner.click(0, 0)
    assert "Click an object" in corner.told[-1]
    assert len(corner.document.history) == 0


# Delete and draw


def test_delete_by_click(corner):
    corner.choose("delete")
    corner.click(8, 8)
    np.testing.assert_array_equal(corner.plane, np.where(field() == 1, 0, field()))
    assert corner.last == "Delete"
    assert corner.document.erased.size == 100  # no slider brings it back
    undone(corner)
    corner.click(0, 0)
    assert "no object" in corner.told[-1]


def test_delete_by_a_lasso(corner):
    corner.choose("delete")
    corner.stroke((1, 1), (1, 24), (23, 24), (23, 1))  # all of 1 and 2, a quarter of 3
    np.testing.assert_array_equal(corner.plane, np.where(field() < 3, 0, field()))
    assert corner.last == "Delete 2 objects"
    undone(corner)
    corner.stroke((20, 1), (20, 9), (23, 9))
    assert "more than half" in corner.told[-1]
    corner.stroke((20, 1), (20, 9))
    assert "at least 3 points" in corner.told[-1]
    corner.stroke((90, 90), (90, 95), (95, 95))
    assert "beside" in corner.told[-1]
    assert len(corner.document.history) == 0


@pytest.fixture
def all_large(monkeypatch):
    """Leave every lasso and every undo to a worker."""
    monkeypatch.setattr(deleting, "LARGE", 0)
    monkeypatch.setattr(bindings, "LARGE", 0)


def settled(corner, qtbot):
    qtbot.waitUntil(lambda: not corner.hand.large.busy, timeout=20_000)


def test_a_large_lasso_is_left_to_a_worker(corner, qtbot, all_large):
    corner.choose("delete")
    corner.stroke((1, 1), (1, 24), (23, 24), (23, 1))
    np.testing.assert_array_equal(corner.plane, field())
    assert "Deleting" in corner.told[-1]
    corner.bench.undo()  # nothing is to be taken back yet
    settled(corner, qtbot)
    deleted = np.where(field() < 3, 0, field())
    np.testing.assert_array_equal(corner.plane, deleted)
    assert corner.told[-1] == ""
    assert corner.last == "Delete 2 objects"
    shown = np.asarray(corner.layer.data)
    assert np.shares_memory(shown, corner.document.labels)
    where = tuple(np.array([k]) for k in (*corner.bench.index(), 0, 0))
    corner.layer.data_setitem(where, np.array([8], np.int32))
    assert corner.plane[0, 0] == 8, "the document follows what is painted afterwards"
    corner.bench.undo()
    settled(corner, qtbot)
    np.testing.assert_array_equal(corner.plane, deleted)
    corner.bench.undo()
    corner.bench.undo()
    assert "wait" in corner.told[-1]
    settled(corner, qtbot)
    np.testing.assert_array_equal(corner.plane, field())
    corner.bench.redo()
    settled(corner, qtbot)
    np.testing.assert_array_equal(corner.plane, deleted)
    corner.bench.undo()
    settled(corner, qtbot)
    assert corner.document.erased.size == 0
    assert not corner.document.states


def test_a_large_lasso_around_nothing(corner, qtbot, all_large):
    corner.choose("delete")
    for points, told in (
        ([(20, 1), (20, 9), (23, 9)], "more than half"),
        (
            [(90, 90), (90, 95), (95, 95)],
            "beside",
        ),
    ):
        corner.stroke(*points)
        settled(corner, qtbot)
        assert told in corner.told[-1]
    assert len(corner.document.history) == 0


def test_labels_that_change_while_a_large_lasso_is_worked_out(corner, qtbot, all_large):
    corner.choose("delete")
    corner.stroke((1, 1), (1, 24), (23, 24), (23, 1))
    corner.click(25, 10)
    settled(corner, qtbot)
    np.testing.assert_array_equal(corner.plane, np.where(field() == 3, 0, field()))
    assert "do it again" in corner.told[-1]


def test_no_large_step_arrives_on_other_labels(corner, qtbot, all_large):
    corner.choose("delete")
    corner.stroke((1, 1), (1, 24), (23, 24), (23, 1))
    binding = corner.bench.binding
    corner.bench.take(None)
    settled(corner, qtbot)
    assert len(binding.document.history) == 0
    assert binding.work_out is None
    corner.bench.take(corner.layer)
    assert binding.work_out is not None


@pytest.mark.parametrize("over", [False, True])
def test_draw_an_object(corner, over):
    corner.choose("draw", over=over)
    corner.stroke((10, 10), (10, 13), (17, 13), (17, 10))
    now = corner.plane
    new = int(now[16, 12])
    assert new > corner_highest(corner)
    assert (now[11:14, 11:13] == (new if over else 1)).all()
    np.testing.assert_array_equal(now[now != new], field()[now != new])
    assert corner.last == "Draw"
    assert edited(corner) == ({1, new} if over else {new})
    undone(corner)


def test_draw_refuses_in_words(corner):
    corner.choose("draw")
    corner.stroke((22, 6), (22, 12), (28, 12))
    assert "lies on other objects" in corner.told[-1]
    corner.stroke((0, 0), (0, 1))
    assert "at least 3 points" in corner.told[-1]
    corner.click(0, 0)
    assert "draw around" in corner.told[-1]
    assert len(corner.document.history) == 0


# Find at click


def hill():
    """Return a map, 0 to 255, of a cell at (31, 45) with a dim neighbourhood around it."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    near = np.hypot(y - 10, x - 34)
    return np.where(near < 4, 240, np.where(near < 7.5, 90, 0)).astype(np.uint8)


def test_find_a_missed_cell_and_its_next_outline(corner):
    corner.choose("grow-at")
    corner.know(hill())
    corner.click(10, 34)
    small = corner.plane
    new = int(small[10, 34])
    assert new > corner_highest(corner)
    assert corner.last == "Find at click"
    inner = int((small == new).sum())
    assert 35 <= inner <= 70
    corner.click(10, 35, "Alt")
    large = corner.plane
    outer = int((large == large[10, 34]).sum())
    assert outer > 1.5 * inner
    assert len(corner.document.history) == 1  # the larger one stands in place of the smaller
    assert len(corner.document.states) == 1
    for _ in range(2):  # there is none beyond; the last one stays
        corner.click(10, 34, "Alt")
        assert "no further" in corner.told[-1]
        np.testing.assert_array_equal(corner.plane, large)
        assert len(corner.document.history) == 1
    corner.click(10, 34)
    assert "sees one cell" in corner.told[-1]
    undone(corner)


def test_alt_finds_anew_after_something_else_was_done(corner):
    corner.choose("grow-at")
    corner.know(hill())
    corner.click(10, 34)
    found = corner.plane
    corner.document.decide("Accept", {1: ObjectState("accepted", True)})
    corner.click(10, 34, "Alt")
    assert "sees one cell" in corner.told[-1]
    np.testing.assert_array_equal(corner.plane, found)
    assert len(corner.document.history) == 2


def test_a_click_parts_an_object_in_which_the_model_saw_two_cells(corner):
    corner.choose("grow-at")
    seen = np.where(field() > 0, 250, 0)
    seen[20:36, 12:15] = 150  # between the cells in object 3
    corner.know(seen.astype(np.uint8))
    corner.click(28, 8)
    plane = corner.plane
    assert plane[28, 8] != plane[28, 20]
    assert 3 in (plane[28, 8], plane[28, 20])
    np.testing.assert_array_equal(plane > 0, field() > 0)
    assert corner.last == "Part at click"
    assert corner.told[-1] == "Parted into 2 cells, as the model saw it."
    assert corner.document.states.locked == tuple(sorted((plane[28, 8], plane[28, 20])))
    undone(corner)


def test_find_needs_a_map_with_something_in_it(corner):
    corner.choose("grow-at")
    corner.click(10, 34)
    assert "tab Segment" in corner.told[-1]
    corner.know(hill())
    corner.click(0, 0)
    assert "draw the cell" in corner.told[-1]
    corner.hand.tool.click(
        tuple(corner.layer.data_to_world((-5,) * corner.layer.ndim)), frozenset()
    )
    np.testing.assert_array_equal(corner.plane, field())


# Outlines


def test_fill_holes(corner):
    corner.choose("fill-holes")
    corner.click(21, 31)
    assert (corner.plane[20:30, 30:40] == 4).all()
    assert corner.last == "Fill holes"
    corner.click(21, 31)
    assert corner.told[-1] == "Fill holes: nothing to change here."
    assert len(corner.document.history) == 1
    undone(corner)


@pytest.mark.parametrize("step", [1, 3])
def test_erode_and_grow_by_a_step(corner, step):
    corner.choose("erode", step=step)
    corner.click(8, 8)
    expected = field()
    expected[4:14, 4:14] = 0
    expected[4 + step : 14 - step, 4 + step : 14 - step] = 1
    np.testing.assert_array_equal(corner.plane, expected)
    assert corner.last == "Erode"
    undone(corner)
    corner.choose("grow", step=step)
    corner.click(8, 8)
    now = corner.plane
    assert (now[4 - step, 4:14] == 1).all()
    assert not (now[: 4 - step] == 1).any()
    np.testing.assert_array_equal(now == 2, field() == 2)  # a neighbour keeps its pixels
    assert corner.last == "Grow"
    undone(corner)


def test_erode_leaves_something(corner):
    corner.choose("erode", step=5)
    corner.click(8, 18)
    assert "Nothing would be left of object 2" in corner.told[-1]
    corner.click(0, 0)
    assert corner.told[-1] == "Click an object."
    np.testing.assert_array_equal(corner.plane, field())


def test_smooth_by_a_radius(corner):
    left = {}
    for radius in (0.5, 4):
        corner.choose("smooth", radius=radius)
        corner.click(8, 8)
        left[radius] = (corner.plane != field()).sum()
        if corner.last:
            assert corner.last == "Smooth"
            undone(corner)
    assert left[4] > left[0.5]


# Class and lock


def test_classes_by_number_keys(corner):
    corner.choose("class")
    assert "no classes" in corner.told[-1]
    corner.click(8, 8)
    assert "no classes" in corner.told[-1]
    corner.hand.choose("")
    corner.know(classes=("round", "long"))
    corner.choose("class")
    assert corner.told[-1] == "Press a number, then click: 1 round, 2 long."
    corner.click(8, 8)
    assert "number of a class first" in corner.told[-1]
    corner.hand.tool.press("3")
    assert "no class 3" in corner.told[-1]
    corner.hand.tool.press("2")
    assert "'long'" in corner.told[-1]
    corner.click(8, 8)
    corner.click(8, 18)
    assert corner.document.states[1].cell_class == "long"
    assert corner.document.states[2].cell_class == "long"
    assert corner.last == "Class 'long'"
    assert corner.document.states.locked == (1, 2)
    assert edited(corner) == {1, 2}
    corner.click(8, 18)
    assert "already 'long'" in corner.told[-1]
    corner.hand.tool.press("1")
    corner.click(8, 8)
    assert corner.document.states[1].cell_class == "round"
    corner.bench.undo()
    assert corner.document.states[1].cell_class == "long"
    np.testing.assert_array_equal(corner.plane, field())
    corner.hand.choose("")
    corner.know(classes=("odd",))  # another model: "round" means nothing to it
    corner.choose("class")
    corner.click(8, 8)
    assert "number" in corner.told[-1]
    assert corner.document.states[1].cell_class == "long"


def test_lock_and_unlock(corner):
    corner.choose("lock")
    corner.click(8, 8)
    assert corner.document.states[1] == ObjectState("accepted", True)
    assert corner.last == "Accept"
    assert corner.told[-1] == "Object 1 is locked."
    corner.click(8, 8)
    assert corner.document.states[1] == ObjectState()
    assert corner.last == "Unlock"
    assert corner.told[-1] == "Object 1 is unlocked."
    corner.bench.undo()
    assert corner.document.states.locked == (1,)
    corner.click(0, 0)
    assert corner.told[-1] == "Click an object."
    undone(corner)


# The hand


def test_every_tool_has_a_key_of_its_own_and_a_place(corner):
    tools = list(corner.hand.tools.values())
    assert len({tool.key for tool in tools}) == len(tools) == 12
    assert [tool.place for tool in tools] == sorted({tool.place for tool in tools})
    assert all(tool.title and tool.help.endswith(".") for tool in tools)
    assert all(set(tool.options) <= set(ToolOptions.model_fields) for tool in tools)


def test_another_plane_forgets_what_is_under_way(qtbot):
    corner = Corner(np.stack([field(), field()]), axis_labels=("z", "y", "x"))
    corner.viewer.dims.set_point(0, 0)
    corner.choose("merge")
    corner.click(8, 8)
    corner.viewer.dims.set_point(0, 1)
    assert corner.hand.name == "merge"
    corner.click(8, 18)
    np.testing.assert_array_equal(corner.document.labels, np.stack([field(), field()]))
    corner.click(8, 8)
    assert corner.last == "Merge"
    np.testing.assert_array_equal(corner.document.labels[0], field())


def test_without_labels_nothing_is_taken_into_the_hand(qtbot):
    corner = Corner(field())
    corner.bench.take(None)
    corner.hand.choose("merge")
    assert corner.hand.name == ""
    assert corner.bench.edit("Merge", list) is None
    assert "Choose a labels layer" in corner.told[-1]


def test_renumber_is_one_step_that_undo_takes_back(qtbot):
    from napari_cellseg.gui.correct.renumbering import Renumbering
    from napari_cellseg.gui.job_runner import JobRunner

    labels = field()
    labels[labels == 1] = 70
    corner = Corner(labels)
    corner.document.decide("Accept", {70: ObjectState("accepted", True)})
    renumbering = Renumbering(corner.bench, JobRunner())
    corner.told.clear()
    renumbering.start()
    qtbot.waitUntil(lambda: bool(corner.told), timeout=20_000)
    assert corner.told == ["Numbered 1 to 5."]
    assert corner.last == "Renumber"
    assert corner.plane[2, 40] == 1
    assert corner.plane[4, 4] == 2
    assert corner.document.states[2].decision == "accepted"
    corner.document.undo()
    np.testing.assert_array_equal(corner.plane, labels)
    renumbering.start()
    corner.document.decide("Accept", {3: ObjectState("accepted", True)})
    assert corner.told[1:] == ["Undone: Renumber.", ""]
    qtbot.waitUntil(lambda: len(corner.told) == 4, timeout=20_000)
    assert "changed meanwhile" in corner.told[3]
