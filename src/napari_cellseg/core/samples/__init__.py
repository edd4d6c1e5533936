"""Public-domain sample images that come with the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import UnknownNameError

DEFAULT = "fluorescence"
"""The sample that the demo opens."""


@dataclass(frozen=True)
class Sample:
    """A sample image.

    Attributes
    ----------
    name
        Short name for code and command line.
    title
        What it is called in menus.
    file
        Name of its file in this folder.
    """

    name: str
    title: str
    file: str


SAMPLES = {
    sample.name: sample
    for sample in (
        Sample("fluorescence", "Nuclei, fluorescence", "fluorescence.png"),
        Sample("tissue", "Stained nuclei, colour", "tissue.png"),
        Sample("16-bit", "U2OS nuclei, Hoechst, 16-bit", "u2os_16bit.tif"),
        Sample("dense", "Dense embryo nuclei, fluorescence", "dense.png"),
    )
}


def load_sample(name: str = DEFAULT) -> Image:
    """Read a sample image; its pixel size is unknown.

    Raises
    ------
    UnknownNameError
        If there is no sample of that name.
    """
    if name not in SAMPLES:
        raise UnknownNameError(
            f"There is no sample image called '{name}': choose one of {', '.join(SAMPLES)}."
        )
    from napari_cellseg.core.reading import read_image

    return read_image(Path(__file__).with_name(SAMPLES[name].file))
