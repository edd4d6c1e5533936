"""A layer and its document: all that happens to the layer is one history, bit for bit."""

import dask.array
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from napari.utils.key_bindings import coerce_keybinding

from napari_cellseg.core.editing.delete import delete
from napari_cellseg.core.editing.edit import changes
from napari_cellseg.core.editing.merge import merge
from napari_cellseg.core.errors import EditError
from napari_cellseg.gui import conversion
from napari_cellseg.gui.correct import binding as binding_module
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.session.corrections.states import ObjectState

from .conftest import discs

UNDO, REDO = coerce_keybinding("Control-Z"), coerce_keybinding("Control-Shift-Z")


def field(shape=(20, 30)):
    labels = np.zeros(shape, np.int32)
    labels[..., 4:10, 4:10] = 1
    labels[..., 4:10, 12:18] = 2
    return labels


def bind(data, axes="", **options):
    """Return the binding of labels in a viewer without a window."""
    viewer = ViewerModel()
    layer = viewer.add_labels(data, **options)
    return desk_of(viewer).bind(layer, axes), viewer


def pressed(layer, key):
    assert layer.keymap[key](layer) is None  # napari takes a result for a generator


def test_a_file_that_is_mapped_into_memory_is_not_written_to(tmp_path):
    """Its labels may be all a person has; what is corrected is saved when they save it."""
    path = tmp_path / "labels.npy"
    np.save(path, field())
    whole = np.load(path, mmap_mode="r+")
    for data in (whole, whole[:12]):
        binding, _ = bind(data)
        binding.layer.mode = "paint"
        binding.layer.paint((6, 9), 5)
        assert 5 in binding.layer.data
    np.testing.assert_array_equal(np.load(path), field())


# What napari's own tools do


def test_painting_is_a_step_that_locks(qtbot):
    binding, _ = bind(field())
    layer, document = binding.layer, binding.document
    layer.mode, layer.brush_size = "paint", 4
    layer.paint((6, 9), 1)
    painted = layer.data.copy()
    assert (painted == 1).sum() > 36
    assert document.history.undo_name == "Paint"
    assert document.states[1] == ObjectState("edited", True)
    assert np.shares_memory(document.labels, layer.data)
    pressed(layer, UNDO)
    np.testing.assert_array_equal(layer.data, field())
    assert not document.states
    pressed(layer, REDO)
    np.testing.assert_array_equal(layer.data, painted)
    assert document.states.locked == (1,)


def test_a_stroke_over_several_objects_is_one_step(qtbot):
    binding, _ = bind(field())
    layer = binding.layer
    layer.mode, layer.brush_size = "paint", 5
    with layer.block_history():  # as long as the button is held
        layer.paint((6, 10), 7)
        assert len(binding.document.history) == 0
        layer.paint((7, 11), 8)  # over what was just painted
        binding.undo()  # in mid-stroke: not now
        layer.paint((6, 10), 7)
    painted = layer.data.copy()
    assert len(binding.document.history) == 1
    assert set(binding.document.states) == {1, 2, 7, 8}
    np.testing.assert_array_equal(binding.document.objects(()).ids, [1, 2, 7, 8])
    binding.undo()
    np.testing.assert_array_equal(layer.data, field())
    binding.redo()
    np.testing.assert_array_equal(layer.data, painted)


def test_erasing_claims_the_pixels_for_background(qtbot):
    binding, _ = bind(field())
    layer, document = binding.layer, binding.document
    layer.mode, layer.brush_size = "erase", 3
    layer.paint((6, 6), 0)
    assert document.history.undo_name == "Erase"
    np.testing.assert_array_equal(document.erased, np.flatnonzero(layer.data != field()))
    assert document.erased.size
    binding.undo()
    assert document.erased.size == 0


