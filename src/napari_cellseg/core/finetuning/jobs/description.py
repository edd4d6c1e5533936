"""What a fine-tuning's folder holds: the description in job.json, and the pictures beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.components import Params
from napari_cellseg.core.errors import DataError, ImageError
from napari_cellseg.core.export.label_tiff import write_labels
from napari_cellseg.core.finetuning.jobs.rounds import planned_splits
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.finetuning.material.split import Split
from napari_cellseg.core.finetuning.settings import FineTuneSettings
from napari_cellseg.core.reading import read_image, read_labels
from napari_cellseg.core.zoo.store import ModelEntry

JOB_FILE = "job.json"
SCHEMA_VERSION = 1

_AGAIN = "prepare the training again"


class Entry(Params):
    """What job.json says about one source; the pixels lie in files named after `id`."""

    id: str = Field(pattern=r"^\d{4,6}$")
    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    split: Split
    axes: Literal["YX", "YXC"] = "YX"
    rgb: bool = False
    pixel_size: tuple[float, float] | None = None
    channel_names: tuple[str, ...] = ()
    channels: tuple[int, ...] | None = None
    classes: dict[int, str] = Field(default_factory=dict)
    objects: int = Field(0, ge=0)
    area: int = Field(0, ge=0)

    @classmethod
    def of(cls, source: Source, number: int, split: Split) -> Self:
        """Describe the source with that number."""
        return cls(
            id=f"{number:04d}",
            name=source.name,
            sha256=source.sha256,
            split=split,
            axes="YXC" if source.image.axes == "YXC" else "YX",
            rgb=source.image.rgb,
            pixel_size=source.image.pixel_size,
            channel_names=source.image.channel_names,
            channels=source.channels,
            classes=dict(source.classes),
            objects=source.objects,
            area=source.area,
        )

    def paths(self, folder: Path) -> tuple[Path, Path, Path]:
        """Return the files of image, labels and known area; the last need not exist."""
        image, labels, known = (folder / kind for kind in ("images", "labels", "known"))
        return image / f"{self.id}.tif", labels / f"{self.id}.tif", known / f"{self.id}.tif"


class JobFile(Params):
    """The content of job.json."""

    schema_version: Literal[1] = 1
    name: str
    parent_name: str
    parent_sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    settings: FineTuneSettings
    sources: tuple[Entry, ...] = Field(min_length=1)
    created: str = ""

    def to_json(self) -> str:
        """Return indented JSON."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read the description.

        Raises
        ------
        DataError
            If it is damaged, or of a newer version of the plugin.
        """
        try:
            values = json.loads(text)
            version = values.get("schema_version", SCHEMA_VERSION)
        except (ValueError, AttributeError) as error:
            raise DataError(f"The training's {JOB_FILE} is damaged ({error}): {_AGAIN}.") from error
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise DataError(
                f"The training's {JOB_FILE} has version {version}, newer than this plugin reads: "
                "update napari-cellseg."
            )
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise DataError(
                f"The training's {JOB_FILE} is not valid at '{where}' ({first['msg']}): {_AGAIN}."
            ) from error


def read_bytes(path: Path) -> bytes:
    """Return a job.json as it is.

    Raises
    ------
    DataError
        If there is none.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(
            f"'{path.parent}' is no prepared training: it holds no {path.name}. Choose a folder "
            "or zip that napari-cellseg has written for it."
        ) from error
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error.strerror}).") from error


def describe(
    name: str, parent: ModelEntry, settings: FineTuneSettings, sources: Sequence[Source]
) -> JobFile:
    """Divide sources into training and validation, and say all about a job that will learn them.

    Raises
    ------
    DataError
        If there is no object, or `name` cannot be a model's.
    ChannelError, SettingsError
        As of `planned_splits`.
    """
    _check_name(name)
    if not any(source.objects for source in sources):
        raise DataError(
            "There is no reviewed object to learn from: accept or correct some objects, or mark "
            "an area in which all of them are right."
        )
    splits = planned_splits(settings, parent.card, sources)
    return JobFile(
        name=name,
        parent_name=parent.name,
        parent_sha256=parent.card.weights_sha256,
        settings=settings,
        sources=tuple(Entry.of(one, n, splits[one.sha256]) for n, one in enumerate(sources)),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _check_name(name: str) -> None:
    """Refuse what a model cannot be called, before anything is trained."""
    if not re.fullmatch(r"\w[\w.\- ]*", name) or len(name) > 100:
        raise DataError(
            f"'{name}' is no name for a model: use up to 100 letters, digits, '-', '_', '.' and "
            "spaces, and begin with a letter or digit."
        )


def write_source(folder: Path, entry: Entry, source: Source) -> None:
    """Write the pixels of a source into the folder, which has its subfolders.

    Raises
    ------
    OSError
        If the disk is full or read-only.
    """
    image, labels, known = entry.paths(folder)
    plane = source.image.plane()
    if plane.dtype == np.bool_:
        plane = plane.astype(np.uint8)
    # Channels as pages, but colours as samples: so other programs show them as meant.
    pixels = plane if entry.rgb else np.moveaxis(plane, 2, 0)
    _write_tiff(image, pixels, entry.pixel_size, "rgb" if entry.rgb else "minisblack")
    write_labels(Labels(source.labels, "YX", entry.pixel_size, name=source.name), labels)
    if source.known is not None:
        _write_tiff(known, source.known.astype(np.uint8) * 255, entry.pixel_size)


def _write_tiff(
    path: Path,
    pixels: npt.NDArray[Any],
    pixel_size: tuple[float, float] | None,
    photometric: str = "minisblack",
) -> None:
    import tifffile

    resolution: dict[str, Any] = {}
    if pixel_size is not None:
        y, x = pixel_size
        resolution = {"resolution": (1e4 / x, 1e4 / y), "resolutionunit": "CENTIMETER"}
    with path.open("xb") as stream:
        tifffile.imwrite(stream, pixels, photometric=photometric, compression="zlib", **resolution)


def read_source(folder: Path, entry: Entry) -> Source:
    """Read a source back.

    Raises
    ------
    DataError
        If a file is missing, damaged, or not the one that was written.
    """
    image_path, labels_path, known_path = entry.paths(folder)
    try:
        read = read_image(image_path, axes="YXS" if entry.rgb else "CYX")
        plane = read.plane()
        image = Image(
            plane if entry.axes == "YXC" else plane[..., 0],
            entry.axes,
            entry.pixel_size,
            channel_names=entry.channel_names,
            rgb=entry.rgb,
            name=entry.name,
        )
        labels = read_labels(labels_path).data
        known = None
        if known_path.exists():
            known = read_labels(known_path).data > 0
        source = Source(entry.name, image, labels, known, entry.classes, entry.channels)
    except ImageError as error:
        raise DataError(f"The training data cannot be read: {error}") from error
    if (source.sha256, source.objects, source.area) != (entry.sha256, entry.objects, entry.area):
        raise DataError(
            f"The image '{entry.name}' in '{folder}', or what is known of it, was changed since "
            f"the training was prepared: {_AGAIN}."
        )
    return source
