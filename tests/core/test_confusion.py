"""Confusion of classes: matched by overlap, counted by class, pooled over pictures."""

import numpy as np
import pytest

from napari_cellseg.core.confusion import confusion, pooled


def blocks(*places):
    labels = np.zeros((10, 60), np.int32)
    for number, column in places:
        labels[2:8, column : column + 6] = number
    return labels


def test_every_kind_of_pair_is_counted_once():
    true = blocks((3, 0), (5, 10), (7, 20), (8, 30))
    pred = blocks((1, 0), (2, 10), (4, 40), (6, 31))
    matrix = confusion(
        true, pred, {3: "a", 5: "b", 7: "a", 8: "b"}, {1: "a", 2: "a", 4: "b", 6: "b"}, "ab"
    )
    # 3 right, 5 confused, 7 missed, 8 right although shifted; 4 spurious
    assert matrix.counts.tolist() == [[1, 0, 1], [1, 1, 0], [0, 1, 0]]
    assert matrix.f1() == pytest.approx({"a": 2 / 4, "b": 2 / 4})


def test_objects_without_a_class_and_their_partners_are_left_out():
    true, pred = blocks((3, 0), (5, 10), (7, 20)), blocks((1, 0), (2, 10))
    matrix = confusion(true, pred, {3: "a"}, {1: "a", 2: "b"}, "ab")
    assert matrix.counts.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert matrix.f1() == {"a": 1.0}  # "b" does not occur
    assert matrix.mean_f1() == 1.0


def test_a_class_that_the_model_does_not_know_is_never_right():
    one = blocks((1, 0))
    matrix = confusion(one, one, {1: "new"}, {1: "a"}, "a")
    assert matrix.types == ("a", "new")
    assert matrix.f1() == {"a": 0.0, "new": 0.0}


def test_pictures_with_other_classes_are_added():
    one = blocks((1, 0))
    first = confusion(one, one, {1: "b"}, {1: "b"}, "ab")
    second = confusion(one, one * 0, {1: "c"}, {}, ["c"])
    both = pooled([first, second, first])
    assert both.types == ("a", "b", "c")
    assert both.counts[1, 1] == 2
    assert both.counts[2].tolist() == [0, 0, 0, 1]
    assert both.table().splitlines()[0].split("  ")[-1].strip() == "F1"
