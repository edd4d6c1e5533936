"""Writes work to a file, whole or not at all."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_cellseg import __version__
from napari_cellseg.core.errors import OutputError
from napari_cellseg.core.files import atomic_file
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.provenance import now
from napari_cellseg.core.saved.archive import Array, described, plain_type, write_array
from napari_cellseg.core.saved.entries import (
    SESSION_FILE,
    ImageReference,
    InstancesEntry,
    LabelsEntry,
    PredictionEntry,
    WorkEntry,
)
from napari_cellseg.core.saved.work import SavedWork

_QUICK = 1  # of zlib: labels and maps shrink as well, in a fifth of the time


@dataclass
class _Arrays:
    """The arrays of a file, by name."""

    kept: dict[str, Array] = field(default_factory=dict)

    def put(self, folder: str, title: str, array: Array) -> str:
        plain = re.sub(r"[^a-z0-9_-]+", "-", title.lower())[:60]
        name = f"{folder}/{len(self.kept)}-{plain}.npy" if folder else f"{title}.npy"
        self.kept[name] = plain_type(np.asarray(array))
        return name


def write_work(path: Path, work: SavedWork) -> None:
    """Write `work`; a file of that name is replaced once the new one is complete.

    Raises
    ------
    OutputError
        If the folder is missing or read-only, or the disk is full; an earlier file is then as it
        was.
    """
    arrays = _Arrays()
    entry = _entry(work, arrays, path)
    text = json.dumps(entry.model_dump(mode="json"), ensure_ascii=False, allow_nan=False)
    with (
        atomic_file(path) as stream,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=_QUICK) as archive,
    ):
        with archive.open(SESSION_FILE, "w") as session:
            session.write(text.encode())
        for name, array in arrays.kept.items():
            write_array(archive, name, array)


def _entry(work: SavedWork, arrays: _Arrays, path: Path) -> WorkEntry:
    labels = work.labels
    arrays.put("", "labels", labels.data)
    mask = None if work.mask is None else arrays.put("", "mask", work.mask)
    return WorkEntry(
        version=__version__,
        saved=now(),
        labels=LabelsEntry(
            name=labels.name,
            axes=labels.axes,
            pixel_size=labels.pixel_size,
            z_step=labels.z_step,
            provenance=_plain(labels.provenance),
        ),
        image=_image(work, arrays, path),
        recipe=None if work.recipe is None else work.recipe.model_dump(mode="json"),
        prediction=None if work.prediction is None else _prediction(work.prediction, arrays),
        mask=mask,
        box=work.box,
        history=tuple(_plain(step) for step in work.history),
        view=_plain(work.view),
        arrays=described(arrays.kept.items()),
    )


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of plain values; what JSON cannot hold is refused before anything is written.

    Raises
    ------
    OutputError
        If there is such a value.
    """
    try:
        copied: dict[str, Any] = json.loads(json.dumps(dict(values), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise OutputError(
            f"The metadata of the labels cannot be saved ({error}): remove what was added to them."
        ) from error
    return copied


def _image(work: SavedWork, arrays: _Arrays, path: Path) -> ImageReference | None:
    if work.image is None:
        return None
    image = work.image
    changes: dict[str, Any] = {"beside": _seen_from(path, image.path), "pixels": None}
    if work.pixels is not None:
        changes["pixels"] = arrays.put("image", "pixels", np.asarray(work.pixels.data))
    return image.replace(**changes)


def _seen_from(work: Path, image: str) -> str:
    if not image:
        return ""
    try:
        return Path(os.path.relpath(image, work.resolve().parent)).as_posix()
    except ValueError:  # on another drive
        return ""


def _prediction(prediction: Prediction, arrays: _Arrays) -> PredictionEntry:
    found = prediction.instances.items()
    return PredictionEntry(
        axes=prediction.axes,
        scale=prediction.scale,
        device=prediction.device,
        steps=prediction.steps,
        maps={name: arrays.put("maps", name, one) for name, one in prediction.maps.items()},
        classes={n: arrays.put("classes", n, one) for n, one in prediction.classes.items()},
        instances=tuple(
            InstancesEntry(
                plane=index,
                shape=one.shape,
                boxes=arrays.put("objects", "boxes", one.boxes),
                scores=arrays.put("objects", "scores", one.scores),
                masks=arrays.put("objects", "masks", one.masks),
            )
            for index, one in found
        ),
    )
