"""One document for all that happens to labels: edits, decisions, predictions, undo and redo."""

import tracemalloc

import numpy as np
import pytest

from napari_cellseg.core.editing.delete import delete
from napari_cellseg.core.editing.edit import Edit
from napari_cellseg.core.errors import EditError
from napari_cellseg.session.corrections.delta import Delta
from napari_cellseg.session.corrections.document import Document
from napari_cellseg.session.corrections.numbering import HIGHEST_ID, keep_numbers, renumbered
from napari_cellseg.session.corrections.states import UNTOUCHED, ObjectState, States

EDITED = ObjectState("edited", True)
ACCEPTED = ObjectState("accepted", True)
SKIPPED = ObjectState("skipped", False)


def blocks(shape=(12, 16)):
    """Return objects 1 to 4 in the corners of each plane, numbered on from plane to plane."""
    labels = np.zeros(shape, np.int32)
    for number, index in enumerate(np.ndindex(shape[:-2])):
        for k, (y, x) in enumerate(((1, 1), (1, 9), (7, 1), (7, 9))):
            labels[index][y : y + 4, x : x + 5] = 4 * number + k + 1
    return labels


def box(rows, columns, *labels):
    """Return the edit that gives a box one label, or the given ones."""
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    return Edit((rows, columns), np.broadcast_to(np.int32(labels), shape).copy())


def brush(document, positions, label, name="Paint"):
    """Paint as napari does: it tells only afterwards."""
    flat = document.labels.reshape(-1)
    positions = np.asarray(positions)
    pixels = Delta.of(positions, flat[positions], label)
    pixels.write(document.labels)
    return document.record(name, pixels)


def predict(document, predicted, name="Area", together=True, facts=None):
    """Show other predicted objects as the sliders do."""
    decided = document.decided()
    labels = decided.locks().flow_around(predicted)
    labels = keep_numbers(decided.labels, labels, decided.locked, decided.highest)
    pixels = Delta.between(decided.labels, labels)
    return document.replace(name, labels.copy(), labels, pixels, facts, together)


def test_an_edit_changes_its_boxes_and_locks_what_it_touches():
    document = Document(blocks())
    expected = document.labels.copy()
    expected[1:3, 1:4], expected[8:10, 12:14] = 9, 0
    edits = [box(slice(8, 10), slice(12, 14), 0), box(slice(1, 3), slice(1, 4), 9)]
    step = document.edit("Draw", (), edits)
    np.testing.assert_array_equal(document.labels, expected)
    assert step.name == document.history.undo_name == "Draw"
    assert {i: document.states[i] for i in document.states} == {1: EDITED, 4: EDITED, 9: EDITED}
    assert document.erased.tolist() == [8 * 16 + 12, 8 * 16 + 13, 9 * 16 + 12, 9 * 16 + 13]
    assert document.handled


def test_an_edit_that_changes_nothing_is_no_step():
    document = Document(blocks())
    same = Edit((slice(0, 3), slice(0, 3)), document.labels[:3, :3].copy())
    assert document.edit("Draw", (), [same]) is None
    assert document.edit("Draw", (), []) is None
    assert document.record("Paint", Delta.none()) is None
    assert document.decide("Accept", {1: UNTOUCHED}) is None
    assert (len(document.history), document.version, document.handled) == (0, 0, False)
    assert document.undo() is document.redo() is None


def test_an_edit_may_say_what_is_decided_by_it():
    document = Document(blocks())
    given = {1: ACCEPTED, 2: ObjectState("", False, "round")}
    document.edit("Fill", (), [box(slice(1, 2), slice(6, 7), 1)], given)
    assert {i: document.states[i] for i in document.states} == given
    document.undo()
    assert not len(document.states)


def test_a_deleted_object_is_forgotten_and_known_again_after_undo():
    document = Document(blocks())
    document.decide("Accept", {3: ObjectState("accepted", True, "round")})
    plane = document.plane(())
    document.edit("Delete", (), delete(plane, document.objects(()), [3]), {3: ACCEPTED})
    assert document.states[3] == UNTOUCHED
    assert 3 not in document.objects(())
    assert document.decided().locks().values.tolist() == [0] * 20
    document.undo()
    assert document.states[3] == ObjectState("accepted", True, "round")
    assert document.objects(()).box(3) == (slice(7, 11), slice(1, 6))
    assert document.erased.size == 0