def test_fill_and_polygon(qtbot):
    binding, _ = bind(field())
    layer, document = binding.layer, binding.document
    layer.mode = "fill"
    layer.fill((6, 6), 2)
    np.testing.assert_array_equal(layer.data, np.where(field() == 1, 2, field()))
    assert document.history.undo_name == "Fill"
    np.testing.assert_array_equal(document.objects(()).ids, [2])
    layer.mode = "polygon"
    layer.paint_polygon([(12, 3), (12, 9), (16, 9), (16, 3)], 5)
    assert document.history.undo_name == "Polygon"
    assert (layer.data == 5).sum() == 35
    binding.undo()
    binding.undo()
    np.testing.assert_array_equal(layer.data, field())
    layer.fill((0, 0), 0)  # nothing changes
    layer.fill((6, 6), 1)
    assert len(document.history) == 0


def test_data_setitem_of_other_plugins_is_a_step(qtbot):
    binding, _ = bind(field())
    layer = binding.layer
    layer.data_setitem((np.array([4, 4, 0]), np.array([4, 5, 0])), np.array([9, 0, 0]))
    assert (layer.data[4, 4], layer.data[4, 5]) == (9, 0)
    assert set(binding.document.states) == {1, 9}
    layer.data_setitem((np.array([4]), np.array([6])), 9)
    assert len(binding.document.history) == 2
    binding.undo()
    binding.undo()
    np.testing.assert_array_equal(layer.data, field())


def test_painting_through_a_volume(qtbot):
    binding, viewer = bind(field((4, 20, 30)), axis_labels=("z", "y", "x"))
    layer = binding.layer
    viewer.dims.set_point(0, 1)
    layer.mode, layer.brush_size, layer.n_edit_dimensions = "paint", 5, 3
    layer.paint((1, 6, 11), 6)
    painted = layer.data.copy()
    assert (painted == 6).any(axis=(1, 2)).tolist() == [True, True, True, True]
    np.testing.assert_array_equal(binding.document.objects((2,)).ids, [1, 2, 6])
    binding.undo()
    np.testing.assert_array_equal(layer.data, field((4, 20, 30)))
    binding.redo()
    np.testing.assert_array_equal(layer.data, painted)


def test_napari_is_left_no_history_of_its_own(qtbot):
    binding, _ = bind(field())
    layer = binding.layer
    layer.mode = "paint"
    layer.paint((6, 10), 7)
    binding.document.edit(
        "Delete", (), delete(binding.document.plane(()), binding.document.objects(()), [2])
    )
    binding.undo()
    now = layer.data.copy()
    layer.undo()
    layer.redo()
    np.testing.assert_array_equal(layer.data, now)


# One history


def test_one_history_over_painting_tools_sliders_and_runs(tab):
    viewer = tab.viewer
    viewer.add_image(discs(), name="field")
    tab.run()
    bench = Workbench(viewer)
    bench.take(tab.layer)
    document = bench.binding.document
    assert bench.binding is tab.panel.result.binding
    seen = [(tab.labels.copy(), tab.panel.session.recipe.post)]

    def note(name):
        assert document.history.undo_name == name
        seen.append((tab.labels.copy(), tab.panel.session.recipe.post))

    tab.layer.mode, tab.layer.brush_size = "paint", 7
    tab.layer.paint((25, 25), 999)
    note("Paint")
    plane, objects = document.plane(()), document.objects(())
    ids = [i for i in objects.ids.tolist() if i != 999]
    bench.edit("Merge", lambda: merge(plane, objects, ids[3:5]))
    note("Merge")
    tab.move("min_area", 60)
    note("Smallest area")
    bench.edit("Delete", lambda: delete(document.plane(()), document.objects(()), [999]))
    note("Delete")
    tab.run()
    if document.history.undo_name == "Run again":
        note("Run again")
    tab.move("min_area", 0)
    note("Smallest area")
    tab.layer.mode = "fill"
    tab.layer.fill(tuple(np.argwhere(tab.labels)[-1]), 1234)
    note("Fill")
    assert len(document.history) == len(seen) - 1

    for labels, post in reversed(seen[:-1]):
        bench.undo()
        tab.settle()
        np.testing.assert_array_equal(tab.labels, labels)
        assert tab.panel.session.recipe.post == post
    assert not document.states
    assert bench.binding.document.undo() is None
    for labels, post in seen[1:]:
        bench.redo()
        tab.settle()
        np.testing.assert_array_equal(tab.labels, labels)
        assert tab.panel.session.recipe.post == post
    np.testing.assert_array_equal(document.objects(()).ids, np.unique(tab.labels)[1:])


