"""Pictures of errors: crops with both outlines, and whole planes with the errors tinted."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.agreement.error_list import Box, ObjectError, Plane
from napari_cellseg.core.agreement.object_errors import ErrorKind
from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import ImageError
from napari_cellseg.core.inference.preparation import normalize, percentile_limits

Rgb = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
_Plane = tuple[npt.NDArray[Any], npt.NDArray[np.float64]]  # pixels (Y, X, C) and limits (C, 2)

# Okabe and Ito's colours, which people with any colour vision can tell apart.
REFERENCE, LABELS = (230, 159, 0), (86, 180, 233)
TINTS = {
    ErrorKind.MISSED: (230, 159, 0),
    ErrorKind.EXTRA: (86, 180, 233),
    ErrorKind.MERGED: (213, 94, 0),
    ErrorKind.SPLIT: (204, 121, 167),
    ErrorKind.POOR_OUTLINE: (240, 228, 66),
}
CROP_SIDE = 216
"""Length in px of the longer side of the picture of an error, about."""
OVERVIEW_SIDE = 720
"""Length in px of the longer side of the picture of a plane, at most."""

_LEAST_WINDOW = 36  # px of the image around a small object
_DASH = 6  # px
_FAINT = 0.4  # weight of the outlines of objects that are not concerned
_TINT = 0.65


@dataclass(eq=False)
class Views:
    """The planes of an image as grey or colour pictures, with its labels and reference.

    Attributes
    ----------
    labels, reference
        (T?, Z?, Y, X).
    image
        The image that they belong to; without one the objects themselves are shown in grey.

    Raises
    ------
    ImageError
        If the image has other planes or another size.
    """

    labels: npt.NDArray[Any]
    reference: npt.NDArray[Any]
    image: Image | None = None
    _kept: dict[Plane, _Plane] = field(default_factory=dict)

    def __post_init__(self) -> None:
        image = self.image
        if image is None:
            return
        shape = (*(n for n in image.leading if n > 1), image.size("Y"), image.size("X"))
        *lead, height, width = self.labels.shape
        if shape != (*(n for n in lead if n > 1), height, width):
            raise ImageError(
                f"The image '{image.name}' has the shape {shape}, its labels {self.labels.shape}: "
                "choose the image that the labels belong to, or none."
            )

    def part(self, index: Plane, rows: Places, columns: Places) -> Rgb:
        """Return rows (h, 1) and columns (1, w) of a plane as a picture (h, w, 3)."""
        if self.image is None:
            return self._grey([one[index][rows, columns] for one in (self.labels, self.reference)])
        pixels, limits = self._plane(self.image, index)
        return _picture(pixels[rows, columns], limits, self.image.rgb)

    def reduced(self, index: Plane, step: int) -> Rgb:
        """Return a plane reduced `step` times as a picture (h, w, 3)."""
        from skimage.measure import block_reduce

        if self.image is None:
            whole = self._grey([one[index] for one in (self.labels, self.reference)])
            return np.asarray(block_reduce(whole, (step, step, 1), np.max))
        pixels, limits = self._plane(self.image, index)
        return _picture(block_reduce(pixels, (step, step, 1), np.mean), limits, self.image.rgb)

    @staticmethod
    def _grey(objects: list[npt.NDArray[Any]]) -> Rgb:
        grey = sum(np.uint8(55) * (one > 0).astype(np.uint8) for one in objects)
        return np.repeat(np.asarray(grey)[..., None], 3, axis=2)

    def _plane(self, image: Image, index: Plane) -> _Plane:
        if index not in self._kept:
            # The same planes in the same order, but perhaps one has a dimension of length 1 more.
            number = int(np.ravel_multi_index(index, self.labels.shape[:-2])) if index else 0
            pixels = image.plane(list(image.planes())[number])
            self._kept.clear()
            self._kept[index] = pixels, percentile_limits(pixels, 0.5, 99.8, joint=image.rgb)
        return self._kept[index]


def _picture(pixels: npt.NDArray[Any], limits: npt.NDArray[np.float64], rgb: bool) -> Rgb:
    """Return pixels (h, w, C) as colours (h, w, 3); channels that are no colours become grey."""
    scaled = normalize(pixels, limits)
    if not rgb:
        scaled = np.repeat(scaled.mean(axis=2, keepdims=True), 3, axis=2)
    return np.rint(255 * scaled).astype(np.uint8)


def draw_error(error: ObjectError, views: Views) -> Rgb:
    """Draw an error with its surroundings.

    The reference is outlined in a full line, the segmentation in a dashed one over it; the
    outlines of objects that the error is not about are fainter.

    Returns
    -------
    uint8 (h, w, 3), enlarged or reduced to about `CROP_SIDE`.
    """
    y0, x0, y1, x1 = window(error.box, views.labels.shape[-2:])
    rows, columns = _resampled(y0, x0, y1, x1)
    picture = views.part(error.plane, rows, columns).astype(np.float32)
    dashes = (np.add.outer(np.arange(len(rows)), np.arange(columns.size)) // _DASH) % 2 == 0
    for array, ids, colour, on in (
        (views.reference, error.reference_ids, REFERENCE, np.ones_like(dashes)),
        (views.labels, error.label_ids, LABELS, dashes),
    ):
        objects = array[error.plane][rows, columns]
        concerned = np.isin(objects, ids)
        edge, thick = _inner_edges(objects)
        edge = np.where(concerned, thick, edge) & on
        weight = np.where(concerned, 1.0, _FAINT)[edge][:, None]
        picture[edge] = (1 - weight) * picture[edge] + weight * np.array(colour)
    return np.rint(picture).astype(np.uint8)


def draw_plane(views: Views, error_map: npt.NDArray[np.uint8], plane: Plane) -> Rgb:
    """Draw a whole plane, reduced to `OVERVIEW_SIDE`, with its errors tinted by their kind."""
    from skimage.measure import block_reduce

    codes = error_map[plane]
    step = max(1, -(-max(codes.shape) // OVERVIEW_SIDE))
    codes = block_reduce(codes, (step, step), np.max)  # so that no small error is lost
    shown = views.reduced(plane, step).astype(np.float32)
    for kind, colour in TINTS.items():
        here = codes == kind
        shown[here] = (1 - _TINT) * shown[here] + _TINT * np.array(colour)
    return np.rint(shown).astype(np.uint8)


def window(box: Box, shape: tuple[int, ...]) -> Box:
    """Return a square around a box with some surroundings, moved and cut to lie in the image."""
    side = max(box[2] - box[0], box[3] - box[1])
    side = max(_LEAST_WINDOW, side + 2 * max(8, side // 4))
    ends = []
    for low, high, length in zip(box[:2], box[2:], shape, strict=True):
        start = max(0, min((low + high - side) // 2, length - side))
        ends.append((start, min(length, start + side)))
    (y0, y1), (x0, x1) = ends
    return y0, x0, y1, x1


def _resampled(y0: int, x0: int, y1: int, x1: int) -> tuple[Places, Places]:
    """Return which rows (h, 1) and columns (1, w) to take for a picture of about `CROP_SIDE`."""
    longer = max(y1 - y0, x1 - x0)
    times, step = max(1, round(CROP_SIDE / longer)), max(1, -(-longer // CROP_SIDE))
    rows, columns = np.arange(y0, y1, step).repeat(times), np.arange(x0, x1, step).repeat(times)
    return rows[:, None], columns[None, :]


def _inner_edges(objects: npt.NDArray[Any]) -> tuple[BoolArray, BoolArray]:
    """Return the outermost pixels of all objects, one and two pixels wide."""
    from scipy import ndimage
    from skimage.segmentation import find_boundaries

    edge = np.asarray(find_boundaries(objects, mode="inner"), bool)
    return edge, ndimage.binary_dilation(edge, np.ones((3, 3), bool)) & (objects > 0)


def to_png(picture: Rgb) -> bytes:
    """Encode a picture."""
    from PIL import Image as Pillow

    stream = io.BytesIO()
    Pillow.fromarray(picture).save(stream, "PNG", optimize=True)
    return stream.getvalue()
