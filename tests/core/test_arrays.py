"""Images and labels know their axes, planes and pixel size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cellseg.core.arrays import Image, Labels, guess_axes
from napari_cellseg.core.errors import ChannelError, ImageError


@pytest.mark.parametrize(
    ("shape", "rgb", "axes", "ambiguous"),
    [
        ((5, 7), False, "YX", False),
        ((50, 70, 3), True, "YXC", False),
        ((3, 50, 70), False, "CYX", True),
        ((1, 50, 70), False, "CYX", False),
        ((30, 50, 70), False, "ZYX", True),
        ((50, 70, 2), False, "YXC", True),
        ((30, 2, 50, 70), False, "ZCYX", True),
        ((30, 20, 50, 70), False, "TZYX", True),
        ((6, 50, 70, 3), True, "ZYXC", True),
        ((4, 6, 50, 70, 3), True, "TZYXC", True),
        ((2, 3, 4, 50, 70), False, "TZCYX", True),
    ],
)
def test_axes_are_guessed_from_the_shape(shape, rgb, axes, ambiguous):
    guess = guess_axes(shape, rgb=rgb)
    assert (guess.axes, guess.ambiguous) == (axes, ambiguous)
    assert str(shape) in guess.reason


@pytest.mark.parametrize(
    ("names", "axes"),
    [
        ("ZYX", "ZYX"),
        (("time", "row", "col"), "TYX"),
        (("channel", "y", "x"), "CYX"),
        (("Y", "X", "S"), "YXC"),
    ],
)
def test_names_of_axes_leave_no_doubt(names, axes):
    guess = guess_axes((3, 50, 70), names=names)
    assert (guess.axes, guess.ambiguous) == (axes, False)


@pytest.mark.parametrize(
    "names", [("-3", "-2", "-1"), ("Q", "Y", "X"), ("y", "y", "x"), ("y", "x")]
)
def test_names_that_say_nothing_are_ignored(names):
    assert guess_axes((3, 50, 70), names=names).ambiguous


def test_names_of_a_colour_image_leave_out_the_colours():
    assert guess_axes((9, 50, 70, 3), rgb=True, names=("t", "y", "x")).axes == "TYXC"


@pytest.mark.parametrize("shape", [(5,), (2, 2, 2, 2, 5, 5)])
def test_too_few_and_too_many_dimensions_are_refused(shape):
    with pytest.raises(ImageError, match="dimensions"):
        guess_axes(shape)


@given(st.permutations("TZCYX"), st.data())
def test_planes_are_the_same_in_every_order_of_the_axes(order, data):
    sizes = {"T": 2, "Z": 3, "C": 4, "Y": 5, "X": 6}
    reference = np.arange(720).reshape(2, 3, 4, 5, 6)
    image = Image(reference.transpose(["TZCYX".index(a) for a in order]), "".join(order))
    assert image.leading_axes == "TZ"
    assert image.leading == (2, 3)
    assert list(image.planes()) == [(t, z) for t in range(2) for z in range(3)]
    assert all(image.size(axis) == n for axis, n in sizes.items())
    t, z = data.draw(st.sampled_from(list(image.planes())))
    channels = data.draw(st.none() | st.lists(st.integers(0, 3), min_size=1))
    expected = np.moveaxis(reference[t, z], 0, -1)
    if channels is not None:
        expected = expected[..., channels]
    np.testing.assert_array_equal(image.plane((t, z), channels), expected)


def test_a_plane_without_channels_has_one():
    image = Image(np.eye(3), "XY")
    assert image.size("C") == 1
    assert image.leading == ()
    assert list(image.planes()) == [()]
    assert image.plane().shape == (3, 3, 1)


def test_a_plane_comes_in_native_byte_order_and_keeps_its_type():
    image = Image(np.arange(6, dtype=">u2").reshape(2, 3), "YX")
    assert image.plane().dtype == np.uint16
    assert image.dtype.isnative
    assert image.plane()[1, 2, 0] == 5


def test_only_the_asked_plane_is_loaded():
    class Lazy:
        shape, dtype, ndim, asked = (4, 5, 6), np.dtype(np.uint8), 3, []

        def __getitem__(self, key):
            self.asked.append(key)
            return np.zeros(self.shape, np.uint8)[key]

    lazy = Lazy()
    Image(lazy, "TYX").plane((2,))
    assert lazy.asked == [(2, slice(None), slice(None))]


def test_dask_arrays_work():
    dask_array = pytest.importorskip("dask.array")
    image = Image(dask_array.arange(24, chunks=5).reshape(2, 3, 4), "ZYX")
    np.testing.assert_array_equal(image.plane((1,))[..., 0], np.arange(12, 24).reshape(3, 4))


@pytest.mark.parametrize(
    ("shape", "axes", "dtype", "more", "message"),
    [
        ((0, 5), "YX", "u1", {}, "empty"),
        ((5, 5), "ZX", "u1", {}, "lack Y"),
        ((5, 5, 5), "YX", "u1", {}, "do not fit"),
        ((5, 5, 5), "YYX", "u1", {}, "do not fit"),
        ((5, 5, 5), "QYX", "u1", {}, "do not fit"),
        ((5, 5), "YX", "c8", {}, "complex64"),
        ((5, 5), "YX", "O", {}, "object"),
        ((5, 5, 4), "YXC", "u1", {"rgb": True}, "3 samples"),
        ((3, 5, 5), "CYX", "u1", {"rgb": True}, "3 samples"),
        ((3, 5, 5), "CYX", "u1", {"channel_names": ("a", "b")}, "2 channel names for 3"),
        ((5, 5), "YX", "u1", {"pixel_size": (0.5, 0.0)}, "pixel size"),
        ((5, 5, 5), "ZYX", "u1", {"z_step": float("nan")}, "pixel size"),
    ],
)
def test_an_impossible_image_is_refused_in_words(shape, axes, dtype, more, message):
    with pytest.raises(ImageError, match=message):
        Image(np.zeros(shape, dtype), axes, **more)


@pytest.mark.parametrize("channel", [-1, 2])
def test_a_missing_channel_is_named(channel):
    image = Image(np.zeros((2, 5, 5)), "CYX", name="field")
    with pytest.raises(ChannelError, match=rf"no channel {channel}: 'field' has 2"):
        image.plane((), (0, channel))


def test_an_index_of_the_wrong_length_is_a_bug():
    with pytest.raises(IndexError, match="leading axes"):
        Image(np.zeros((2, 5, 5)), "ZYX").plane((0, 0))


@pytest.mark.parametrize(
    ("data", "axes", "message"),
    [
        (np.zeros((5, 5), np.int64), "YX", "int64"),
        (np.zeros((5, 5), np.int32), "XY", "order"),
        (np.zeros((5, 0), np.int32), "YX", "empty"),
        (np.zeros((2, 5, 5), np.int32), "CYX", "do not fit"),
    ],
)
def test_impossible_labels_are_refused_in_words(data, axes, message):
    with pytest.raises(ImageError, match=message):
        Labels(data, axes)


@given(st.sets(st.integers(1, 40) | st.integers(1, 2**31 - 1), max_size=30))
def test_objects_are_counted_by_their_numbers(numbers):
    data = np.zeros((6, 6), np.int32)
    data.flat[: len(numbers)] = sorted(numbers)
    assert Labels(data, "YX").n_objects == len(numbers)
