"""What enters a fine-tuning: only what was reviewed, by the rule of `Reviewed.trusted`."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import ChannelError, DataError
from napari_cellseg.core.finetuning.material.source import BAND, Source, source_from
from napari_cellseg.core.fitting.reviewed import Reviewed, compact

from .._pictures import entry, grid, source, squares

SHAPE = (12, 15)
IMAGE = Image(np.zeros(SHAPE, np.uint8), "YX", name="a")

small_labels = arrays(np.int64, SHAPE, elements=st.sampled_from([0, 0, 1, 2, 3, 7, 10**9]))
areas = arrays(np.bool_, SHAPE)


@settings(max_examples=60)
@given(small_labels, areas, st.sets(st.sampled_from([1, 2, 7, 10**9, 5])))
def test_an_area_is_read_as_everywhere_else(labels, area, accepted):
    area[0, 0] = True
    found = source_from(IMAGE, labels, area, accepted)
    reviewed = Reviewed(SimpleNamespace(shape=SHAPE), labels, area, accepted)
    objects, known = reviewed.trusted(())
    ids = [one for one in np.unique(labels) if one > 0]
    whole = [
        o
        for o in ids
        if 2 * (area | np.isin(labels, list(accepted)))[labels == o].sum() > (labels == o).sum()
    ]
    np.testing.assert_array_equal(found.labels > 0, np.isin(labels, whole))
    np.testing.assert_array_equal(found.labels, objects)
    np.testing.assert_array_equal(found.known, known)
    assert found.labels.dtype == np.int32
    assert found.area == known.sum()
    assert found.objects == objects.max()


@settings(max_examples=60)
@given(small_labels, st.sets(st.sampled_from([1, 2, 7, 10**9]), min_size=1))
def test_without_an_area_a_band_around_accepted_objects_is_known(labels, accepted):
    labels[3, 3] = min(accepted)
    found = source_from(IMAGE, labels, np.zeros(SHAPE, bool), accepted)
    right = np.isin(labels, list(accepted))
    near = ndimage.distance_transform_cdt(~right, "chessboard") <= BAND
    np.testing.assert_array_equal(found.known, right | (near & (labels == 0)))
    np.testing.assert_array_equal(found.labels > 0, right)


def test_the_band_ends_after_eight_pixels():
    labels = squares((60, 60), [(27, 27)], 3)
    known = source_from(Image(labels, "YX"), labels, accepted=[1]).known
    rows, columns = np.nonzero(known)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (19, 37, 19, 37)


@pytest.mark.parametrize("area", [None, np.zeros(SHAPE, bool)])
@pytest.mark.parametrize("accepted", [(), [99], [0]])
def test_nothing_reviewed_is_said(area, accepted):
    with pytest.raises(DataError, match="Nothing of 'a' is reviewed: accept or correct"):
        source_from(IMAGE, squares(SHAPE, [(2, 2)]), area, accepted)


def test_a_reviewed_area_without_objects_is_background():
    found = source_from(IMAGE, np.zeros(SHAPE, int), np.ones(SHAPE, bool))
    assert (found.objects, found.area) == (0, found.labels.size)


def test_one_plane_of_a_stack():
    stack = np.arange(2 * 3 * 4 * 5 * 2, dtype=np.uint16).reshape(2, 3, 4, 5, 2)
    image = Image(stack, "ZCYXT"[:1] + "CYX" + "T", (0.5, 0.25), channel_names=("x", "y", "z"))
    labels = np.zeros((2, 2, 4, 5), np.uint8)  # T, Z, Y, X
    labels[1, 0, 1:3, 1:3] = 9
    found = source_from(image, labels, accepted=[9, 4], index=(1, 0), name="t=1")
    np.testing.assert_array_equal(found.image.data, stack[0, :, :, :, 1].transpose(1, 2, 0))
    assert found.image.axes == "YXC"
    assert found.image.pixel_size == (0.5, 0.25)
    assert found.image.channel_names == ("x", "y", "z")
    assert (found.name, found.objects) == ("t=1", 1)
    np.testing.assert_array_equal(found.labels, labels[1, 0] // 9)


def test_pixels_are_copied():
    data, labels = np.zeros(SHAPE, np.uint8), squares(SHAPE, [(2, 2)])
    found = source_from(Image(data, "YX"), labels, np.ones(SHAPE, bool))
    data[:], labels[:] = 1, 5
    assert found.image.data.max() == 0
    assert found.labels.max() == 1


def test_classes_follow_the_numbers():
    labels = squares(SHAPE, [(0, 0), (0, 7)]) * 1000
    found = source_from(IMAGE, labels, accepted=[2000], classes={1000: "a", 2000: "b", 5: "c"})
    assert dict(found.classes) == {1: "b"}


@pytest.mark.parametrize(
    ("labels", "area", "words"),
    [
        (np.zeros((3, 4), int), None, "labels of 'a' .3, 4. and the image .12, 15."),
        (np.zeros((2, *SHAPE), int), None, "labels of 'a' .2, 12, 15."),
        (np.zeros(SHAPE, int), np.ones((15, 12), bool), "reviewed area of 'a' .15, 12."),
        (np.zeros(SHAPE), None, "not integers"),
        (np.zeros(SHAPE, bool), None, "not integers"),
    ],
)
def test_wrong_arrays_are_refused(labels, area, words):
    with pytest.raises(DataError, match=words):
        source_from(IMAGE, labels, area, [1])


@pytest.mark.parametrize(
    ("image", "labels", "known", "words"),
    [
        (Image(np.zeros((2, 3, 4)), "ZYX"), np.zeros((3, 4), np.int32), None, "axes ZYX"),
        (Image(np.zeros((2, 3, 4)), "CYX"), np.zeros((3, 4), np.int32), None, "axes CYX"),
        (IMAGE, np.zeros((3, 4), np.int32), None, "labels .3, 4."),
        (IMAGE, np.zeros(SHAPE, np.int32), np.zeros((1, 2), bool), "reviewed area .1, 2."),
        (IMAGE, np.zeros(SHAPE, np.int64), None, "int64, not int32"),
        (IMAGE, np.zeros(SHAPE, np.int32), np.zeros(SHAPE, np.uint8), "uint8, not true or false"),
    ],
)
def test_a_source_of_arrays_that_do_not_fit_is_refused(image, labels, known, words):
    with pytest.raises(DataError, match=words):
        Source("a", image, labels, known)


def test_the_hash_is_of_the_pixels_alone():
    labels = grid()
    one = source(labels)
    assert one.sha256 == source(np.zeros_like(labels), name="b").sha256
    assert one.sha256 != source(labels, 1).sha256
    big = one.image.data.astype(">i4")
    assert Source("c", Image(big, "YX"), labels).sha256 == one.sha256
    column = Source("d", Image(one.image.data[..., None], "YXC"), labels)
    assert column.sha256 == one.sha256
    for other in (one.image.data.astype(np.int64), one.image.data.reshape(labels.shape[::-1])):
        fit = Source("e", Image(other, "YX"), np.zeros(other.shape, np.int32))
        assert fit.sha256 != one.sha256


def test_true_and_false_are_hashed_as_numbers():
    data = np.eye(5, dtype=bool)
    flags, bytes_ = (
        Source("a", Image(d, "YX"), np.zeros((5, 5), np.int32)) for d in (data, data * np.uint8(1))
    )
    assert flags.sha256 == bytes_.sha256


@pytest.mark.parametrize("offset", [0, 2**31 - 10])
def test_objects_are_counted_whatever_their_numbers(offset):
    labels = np.where(squares(SHAPE, [(0, 0), (6, 9)]) > 0, 1, 0).astype(np.int32)
    labels[:4] *= 1 + offset
    assert source(labels).objects == len(np.unique(labels)) - 1


@settings(max_examples=40)
@given(arrays(np.int64, (4, 5), elements=st.sampled_from([-3, 0, 1, 4, 19, 20, 21, 2**40])))
def test_compact_numbers_lead_back(labels):
    ids, number = compact(labels)
    np.testing.assert_array_equal(ids[number], labels)
    assert (np.diff(ids) > 0).all()
    assert len(ids) <= labels.size + 1


@pytest.mark.parametrize(
    ("channels", "chosen", "kinds", "words"),
    [
        (2, None, ("gray", "rgb"), "gives 2 channel.s., but the model 'parent' takes one channel"),
        (3, None, ("gray",), "gives 3 channel"),
        (0, None, ("rgb",), "gives 1 channel"),
        (2, (5,), ("gray",), "There is no channel 5"),
        (2, (1,), ("gray",), None),
        (3, (2, 1, 0), ("rgb",), None),
        (0, None, ("gray",), None),
    ],
)
def test_channels_must_be_those_of_the_model(channels, chosen, kinds, words):
    one, card = source(grid(), channels=channels, name="a"), entry(channels=kinds).card
    one = Source("a", one.image, one.labels, channels=chosen)
    if words is None:
        assert one.channel_choice(card).indices == chosen
        return
    with pytest.raises(ChannelError, match=words):
        one.channel_choice(card)


def test_seventy_thousand_objects_are_fast():
    labels = grid((4096, 4096), 15, 9)
    assert labels.max() > 70_000
    area = np.zeros(labels.shape, bool)
    area[:, :2000] = True
    image = Image(np.zeros(labels.shape, np.uint8), "YX")
    for one in (area, None):
        start = time.process_time()
        found = source_from(image, labels, one, range(1, 70_000, 2))
        assert found.objects > 30_000
        assert time.process_time() - start < 2.0
