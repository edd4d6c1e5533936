"""What the dimensions of an array mean: named, guessed, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_cellseg.core.errors import ImageError

_AXIS_NAMES = {
    "t": "T", "time": "T", "frame": "T", "frames": "T",
    "z": "Z", "depth": "Z", "slice": "Z", "slices": "Z", "plane": "Z", "planes": "Z",
    "c": "C", "channel": "C", "channels": "C", "ch": "C", "s": "C", "samples": "C", "rgb": "C",
    "y": "Y", "row": "Y", "rows": "Y", "height": "Y",
    "x": "X", "col": "X", "cols": "X", "column": "X", "columns": "X", "width": "X",
}  # fmt: skip
_FEW = 4  # an axis no longer than this is more often channels than slices or frames


@dataclass(frozen=True)
class AxesGuess:
    """What the axes of an array most likely are.

    Attributes
    ----------
    axes
        One letter of ``"TZCYX"`` a dimension.
    ambiguous
        True if the shape allows another reading that would give other labels.
    reason
        One sentence for the user: what was concluded, and from what.
    """

    axes: str
    ambiguous: bool
    reason: str


def guess_axes(
    shape: Sequence[int], *, rgb: bool = False, names: Sequence[str] | None = None
) -> AxesGuess:
    """Name the axes of an array from its shape and, where given, from the names of its axes.

    Parameters
    ----------
    shape
        Length of each dimension; with `rgb` including the last, colour one.
    rgb
        The last dimension is known to hold the colour samples.
    names
        Names of the dimensions as a file or a layer gives them, such as ``("z", "y", "x")``
        or ``"CYX"``; without the colour dimension if `rgb`. Names that say nothing are ignored.

    Raises
    ------
    ImageError
        If the array has fewer than two or more than five dimensions (without length-1 ones).
    """
    spatial = tuple(shape[:-1]) if rgb else tuple(shape)
    colour = "C" if rgb else ""
    named = _axes_from_names(names, len(spatial))
    if named is not None and not (rgb and "C" in named):
        return AxesGuess(named + colour, False, f"The axes are named {named + colour}.")
    if not 2 <= len(spatial) <= 5 - rgb:
        raise ImageError(
            f"An array of {len(shape)} dimensions {tuple(shape)} cannot be segmented: give one "
            "with Y and X and at most T, Z and C besides."
        )
    axes = _likely_axes(spatial, rgb)
    extra = [n for n, axis in zip(spatial, axes, strict=True) if axis not in "YX"]
    # Leading axes that hold one element each may be called anything: nothing depends on it.
    ambiguous = any(n > 1 for n in extra)
    reason = f"Shape {tuple(shape)} was taken as {axes + colour}"
    if ambiguous:
        return AxesGuess(axes + colour, True, f"{reason}, but other readings are possible.")
    return AxesGuess(axes + colour, False, f"{reason}.")


def _axes_from_names(names: Sequence[str] | None, ndim: int) -> str | None:
    if names is None or len(names) != ndim:
        return None
    letters = [_AXIS_NAMES.get(str(name).strip().lower(), "") for name in names]
    if "" in letters or len(set(letters)) != ndim or not {"Y", "X"} <= set(letters):
        return None
    return "".join(letters)


def _likely_axes(shape: tuple[int, ...], rgb: bool) -> str:
    if len(shape) == 2:
        return "YX"
    if rgb:
        return {3: "ZYX", 4: "TZYX"}[len(shape)]
    if shape[-1] <= _FEW < min(shape[-3:-1]):
        return {3: "YXC", 4: "ZYXC", 5: "TZYXC"}[len(shape)]
    if len(shape) == 5:
        return "TZCYX"
    channels = shape[-3] <= _FEW
    if len(shape) == 4:
        return "ZCYX" if channels else "TZYX"
    return "CYX" if channels else "ZYX"


def check_axes(axes: str, shape: tuple[int, ...], allowed: str) -> None:
    """Refuse axes that do not fit the shape, lack Y or X, or hold no element.

    Raises
    ------
    ImageError
        With one sentence that says which.
    """
    if len(axes) != len(shape) or len(set(axes)) != len(axes) or not set(axes) <= set(allowed):
        raise ImageError(
            f"The axes '{axes}' do not fit an array of shape {shape}: give one letter of "
            f"{', '.join(allowed)} for each dimension, such as 'YX'."
        )
    if not {"Y", "X"} <= set(axes):
        raise ImageError(f"The axes '{axes}' lack Y or X: name both, such as 'ZYX'.")
    if 0 in shape:
        raise ImageError(f"The image is empty (shape {shape}): choose one with at least 1 pixel.")
