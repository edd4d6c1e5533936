"""Outlines as lines of text with x,y,x,y,... of their pixels, as cellpose writes them."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from napari_cellseg.core import components
from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import OutputError
from napari_cellseg.core.export._frame import (
    Frame,
    known_frame,
    read_beside,
    wording,
    write_beside,
)
from napari_cellseg.core.export._objects import Found, imported, numbers_for
from napari_cellseg.core.export.registry import EXPORTERS, IMPORTERS, Imported, Importer, Table
from napari_cellseg.core.polygons.fill import fill_through_centres
from napari_cellseg.core.polygons.pieces import pixel_outlines
from napari_cellseg.core.polygons.rings import Rings
from napari_cellseg.core.reading import PROVENANCE_KEY


@EXPORTERS.register("outlines-text")
class OutlinesText:
    """A line an object: its outermost pixels in turn, for scripts that read cellpose's outlines.

    The format knows no holes and no second piece: holes are lost (unless other objects fill them),
    and of an object in several pieces all but the one with the longest outline. What a line cannot
    tell lies beside the file in ``FILE.txt.json``.

    Source: `cellpose.io.outlines_to_text`, files called ``NAME_cp_outlines.txt``.
    """

    title: ClassVar[str] = "Outlines as text (cellpose)"
    suffix: ClassVar[str] = ".txt"
    Params: ClassVar[type[components.Params]] = components.Params

    def __init__(self, params: components.Params | None = None) -> None:
        pass

    def write(
        self, labels: Labels, path: Path, image: Image | None = None, table: Table | None = None
    ) -> None:
        """Write the outlines of one plane.

        Raises
        ------
        OutputError
            If the labels are a stack, or the file cannot be written.
        """
        frame = Frame.of(labels)
        if max(frame.shape[:-2], default=1) > 1:
            raise OutputError(
                "Outlines as text are for one plane, and these labels are a stack: choose an "
                "ImageJ ROI zip or GeoJSON."
            )
        rings = pixel_outlines(labels.data.reshape(frame.plane_shape))
        lines = [",".join(map(str, ring.reshape(-1).tolist())) + "\n" for ring in rings.parts()]
        write_beside(path, "".join(lines).encode(), frame, rows=rings.owner.tolist())


def read(path: Path, image: Image | None = None) -> Imported:
    """Read outlines; the pixels on them belong to the objects.

    Raises
    ------
    DataError
        If the file is damaged, or the size of the image is not known.
    """
    with wording(path, "text of outlines"):
        content = path.read_bytes()
        told = read_beside(path, content)
        frame = known_frame(told.get(PROVENANCE_KEY), image, path)
        index = tuple(0 for _ in frame.shape[:-2])
        lines = content.decode("ascii").splitlines()
        wanted = told.get("rows", [None] * len(lines))
        # cellpose writes an empty line for an object that is too small to have an outline.
        pairs = [(line, n) for line, n in zip(lines, wanted, strict=True) if line.strip()]
        found = [Found(index, n) for _, n in pairs]
        numbers = numbers_for(found)
        parts = [np.array(line.split(","), np.float64).reshape(-1, 2) for line, _ in pairs]
        rings = Rings.of(zip(numbers, parts, strict=True))
        runs = {index: fill_through_centres(rings, frame.plane_shape)}
        return imported(frame, runs, found, numbers)


def _accepts(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            beginning = stream.read(256)
    except OSError:
        return False
    return not beginning.strip(b"0123456789.,-\r\n")


IMPORTERS.register("outlines-text")(
    Importer("Outlines as text (cellpose)", (".txt",), _accepts, read)
)
