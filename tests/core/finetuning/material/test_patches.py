"""Patches cut from labelled images: faithful pixels, honest about what is not known."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cellseg.core.data.sources import LabelledImage
from napari_cellseg.core.finetuning.material.patches import SIDE, UNKNOWN, cut_patches


def labelled(shape=(300, 600), channels=1, known=None) -> LabelledImage:
    rng = np.random.default_rng(0)
    image = rng.random((*shape, channels)).astype(np.float16)
    labels = np.zeros(shape, np.int32)
    for number, top in enumerate(range(0, shape[0] - 20, 30)):
        for left in range(0, shape[1] - 20, 30):
            labels[top : top + 20, left : left + 20] = 1000 * number + left + 1
    return LabelledImage("a", "kind", image, labels, 20.0, known=known)


def place_of(patch, image) -> tuple[int, int]:
    """Where the image has the patch's first row of pixels."""
    pixels = (image.image.astype(np.float32) * 255).round().astype(np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(pixels[..., 0], SIDE, axis=1)
    (place,) = np.argwhere((windows == patch.image[0, :, 0]).all(axis=2)).tolist()
    return tuple(place)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_patch_is_a_piece_of_its_image(channels):
    image = labelled(channels=channels)
    (patch,) = cut_patches(image, "train", 1)
    assert patch.image.shape == (SIDE, SIDE, channels)
    top, left = place_of(patch, image)
    box = slice(top, top + SIDE), slice(left, left + SIDE)
    np.testing.assert_array_equal(patch.labels > 0, image.labels[box] > 0)
    pairs = set(zip(patch.labels.flat, image.labels[box].flat, strict=True))
    assert len(pairs) == patch.labels.max() + 1  # one number an object
    assert patch.known is None


def test_patches_share_no_pixels_and_are_no_more_than_fit():
    image = labelled((600, 600))
    assert len(cut_patches(image, "train", 3)) == 3
    corners = [place_of(one, image) for one in cut_patches(image, "train", 9)]
    assert len(corners) == 4
    for number, one in enumerate(corners):
        for other in corners[:number]:
            assert max(abs(one[0] - other[0]), abs(one[1] - other[1])) >= SIDE


def test_objects_of_which_little_is_left_are_unknown_where_models_are_judged():
    image = labelled((256, 290))
    image.labels[:] = 0
    image.labels[10:20, :60], image.labels[40:50, 20:60] = 1, 2
    (train,) = cut_patches(image, "train", 1)
    (judged,) = cut_patches(image, "held-out", 1)
    left = place_of(judged, image)[1]
    assert train.labels.max() == 2
    # the first object loses its first columns; more than half of it or not, by where it was cut
    expected = 1 if 60 - left > 30 else UNKNOWN
    assert set(np.unique(judged.labels[10:20])) == {0, expected}


def test_what_is_unknown_is_no_object():
    wide = LabelledImage(
        "a",
        "kind",
        np.zeros((256, 512, 1), np.float16),
        np.zeros((256, 512), np.int32),
        9.0,
    )
    wide.labels[50:60, 120:150] = 1
    wide.labels[:, 0:100:10] = 2  # all its objects lie on the left
    wide.labels[100:110, 200:512] = 3  # more than half of it is always outside on the left
    patch = cut_patches(wide, "held-out", 1, seed=3)[0]
    assert UNKNOWN in patch.labels
    assert patch.known is not None
    np.testing.assert_array_equal(patch.known, patch.labels != UNKNOWN)
    assert patch.objects.max() < 3


def test_a_small_image_is_unknown_beyond_its_border():
    image = labelled((100, 270))
    (patch,) = cut_patches(image, "train", 3)
    assert np.all(patch.labels[100:] == UNKNOWN)
    assert not np.any(patch.labels[:100] == UNKNOWN)
    np.testing.assert_array_equal(patch.image[100:200], patch.image[:100][::-1])


def test_what_was_not_known_stays_unknown_and_nothing_is_cut_without_objects():
    known = np.zeros((300, 300), bool)
    known[:, :150] = True
    image = labelled((300, 300), known=known)
    (patch,) = cut_patches(image, "train", 1)
    top, left = place_of(patch, image)
    np.testing.assert_array_equal(patch.known, known[top : top + SIDE, left : left + SIDE])
    assert not patch.objects[~patch.known].any()
    image.labels[:] = 0
    assert cut_patches(image, "train", 1) == []


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_patch_can_be_trained_on_and_judged_by(channels):
    (patch,) = cut_patches(labelled((256, 256), channels), "held-out", 1)
    train, judge = patch.to_train(), patch.to_judge()
    assert train.image.dtype == np.float16
    np.testing.assert_allclose(train.image, patch.image / 255, atol=1e-3)
    np.testing.assert_array_equal(train.labels, patch.objects)
    assert train.diameter == pytest.approx(np.sqrt(400 / np.pi) * 2)
    assert (train.name, train.group) == ("a", "kind")
    assert judge.image.axes == ("YX" if channels == 1 else "YXC")
    assert judge.image.rgb is (channels == 3)
    np.testing.assert_array_equal(judge.image.plane(), patch.image)
    np.testing.assert_array_equal(judge.labels, patch.objects)
