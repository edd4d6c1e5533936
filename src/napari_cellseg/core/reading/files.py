"""Files and folders to Image and Labels."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import ImageError
from napari_cellseg.core.reading import cellpose_seg
from napari_cellseg.core.reading.arrays import image_from_array
from napari_cellseg.core.reading.pictures import read_picture
from napari_cellseg.core.reading.tiff import LAZY_BYTES, RawImage, read_tiff

SUFFIXES = (
    ".tif",
    ".tiff",
    ".btf",
    ".tf8",
    ".lsm",
    ".svs",
    ".png",
    ".jpg",
    ".jpeg",
    ".bmp",
    ".npy",
)
PROVENANCE_KEY = "napari-cellseg"
"""Under which the files written here, and napari layers, hold what made them."""
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PICTURE = (b"\x89PNG", b"\xff\xd8\xff", b"BM")
_NUMPY = b"\x93NUMPY"
# Results of this program that lie beside the images are not images to segment.
_RESULT_STEM = "_labels"


def read_image(
    path: str | Path, *, axes: str | None = None, series: int | None = None, guess: bool = False
) -> Image:
    """Read an image file: TIFF (OME, ImageJ, slide scanner), PNG, JPEG, BMP or NumPy.

    Stacks of more than 256 MB stay on disk and are read plane by plane.

    Parameters
    ----------
    path
        File; its content, not its suffix, says what it is.
    axes
        One letter a dimension (T, Z, C, Y, X; S for colour samples) where the file does not
        say or is wrong.
    series
        Which of several images in the file.
    guess
        Take the likeliest axes where the file leaves doubt, and say so in ``Image.axes_note``.

    Returns
    -------
    Image
        At full resolution; an alpha channel is dropped, a palette looked up.

    Raises
    ------
    ImageError
        If the file is missing, empty, damaged, no image, or leaves its axes in doubt.

    Examples
    --------
    >>> image = read_image("field.tif", axes="CYX")  # doctest: +SKIP
    """
    path = Path(path)
    raw = _read_raw(path, series)
    return image_from_array(
        raw.data,
        axes or raw.axes,
        guess=guess,
        pixel_size=raw.pixel_size,
        z_step=raw.z_step,
        channel_names=raw.channel_names,
        name=stem(path),
        source=path,
    )


def read_labels(path: str | Path) -> Labels:
    """Read an instance map from TIFF, PNG or NumPy, as written here or by other programs.

    A dimension that the file does not name is taken for Z (two: T and Z); a palette is ignored,
    whole numbers stored as floating point are accepted. Of what cellpose saves (``NAME_seg.npy``)
    the masks are read, without unpickling anything.

    Returns
    -------
    Labels
        With the provenance that `napari_cellseg.core.export` wrote, if any.

    Raises
    ------
    ImageError
        If the file cannot be read or does not hold the numbers of objects.
    """
    path = Path(path)
    raw = _read_raw(path, None, indices=True)
    data = np.asarray(raw.data)
    axes = raw.axes or "?" * (data.ndim - 2) + "YX"
    for at in reversed(range(data.ndim)):  # drop T, Z and C of length 1 where there are too many
        if data.ndim > 2 and data.shape[at] == 1 and axes[at] not in "YX":
            data, axes = data.squeeze(at), axes[:at] + axes[at + 1 :]
    if "S" in axes or "C" in axes or not 2 <= data.ndim <= 4:
        raise ImageError(
            f"'{path.name}' is not a label image (shape {data.shape}): it must have one number "
            "for each pixel."
        )
    if set(axes) - set("TZYX") or not {"Y", "X"} <= set(axes):
        axes = "TZYX"[-data.ndim :]
    order = [axes.index(axis) for axis in "TZYX" if axis in axes]
    data, axes = data.transpose(order), "".join(axes[at] for at in order)
    own = _own_metadata(raw.description)
    for at, axis in enumerate(str(own.get("axes", ""))):
        if axis not in axes:  # of length 1
            data, axes = np.expand_dims(data, at), axes[:at] + axis + axes[at:]
    return Labels(
        _as_object_numbers(data, path.name),
        axes,
        raw.pixel_size,
        raw.z_step if "Z" in axes else None,
        stem(path),
        own.get(PROVENANCE_KEY, {}),
    )


def labels_from(given: Any) -> Labels:
    """Return labels given as such, as the path of a file, or as an array (T?, Z?, Y, X).

    Raises
    ------
    ImageError
        If the file cannot be read, or there are no numbers of objects in two to four dimensions.
    """
    if isinstance(given, Labels):
        return given
    if isinstance(given, str | Path):
        return read_labels(given)
    data = np.asarray(given)
    if not 2 <= data.ndim <= 4:
        raise ImageError(f"Labels have the axes YX, ZYX or TZYX, not the shape {data.shape}.")
    return Labels(_as_object_numbers(data, "labels"), "TZYX"[-data.ndim :])


def find_images(paths: Iterable[str | Path]) -> list[Path]:
    """List image files: files as they are, folders by their images, sorted by name.

    Hidden files, and labels that were written here (``*_labels.tif``) or by cellpose
    (``*_seg.npy``), are left out of folders; each file is listed once.

    Raises
    ------
    ImageError
        If a path does not exist or a folder holds no image.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            found[path] = None  # whether it can be read shows when it is read
            continue
        inside = sorted(one for one in path.iterdir() if _is_image_name(one))
        if not inside:
            raise ImageError(
                f"The folder '{path}' holds no image: choose one with {', '.join(SUFFIXES)} files."
            )
        found.update(dict.fromkeys(inside))
    return list(found)


