"""The image that saved work belongs to: told by its pixels, found also where it was moved to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import ImageError
from napari_cellseg.core.reading import read_image
from napari_cellseg.core.reading.series import image_numbers
from napari_cellseg.core.saved.entries import ImageReference


def pixels_sha256(image: Image) -> str:
    """Return the hash of all pixels, whatever the order of the dimensions and bytes in the file."""
    sizes = [image.size(axis) for axis in "TZYXC"]
    dtype = image.dtype.newbyteorder("<")
    digest = hashlib.sha256(f"{dtype.str} {sizes} ".encode())
    for index in image.planes():
        digest.update(np.ascontiguousarray(image.plane(index), dtype).data)
    return digest.hexdigest()


def reference_of(image: Image) -> ImageReference:
    """Return what tells an image from every other; all its pixels are read for it."""
    path = image.source.absolute() if image.source is not None else None
    return ImageReference(
        name=image.name,
        path=str(path or ""),
        file=path.name if path else "",
        axes=image.axes,
        shape=image.shape,
        dtype=image.dtype.str,
        sha256=pixels_sha256(image),
        rgb=image.rgb,
        channel_names=image.channel_names,
        pixel_size=image.pixel_size,
        z_step=image.z_step,
    )


def find_image(reference: ImageReference, work: Path, candidate: Path | None = None) -> Image:
    """Read the image of saved work, where it was or beside the work.

    Parameters
    ----------
    reference
        Which image.
    work
        The file of the saved work, in whose folder is looked too.
    candidate
        A file, or a folder that has it, to be taken in place of both.

    Raises
    ------
    ImageError
        If it is not there, or only with other pixels.
    """
    refused: list[str] = []
    for path in _places(reference, work, candidate):
        try:
            image = _matching(path, reference)
        except ImageError as error:
            refused.append(str(error))
            continue
        if image is not None:
            return image
        refused.append(f"'{path}' has other pixels than the image that the work was done on.")
    name = reference.file or reference.name
    if refused:
        raise ImageError(f"{refused[-1]} Choose the right '{name}'.")
    if candidate is not None:
        raise ImageError(f"There is no '{name}' at '{candidate}': choose another place.")
    if not reference.path:
        raise ImageError(f"The image '{name}' never had a file: open it by yourself.")
    raise ImageError(
        f"The image '{name}' is neither at '{reference.path}' nor beside '{work.name}': put it "
        "there, or say where it is now."
    )


def _places(reference: ImageReference, work: Path, candidate: Path | None) -> list[Path]:
    """Return the files that may be it, those that exist."""
    folder = work.absolute().parent
    if candidate is not None:
        places = [candidate / reference.file if candidate.is_dir() else candidate]
    else:
        places = [Path(reference.path)] if reference.path else []
        places += [folder / name for name in (reference.beside, reference.file) if name]
    distinct = dict.fromkeys(path.resolve() for path in places)
    return [path for path in distinct if path.is_file()]


def _matching(path: Path, reference: ImageReference) -> Image | None:
    for image in _readings(path, reference):
        same = sorted(n for n in image.shape if n > 1) == sorted(
            n for n in reference.shape if n > 1
        )
        if same and pixels_sha256(image) == reference.sha256:
            return image
    return None


def _long(shape: tuple[int, ...]) -> list[int]:
    """Return the lengths that every reading of the same pixels has."""
    return sorted(n for n in shape if n > 1)


def _readings(path: Path, reference: ImageReference) -> Iterator[Image]:
    """Read what a file may mean: each of its images, with the axes of then or its own."""
    letters = reference.axes[:-1] + "S" if reference.rgb else reference.axes
    for series in image_numbers(path):
        first: ImageError | None = None
        for axes in (letters, None):
            try:
                yield read_image(path, axes=axes, series=series, guess=True)
            except ImageError as error:
                if first is not None:
                    raise
                first = error