# Labels that something else puts into the layer


def test_other_data_of_the_same_shape_are_a_step(qtbot):
    binding, _ = bind(field())
    layer, document = binding.layer, binding.document
    layer.mode = "paint"
    layer.paint((6, 10), 1)
    painted = layer.data.copy()
    other = np.roll(field(), 5, axis=1)
    layer.data = other
    assert document.history.undo_name == "Change by another tool"
    assert document.labels.base is other or document.labels is other
    layer.paint((15, 15), 7)
    binding.undo()
    np.testing.assert_array_equal(layer.data, np.roll(field(), 5, axis=1))
    binding.undo()
    np.testing.assert_array_equal(layer.data, painted)
    binding.undo()
    np.testing.assert_array_equal(layer.data, field())
    assert layer.data is other  # in place: one array is shown from now on


def test_other_data_of_another_type_are_one_step(qtbot):
    binding, _ = bind(field())
    layer, document = binding.layer, binding.document
    layer.data = np.roll(field(), 5, axis=1).astype(np.uint8)
    assert layer.data.dtype == np.int32
    assert len(document.history) == 1
    assert np.shares_memory(document.labels, layer.data)
    binding.undo()
    np.testing.assert_array_equal(layer.data, field())
    binding.redo()
    np.testing.assert_array_equal(layer.data, np.roll(field(), 5, axis=1))


def test_other_data_that_cannot_be_corrected_are_refused(qtbot):
    binding, _ = bind(field())
    with pytest.raises(EditError, match="negative"):
        binding.layer.data = -field()
    np.testing.assert_array_equal(binding.layer.data, field())
    assert len(binding.document.history) == 0
    binding.layer.mode = "paint"
    binding.layer.paint((15, 15), 7)
    assert binding.document.labels[15, 15] == 7


@pytest.mark.parametrize("shape", [(25, 35), (3, 20, 30)])
def test_other_data_of_another_shape_begin_anew(qtbot, shape):
    binding, viewer = bind(field())
    layer, document = binding.layer, binding.document
    document.decide("Accept", {1: ObjectState("accepted", True)})
    layer.mode = "paint"
    layer.data = field(shape) * 4
    assert document.labels.shape == shape
    assert not document.states
    assert binding.undo() is None
    index = (0,) * (len(shape) - 2)
    np.testing.assert_array_equal(document.objects(index).ids, [4, 8])
    assert document.new_id() == 9
    bench = Workbench(viewer)
    bench.take(layer)
    viewer.dims.set_point(0, 0)
    bench.edit("Delete", lambda: delete(document.plane(index), document.objects(index), [4]))
    layer.paint((*index, 15, 15), 7)
    assert set(np.unique(layer.data[index])) == {0, 7, 8}
    binding.undo()
    binding.undo()
    np.testing.assert_array_equal(layer.data, field(shape) * 4)


# Which labels can be corrected


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int64, np.uint64, "dask", "locked"])
def test_labels_of_other_types_become_int32(qtbot, kind):
    if kind == "dask":
        data = dask.array.from_array(field().astype(np.uint16), chunks=10)
    elif kind == "locked":
        data = field()
        data.flags.writeable = False
    else:
        data = field().astype(kind)
    binding, _ = bind(data)
    layer = binding.layer
    assert isinstance(layer.data, np.ndarray)
    assert layer.data.dtype == np.int32
    np.testing.assert_array_equal(layer.data, field())
    assert len(binding.document.history) == 0
    big = 2**31 - 1
    layer.mode = "paint"
    layer.paint((6, 10), big)
    assert binding.document.labels[6, 10] == big
    binding.undo()
    np.testing.assert_array_equal(layer.data, field())


