"""Writes what comes out of one image; without the ledger, so that any process can do it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.batch.exporting import export
from napari_cellseg.core.batch.folder import BatchFolder
from napari_cellseg.core.batch.ledger import Finished
from napari_cellseg.core.batch.settings import BatchSettings
from napari_cellseg.core.batch.tables import write_columns
from napari_cellseg.core.export.label_tiff import write_labels
from napari_cellseg.core.files import write_text
from napari_cellseg.core.measure.decisions import Decisions
from napari_cellseg.core.measure.measure import measure
from napari_cellseg.core.progress import finish

if TYPE_CHECKING:
    from napari_cellseg.core.workflows.separate import Segmentation

ROW = (
    "objects",
    "planes",
    "height_px",
    "width_px",
    "pixel_height_um",
    "pixel_width_um",
    "covered_percent",
    "median_area_px",
    "seconds",
)
"""What the table over all images says of one that is done."""


@dataclass(frozen=True)
class ImageWriter:
    """Writes the results of one image; it can be sent to another process.

    Attributes
    ----------
    folder
        Where to.
    settings
        What is wanted.
    """

    folder: BatchFolder
    settings: BatchSettings

    def write(self, result: Segmentation, image: Image, about: Finished) -> Finished:
        """Write labels, measurements and other formats; return what the ledger is to say of it.

        Files that a power cut may take are told by their size, so that nobody waits for the disk.

        Raises
        ------
        OutputError
            If the disk takes no more.
        DataError
            If the objects cannot be measured, or a format cannot hold them.
        """
        name, path = about.name, self.folder.labels_of(about.name)
        labels = replace(result.labels, provenance=result.record.to_dict())
        if result.classes is not None:
            write_text(self.folder.classes_of(name), result.classes.to_csv())
        write_labels(labels, path, sync=False)
        table = self._measure(result, image, name) if self.settings.measure else None
        export(self.folder, self.settings.formats, name, labels, image, table)
        row = _row(result.labels, result.record.seconds)
        return about.replace(row=row, size=path.stat().st_size)

    def _measure(self, result: Segmentation, image: Image, name: str) -> dict[str, Any]:
        classes = result.classes.by_id() if result.classes is not None else None
        table = finish(
            measure(result.labels, image, self.settings.measurements, Decisions(classes=classes))
        )
        columns = dict(table.columns)
        named = {"image": np.full(len(table), name), **columns}
        write_columns(self.folder.measured(name), named, sync=False)
        return columns


def _row(labels: Labels, seconds: float) -> dict[str, Any]:
    areas = np.bincount(labels.data.reshape(-1))[1:]
    areas = areas[areas > 0]
    size = labels.pixel_size or (None, None)
    values = (
        len(areas),
        labels.data[..., 0, 0].size,
        *labels.data.shape[-2:],
        *size,
        round(100 * float(areas.sum()) / labels.data.size, 4),
        float(np.median(areas)) if len(areas) else None,
        round(seconds, 3),
    )
    return dict(zip(ROW, values, strict=True))
