"""What the calls share: images and folders in any form, and running a workflow to its end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.reading import image_from_array, read_image

R = TypeVar("R")

ProgressCallback = Callable[[Progress], None]


def image_of(image: Any, axes: str | None) -> Image:
    """Return an image given as such, as an array or as the path of a file."""
    if isinstance(image, Image):
        if axes not in (None, image.axes):
            raise SettingsError(
                f"The image has the axes {image.axes} already: leave axes out, or give an array."
            )
        return image
    if isinstance(image, str | Path):
        return read_image(image, axes=axes)
    return image_from_array(image, axes)


def folders_of(data: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return one path, or several, as a list."""
    return [Path(data)] if isinstance(data, str | Path) else [Path(one) for one in data]


def drain(workflow: Generator[Progress, None, R], progress: ProgressCallback | None) -> R:
    """Run a workflow, tell its steps, and return its result; what `progress` raises closes it."""
    with closing(workflow):
        while True:
            try:
                step = next(workflow)
            except StopIteration as stop:
                result: R = stop.value
                return result
            if progress is not None:
                progress(step)
