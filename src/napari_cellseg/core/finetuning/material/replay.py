"""Patches of a model's training data that travel with it, so that its children do not forget."""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.errors import ModelError
from napari_cellseg.core.finetuning.material.patches import SIDE, Part, ReplayPatch
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.contents import (
    CARD_FILE,
    REPLAY_FILE,
    read_all,
    read_entry,
    write_folder,
)
from napari_cellseg.core.zoo.store import included_folder

MOST_BYTES = 6 * 2**20
"""Largest size of the file; `merged` keeps fewer patches where it takes that."""

_LARGEST_ARRAYS = 2**28  # bytes that a file may unfold to
_ARRAYS = ("images", "labels", "names", "groups", "parts")
_DAMAGED = "The model's patches for fine-tuning (replay.npz) are damaged: install the model again."


@dataclass(frozen=True, eq=False)
class ReplaySet:
    """Patches of training data.

    In its file the arrays ``images_C``, ``labels_C``, ``names_C``, ``groups_C`` and ``parts_C``
    hold the patches of C channels; a part is called "train" or "held-out". Images are stored as
    (N, C, Y, X), each pixel minus its left neighbour modulo 256, which compresses a sixth better.
    """

    patches: tuple[ReplayPatch, ...]

    @property
    def learnt(self) -> tuple[ReplayPatch, ...]:
        """What is rehearsed: two of three patches of each group to learn from."""
        spared = self._spared
        return tuple(one for k, one in enumerate(self.patches) if self._trains(k, spared))

    def judged(self, *, rehearsed: bool) -> list[Source]:
        """Return what is to be judged by, at the network's own scale.

        Held-out patches, and those to learn from that a child was not trained on again. The parent
        was: what a child makes of them says what it forgot, not how good it is.

        Parameters
        ----------
        rehearsed
            Whether the child was trained on `learnt`.
        """
        spared = self._spared if rehearsed else range(len(self.patches))
        return [one.to_judge() for k, one in enumerate(self.patches) if not self._trains(k, spared)]

    def _trains(self, number: int, spared: Container[int]) -> bool:
        return self.patches[number].part == "train" and number not in spared

    @cached_property
    def _spared(self) -> frozenset[int]:
        """Every third patch to learn from of each group; a group of less than three has none."""
        places: dict[str, list[int]] = {}
        for k, one in enumerate(self.patches):
            if one.part == "train":
                places.setdefault(one.group, []).append(k)
        return frozenset(k for some in places.values() for k in some[2::3])

    @cached_property
    def content(self) -> bytes:
        """The patches as a compressed npz; equal patches always give equal bytes."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        for channels in sorted({one.image.shape[2] for one in self.patches}):
            some = [one for one in self.patches if one.image.shape[2] == channels]
            images = np.stack([one.image.transpose(2, 0, 1) for one in some])
            arrays[f"images_{channels}"] = np.diff(images, axis=-1, prepend=np.uint8(0))
            arrays[f"labels_{channels}"] = np.stack([one.labels for one in some])
            arrays[f"names_{channels}"] = np.array([one.name for one in some])
            arrays[f"groups_{channels}"] = np.array([one.group for one in some])
            arrays[f"parts_{channels}"] = np.array([one.part for one in some])
        stream = io.BytesIO()
        np.savez_compressed(stream, allow_pickle=False, **arrays)
        return stream.getvalue()

    @property
    def sha256(self) -> str:
        """Hash of `content`."""
        return hashlib.sha256(self.content).hexdigest()

    @classmethod
    def from_content(cls, content: bytes) -> Self:
        """Read `content` back; nothing in it is ever executed.

        Raises
        ------
        ModelError
            If it is damaged or larger than such a file can be.
        """
        try:
            arrays = _arrays(content)
            counts = [name.removeprefix("images_") for name in arrays if name.startswith("images_")]
            rows = [
                row
                for count in counts
                for row in zip(*(arrays[f"{kind}_{count}"] for kind in _ARRAYS), strict=True)
            ]
            patches = tuple(_patch(*row) for row in rows)
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ModelError(_DAMAGED) from error
        return cls(patches)

    def merged(self, others: Iterable[ReplayPatch], limit: int = 96) -> ReplaySet:
        """Return these patches and others, thinned where they are too many.

        Parts keep their shares. Groups are weighed as in training, by the root of their number of
        patches, and each keeps one at least; of a group patches at even distances stay.

        Parameters
        ----------
        others
            Patches of further data.
        limit
            Most patches of the result; fewer where the file would exceed `MOST_BYTES`.
        """
        every = (*self.patches, *others)
        kept = ReplaySet(every)
        allowed = min(limit, len(every))
        while len(kept.patches) > allowed or len(kept.content) > MOST_BYTES:
            allowed = min(allowed, math.floor(len(kept.patches) * 0.95))
            kept = ReplaySet(_thinned(every, allowed))
        return kept


def _patch(
    image: npt.NDArray[Any], labels: npt.NDArray[Any], name: str, group: str, part: str
) -> ReplayPatch:
    shapes = (image.shape[1:], labels.shape)
    if image.dtype != np.uint8 or labels.dtype != np.uint16 or shapes != ((SIDE, SIDE),) * 2:
        raise ValueError("not an array of patches")
    if part not in ("train", "held-out"):
        raise ValueError("no part of that name")
    pixels = np.cumsum(image, axis=-1, dtype=np.uint8).transpose(1, 2, 0)
    use: Part = "train" if part == "train" else "held-out"
    return ReplayPatch(str(name), str(group), use, np.ascontiguousarray(pixels), labels)


def _arrays(content: bytes) -> dict[str, npt.NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(info.file_size for info in archive.infolist()) > _LARGEST_ARRAYS:
            raise ModelError(_DAMAGED)
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _thinned(patches: Sequence[ReplayPatch], limit: int) -> tuple[ReplayPatch, ...]:
    parts = Counter[str](one.part for one in patches)
    kept: set[int] = set()
    for part, count in quotas(parts, limit, parts).items():
        groups = Counter(one.group for one in patches if one.part == part)
        weights = {group: math.sqrt(number) for group, number in groups.items()}
        for group, number in quotas(weights, count, groups).items():
            places = [k for k, one in enumerate(patches) if (one.part, one.group) == (part, group)]
            kept |= {places[k] for k in np.linspace(0, len(places) - 1, number).round().astype(int)}
    return tuple(one for k, one in enumerate(patches) if k in kept)


def quotas(
    weights: Mapping[str, float], limit: int, available: Mapping[str, int]
) -> dict[str, int]:
    """Divide `limit` in proportion to weights (Webster's method), one for each if that goes.

    Parameters
    ----------
    weights
        Above 0, by name.
    limit
        Sum of the result, or less where less is available.
    available
        Most that each may get.
    """
    given = dict.fromkeys(weights, 0)
    for _ in range(min(limit, sum(available[name] for name in weights))):
        due = {
            name: (not given[name], weight / (given[name] + 0.5))
            for name, weight in weights.items()
            if given[name] < available[name]
        }
        given[max(due, key=due.__getitem__)] += 1
    return given


def shared_file(sha256: str) -> Path:
    """Return where the package keeps the patches of that hash, which included models share."""
    return included_folder().parent / "replay" / f"{sha256[:12]}.npz"


def load_replay(bundle: Path) -> ReplaySet | None:
    """Load the patches of a model, None where it has none.

    Parameters
    ----------
    bundle
        Folder or zip.

    Raises
    ------
    ModelError
        If the card cannot be read, or the patches are damaged.
    """
    expected = Card.load(bundle).replay_sha256
    if not expected:
        return None
    try:
        content = read_entry(bundle, REPLAY_FILE)
    except FileNotFoundError:
        if not shared_file(expected).is_file():
            return None
        content = shared_file(expected).read_bytes()
    if hashlib.sha256(content).hexdigest() != expected:
        raise ModelError(_DAMAGED)
    return ReplaySet.from_content(content)


def add_replay(bundle: Path, replay: ReplaySet) -> Card:
    """Put patches into a finished bundle's folder, in place of earlier ones; return its card.

    Raises
    ------
    ModelError
        If the card cannot be read.
    OutputError
        If the folder cannot be written.
    """
    card = Card.load(bundle).replace(replay_sha256=replay.sha256)
    new = {CARD_FILE: card.to_json().encode(), REPLAY_FILE: replay.content}
    write_folder(bundle, {**read_all(bundle), **new})
    return card
