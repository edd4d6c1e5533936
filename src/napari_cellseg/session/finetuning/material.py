"""What a model would learn from: open labels as they are now, and folders of pairs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.finetuning.material.source import Source, source_from
from napari_cellseg.session.corrections.decided import Decided

THUMBNAIL = 48
"""Side of the small pictures in px."""
_MEAN_OF = 8  # pixels along each axis that one of a thumbnail is the mean of, at most about

UInt8Array = npt.NDArray[np.uint8]


class Material(Protocol):
    """Some of what there is to learn from; frozen, for a worker."""

    @property
    def key(self) -> str:
        """Unlike that of any other."""
        ...

    @property
    def name(self) -> str:
        """As the user knows it."""
        ...

    @property
    def of_planes(self) -> int:
        """Number of planes or pictures, reviewed or not; 0 if unknown."""
        ...

    def sources(self) -> Iterator[Source]:
        """Yield a copy of each reviewed plane."""
        ...


@dataclass(frozen=True, eq=False)
class OpenLabels:
    """Labels that a person corrected, and the image under them.

    Attributes
    ----------
    key, name
        See `Material`.
    image
        Of the labels' extent, axes in any order.
    decided
        The labels (T?, Z?, Y, X) and what was decided about them.
    classes
        Classes that a person gave, by object.
    channels
        See `Source`.
    """

    key: str
    name: str
    image: Image
    decided: Decided
    classes: Mapping[int, str] = field(default_factory=dict)
    channels: tuple[int, ...] | None = None

    @property
    def of_planes(self) -> int:
        """Number of planes."""
        return int(np.prod(self.decided.labels.shape[:-2], dtype=int))

    @property
    def decisions(self) -> int:
        """Number of objects that were accepted or edited."""
        return len(self.decided.locked)

    def planes(self) -> Iterator[tuple[int, ...]]:
        """Yield the index of every plane of which anything was reviewed."""
        labels, area = self.decided.labels, self.decided.reviewed
        locked = np.asarray(self.decided.locked, np.int64)
        for index in np.ndindex(labels.shape[:-2]):
            marked = area is not None and area[index].any()
            if marked or (locked.size and np.isin(labels[index], locked).any()):
                yield index

    def sources(self) -> Iterator[Source]:
        """Yield a copy of each reviewed plane, named by its position."""
        decided, area = self.decided, self.decided.reviewed
        accepted: Collection[int] = decided.locked
        for index in self.planes():
            where = ", ".join(
                f"{axis} {place}"
                for axis, place in zip(self.image.leading_axes.lower(), index, strict=True)
            )
            yield source_from(
                self.image,
                decided.labels[index],
                None if area is None else area[index],
                accepted,
                index=index,
                name=f"{self.name}, {where}" if where else self.name,
                classes=self.classes,
                channels=self.channels,
            )


@dataclass(frozen=True)
class PairFolder:
    """A folder of images/, labels/ and, if there is one, known/."""

    path: Path

    @property
    def key(self) -> str:
        """Its path."""
        return str(self.path)

    @property
    def name(self) -> str:
        """Its name."""
        return self.path.name

    @property
    def of_planes(self) -> int:
        """0: as many as there are."""
        return 0

    def sources(self) -> Iterator[Source]:
        """Yield each pair; DataError if there are none or one cannot be read."""
        from napari_cellseg.core.finetuning.jobs.folders import sources_of_folder

        yield from sources_of_folder(self.path)


def thumbnail(source: Source, side: int = THUMBNAIL) -> UInt8Array:
    """Return a small picture (Y, X, 3) of a source, as bright as it can be seen well."""
    plane = source.image.plane()
    step = max(1, int(np.ceil(max(plane.shape[:2]) / side)))
    coarse = max(1, step // _MEAN_OF)  # reading every pixel of a large plane would take long
    part = plane[::coarse, ::coarse].astype(np.float32)
    part = part[..., :3] if part.shape[2] >= 3 else part[..., :1].repeat(3, axis=2)
    block = min(step // coarse, *part.shape[:2])
    rows, columns = (n // block for n in part.shape[:2])
    blocks = part[: rows * block, : columns * block].reshape(rows, block, columns, block, 3)
    small = blocks.mean(axis=(1, 3))
    finite = small[np.isfinite(small)]
    low, high = np.percentile(finite, (1, 99.5)) if finite.size else (0.0, 1.0)
    scaled = (np.nan_to_num(small) - low) / max(float(high - low), 1e-6)
    return np.asarray(255 * scaled.clip(0, 1), np.uint8)
