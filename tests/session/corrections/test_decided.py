"""What a prediction must leave alone: locked objects, erased pixels, the reviewed area."""

import numpy as np

from napari_cellseg.session.corrections.document import Document
from napari_cellseg.session.corrections.states import ObjectState

ACCEPTED = ObjectState("accepted", locked=True)


def labels():
    """Three objects, the second of which reaches over column 10."""
    array = np.zeros((12, 20), np.int32)
    array[2:6, 2:6] = 1
    array[2:6, 8:14] = 2
    array[8:11, 15:19] = 3
    return array


def left_half():
    area = np.zeros((12, 20), bool)
    area[:, :10] = True
    return area


def test_nothing_decided_locks_nothing():
    assert Document(labels()).decided().locks().positions.size == 0


def test_locked_objects_are_kept_whole():
    document = Document(labels())
    document.decide("Accept", {2: ACCEPTED})
    locks = document.decided().locks()
    assert locks.ids == (2,)
    assert locks.positions.size == 24


def test_the_reviewed_area_keeps_its_objects_whole_and_its_background():
    document = Document(labels())
    document.set_reviewed(left_half())
    locks = document.decided().locks()
    assert locks.ids == (1,)  # most of 2 lies outside
    predicted = np.zeros((12, 20), np.int32)
    predicted[0, :10] = 7  # new, where nothing is
    predicted[7:11, 8:14] = 8  # new, a third of it in the area
    predicted[2:6, 2:5] = 9  # smaller than what was reviewed
    kept = locks.flow_around(predicted)
    np.testing.assert_array_equal(kept == 1, labels() == 1)
    assert not np.isin(kept, [7, 9]).any()
    np.testing.assert_array_equal(np.argwhere(kept == 8).min(axis=0), [7, 10])


def test_an_object_of_which_most_is_reviewed_is_kept_beyond_the_area():
    document = Document(labels())
    area = left_half()
    area[:, :12] = True
    document.set_reviewed(area)
    kept = document.decided().locks().flow_around(np.zeros((12, 20), np.int32))
    np.testing.assert_array_equal(kept == 2, labels() == 2)
    document.set_reviewed(None)
    assert document.decided().locks().positions.size == 0


def test_numbers_up_to_the_highest_are_kept():
    array = np.where(labels() == 1, 2**31 - 1, labels()).astype(np.int32)
    document = Document(array)
    document.set_reviewed(left_half())
    assert document.decided().locks().ids == (2**31 - 1,)