@pytest.mark.parametrize("turn", [False, True])
def test_an_object_of_several_planes_is_there_as_long_as_one_has_it(turn):
    labels = blocks((3, 12, 16))
    labels[2][labels[2] == 9] = 1
    if turn:
        labels = np.ascontiguousarray(labels.transpose(1, 2, 0)).transpose(2, 0, 1)
    document = Document(labels)
    for index, there in (((0,), True), ((2,), False)):
        edits = delete(document.plane(index), document.objects(index), [1])
        document.edit("Delete", index, edits)
        assert (document.states[1] == EDITED) is there
    document.undo()
    assert document.states[1] == EDITED
    other = np.where(document.labels == 1, 0, document.labels)
    document.adopt("Other", other, Delta.between(document.labels, other))
    assert document.states[1] == UNTOUCHED


def test_a_plane_cannot_be_written_to_by_a_tool():
    with pytest.raises(ValueError, match="read-only"):
        Document(blocks()).plane(())[0, 0] = 1


def test_paint_over_erased_pixels_is_no_longer_erased():
    document = Document(blocks())
    brush(document, [17, 18, 19], 0)
    brush(document, [18, 19, 20], 7)
    assert document.erased.tolist() == [17]
    brush(document, [19], 0)
    assert document.erased.tolist() == [17, 19]
    document.undo()
    document.undo()
    assert document.erased.tolist() == [17, 18, 19]
    document.undo()
    assert document.erased.size == 0
    np.testing.assert_array_equal(document.labels, blocks())


def test_predictions_flow_around_what_was_decided():
    document = Document(blocks())
    document.decide("Accept", {2: ACCEPTED, 3: SKIPPED})
    document.edit("Delete", (), delete(document.plane(()), document.objects(()), [4]))
    before = document.labels.copy()
    predicted = np.zeros_like(before)
    predicted[0:4, 6:16], predicted[6:10, 8:12], predicted[0:6, 0:6] = 1, 2, 3
    step = predict(document, predicted)
    np.testing.assert_array_equal(document.labels == 2, before == 2)
    assert not document.labels.reshape(-1)[document.erased].any()
    assert (document.labels == 1).sum() == 36, "object 1 goes on under its number"
    assert document.states[3] == UNTOUCHED, "it is not there any more"
    assert document.states[2] == ACCEPTED
    assert step.states == {3: (SKIPPED, UNTOUCHED)}
    document.undo()
    np.testing.assert_array_equal(document.labels, before)
    assert document.states[3] == SKIPPED


def test_a_worker_keeps_its_copy_of_what_is_decided():
    document = Document(blocks())
    decided = document.decided()
    assert document.decided().labels is decided.labels, "one copy for each version"
    brush(document, [0, 1], 6)
    np.testing.assert_array_equal(decided.labels, blocks())
    assert (decided.locked, decided.erased, decided.handled) == ((), None, False)
    brush(document, [1], 0)
    later = document.decided()
    assert (later.locked, later.highest, later.handled) == ((6,), 6, True)
    brush(document, [0], 0)
    assert later.erased.sum() == 1
    with pytest.raises(ValueError, match="read-only"):
        later.labels[0, 0] = 1


def test_moves_of_a_slider_are_taken_back_at_once():
    document = Document(blocks())
    brush(document, [0, 1], 9)
    start = document.labels.copy()
    rng = np.random.default_rng(0)
    for k in range(5):
        predict(document, rng.integers(0, 4, start.shape).astype(np.int32), facts=(k, k + 1))
    end = document.labels.copy()
    assert len(document.history) == 2
    assert document.undo().facts == (5, 0)
    np.testing.assert_array_equal(document.labels, start)
    assert document.redo().facts == (0, 5)
    np.testing.assert_array_equal(document.labels, end)


