"""What is left to do for an image of a batch once the network has seen it."""

from __future__ import annotations

from typing import Protocol

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.batch.ledger import Finished
from napari_cellseg.core.workflows.separate import Predicted, Rescale, Seen, Segmentation


class Writer(Protocol):
    """Writes the results of an image, with or without the ledger."""

    def write(self, result: Segmentation, image: Image, about: Finished) -> Finished:
        """See `ImageWriter.write`."""


def finish_image(seen: Seen | Predicted, about: Finished, writer: Writer) -> Finished | Rescale:
    """Separate the objects, measure and write them, unless the network has to look again.

    Parameters
    ----------
    seen
        What the network left.
    about
        What the ledger will say of the image, as far as it is known.
    writer
        Takes the objects.

    Raises
    ------
    SettingsError
        If the settings need a map that the model does not predict.
    OutputError, DataError
        As of `ImageWriter.write`.
    """
    found = seen.settled() if isinstance(seen, Seen) else seen
    if isinstance(found, Rescale):
        return found
    return writer.write(found.separated(), found.image, about)
