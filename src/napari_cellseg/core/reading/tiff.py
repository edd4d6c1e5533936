"""TIFF files to pixels, axes and pixel size: OME, ImageJ, slide scanner and plain ones."""

from __future__ import annotations

import math
import struct
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from napari_cellseg.core.errors import ImageError
from napari_cellseg.core.reading.calibration import pixel_size, texts
from napari_cellseg.core.reading.series import check_parts, large_ones

LAZY_BYTES = 256 * 2**20  # stacks larger than this are read plane by plane


@dataclass(frozen=True)
class RawImage:
    """What a file holds, before its axes are settled.

    Attributes
    ----------
    data
        Array-like.
    axes
        One letter a dimension; ``S`` is for colour samples, letters that are not of
        ``"TZCYXS"`` mean that the file does not say; None if it says nothing at all.
    pixel_size, z_step
        In µm, or None.
    channel_names
        One a channel, or ``()``.
    description
        Text that the file carries about the image.
    """

    data: Any
    axes: str | None = None
    pixel_size: tuple[float, float] | None = None
    z_step: float | None = None
    channel_names: tuple[str, ...] = ()
    description: str = ""


def read_tiff(path: Path, series: int | None = None, *, indices: bool = False) -> RawImage:
    """Read one image of a TIFF file, at full resolution.

    Parameters
    ----------
    path
        File.
    series
        Which of the images of the file; None if there is but one that can be meant.
    indices
        Keep the indices of a palette image instead of its colours (for label maps).

    Raises
    ------
    ImageError
        If the file is damaged, compressed in an unknown way, or `series` must be chosen.
    """
    try:
        # Not a context manager: a stack that is read lazily keeps its file open.
        file = tifffile.TiffFile(path)
    except (tifffile.TiffFileError, ValueError, struct.error, IndexError) as error:
        raise _damaged(path, error) from error
    keep_open = False
    try:
        _check_complete(file, path)
        number = _choose_series(file, path, series)
        chosen = file.series[number].levels[0]
        check_parts(file, chosen, path)
        data = _pixels(file, chosen, indices)
        keep_open = isinstance(data, PlaneReader)
        axes = chosen.axes
        if data.ndim == len(axes) + 1:
            axes += "S"  # a palette was looked up
        size, z_step = pixel_size(file, number)
        names, description = texts(file, number)
        return RawImage(data, _settle_samples(file, chosen, axes), size, z_step, names, description)
    except ImageError:
        raise
    # Decoders of imagecodecs raise RuntimeError, cut headers struct.error or IndexError.
    except (ValueError, RuntimeError, struct.error, IndexError, EOFError, OSError) as error:
        raise _unreadable(path, error) from error
    finally:
        if not keep_open:
            file.close()


def tiff_axes(path: Path, shape: tuple[int, ...]) -> str | None:
    """Return what a TIFF file calls the dimensions of its image of `shape`; no pixels are read.

    None if the file cannot be read, holds no such image, or does not say; colour samples are
    called ``S``.
    """
    try:
        with tifffile.TiffFile(path) as file:
            for series in file.series:
                if tuple(series.shape) == tuple(shape) and len(series.axes) == len(shape):
                    return str(_settle_samples(file, series, series.axes))
    except (tifffile.TiffFileError, ValueError, struct.error, IndexError, OSError):
        pass
    return None


def _damaged(path: Path, error: Exception) -> ImageError:
    return ImageError(
        f"'{path.name}' is damaged or was cut off while it was copied ({error}): copy or export "
        "it again."
    )


def _unreadable(path: Path, error: Exception) -> ImageError:
    if find_spec("imagecodecs") is None and "imagecodecs" in str(error):
        return ImageError(
            f"'{path.name}' is compressed in a way that needs one more package: run "
            "'pip install imagecodecs', or save it uncompressed."
        )
    return _damaged(path, error)


def _check_complete(file: tifffile.TiffFile, path: Path) -> None:
    """Refuse a file whose chain of pages leads past its end: pages would be lost silently."""
    if file.is_ndpi:
        return  # its own way of writing large offsets
    tiff, stream = file.tiff, file.filehandle
    offset, seen = file.pages.first.offset, set[int]()
    while offset and offset not in seen:
        seen.add(offset)
        stream.seek(offset)
        head = stream.read(tiff.tagnosize)
        if len(head) == tiff.tagnosize:
            tags = struct.unpack(tiff.tagnoformat, head)[0]
            stream.seek(offset + tiff.tagnosize + tags * tiff.tagsize)
            link = stream.read(tiff.offsetsize)
        if len(head) < tiff.tagnosize or len(link) < tiff.offsetsize:
            raise _damaged(path, ValueError("a page is missing"))
        offset = struct.unpack(tiff.offsetformat, link)[0]


