"""Which pictures, or which strip of a picture, train and which judge: fixed for all rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_cellseg.core.errors import DataError
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.fitting.reviewed import compact

OF_IMAGES = 0.2
"""Share of all objects that go to validation where whole pictures do."""
OF_STRIP = 0.25
"""Share of a single picture's objects that go to validation."""

Range = tuple[int, int]


@dataclass(frozen=True)
class Strip:
    """A picture of which a strip at one end is kept for validation.

    Attributes
    ----------
    axis
        Along which it is cut: 0 for Y, 1 for X.
    train, validation
        (start, stop) along that axis in px; what lies between them belongs to neither.
    """

    axis: Literal[0, 1]
    train: Range
    validation: Range


Split = Literal["train", "validation"] | Strip


def split_sources(
    sources: Sequence[Source], earlier: Mapping[str, Split], seed: int, gap: int
) -> dict[str, Split]:
    """Divide pictures into those that train and those that judge.

    What earlier rounds fixed stays. About a fifth of the objects goes to validation, in whole
    pictures and at least one; of a single picture a strip does, with about a quarter of the
    objects. A picture whose objects cannot be parted keeps, if possible, an empty strip for
    objects that are corrected later.

    Parameters
    ----------
    sources
        The pictures, in any order.
    earlier
        By `Source.sha256`, as of `rounds.earlier_splits`.
    seed
        Decides between what is equally good.
    gap
        Pixels between training and validation in a picture that is cut.

    Returns
    -------
    By `Source.sha256`, for each of `sources`.
    """
    pictures: dict[str, list[Source]] = {}
    for source in sorted(sources, key=lambda one: one.sha256):
        pictures.setdefault(source.sha256, []).append(source)
    rng = np.random.default_rng(seed)
    counts = {sha: max(one.objects for one in same) for sha, same in pictures.items()}
    splits: dict[str, Split] = {sha: earlier.get(sha, "train") for sha in pictures}
    fixed = [sha for sha in pictures if sha in earlier and counts[sha]]
    new = {sha: n for sha, n in counts.items() if sha not in earlier and n}
    if len(new) == 1 and not fixed:
        only = next(iter(new))
        return {**splits, only: cut(pictures[only], gap, rng)}
    ends = [parts(pictures[sha][0], splits[sha])[1] for sha in fixed]
    judged = sum(one.objects for one in ends if one)
    trained = any(splits[sha] != "validation" for sha in fixed)
    wanted = OF_IMAGES * sum(counts.values())
    return {**splits, **dict.fromkeys(_chosen(new, wanted, judged, trained, rng), "validation")}


def _chosen(
    counts: Mapping[str, int], wanted: float, judged: int, trained: bool, rng: np.random.Generator
) -> list[str]:
    """Return which new pictures go to validation.

    Parameters
    ----------
    counts
        Objects of each.
    wanted, judged
        Objects that validation should have, and has from earlier rounds.
    trained
        Whether there is a picture to train on already; if not, one is left.
    """
    order = [list(counts)[k] for k in rng.permutation(len(counts))]
    chosen: list[str] = []
    if not judged and order and (trained or len(order) > 1):
        chosen.append(min(order, key=lambda sha: abs(counts[sha] - wanted)))
        judged = counts[chosen[0]]
    for sha in order:  # one always stays to train on: all together would be too many
        nearer = abs(judged + counts[sha] - wanted) < abs(judged - wanted)
        if sha not in chosen and nearer:
            chosen.append(sha)
            judged += counts[sha]
    return chosen


