"""Patches: repeatable, aligned with their labels, within range."""

import numpy as np
import pytest

pytest.importorskip("torch")

from napari_cellseg.core.data.augment import change_intensities
from napari_cellseg.core.data.augment_params import AugmentParams
from napari_cellseg.core.data.cutting import cut_patch
from napari_cellseg.core.data.patches import PatchSampler
from napari_cellseg.core.data.sources import LabelledImage
from napari_cellseg.core.data.targets import TargetParams
from napari_cellseg.core.errors import DataError

STILL = AugmentParams(
    scale_min=1, scale_max=1, rotate=False, elastic=0, gamma=0, contrast=0, noise=0, blur=0,
    invert=0, stain=0, to_gray=0,
)  # fmt: skip


def disks(shape=(90, 120), channels=1, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    for k in range(1, 13):
        y, x = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        labels[(yy - y) ** 2 + (xx - x) ** 2 < 64] = 1000 * k
    image = np.repeat((labels > 0)[..., None], channels, axis=2).astype(np.float16)
    return LabelledImage("disks", "synthetic", image, labels, 16.0)


def sampler(images=None, size=64, channels=3, augment=None, seed=0, touching=0.0):
    return PatchSampler(
        images or [disks()],
        size,
        channels,
        augment or AugmentParams(),
        TargetParams(),
        touching,
        seed,
    )


def test_without_changes_a_patch_is_a_crop():
    source = disks()
    patch = cut_patch(
        source.image, source.labels, (39.5, 49.5), 32, STILL, np.random.default_rng(0)
    )
    assert np.array_equal(patch.labels, source.labels[24:56, 34:66])
    assert np.allclose(patch.image[0], source.image[24:56, 34:66, 0], atol=1e-4)


def test_mirroring_alone_flips_rows_and_columns():
    source, seen = disks(), set()
    crop = source.labels[24:56, 34:66]
    flips = {(r, c): crop[:: 1 - 2 * r, :: 1 - 2 * c] for r in (0, 1) for c in (0, 1)}
    mirrored = STILL.replace(mirror=True)
    for number in range(24):
        rng = np.random.default_rng(number)
        patch = cut_patch(source.image, source.labels, (39.5, 49.5), 32, mirrored, rng)
        seen |= {name for name, flip in flips.items() if np.array_equal(patch.labels, flip)}
        assert any(np.array_equal(patch.labels, flip) for flip in flips.values())
    assert seen == set(flips)


@pytest.mark.parametrize("number", range(8))
def test_image_and_labels_move_together(number):
    """The image of these disks is their own mask: it must stay so however it is deformed."""
    source = disks()
    rng = np.random.default_rng(number)
    patch = cut_patch(source.image, source.labels, (45, 60), 64, AugmentParams(), rng)
    agree = ((patch.image[0] > 0.5) == (patch.labels > 0)).mean()
    assert agree > 0.985
    assert set(np.unique(patch.labels)) <= set(np.unique(source.labels))


def test_scale_changes_the_size_of_objects():
    source = disks()
    areas = []
    for scale in (0.5, 1.0):
        params = STILL.model_copy(update={"scale_min": scale, "scale_max": scale})
        patch = cut_patch(
            source.image, source.labels, (45, 60), 40, params, np.random.default_rng(0)
        )
        areas.append(np.unique(patch.labels).size)
    assert areas[0] > areas[1]  # a wider field shows more objects


def test_patches_beyond_the_border_are_mirrored():
    source = disks((20, 24))
    patch = cut_patch(source.image, source.labels, (0.5, 0.5), 64, STILL, np.random.default_rng(0))
    assert patch.labels.shape == (64, 64)
    assert np.array_equal(patch.labels[31:51, 31:55], source.labels)
    assert np.array_equal(patch.labels[32:51, 32:55][::-1, ::-1], patch.labels[12:31, 8:31])


def test_batches_depend_on_seed_and_number_alone():
    one, two = sampler(), sampler()
    one.batch(0, 2)
    for a, b in zip(one.patch(5).image, two.patch(5).image, strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(one.patch(5).image, one.patch(6).image)
    assert not np.array_equal(one.patch(5).image, sampler(seed=1).patch(5).image)


def test_a_batch_has_the_shapes_that_a_network_wants():
    image, targets = sampler().batch(3, 4)
    assert tuple(image.shape) == (4, 3, 64, 64)
    assert {k: tuple(v.shape) for k, v in targets.items()} == {
        "foreground": (4, 1, 64, 64),
        "contour": (4, 1, 64, 64),
    }
    assert float(image.min()) >= 0
    assert float(image.max()) <= 1
    assert set(targets["foreground"].unique().tolist()) <= {0.0, 1.0}


def test_gray_patches_stay_gray_and_color_can_become_gray():
    gray = [sampler().patch(k).image for k in range(10)]
    assert all(np.array_equal(p[0], p[2]) for p in gray)
    rng = np.random.default_rng(0)
    color = rng.random((3, 16, 16), dtype=np.float32)
    turned = change_intensities(color, STILL.replace(to_gray=1), rng)
    assert np.array_equal(turned[0], turned[2])


def test_intensity_changes_can_be_switched_off():
    image = np.random.default_rng(0).random((1, 16, 16), dtype=np.float32)
    same = change_intensities(image, STILL, np.random.default_rng(0))
    assert np.allclose(same, image, atol=1e-6)
    inverted = change_intensities(image, STILL.replace(invert=1), np.random.default_rng(0))
    assert np.allclose(inverted, 1 - image, atol=1e-6)


def test_rare_groups_are_seen_more_often_than_their_number_says():
    many = [disks(seed=k) for k in range(16)]
    rare = LabelledImage("rare", "rare", *(getattr(disks(), n) for n in ("image", "labels")), 16.0)
    shares = sampler([*many, rare])._own.shares
    assert shares[-1] == pytest.approx(1 / 5)  # sqrt(1) / (sqrt(16) + sqrt(1))
    assert shares.sum() == pytest.approx(1)


def test_useless_data_is_refused():
    empty = LabelledImage("e", "g", disks().image, np.zeros((90, 120), np.int32), 0.0)
    with pytest.raises(DataError, match="labelled object"):
        sampler([empty])
    with pytest.raises(DataError, match=r"2 channels.*model_params\.in_channels=2"):
        sampler([disks(channels=2)])


def two_and_one():
    """One image with a lone disk, one with two objects that touch at a known place."""
    alone, pair = np.zeros((400, 400), np.int32), np.zeros((400, 400), np.int32)
    alone[20:40, 20:40] = 1
    pair[300:320, 300:320], pair[300:320, 320:340] = 1, 2
    pair[20:100, 20:100] = 3
    image = np.zeros((400, 400, 1), np.float16)
    return [LabelledImage(str(k), "g", image, x, 20.0) for k, x in enumerate((alone, pair))]


def test_patches_are_cut_where_objects_touch():
    still = AugmentParams(scale_min=1, scale_max=1, rotate=False, elastic=0)
    draw = sampler(two_and_one(), 64, 1, still, touching=1.0)
    for number in range(30):
        assert {1, 2} <= set(np.unique(draw.patch(number).labels))


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_only_the_asked_share_is_cut_there(share):
    still = AugmentParams(scale_min=1, scale_max=1, rotate=False, elastic=0)
    draw = sampler(two_and_one(), 64, 1, still, touching=share)
    seen = [{1, 2} <= set(np.unique(draw.patch(k).labels)) for k in range(300)]
    # at random, three quarters of the object pixels of that image belong to the third object
    assert share + 0.03 < np.mean(seen) + 0.1 < share + 0.35


def test_without_touching_objects_patches_are_cut_anywhere():
    draw = sampler(two_and_one()[:1], 64, 1, touching=1.0)
    assert draw.patch(0).labels.shape == (64, 64)