def stem(path: Path) -> str:
    """Return the name of a file without ``.tif``, ``.ome.tif`` and the like."""
    name = path.stem
    return name[:-4] if name.lower().endswith(".ome") else name


def _is_image_name(path: Path) -> bool:
    return (
        path.suffix.lower() in SUFFIXES
        and not path.name.startswith(".")
        and not path.stem.endswith(_RESULT_STEM)
        and not path.name.endswith(cellpose_seg.SUFFIX)
        and path.is_file()
    )


def _read_raw(path: Path, series: int | None, *, indices: bool = False) -> RawImage:
    head = _read_head(path)
    if head.startswith(_TIFF):
        return read_tiff(path, series, indices=indices)
    if series:
        raise ImageError(f"'{path.name}' holds one image only: leave the series out.")
    if head.startswith(_PICTURE):
        pixels, axes = read_picture(path, indices=indices)
        return RawImage(pixels, axes)
    if head.startswith(_NUMPY):
        if indices and cellpose_seg.is_pickled(path):
            return RawImage(cellpose_seg.read_masks(path), None)
        return _read_numpy(path)
    raise ImageError(
        f"'{path.name}' is not an image that can be read here, whatever its name says: "
        "open it in the program that made it and save it as TIFF."
    )


def _read_head(path: Path) -> bytes:
    if path.is_dir():
        raise ImageError(f"'{path}' is a folder: choose one of the images in it.")
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
    except FileNotFoundError as error:
        raise ImageError(f"There is no file '{path}': check the path.") from error
    except OSError as error:
        raise ImageError(
            f"'{path}' cannot be opened ({error.strerror}): check that you may read it."
        ) from error
    if not head:
        raise ImageError(f"'{path.name}' is empty (0 bytes): copy or export it again.")
    return head


def _read_numpy(path: Path) -> RawImage:
    lazy = path.stat().st_size > LAZY_BYTES
    try:
        data = np.load(path, mmap_mode="r" if lazy else None, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ImageError(
            f"'{path.name}' is damaged or does not hold plain numbers ({error}): save the array "
            "again with numpy.save."
        ) from error
    return RawImage(data, None)


def _as_object_numbers(data: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    if data.dtype.kind not in "buif" or data.size == 0:
        raise ImageError(f"'{name}' holds no object numbers: choose a label image.")
    # NaN compares false with everything, so it is refused too.
    if not (data.min() >= 0 and data.max() <= np.iinfo(np.int32).max):
        raise ImageError(
            f"'{name}' has object numbers below 0 or above 2147483647: renumber the objects."
        )
    numbers = data.astype(np.int32)
    if data.dtype.kind == "f" and not np.array_equal(numbers, data):
        raise ImageError(
            f"'{name}' has fractions where object numbers should be: choose a label image."
        )
    return numbers


def _own_metadata(description: str) -> dict[str, Any]:
    """Return what `napari_cellseg.core.export` wrote beside the pixels, or ``{}``."""
    try:
        found = json.loads(description)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and PROVENANCE_KEY in found else {}