def test_int32_labels_are_corrected_in_place(qtbot):
    data = field()
    binding, _ = bind(data)
    assert binding.layer.data is data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (-field(), "make a copy"),
        (-field().astype(np.int64), "-2"),
        (field().astype(np.int64) * 2**31, str(2**32)),
        (field().astype(np.int64) * 2**31, "number them anew"),
    ],
)
def test_numbers_that_are_none_of_objects_are_refused(qtbot, data, words):
    viewer = ViewerModel()
    layer = viewer.add_labels(data)
    bench, told, bound = Workbench(viewer), [], []
    bench.told.connect(told.append)
    bench.changed.connect(bound.append)
    bench.take(layer)
    assert words in told[-1]
    assert bench.binding is None
    assert bound == [None]
    assert not layer.keymap
    layer.mode = "paint"
    layer.paint((15, 15), 1)  # napari's own tools work as ever


def test_a_pyramid_is_refused(qtbot):
    viewer = ViewerModel()
    layer = viewer.add_labels([field(), field()[::2, ::2]], multiscale=True)
    with pytest.raises(EditError, match="crop"):
        desk_of(viewer).bind(layer)


# Orders of axes


@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        ("YX", (12, 15)),
        ("XY", (15, 12)),
        ("ZYX", (3, 12, 15)),
        ("YZX", (12, 3, 15)),
        ("TZYX", (2, 3, 12, 15)),
        ("ZTYX", (3, 2, 12, 15)),
        ("TCYX", (2, 1, 12, 15)),
        ("ZYXC", (3, 12, 15, 1)),
    ],
)
def test_axes_in_any_order(qtbot, axes, shape):
    start = np.zeros(shape, np.int32)
    binding, _ = bind(start.copy(), axes)
    document, layer = binding.document, binding.layer
    canonical = "".join(axis for axis in "TZYX" if axis in axes)
    assert document.labels.shape == tuple(shape[axes.index(axis)] for axis in canonical)
    index = tuple({"T": 1, "Z": 2}[axis] for axis in canonical[:-2])
    box = (slice(2, 5), slice(7, 9))
    document.edit("Draw", index, changes(document.plane(index), box, np.full((3, 2), 6)))
    places = dict(zip(canonical, (*index, *box), strict=True)) | {"C": 0}
    expected = start.copy()
    expected[tuple(places[axis] for axis in axes)] = 6
    np.testing.assert_array_equal(layer.data, expected)

    pixel = tuple((places | {"Y": 10, "X": 3})[axis] for axis in axes)
    layer.data_setitem(tuple(np.array([k]) for k in pixel), 8)
    assert document.labels[(*index, 10, 3)] == 8
    np.testing.assert_array_equal(document.objects(index).ids, [6, 8])
    expected[pixel] = 8
    np.testing.assert_array_equal(
        conversion.in_layer_order(document.labels, axes.replace("YXC", "YX")),
        expected[..., 0] if axes.endswith("C") else expected,
    )
    binding.undo()
    binding.undo()
    np.testing.assert_array_equal(layer.data, start)
    binding.redo()
    binding.redo()
    np.testing.assert_array_equal(layer.data, expected)


def test_large_changes_are_shown_at_once(qtbot, monkeypatch):
    monkeypatch.setattr(binding_module, "_PIXEL_BY_PIXEL", 10)
    binding, _ = bind(np.ascontiguousarray(field().T), "XY")
    layer, document = binding.layer, binding.document
    document.edit("Delete", (), delete(document.plane(()), document.objects(()), [1, 2]))
    assert not layer.data.any()
    assert layer.get_value((6, 6)) == 0
    binding.undo()
    np.testing.assert_array_equal(layer.data, field().T)
    assert layer.get_value((6, 6)) == 1