def cut(same: Sequence[Source], gap: int, rng: np.random.Generator) -> Split:
    """Choose the strip of one picture that judges; "train" if there can be none.

    Parameters
    ----------
    same
        Sources with the same pixels; objects of all of them count.
    gap
        Pixels between the two parts.
    rng
        Decides between what is equally good.
    """
    extents = np.concatenate([_extents(one.labels) for one in same])
    best: tuple[float, Split] = (np.inf, "train")
    for side in rng.permutation(4).tolist():
        axis, mirrored = side % 2, side >= 2
        length = same[0].labels.shape[axis]
        if length <= gap + 1:
            continue
        first, stop = extents[:, axis, 0], extents[:, axis, 1]
        if mirrored:
            first, stop = length - stop, length - first
        cost, at = _best_border(first, stop, length, gap)
        if cost < best[0]:
            train, validation = (0, at), (at + gap, length)
            if mirrored:
                train, validation = (length - at, length), (0, length - at - gap)
            best = cost, Strip(1 if axis else 0, train, validation)
    return best[1]


def _best_border(
    first: npt.NDArray[np.intp], stop: npt.NDArray[np.intp], length: int, gap: int
) -> tuple[float, int]:
    """Return what the best end of the training part costs, in objects, and where it is.

    Objects that belong to no part cost as much as those by which validation misses its share.
    """
    border = np.arange(1, length - gap)
    train = np.cumsum(np.bincount(stop, minlength=length + 1))[border]
    validation = len(first) - np.cumsum(np.bincount(first, minlength=length))[border + gap - 1]
    lost = len(first) - train - validation
    uneven = np.abs((length - gap - border) / length - OF_STRIP)
    cost = lost + np.abs(validation - OF_STRIP * len(first)) + 1e-3 * uneven
    # No border parts the objects: all train, and the rest is kept for later ones.
    reserve = np.where(train == len(first), len(first) + uneven, np.inf)
    cost = np.where((train > 0) & (validation > 0), cost, reserve)
    at = int(np.argmin(cost))
    return float(cost[at]), int(border[at])


def _extents(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
    """Return start and stop of each object along each axis, (N, 2, 2)."""
    ids, number = compact(np.maximum(labels, 0))
    if ids[0] != 0:
        number = number + 1  # no background: `find_objects` leaves out the number 0
    boxes = [box for box in ndimage.find_objects(number) if box is not None]
    return np.array([[(at.start, at.stop) for at in box] for box in boxes], np.intp).reshape(
        -1, 2, 2
    )


def parts(source: Source, split: Split) -> tuple[Source | None, Source | None]:
    """Return what trains and what judges, as arrays of their own.

    A training array holds no pixel of the validation block, so no patch of it can. Objects that
    are cut by a border of their part are unknown there.

    Returns
    -------
    train
        None if nothing is known there.
    validation
        None if no object is known there.

    Raises
    ------
    DataError
        If the split is one of a picture of another size.
    """
    train: Source | None = source if split != "validation" else None
    validation: Source | None = source if split != "train" else None
    if isinstance(split, Strip):
        train = _part(source, split.axis, split.train)
        validation = _part(source, split.axis, split.validation)
    return (
        train if train and train.area else None,
        validation if validation and validation.objects else None,
    )


def _part(source: Source, axis: int, span: Range) -> Source:
    start, stop = span
    if not 0 <= start < stop <= source.labels.shape[axis]:
        raise DataError(
            f"'{source.name}' was divided as a picture of another size: remove it from the "
            "training data, or take the picture of the earlier rounds."
        )
    window = tuple(slice(start, stop) if a == axis else slice(None) for a in range(2))
    labels = source.labels[window].copy()
    known = None if source.known is None else source.known[window].copy()
    ids, number = compact(source.labels)
    inside = np.bincount(number[window].reshape(-1), minlength=ids.size)
    whole = inside == np.bincount(number.reshape(-1), minlength=ids.size)
    unsure = ~(whole | (ids <= 0))[number[window]]
    if unsure.any():
        known = ~unsure if known is None else known & ~unsure
        labels[unsure] = 0
    return replace(
        source,
        image=replace(source.image, data=np.array(source.image.data[window])),
        labels=labels,
        known=known,
    )
