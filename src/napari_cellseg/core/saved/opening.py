"""Reads saved work back, and says in words why a file cannot be opened."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import DataError, ImageError, SettingsError
from napari_cellseg.core.inference.prediction import Prediction, allocate_maps
from napari_cellseg.core.postprocess.instances import Instances
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.saved.archive import (
    Array,
    check_sizes,
    opened,
    read_array,
    read_into,
    read_session,
)
from napari_cellseg.core.saved.entries import SCHEMA_VERSION, PredictionEntry, WorkEntry
from napari_cellseg.core.saved.work import SavedWork


def read_work(path: Path) -> SavedWork:
    """Read what `write_work` wrote, bit for bit; the image itself is looked for by `find_image`.

    Raises
    ------
    DataError
        If the file is missing, damaged, no saved work, not safe, or of a newer version.
    OutputError
        If large maps find no room in the temporary folder.
    """
    with opened(path) as archive:
        entry = _entry(read_session(archive, path), path)
        check_sizes(archive, entry.arrays, path)
        try:
            return _work(_Reader(archive, entry), entry)
        except (KeyError, TypeError, ImageError, SettingsError) as error:
            raise _damaged(path, error) from error


class _Reader:
    def __init__(self, archive: zipfile.ZipFile, entry: WorkEntry) -> None:
        self._archive, self._arrays = archive, entry.arrays

    def __call__(self, name: str, dtype: str | None = None) -> Array:
        told = self._arrays[name]
        if dtype is not None and told.dtype != dtype:
            raise TypeError(f"'{name}' is not of type {dtype}")
        return read_array(self._archive, name, told)

    def maps(self, names: Mapping[str, str], shape: tuple[int, ...]) -> dict[str, Array]:
        """Return maps, in temporary files where they are large."""
        for name in names.values():
            if self._arrays[name].dtype != "|u1" or self._arrays[name].shape != shape:
                raise TypeError(f"'{name}' is no map of the labels")
        found = allocate_maps(tuple(names), shape) if names else {}
        for title, name in names.items():
            read_into(self._archive, name, self._arrays[name], found[title])
        return found


def _entry(text: bytes, path: Path) -> WorkEntry:
    try:
        values = json.loads(text)
        version = values.get("schema_version")
    except (ValueError, AttributeError, RecursionError) as error:
        raise _damaged(path, error) from error
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise DataError(
            f"'{path.name}' was saved by a newer version of this plugin "
            f"({values.get('version', 'unknown')}): update napari-cellseg to open it."
        )
    try:
        return WorkEntry.parse(values)
    except SettingsError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"'{path.name}' is damaged ({error}): open an earlier one, or copy it again.")


def _work(read: _Reader, entry: WorkEntry) -> SavedWork:
    labels = Labels(data=read("labels.npy", "<i4"), **dict(entry.labels))
    shape = labels.data.shape
    mask = None if entry.mask is None else read(entry.mask, "|b1")
    if mask is not None and mask.shape != shape[-2:]:
        raise TypeError("the mask is not of the labels' size")
    prediction = None if entry.prediction is None else _prediction(read, entry.prediction, shape)
    return SavedWork(
        labels,
        image=entry.image,
        pixels=_pixels(read, entry),
        recipe=None if entry.recipe is None else Recipe.parse(entry.recipe),
        prediction=prediction,
        mask=mask,
        box=entry.box,
        history=entry.history,
        view=entry.view,
    )


def _prediction(read: _Reader, entry: PredictionEntry, shape: tuple[int, ...]) -> Prediction:
    instances = {one.plane: _instances(read, one) for one in entry.instances}
    prediction = Prediction(
        read.maps(entry.maps, shape),
        entry.axes,
        entry.scale,
        entry.device,
        entry.steps,
        instances,
        read.maps(entry.classes, shape),
    )
    planes = {index for index in instances if len(index) == len(shape) - 2}
    if not (entry.maps or planes) or prediction.shape != shape:
        raise TypeError("the maps are not of the labels' size")
    return prediction


def _instances(read: _Reader, entry: Any) -> Instances:
    boxes, scores = read(entry.boxes, "<f4"), read(entry.scores, "<f4")
    masks = read(entry.masks, "|u1")
    fits = boxes.shape == (len(scores), 4) and scores.ndim == 1 and masks.ndim == 3
    if not fits or len(masks) != len(scores):
        raise TypeError("the candidates for objects contradict each other")
    return Instances(entry.shape, boxes, scores, masks)


def _pixels(read: _Reader, entry: WorkEntry) -> Image | None:
    image = entry.image
    if image is None or image.pixels is None:
        return None
    return Image(
        read(image.pixels),
        image.axes,
        image.pixel_size,
        image.z_step,
        image.channel_names,
        image.rgb,
        image.name,
    )
