"""Decisions come back from plain values, and damaged ones are refused in words."""

import json

import numpy as np
import pytest

from napari_cellseg.core import run_length
from napari_cellseg.core.errors import DataError
from napari_cellseg.session.corrections.states import ObjectState, States
from napari_cellseg.session.corrections.stored import read_stored, to_store

STATES = {3: ObjectState("edited", True), 2**31 - 1: ObjectState("accepted", False, "blob")}


def test_decisions_come_back_through_json():
    reviewed = np.zeros((2, 4, 5), bool)
    reviewed[1, 1:3] = True
    erased = np.array([0, 7, 8, 39])
    values = to_store(
        States(STATES),
        run_length.encode_positions(erased),
        run_length.encode(reviewed),
        reviewed.shape,
    )
    back = read_stored(json.loads(json.dumps(values, allow_nan=False)), reviewed.shape)
    assert back.states == States(STATES)
    np.testing.assert_array_equal(back.erased, erased)
    np.testing.assert_array_equal(back.reviewed, reviewed)


def test_nothing_is_stored_about_labels_that_nobody_touched():
    assert to_store(States(), "", "", (4, 5)) == {}
    back = read_stored({}, (4, 5))
    assert len(back.states) == 0
    assert back.erased.size == 0
    assert back.reviewed is None


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [5, 4]},
        {"shape": 7},
        {"states": []},
        {"states": {"id": [1, 2], "decision": ["edited"], "locked": [True], "class": [""]}},
        {"states": {"id": ["x"], "decision": ["edited"], "locked": [True], "class": [""]}},
        {"states": {"id": [0], "decision": ["edited"], "locked": [True], "class": [""]}},
        {"states": {"id": [1], "decision": ["sold"], "locked": [True], "class": [""]}},
        {"states": {"id": [1], "decision": [["edited"]], "locked": [True], "class": [""]}},
        {"erased": "?"},
        {"reviewed": run_length.encode(np.ones((5, 5), bool))},
    ],
)
def test_damaged_values_are_refused(change):
    values = to_store(States(STATES), "", "", (4, 5)) | change
    with pytest.raises(DataError):
        read_stored(values, (4, 5))