def _choose_series(file: tifffile.TiffFile, path: Path, series: int | None) -> int:
    count = len(file.series)
    if series is not None:
        if not 0 <= series < count:
            raise ImageError(f"'{path.name}' holds {count} images: choose 0 to {count - 1}.")
        return series
    sizes = [math.prod(one.shape) for one in file.series]
    large = large_ones(sizes)
    if len(large) > 1:
        shapes = ", ".join(f"{n}: {one.shape}" for n, one in enumerate(file.series))
        raise ImageError(
            f"'{path.name}' holds {count} images ({shapes}): choose one by its number (series)."
        )
    return large[0]


def _pixels(file: tifffile.TiffFile, series: tifffile.TiffPageSeries, indices: bool) -> Any:
    page = series.keyframe
    frame = tuple(page.shape)
    is_stack = len(series.shape) > len(frame) and tuple(series.shape)[-len(frame) :] == frame
    if series.nbytes > LAZY_BYTES and is_stack:
        if series.dataoffset is not None:
            return np.memmap(
                file.filehandle.path,
                dtype=np.dtype(file.byteorder + series.dtype.char),
                mode="r",
                offset=series.dataoffset,
                shape=tuple(series.shape),
            )
        if math.prod(series.shape) == len(series.pages) * math.prod(frame):
            return PlaneReader(file, series)
    pixels = series.asarray()
    palette = None if indices or file.is_imagej else page.colormap
    return pixels if palette is None else _look_up(pixels, palette)


def _look_up(pixels: npt.NDArray[Any], palette: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn indices into colours, unless the palette is a mere intensity scale."""
    if (np.diff(palette.astype(np.int64), axis=1) >= 0).all():
        return pixels
    return np.asarray((palette >> 8).astype(np.uint8).T[pixels])


def _settle_samples(file: tifffile.TiffFile, series: tifffile.TiffPageSeries, axes: str) -> str:
    """Call samples that are measured channels, not colours, by ``C``."""
    if "S" not in axes:
        return axes
    colour = series.keyframe.photometric in (
        tifffile.PHOTOMETRIC.RGB,
        tifffile.PHOTOMETRIC.YCBCR,
        tifffile.PHOTOMETRIC.PALETTE,
    )
    composite = file.is_imagej and (file.imagej_metadata or {}).get("mode") is not None
    return axes if colour and not composite else axes.replace("S", "C")


class PlaneReader:
    """Array-like over the pages of a compressed stack that decodes only what is asked for."""

    def __init__(self, file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
        self._file = file
        self._series = series
        self._lock = threading.Lock()
        self._frame = tuple(series.keyframe.shape)
        self.shape = tuple(series.shape)
        self.dtype = np.dtype(series.dtype)
        self.ndim = len(self.shape)

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        """Return the pixels that a tuple of integers and slices selects."""
        key = key if isinstance(key, tuple) else (key,)
        if Ellipsis in key:
            at = key.index(Ellipsis)
            fill = (slice(None),) * (self.ndim - len(key) + 1)
            key = key[:at] + fill + key[at + 1 :]
        key += (slice(None),) * (self.ndim - len(key))
        n = self.ndim - len(self._frame)
        numbers = np.arange(len(self._series.pages)).reshape(self.shape[:n])[key[:n]]
        pages = [self._page(int(number))[key[n:]] for number in np.ravel(numbers)]
        return np.stack(pages).reshape(np.shape(numbers) + pages[0].shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Decode everything."""
        return np.asarray(self[...], dtype=dtype)

    def _page(self, number: int) -> npt.NDArray[Any]:
        page = self._series.pages[number]
        try:
            with self._lock:
                if page is None:
                    raise ValueError(f"page {number} is missing")
                return np.asarray(page.asarray()).reshape(self._frame)
        except (ValueError, RuntimeError, struct.error, OSError) as error:
            raise _unreadable(Path(self._file.filename), error) from error
