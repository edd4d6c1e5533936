"""Images and models that fit, and those that are refused in words."""

import numpy as np
import pytest

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import ChannelError
from napari_cellseg.core.inference.channels import choose_channels
from napari_cellseg.core.zoo.card import Card

BOTH = Card(name="both", architecture="a")
GRAY = Card(name="gray", architecture="a", channels=("gray",), in_channels=1)
MULTI = Card(name="two", architecture="a", channels=("multi",), in_channels=2)


def image(channels, rgb=False):
    return Image(np.zeros((4, 4, channels), np.uint8), "YXC", rgb=rgb)


def test_gray_and_colour_are_taken():
    assert choose_channels(Image(np.zeros((4, 4)), "YX"), None, BOTH).indices is None
    assert choose_channels(image(3, rgb=True), None, BOTH).joint
    assert not choose_channels(image(1), None, BOTH).joint


def test_a_chosen_channel_is_taken():
    assert choose_channels(image(5), (3,), BOTH).indices == (3,)
    assert choose_channels(image(5), (4, 0, 1), BOTH).indices == (4, 0, 1)
    assert choose_channels(image(3, rgb=True), (1,), GRAY).indices == (1,)


def test_a_model_of_two_channels_takes_two():
    assert choose_channels(image(2), None, MULTI).indices is None
    with pytest.raises(ChannelError, match="exactly 2 channels"):
        choose_channels(image(3), None, MULTI)


@pytest.mark.parametrize("channels", [2, 3, 5])
def test_several_channels_that_are_no_colours_are_refused(channels):
    with pytest.raises(ChannelError, match=r"gives \d channel.*choose one of the channels"):
        choose_channels(image(channels), None, BOTH)


def test_colour_is_refused_by_a_gray_model():
    with pytest.raises(ChannelError, match="is a colour image"):
        choose_channels(image(3, rgb=True), None, GRAY)


@pytest.mark.parametrize("wanted", [(), (-1,), (3,)])
def test_channels_that_do_not_exist_are_refused(wanted):
    with pytest.raises(ChannelError, match="channel"):
        choose_channels(image(3), wanted, BOTH)