def test_what_is_seen_follows(qtbot):
    binding, viewer = bind(field((3, 20, 30)), axis_labels=("z", "y", "x"))
    layer, document = binding.layer, binding.document
    viewer.dims.set_point(0, 1)
    for index in [(1,), (2,)]:
        document.edit("Delete", index, delete(document.plane(index), document.objects(index), [1]))
    for z in range(3):
        viewer.dims.set_point(0, z)
        shown = layer._data_view != layer._data_view[0, 0]
        np.testing.assert_array_equal(shown, layer.data[z] > 0)
    layer.visible = False
    binding.undo()
    layer.visible = True
    np.testing.assert_array_equal(layer._data_view != layer._data_view[0, 0], layer.data[2] > 0)
    assert layer.data[2, 6, 6] == 1


# Coming and going


def test_keys_are_bound_on_the_instance_and_go_with_it(qtbot):
    own = dict(Labels.class_keymap)
    binding, viewer = bind(field())
    other = viewer.add_labels(field())
    assert {UNDO, REDO} <= set(binding.layer.keymap)
    assert not other.keymap
    assert own == Labels.class_keymap
    layer, document = binding.layer, binding.document
    viewer.layers.remove(layer)
    assert not layer.keymap
    layer.mode = "paint"
    layer.paint((15, 15), 5)
    layer.data = field()
    assert len(document.history) == 0
    assert desk_of(viewer).of(layer) is None
    layer.undo()


def test_one_binding_for_all_tabs_until_the_layer_goes(qtbot):
    binding, viewer = bind(field())
    first, second = Workbench(viewer), Workbench(viewer)
    seen, gone = [], []
    second.stepped.connect(seen.append)
    second.changed.connect(gone.append)
    first.take(binding.layer)
    second.take(binding.layer)
    assert first.binding is second.binding is binding
    first.edit(
        "Delete",
        lambda: delete(binding.document.plane(()), first.binding.document.objects(()), [1]),
    )
    assert [step.name for step in seen] == ["Delete"]
    second.undo()
    np.testing.assert_array_equal(binding.layer.data, field())
    viewer.layers.remove(binding.layer)
    assert first.binding is None
    assert second.binding is None
    assert gone == [binding, None]
    again = viewer.add_labels(field())
    second.take(again)
    binding.document.decide("Accept", {1: ObjectState("accepted", True)})  # nobody listens
    assert len(seen) == 2


def test_the_workbench_hears_only_of_its_own_layer(qtbot):
    binding, viewer = bind(field())
    other = desk_of(viewer).bind(viewer.add_labels(field()))
    bench, seen = Workbench(viewer), []
    bench.stepped.connect(seen.append)
    for layer in (binding.layer, other.layer, binding.layer):  # there and back
        bench.take(layer)
    other.document.decide("Accept", {1: ObjectState("accepted", True)})
    assert seen == []
    binding.document.decide("Accept", {1: ObjectState("accepted", True)})
    assert len(seen) == 1


@pytest.mark.parametrize("shape", [(20, 30), (3, 20, 30)])
def test_a_layer_that_is_hidden_can_be_corrected(qtbot, shape):
    """So can one that was added hidden, of which napari has no picture yet."""
    binding, viewer = bind(field(shape), "YX" if len(shape) == 2 else "ZYX", visible=False)
    layer, document = binding.layer, binding.document
    where = viewer.dims.current_step[:-2]
    before = layer.data.copy()
    document.edit("Delete", where, delete(document.plane(where), document.objects(where), [1]))
    assert not (layer.data[where] == 1).any()
    layer.visible = True
    np.testing.assert_array_equal(np.asarray(layer._slice.image.raw), layer.data[where])
    document.undo()
    np.testing.assert_array_equal(layer.data, before)
