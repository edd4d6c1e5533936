"""Size, place and shape of objects: what follows from their runs of pixels at once.

Definitions are those of `skimage.measure.regionprops`: moments of pixels as points, axes of the
ellipse with the same second moments, orientation from the row axis to the major axis. Lengths in µm
take height and width of a pixel for what they are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from napari_cellseg.core.measure.objects import FloatArray, Objects, per_object
from napari_cellseg.core.measure.table import Columns

PixelSize = tuple[float, float] | None

_ROUND = 1e-9  # share of the axes by which they must differ for the object to have a direction


def shape_columns(objects: Objects, pixel_size: PixelSize) -> Columns:
    """Return area, axes, eccentricity, orientation, centroid, bounding box and edge contact."""
    shapes = objects.shapes
    area = shapes.area
    columns: Columns = {"area_px": area.astype(np.int64)}
    if pixel_size:
        columns["area_um2"] = area * (pixel_size[0] * pixel_size[1])
    columns |= _ellipse(objects, pixel_size)
    columns["equivalent_diameter_px"] = np.sqrt(4 * area / np.pi)
    if pixel_size:
        columns["equivalent_diameter_um"] = np.sqrt(4 * columns["area_um2"] / np.pi)
    columns |= _with_micrometres("centroid_y", shapes.y, pixel_size, 0)
    columns |= _with_micrometres("centroid_x", shapes.x, pixel_size, 1)
    columns |= _bounding_box(objects, pixel_size)
    edge = np.rint(shapes.border * np.sqrt(area)).astype(np.int64)
    return {**columns, "touches_edge": edge > 0, "edge_px": edge}


def in_both_units(
    name: str, length: Callable[[float, float], FloatArray], pixel_size: PixelSize
) -> Columns:
    """Return a length in px and, where known, in µm.

    Parameters
    ----------
    length
        Gives it for pixels of a height and a width; asked once only if pixels are square.
    """
    columns: Columns = {f"{name}_px": length(1.0, 1.0)}
    if pixel_size:
        square = pixel_size[0] == pixel_size[1]
        um = columns[f"{name}_px"] * pixel_size[0] if square else length(*pixel_size)
        columns[f"{name}_um"] = um
    return columns


def _with_micrometres(name: str, pixels: FloatArray, size: PixelSize, axis: int) -> Columns:
    columns: Columns = {f"{name}_px": pixels}
    if size:
        columns[f"{name}_um"] = pixels * size[axis]
    return columns


def _ellipse(objects: Objects, pixel_size: PixelSize) -> Columns:
    yy, xx, yx = _second_moments(objects)
    columns: Columns = {}
    sizes = {"px": (1.0, 1.0), **({"um": pixel_size} if pixel_size else {})}
    for unit, (h, w) in sizes.items():
        a, b, c = yy * h * h, yx * h * w, xx * w * w
        middle, root = (a + c) / 2, np.hypot((a - c) / 2, b)
        large, small = middle + root, np.maximum(middle - root, 0)
        columns[f"major_axis_{unit}"] = 4 * np.sqrt(large)
        columns[f"minor_axis_{unit}"] = 4 * np.sqrt(small)
        # The last unit stands: with oblong pixels only the one in µm is a shape.
        ratio = np.divide(small, large, out=np.ones_like(small), where=large > 0)
        columns["eccentricity"] = np.sqrt(1 - ratio)
        angle = np.degrees(np.arctan2(2 * b, a - c) / 2)
        columns["orientation_deg"] = np.where(root > _ROUND * middle, angle, np.nan)
    return columns


def _second_moments(objects: Objects) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return variance along y, along x, and covariance, of the pixels' centres, each (N,)."""
    shapes, runs = objects.shapes, objects.runs
    n = (runs.right - runs.left + 1).astype(np.float64)
    dy = runs.row - shapes.y[runs.owner]
    dx = (runs.left + runs.right) / 2 - shapes.x[runs.owner]

    def mean(values: FloatArray) -> FloatArray:
        return np.bincount(runs.owner, values, runs.count) / shapes.area

    yy, yx = mean(n * dy * dy), mean(n * dy * dx)
    return yy, mean(n * dx * dx + n * (n * n - 1) / 12), yx


def _bounding_box(objects: Objects, pixel_size: PixelSize) -> Columns:
    runs, first = objects.runs, objects.first
    sides = {
        "top": (per_object(np.minimum, runs.row, first), 0),
        "left": (per_object(np.minimum, runs.left, first), 1),
        "bottom": (per_object(np.maximum, runs.row, first) + np.int64(1), 0),
        "right": (per_object(np.maximum, runs.right, first) + np.int64(1), 1),
    }
    columns: Columns = {f"bbox_{side}_px": value for side, (value, _) in sides.items()}
    if pixel_size:
        for side, (value, axis) in sides.items():
            columns[f"bbox_{side}_um"] = value * np.float64(pixel_size[axis])
    return columns
