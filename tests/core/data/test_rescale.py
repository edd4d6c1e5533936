"""Images and labels at another scale: as prediction rescales, one scale for all."""

from dataclasses import replace

import numpy as np
import pytest

from napari_cellseg.core.data.rescale import common_scale, enlarged, enlarged_diameter, rescaled
from napari_cellseg.core.data.sources import LabelledImage, median_diameter
from napari_cellseg.core.errors import DataError


def disks(shape=(60, 80), radius=9, channels=1):
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    for number, (y, x) in enumerate([(18, 20), (40, 56)], 1):
        labels[(yy - y) ** 2 + (xx - x) ** 2 < radius**2] = number
    image = np.repeat((labels > 0)[..., None] * 0.8, channels, axis=2).astype(np.float16)
    return LabelledImage("disks", "disks", image, labels, median_diameter(labels))


def test_one_scale_brings_the_median_diameter_to_the_network_s():
    images = [disks(radius=r) for r in (6, 9, 14)]
    assert common_scale(images, 9.0) == pytest.approx(9 / images[1].diameter)


def test_images_without_objects_do_not_count():
    empty = replace(disks(), diameter=0.0)
    assert common_scale([empty, disks()], 36.0) == pytest.approx(36 / disks().diameter)
    with pytest.raises(DataError, match="Add images"):
        common_scale([empty], 10.0)


def test_a_scale_near_one_leaves_images_as_they_are():
    image = disks()
    assert common_scale([image], image.diameter * 1.01) == 1
    assert rescaled(image, 1.0) is image


@pytest.mark.parametrize(("radius", "grown"), [(5, 1.2 * 11.8), (3, 2 * 5.64)])
def test_images_of_small_objects_are_enlarged_each_by_itself(radius, grown):
    """To a fifth more than the smallest, but never more than twice, as prediction does."""
    image = disks(radius=radius)
    assert enlarged_diameter(11.8) == 14.2
    shown = enlarged(image, 11.8)
    assert shown.diameter == pytest.approx(grown, rel=0.06)
    assert shown.image.shape[0] > image.image.shape[0]


def test_images_of_larger_objects_or_none_are_not_enlarged():
    image, empty = disks(radius=7), replace(disks(), diameter=0.0)
    assert enlarged(image, image.diameter) is image
    assert enlarged(empty, 11.8) is empty
    assert enlarged(disks(radius=4), 0).labels.shape == (60, 80)


@pytest.mark.parametrize("scale", [0.37, 0.5, 2.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_objects_and_intensities_go_together(scale, channels):
    image = disks(channels=channels)
    small = rescaled(image, scale)
    assert small.image.shape == (round(60 * scale), round(80 * scale), channels)
    assert small.labels.shape == small.image.shape[:2]
    assert set(np.unique(small.labels)) == {0, 1, 2}
    assert small.diameter == pytest.approx(image.diameter * scale, rel=0.08)
    inside = small.image[..., 0] > 0.4
    assert np.mean(inside == (small.labels > 0)) > 0.97
    assert small.image.dtype == np.float16
    assert small.labels.dtype == np.int32


def test_halving_averages_and_does_not_pick():
    stripes = np.zeros((32, 32, 1), np.float16)
    stripes[::2] = 1
    image = replace(disks((32, 32)), image=stripes)
    assert np.abs(rescaled(image, 0.5).image[2:-2].astype(float) - 0.5).max() < 0.02