def test_more_than_a_hundred_steps_come_back_bit_for_bit():
    document, rng = Document(blocks((2, 12, 16))), np.random.default_rng(1)
    seen = [document.labels.copy()]
    while len(seen) <= 150:
        if len(seen) % 10:
            chosen = rng.choice(document.labels.size, 20, replace=False)
            assert brush(document, chosen, int(rng.integers(0, 12)))
        else:
            predicted = rng.integers(0, 4, seen[0].shape).astype(np.int32)
            assert predict(document, predicted, facts=("before", "after"))
        seen.append(document.labels.copy())
    for labels in seen[-2::-1]:
        assert document.undo() is not None
        np.testing.assert_array_equal(document.labels, labels)
    assert document.undo() is None
    assert not len(document.states)
    assert document.erased.size == 0
    for labels in seen[1:]:
        document.redo()
        np.testing.assert_array_equal(document.labels, labels)


def test_memory_follows_the_changed_pixels():
    document = Document(np.zeros((1000, 1000), np.int32))
    brush(document, [0], 1)
    tracemalloc.start()
    try:
        for k in range(100):
            rows, columns = slice(9 * k, 9 * k + 10), slice(50, 60)
            document.edit("Draw", (), [box(rows, columns, document.new_id())])
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 1_000_000, "a hundred copies would take 400 MB"


def test_numbers_are_never_given_twice():
    document = Document(blocks(), states=States({30: ACCEPTED}))
    assert document.new_id() == 31, "an object of that number is known"
    brush(document, [0], 50)
    document.undo()
    assert document.new_id() == 51
    document.start_again(blocks())
    assert document.new_id() == 5


def test_numbers_that_are_used_up_are_won_back_by_renumbering():
    labels = blocks()
    labels[labels == 4] = HIGHEST_ID
    document = Document(labels)
    with pytest.raises(EditError, match="renumber"):
        document.new_id()
    document.renumber(renumbered(document.labels, document.version))
    assert document.new_id() == 5


def test_renumbering_takes_decisions_along_and_locks_nothing():
    labels = blocks()
    labels[labels == 1], labels[labels == 3] = 70, HIGHEST_ID
    document = Document(labels.copy())
    document.decide("Accept", {70: ACCEPTED, HIGHEST_ID: SKIPPED})
    step = document.renumber(renumbered(document.labels, document.version))
    assert step.name == "Renumber"
    np.testing.assert_array_equal(document.labels, blocks())
    assert document.states == States({1: ACCEPTED, 3: SKIPPED})
    assert document.objects(()).ids.tolist() == [1, 2, 3, 4]
    assert document.renumber(renumbered(document.labels, document.version)) is None
    document.undo()
    np.testing.assert_array_equal(document.labels, labels)
    assert document.states == States({70: ACCEPTED, HIGHEST_ID: SKIPPED})


def test_a_writer_makes_the_changes_and_the_signal_tells_of_them():
    labels, written, told = blocks(), [], []

    def write(pixels):
        written.append(pixels)
        pixels.write(labels)

    document = Document(labels, write)
    document.stepped.connect(told.append)
    document.edit("Draw", (), [box(slice(0, 1), slice(0, 2), 9)])
    brush(document, [40], 9)
    document.decide("Accept", {2: ACCEPTED})
    for _ in range(3):
        document.undo()
    document.redo()
    assert [step.name for step in told] == "Draw Paint Accept Accept Paint Draw Draw".split()
    assert [p.after.tolist() for p in written] == [[9, 9], [0], [0, 0], [9, 9]]
    assert document.version == len(told)


def test_labels_of_another_shape_begin_anew():
    document, told = Document(blocks()), []
    brush(document, [0, 18], 0)
    document.stepped.connect(told.append)
    document.start_again(np.ones((3, 4), np.int32))
    assert len(document.history) == len(document.states) == document.erased.size == 0
    assert document.objects(()).ids.tolist() == [1]
    assert not document.handled
    assert len(told) == 1
    assert not told[0]
    assert document.decided().labels.shape == (3, 4)


def test_numbers_found_for_other_labels_are_refused():
    document = Document(np.array([[3, 0, 9]], np.int32))
    found = renumbered(document.decided().labels, document.version)
    document.decide("Accept", {9: ObjectState("accepted", True)})
    with pytest.raises(EditError, match="changed meanwhile"):
        document.renumber(found)
    assert document.labels.tolist() == [[3, 0, 9]]
