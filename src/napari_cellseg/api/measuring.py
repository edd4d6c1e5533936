"""Measure the objects of a label image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_cellseg.api._calls import ProgressCallback, drain, image_of
from napari_cellseg.core.reading import labels_from

if TYPE_CHECKING:
    from napari_cellseg.core.measure.table import MeasureTable


def measure(
    labels: Any,
    image: Any = None,
    *,
    axes: str | None = None,
    pixel_size: tuple[float, float] | None = None,
    progress: ProgressCallback | None = None,
    **settings: Any,
) -> MeasureTable:
    """Measure every object of a label image: shape, neighbours, and brightness in the image.

    Parameters
    ----------
    labels
        Integer array (T?, Z?, Y, X), `Labels`, or the path of a label image.
    image, axes, progress
        As of `segment`; without an image there is no brightness.
    pixel_size
        Height and width of a pixel in µm; default: that of the labels, else of the image.
    **settings
        Fields of `MeasureSettings`: ``kinds=("shape",)``, ``speed="fast"``,
        ``neighbour_distance=5``, ``ring_gap``, ``ring_width``.

    Returns
    -------
    MeasureTable
        ``columns``, a numpy array each, with a row an object (in stacks a row a slice).

    Raises
    ------
    DataError
        If labels and image differ in size.
    ImageError
        If a file cannot be read.
    SettingsError
        If a setting does not exist or cannot have its value.

    Examples
    --------
    >>> api.measure("field_labels.tif", "field.tif")["area_um2"].mean()  # doctest: +SKIP
    """
    from napari_cellseg.core.measure.measure import measure as workflow
    from napari_cellseg.core.measure.settings import MeasureSettings

    shown = None if image is None else image_of(image, axes)
    chosen = MeasureSettings.parse(settings)
    return drain(workflow(labels_from(labels), shown, chosen, pixel_size=pixel_size), progress)
