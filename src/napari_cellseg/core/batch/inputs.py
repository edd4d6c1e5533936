"""The images of a batch: files, folders, each image of files that hold several, and layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.batch.names import file_name, result_names, unused
from napari_cellseg.core.errors import DataError, ImageError
from napari_cellseg.core.reading import find_images, read_image
from napari_cellseg.core.reading.series import image_numbers, one_a_set
from napari_cellseg.core.saved.image import pixels_sha256


@dataclass(frozen=True, eq=False)
class BatchInput:
    """One image to be segmented.

    Attributes
    ----------
    name
        What its results are called; no two of a batch are the same.
    path
        Its file; None if it is at hand as `image`.
    series
        Which image of the file, None if there is but one.
    axes
        Meaning of the dimensions where the file does not say.
    image
        The image, if it comes from no file.
    """

    name: str
    path: Path | None = None
    series: int | None = None
    axes: str | None = None
    image: Image | None = None

    @property
    def title(self) -> str:
        """What it is called on screen."""
        if self.path is None:
            return self.name
        return self.path.name if self.series is None else f"{self.path.name} #{self.series}"

    @property
    def key(self) -> str:
        """What tells it from the others of the batch, also in a later one."""
        if self.path is None:
            return f"layer {self.name}"
        return f"{self.path.absolute()}" + ("" if self.series is None else f" #{self.series}")

    def load(self) -> Image:
        """Return the image.

        Raises
        ------
        ImageError
            As of `read_image`.
        """
        if self.image is not None:
            return self.image
        if self.path is None:
            raise ImageError(f"'{self.name}' has neither a file nor pixels: leave it out.")
        return read_image(self.path, axes=self.axes, series=self.series)

    def bytes(self) -> int:
        """Return how large it is on disk or in memory, 0 if that cannot be told."""
        if self.image is not None:
            size: int = self.image.dtype.itemsize
            for length in self.image.shape:
                size *= length
            return size
        try:
            return self.path.stat().st_size if self.path is not None else 0
        except OSError:
            return 0

    def state(self) -> str:
        """Return a text that changes when the image does: size and time of its file, or its hash.

        "" if the file cannot be looked at.
        """
        if self.image is not None:
            return pixels_sha256(self.image)
        try:
            about = self.path.stat() if self.path is not None else None
        except OSError:
            return ""
        return f"{about.st_size} {about.st_mtime_ns} {self.axes or ''}" if about else ""


def find_inputs(
    paths: Iterable[str | Path], *, axes: str | None = None, series: int | None = None
) -> list[BatchInput]:
    """Return the images in files and folders; of a file that holds several, each.

    An image that is divided among several files is returned once.

    Parameters
    ----------
    paths
        See `find_images`.
    axes
        Meaning of the dimensions where a file does not say.
    series
        Take only this image of each file.

    Raises
    ------
    ImageError
        If a folder holds no image.
    """
    found: list[BatchInput] = []
    taken: set[str] = set()
    for path, name in result_names(one_a_set(find_images(paths))).items():
        numbers = image_numbers(path) if series is None else (series,)
        for number in numbers:
            title = name if len(numbers) == 1 else f"{name}_{number}"
            found.append(BatchInput(unused(title, taken), path, number, axes))
    return found


def named(inputs: Sequence[BatchInput]) -> list[BatchInput]:
    """Return inputs that were gathered one by one, named as if `find_inputs` had found them all.

    Those that come from no file keep their name as far as file systems and other inputs allow;
    they are named last, so that they change nothing for the files.
    """
    paths = list(dict.fromkeys(one.path for one in inputs if one.path is not None))
    names, taken = result_names(paths), set[str]()
    titles: dict[int, str] = {}
    for number, one in enumerate(inputs):
        if one.path is not None:
            many = "" if one.series is None else f"_{one.series}"
            titles[number] = unused(names[one.path] + many, taken)
    for number, one in enumerate(inputs):
        if one.path is None:
            titles[number] = unused(file_name(one.name), taken)
    return [replace(one, name=titles[number]) for number, one in enumerate(inputs)]


def read_list(path: Path) -> list[Path]:
    """Return the paths in a text file, one a line, as seen from its folder.

    Empty lines and those that begin with ``#`` are left out.

    Raises
    ------
    DataError
        If it cannot be read or names nothing.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The list '{path}' cannot be read ({error}): check the path.") from error
    named = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not named:
        raise DataError(f"The list '{path}' names no image: write one path a line.")
    return [path.parent / name for name in named]
