"""Ids become 1 to n in reading order."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.core.editing.renumber import renumber

shapes = st.sampled_from([(7, 8), (3, 5, 4), (0, 4), (1, 1)])
some_ids = st.sampled_from([0, 0, 3, 5, 900, 2**31 - 1])


@settings(deadline=None, max_examples=60)
@given(hnp.arrays(np.int32, shapes, elements=some_ids))
def test_objects_keep_their_pixels_and_are_numbered_as_they_are_met(labels):
    before = labels.copy()
    out, new_ids = renumber(labels)
    np.testing.assert_array_equal(labels, before)
    assert out.dtype == np.int32
    assert out.shape == labels.shape
    met = list(dict.fromkeys(labels[labels > 0].tolist()))
    assert new_ids == {old: i + 1 for i, old in enumerate(met)}
    assert list(new_ids) == met
    expected = np.zeros_like(labels)
    for old, new in new_ids.items():
        expected[labels == old] = new
    np.testing.assert_array_equal(out, expected)


def test_labels_in_order_stay_as_they_are():
    labels = np.array([[1, 0, 2], [1, 3, 0]], np.uint16)
    out, new_ids = renumber(labels)
    np.testing.assert_array_equal(out, labels)
    assert new_ids == {1: 1, 2: 2, 3: 3}
