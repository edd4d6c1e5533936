"""Which channels of an image a model is given."""

from __future__ import annotations

from dataclasses import dataclass

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import ChannelError
from napari_cellseg.core.zoo.card import Card


@dataclass(frozen=True)
class ChannelChoice:
    """Channels to load (None: all), and whether they share one pair of intensity limits."""

    indices: tuple[int, ...] | None
    joint: bool


def choose_channels(image: Image, wanted: tuple[int, ...] | None, card: Card) -> ChannelChoice:
    """Match the channels of an image with those that a model takes.

    Parameters
    ----------
    image
        The image.
    wanted
        Channels that the user chose, or None.
    card
        Card of the model.

    Raises
    ------
    ChannelError
        If the model was not trained on such channels; the text names a way out.
    """
    available = image.size("C")
    if wanted is not None:
        _check_indices(image, wanted, available)
    count = available if wanted is None else len(wanted)
    # Three fluorescence channels are no colours, unless somebody says so by choosing them.
    colour = count == 3 and (image.rgb or wanted is not None)
    if "rgb" in card.channels and colour:
        return ChannelChoice(wanted, joint=image.rgb)
    if "gray" in card.channels and count == 1:
        return ChannelChoice(wanted, joint=False)
    if "multi" in card.channels and count == card.in_channels:
        return ChannelChoice(wanted, joint=False)
    given = "is a colour image" if image.rgb and count == 3 else f"gives {count} channel(s)"
    raise ChannelError(
        f"'{image.name}' {given}, but the model '{card.title or card.name}' takes "
        f"{_takes(card)}: choose {_remedy(card)} in the setting preparation.channels."
    )


def _check_indices(image: Image, wanted: tuple[int, ...], available: int) -> None:
    if not wanted:
        raise ChannelError("No channel is chosen: choose at least one, or leave it empty for all.")
    for channel in wanted:
        if not 0 <= channel < available:
            raise ChannelError(
                f"There is no channel {channel}: '{image.name}' has {available}, numbered from 0."
            )


def _takes(card: Card) -> str:
    words = {
        "gray": "one channel",
        "rgb": "red-green-blue colour",
        "multi": f"exactly {card.in_channels} channels",
    }
    return " or ".join(words[kind] for kind in card.channels)


def _remedy(card: Card) -> str:
    return "one of the channels" if "gray" in card.channels else f"{card.in_channels} channels"
