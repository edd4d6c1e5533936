"""Instance labels to the maps that a network learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_cellseg.core.components import Params


class TargetParams(Params):
    """How labels become a foreground and a contour map."""

    contour: Literal["touching", "full"] = Field(
        "touching",
        title="Contour",
        description=(
            "'touching' draws contours only where objects meet; 'full' draws the whole outline, "
            "as the HARU-Net paper does, and loses small objects when it is thick."
        ),
    )
    contour_width: int = Field(
        2,
        ge=1,
        le=15,
        title="Contour width",
        description="Width of the line between two objects, or of the whole outline.",
        json_schema_extra={"unit": "px"},
    )


def contour_map(labels: npt.NDArray[np.integer], params: TargetParams) -> npt.NDArray[np.bool_]:
    """Draw the contours of labelled objects.

    ``"touching"``: the pixels whose window of (width + 1) squared sees two objects. Between two
    objects that share a straight edge the line is `contour_width` pixels wide; a narrow gap between
    two objects belongs to it. ``"full"``: the outermost `contour_width` rings of each object.

    Parameters
    ----------
    labels
        Instance ids (Y, X), 0 is background.
    params
        Kind and width.

    Returns
    -------
    bool (Y, X).
    """
    from scipy import ndimage

    if labels.size == 0 or not labels.any():
        return np.zeros(labels.shape, bool)
    labels = labels.astype(np.int32, copy=False)
    if params.contour == "full":
        size = 2 * params.contour_width + 1
        highest = ndimage.maximum_filter(labels, size, mode="nearest")
        lowest = ndimage.minimum_filter(labels, size, mode="nearest")
        return np.asarray((labels > 0) & (highest != lowest))
    size = params.contour_width + 1
    highest = ndimage.maximum_filter(labels, size, mode="nearest")
    objects = np.where(labels > 0, labels, np.iinfo(np.int32).max)
    lowest = ndimage.minimum_filter(objects, size, mode="nearest")
    return np.asarray((highest > 0) & (highest != lowest))


def class_map(
    labels: npt.NDArray[np.integer], classes: Mapping[int, str], types: Sequence[str]
) -> npt.NDArray[np.int64]:
    """Draw each object with the number of its class.

    Parameters
    ----------
    labels
        Instance ids (Y, X), 0 is background.
    classes
        Class names by instance id.
    types
        Names of the classes in the order of the network.

    Returns
    -------
    int64 (Y, X): 0 is background, k the k-th of `types`, `UNKNOWN` an object without class,
    which the loss of this map leaves out while foreground and contours count it as ever.
    """
    from napari_cellseg.core.losses import UNKNOWN  # needs torch, the settings above do not

    numbers = {name: number for number, name in enumerate(types, 1)}
    ids, places = np.unique(labels, return_inverse=True)
    drawn = [numbers[classes[i]] if i in classes else UNKNOWN for i in ids.tolist()]
    values = np.where(ids == 0, 0, np.array(drawn, np.int64))
    return np.asarray(values[places.reshape(labels.shape)])


def make_targets(
    labels: npt.NDArray[np.integer],
    params: TargetParams,
    classes: Mapping[int, str] | None = None,
    types: Sequence[str] = (),
    known: npt.NDArray[np.bool_] | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Return the maps that a network learns from `labels`.

    Parameters
    ----------
    labels
        Instance ids (Y, X), 0 is background.
    params
        How contours are drawn.
    classes, types
        As for `class_map`; without types there is no such map.
    known
        Boolean (Y, X), where `labels` are the truth; None: everywhere.

    Returns
    -------
    ``{"foreground": ..., "contour": ...}``, float32 (Y, X), 0 or 1; with types also ``"classes"``,
    int64 (Y, X). `UNKNOWN` where not known, and for contours so near to it that an object there
    would make one.
    """
    maps: dict[str, npt.NDArray[Any]] = {
        "foreground": (labels > 0).astype(np.float32),
        "contour": contour_map(labels, params).astype(np.float32),
    }
    if types:
        maps["classes"] = class_map(labels, classes or {}, types)
    if known is not None and not known.all():
        from napari_cellseg.core.losses import UNKNOWN

        for name, values in maps.items():
            values[~(_sure_contours(known, params) if name == "contour" else known)] = UNKNOWN
    return maps


def _sure_contours(known: npt.NDArray[np.bool_], params: TargetParams) -> npt.NDArray[np.bool_]:
    """Return where contours are known: nothing unknown could touch an object there."""
    from scipy import ndimage

    if params.contour == "full":
        return known
    reach = (params.contour_width + 1) // 2
    return np.asarray(ndimage.minimum_filter(known, 2 * reach + 1, mode="nearest"))
