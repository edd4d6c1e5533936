"""Steps that a worker works out come to the same as those that are done at once."""

import numpy as np
import pytest

from napari_cellseg.core.editing.delete import delete
from napari_cellseg.core.editing.edit import Edit
from napari_cellseg.core.errors import EditError
from napari_cellseg.session.corrections import ahead as module
from napari_cellseg.session.corrections.ahead import edited, turned
from napari_cellseg.session.corrections.document import Document
from napari_cellseg.session.corrections.states import ObjectState


def stack():
    labels = np.zeros((2, 12, 16), np.int32)
    labels[:, 1:4, 1:4] = 1  # on both planes
    labels[0, 1:4, 6:9] = 2
    labels[0, 6:9, 1:4] = 3
    labels[1, 6:9, 6:9] = 9
    return labels


def facts(document):
    return (
        document.labels.tolist(),
        document.states,
        document.erased.tolist(),
        document.decided().locked,
        document.handled,
        [step.name for step in document.history.done],
        document.history.redo_name,
        sorted(document.there(range(20))),
        {i: document.objects((0,)).box(i) for i in document.objects((0,)).ids.tolist()},
    )


def delete_two(plane, objects):
    return delete(plane, objects, [1, 3])


def grown(plane, objects):
    """Take a pixel from the background, some of it erased before."""
    return [Edit(np.s_[1:9, 1:4], np.full((8, 3), 7, np.int32))]


def beforehand(document):
    document.decide("Accept", {2: ObjectState("accepted", True), 3: ObjectState("accepted", True)})
    document.edit("Delete", (0,), delete(document.plane((0,)), document.objects((0,)), [2]))
    return document


@pytest.mark.parametrize("edits_of", [delete_two, grown])
@pytest.mark.parametrize("table", [True, False])
def test_the_same_as_at_once_there_and_back(edits_of, table, monkeypatch):
    if not table:
        monkeypatch.setattr(module, "_MOST_NUMBERS", 0)
    once, later = beforehand(Document(stack())), beforehand(Document(stack()))
    once.edit("Change", (0,), edits_of(once.plane((0,)), once.objects((0,))))
    heard = []
    later.stepped.connect(heard.append)
    found = edited(later.before(), "Change".format, (0,), edits_of)
    assert later.arrive(found, found.labels) is found.step
    assert heard == [found.step]
    assert facts(later) == facts(once)
    for way, back in (("undo", True), ("redo", False), ("undo", True)):
        step = later.history.next(back)
        found = turned(later.before(), way, step.reversed if back else step)
        later.arrive(found, found.labels)
        getattr(once, way)()
        assert facts(later) == facts(once)


def test_what_is_known_of_objects_is_there_at_once():
    document = Document(stack())
    document.objects((1,))
    found = edited(document.before(), "Delete {}".format, (0,), delete_two)
    assert set(found.objects) == {(1,)}
    document.arrive(found, found.labels)
    assert document.history.undo_name == "Delete 2", "told how many objects"
    assert document.objects((1,)) is found.objects[(1,)]


def test_labels_that_changed_meanwhile_stay():
    document = Document(stack())
    found = edited(document.before(), "Delete {}".format, (0,), delete_two)
    document.edit("Delete", (1,), delete(document.plane((1,)), document.objects((1,)), [9]))
    before = facts(document)
    with pytest.raises(EditError, match="do it again"):
        document.arrive(found, found.labels)
    assert facts(document) == before


def test_an_edit_of_nothing_is_no_step():
    document = Document(stack())
    found = edited(document.before(), "Delete {}".format, (0,), lambda plane, objects: [])
    assert document.arrive(found, found.labels) is None
    assert not document.history.done
    assert not document.handled


def test_the_worker_leaves_the_document_alone():
    document = beforehand(Document(stack()))
    before, labels, erased = document.before(), document.labels.copy(), document.erased
    found = edited(before, "Delete {}".format, (0,), delete_two)
    np.testing.assert_array_equal(document.labels, labels)
    np.testing.assert_array_equal(document.erased, erased)
    assert not np.shares_memory(found.labels, document.labels)
    document.decide("Accept", {9: ObjectState("accepted", True)})
    assert 9 not in before.states
