"""How many channels a network has at each level."""

from __future__ import annotations

from collections.abc import Mapping

UNET_WIDTHS: Mapping[str, tuple[int, ...]] = {
    "base": (32, 64, 128, 256, 512),
    "small": (16, 32, 64, 128, 256),
}
"""Channels of five levels of a U-Net, from the full resolution down."""


def level_channels(
    width: str | float, named: Mapping[str, tuple[int, ...]] = UNET_WIDTHS
) -> tuple[int, ...]:
    """Return the channels of each level.

    Parameters
    ----------
    width
        A key of `named`, or a factor to its ``"base"``.
    named
        Channels by name.
    """
    if isinstance(width, str):
        return named[width]
    # Multiples of 8, the width of a vector register, are the fastest.
    return tuple(max(8, round(channels * width / 8) * 8) for channels in named["base"])
