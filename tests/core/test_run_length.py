"""Masks and positions come back from their text, and no other text is taken for one."""

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays

from napari_cellseg.core import run_length
from napari_cellseg.core.errors import DataError

masks = arrays(bool, array_shapes(min_dims=1, max_dims=4, max_side=6))


@settings(max_examples=60)
@given(masks)
def test_a_mask_comes_back(mask):
    text = run_length.encode(mask)
    back = run_length.decode(text, mask.shape)
    assert back.dtype == bool
    np.testing.assert_array_equal(back, mask)
    assert run_length.encode(mask.astype(np.uint8) * 3) == text


@settings(max_examples=60)
@given(masks)
def test_positions_are_those_of_the_mask(mask):
    positions = np.flatnonzero(mask)
    text = run_length.encode_positions(positions)
    assert text == run_length.encode(mask)
    back = run_length.decode_positions(text, mask.size)
    assert back.dtype == np.int64
    np.testing.assert_array_equal(back, positions)


def test_no_pixel_at_all():
    assert run_length.decode(run_length.encode(np.zeros((0, 4), bool)), (0, 4)).shape == (0, 4)
    assert (
        run_length.decode_positions(run_length.encode_positions(np.empty(0, np.int64)), 0).size == 0
    )


def test_views_are_read_in_the_order_of_their_own_axes():
    mask = np.arange(12).reshape(3, 4) % 5 == 0
    assert run_length.encode(mask.T) == run_length.encode(np.ascontiguousarray(mask.T))


def test_the_text_is_short():
    disc = np.hypot(*np.mgrid[-500:500, -500:500]) < 400
    text = run_length.encode(disc)
    assert text.isascii()
    assert len(text) < 8000


def packed(*ends):
    return base64.b64encode(zlib.compress(np.array(ends, "<i8").tobytes())).decode()


BOMB = base64.b64encode(zlib.compress(bytes(10**7))).decode()


@pytest.mark.parametrize(
    "text",
    ["", "no base64!", "AAAA", packed(3), packed(4, 2), packed(2, 2), packed(-1, 2), packed(2, 21),
     packed(1, 2)[:-8], BOMB, None],
)  # fmt: skip
def test_other_text_is_refused(text):
    for read in (
        lambda: run_length.decode(text, (4, 5)),
        lambda: run_length.decode_positions(text, 20),
    ):
        with pytest.raises(DataError, match="stored mask"):
            read()
