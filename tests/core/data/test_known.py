"""Images that are known in parts, and patches of the parent's own data among the others."""

import numpy as np
import pytest

pytest.importorskip("torch")

from napari_cellseg.core.data.augment_params import AugmentParams
from napari_cellseg.core.data.cutting import cut_patch
from napari_cellseg.core.data.patches import PatchSampler
from napari_cellseg.core.data.rescale import rescaled
from napari_cellseg.core.data.sources import LabelledImage
from napari_cellseg.core.data.targets import TargetParams, make_targets
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.losses import UNKNOWN

STILL = AugmentParams(
    scale_min=1, scale_max=1, rotate=False, elastic=0, gamma=0, contrast=0, noise=0, blur=0,
    invert=0, stain=0, to_gray=0,
)  # fmt: skip


def picture(shape=(90, 120), known=None, value=1.0, at=(30, 40), channels=1):
    labels = np.zeros(shape, np.int32)
    labels[at[0] : at[0] + 12, at[1] : at[1] + 10] = 4
    labels[at[0] : at[0] + 12, at[1] + 10 : at[1] + 20] = 7
    image = np.full((*shape, channels), value, np.float16)
    return LabelledImage("p", "g", image, labels, 11.0, known=known)


def sampler(images, augment=STILL, size=32, touching=0.0, **more):
    return PatchSampler(images, size, 1, augment, TargetParams(), touching, 0, **more)


@pytest.mark.parametrize("number", range(4))
def test_what_is_known_moves_with_the_labels(number):
    source = picture()
    rng = np.random.default_rng(number)
    known = source.labels > 0
    patch = cut_patch(source.image, source.labels, (36, 50), 32, AugmentParams(), rng, known)
    assert np.array_equal(patch.known, patch.labels > 0)
    assert patch.known.any()


def test_targets_are_unknown_where_the_labels_are():
    source = picture()
    known = np.zeros((90, 120), bool)
    known[20:60, 30:70] = True
    types = ("a", "b")
    maps = make_targets(source.labels, TargetParams(), {4: "b", 7: "a"}, types, known)
    free = make_targets(source.labels, TargetParams(), {4: "b", 7: "a"}, types)
    for name in ("foreground", "classes"):
        assert (maps[name][~known] == UNKNOWN).all()
        assert np.array_equal(maps[name][known], free[name][known])
        assert maps[name].dtype == free[name].dtype


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_contour_is_unknown_where_an_unknown_object_could_make_one(width):
    """Whatever lies where nothing is known, the contours that are taught stay true."""
    params = TargetParams(contour_width=width)
    rng = np.random.default_rng(width)
    labels = picture().labels
    known = np.ones(labels.shape, bool)
    known[:, 55:] = False
    taught = make_targets(np.where(known, labels, 0), params, known=known)["contour"]
    for _ in range(5):
        other = np.where(known, labels, rng.integers(0, 9, labels.shape))
        truth = make_targets(other, params)["contour"]
        sure = taught != UNKNOWN
        assert np.array_equal(taught[sure], truth[sure])
    assert (taught[:, :50] != UNKNOWN).all()


def test_full_contours_are_known_wherever_the_object_is():
    known = np.zeros((90, 120), bool)
    known[:, :50] = True
    labels = np.where(known, picture().labels, 0)
    taught = make_targets(labels, TargetParams(contour="full"), known=known)["contour"]
    assert np.array_equal(taught != UNKNOWN, known)


@pytest.mark.parametrize("touching", [0.0, 1.0])
def test_patches_lie_around_what_is_known(touching):
    known = np.zeros((400, 400), bool)
    known[28:44, 38:62] = True
    draw = sampler([picture((400, 400), known)], touching=touching)
    patches = [draw.patch(k) for k in range(20)]
    assert all(patch.known.any() for patch in patches)


def test_a_known_area_smaller_than_a_patch_is_enough():
    known = np.zeros((20, 24), bool)
    known[5:8, 5:8] = True
    source = picture((20, 24), known, at=(5, 5))
    image, targets = sampler([source], AugmentParams(), size=64).batch(0, 2)
    assert tuple(image.shape) == (2, 1, 64, 64)
    assert (targets["foreground"] == UNKNOWN).any()


def test_reviewed_background_counts_where_it_is_marked():
    known = np.ones((40, 40), bool)
    empty = LabelledImage("e", "e", np.zeros((40, 40, 1), np.float16), np.zeros((40, 40), np.int32),
                          0.0, known=known)  # fmt: skip
    draw = sampler([picture(), empty])
    assert any(not draw.patch(k).image.any() for k in range(20))
    with pytest.raises(DataError, match="labelled object"):
        sampler([empty])


def test_replay_has_its_share():
    own, old = picture(value=0.0), picture(value=1.0)
    draw = sampler([own], replay=[old], replay_share=0.3)
    bright = np.mean([draw.patch(k).image.mean() > 0.5 for k in range(300)])
    assert 0.22 < bright < 0.38
    again = sampler([own], replay=[old], replay_share=0.3)
    assert np.array_equal(draw.patch(7).image, again.patch(7).image)


def test_without_replay_patches_are_as_ever():
    plain, none = sampler([picture()]), sampler([picture()], replay=[picture()], replay_share=0.0)
    assert np.array_equal(plain.patch(3).labels, none.patch(3).labels)


def test_replay_has_the_channels_of_the_network():
    with pytest.raises(DataError, match="3 channels"):
        sampler([picture()], replay=[picture(channels=3)], replay_share=0.5)


def test_what_is_known_is_rescaled_with_the_labels():
    source = picture()
    known = source.labels > 0
    small = rescaled(picture(known=known), 0.5)
    assert small.known.shape == (45, 60)
    assert np.array_equal(small.known, small.labels > 0)
