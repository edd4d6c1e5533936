"""Classes of objects from probabilities: against a plain transcription, and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_cellseg.core.classify import classify

SHAPE = (2, 5, 6)


@given(
    arrays(np.int32, SHAPE, elements=st.integers(0, 6)),
    arrays(np.uint8, (3, *SHAPE), elements=st.integers(0, 255)),
)
def test_equals_a_loop_over_objects(labels, values):
    found = classify(labels, dict(zip("abc", values, strict=True)))
    ids = [int(k) for k in np.unique(labels) if k]
    assert found.ids.tolist() == ids
    for row, label in enumerate(ids):
        means = [float(plane[labels == label].mean()) / 255 for plane in values]
        assert found.probability[row] == pytest.approx(means)
        assert found.names()[row] == "abc"[int(np.argmax(np.round(means, 12)))]
        first, second = sorted(means)[::-1][:2]
        assert found.margin[row] == pytest.approx(first - second, abs=1e-12)


def test_the_mean_decides_and_not_the_number_of_pixels():
    labels = np.array([[7, 7, 7, 0, 9]])
    one = np.array([[130, 130, 0, 255, 10]], np.uint8)
    two = np.array([[120, 120, 240, 0, 20]], np.uint8)
    found = classify(labels, {"one": one, "two": two})
    assert found.by_id() == {7: "two", 9: "two"}
    assert found.margin == pytest.approx([(480 - 260) / 765, 10 / 255])
    assert found.to_csv().splitlines()[1] == "7,two,0.2876,0.3399,0.6275"


def test_large_numbers_nothing_and_one_class():
    labels = np.zeros((3, 4), np.int32)
    assert classify(labels, {"a": labels.astype(np.uint8)}).names() == []
    labels[0, 0] = 2_000_000
    found = classify(labels, {"a": np.full((3, 4), 51, np.uint8)})
    assert found.by_id() == {2_000_000: "a"}
    assert found.margin == pytest.approx([0.2])


def test_numbers_may_be_as_high_as_they_like():
    """A table of all numbers up to the highest would take gigabytes."""
    low = np.array([[[0, 1, 1], [2, 2, 0]], [[2, 0, 0], [0, 3, 3]]], np.int32)
    high = np.array([0, 5, 2**31 - 2, 2**31 - 1], np.int32)[low]
    maps = {"a": np.arange(12, dtype=np.uint8).reshape(low.shape) * 20}
    expected, found = classify(low, maps), classify(high, maps)
    assert found.ids.tolist() == [5, 2**31 - 2, 2**31 - 1]
    np.testing.assert_array_equal(found.probability, expected.probability)
    everywhere = classify(
        np.full((2, 2), 2**31 - 1, np.int32), {"a": np.full((2, 2), 255, np.uint8)}
    )
    assert everywhere.ids.tolist() == [2**31 - 1]
    assert everywhere.probability.tolist() == [[1.0]]
