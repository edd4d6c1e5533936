"""Where an object lies is told by the rating, and looked up where that is outdated."""

import numpy as np

from napari_cellseg.core.editing.edit import Edit
from napari_cellseg.core.progress import finish
from napari_cellseg.core.review.risk import rate_objects
from napari_cellseg.session.corrections.document import Document
from napari_cellseg.session.corrections.places import Places


def stack():
    labels = np.zeros((2, 3, 12, 12), np.int32)
    labels[0, 1, 2:6, 2:6] = 7
    labels[1, 2, 2:6, 2:6] = 8
    labels[1, :, 8:11, 8:11] = 9
    return labels


def places_of(document):
    return Places(document, finish(rate_objects(document.decided().labels)))


def erase(document, index, rows):
    after = np.zeros((rows.stop - rows.start, 12), np.int32)
    document.edit("Erase", index, [Edit((rows, slice(0, 12)), after)])


def test_planes_of_a_stack():
    places = places_of(Document(stack()))
    assert places.of(7) == (0, 1)
    assert places.of(8) == (1, 2)
    assert places.of(9)[0] == 1
    assert places.of(10) is None
    assert places.of(None) is None
    labels = stack()[0, 1]
    assert places_of(Document(labels)).of(7) == ()


def test_all_planes_of_an_object_and_what_deletes_it():
    labels = stack()
    labels[0, 0, :2, :2] = 9  # far from the rest of it, in another time point
    document = Document(labels)
    places = places_of(document)
    assert places.all_of(7) == [(0, 1)]
    assert places.all_of(9) == [(0, 0), (1, 0), (1, 1), (1, 2)]
    assert places.all_of(10) == []
    before = labels.copy()
    document.change("Delete", places.pixels_of(9))
    np.testing.assert_array_equal(labels, np.where(before == 9, 0, before))
    assert places.all_of(9) == []
    assert not places.pixels_of(9)
    document.undo()
    np.testing.assert_array_equal(labels, before)
    assert places.all_of(9) == [(0, 0), (1, 0), (1, 1), (1, 2)]
    document.edit("Draw", (0, 1), [Edit((slice(10, 11), slice(0, 1)), np.full((1, 1), 9))])
    assert places.all_of(9) == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    flat = Document(stack()[0, 1])
    assert places_of(flat).all_of(7) == [()]
    assert places_of(flat).pixels_of(7).positions.size == 16


def test_objects_that_go_come_and_move():
    document = Document(stack())
    places = places_of(document)
    while (index := places.of(9)) is not None:
        erase(document, index, slice(7, 12))
        assert places.of(9) != index
    assert not (document.labels == 9).any()
    new = np.full((2, 2), 11, np.int32)
    document.edit("Draw", (0, 2), [Edit((slice(0, 2), slice(0, 2)), new)])
    assert places.of(11) == (0, 2)
    document.undo()
    assert places.of(11) is None
    document.undo()
    assert places.of(9) is not None
