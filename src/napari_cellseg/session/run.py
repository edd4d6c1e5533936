"""The last result and what it takes to change it without the network."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.classify import ObjectClasses, classify
from napari_cellseg.core.editing.objects import runs
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.removed import Removed
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.provenance import RunRecord
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.session.corrections.decided import Decided
from napari_cellseg.session.corrections.numbering import keep_numbers
from napari_cellseg.session.locks import Int32Array, Locks, keep_inside
from napari_cellseg.session.planes import Index, Planes, RemovedByPlane


@dataclass(frozen=True, eq=False)
class Run:
    """A result: everything is frozen; a change makes another one.

    Attributes
    ----------
    image
        What was segmented.
    recipe
        What `labels` were made with.
    record
        What is told about the run in the layer's metadata.
    planes
        The kept maps, ready for other settings.
    labels
        int32 (T?, Z?, Y, X) as last put on screen; never written to.
    removed
        What each rule took away.
    locks
        What a person decided.
    mask
        True (Y, X) inside the drawn region; None if there is none.
    classes
        Class and certainty of each object of `labels`, if the model tells classes apart.
    """

    image: Image
    recipe: Recipe
    record: RunRecord
    planes: Planes
    labels: Int32Array
    removed: RemovedByPlane
    locks: Locks
    mask: npt.NDArray[np.bool_] | None = None
    classes: ObjectClasses | None = None

    def relabelled(
        self, post: PostParams, decided: Decided | None = None
    ) -> Generator[Progress, None, Run]:
        """Return the run under other post-processing settings; the network is not needed.

        Parameters
        ----------
        post
            The settings.
        decided
            The labels on screen and what a person decided about them; None if they are those of
            the run. From the first decision on, objects keep their numbers.
        """
        locks = self.locks if decided is None else decided.locks()
        predicted, removed = yield from self.planes.all_planes(post)
        labels = locks.flow_around(keep_inside(predicted, self.mask))
        if decided is not None and decided.handled:
            labels = keep_numbers(decided.labels, labels, locks.ids, decided.highest)
        if not labels.flags.c_contiguous:
            labels = np.ascontiguousarray(labels)
        recipe = self.recipe.replace(post=post)
        planes = self.planes.prediction.classes
        classes = classify(labels, planes) if planes else None
        run = replace(
            self, recipe=recipe, labels=labels, removed=removed, locks=locks, classes=classes
        )
        return replace(run, record=run.new_record())

    def new_record(self) -> RunRecord:
        """Return the record with what post-processing and edits changed in it."""
        _, _, ids = runs(self.labels)
        return self.record.replace(
            recipe=self.recipe.model_dump(mode="json"),
            objects=len(np.unique(ids)),
            removed=self.removed_counts(),
        )

    def part(
        self,
        post: PostParams,
        index: Index,
        region: tuple[slice, slice],
        decided: Decided | None = None,
    ) -> Int32Array:
        """Return the labels of a region of one plane, to be seen before the whole is ready.

        Parameters
        ----------
        post
            The settings.
        index, region
            Which plane, and which rows and columns of it.
        decided
            What a person decided there until now, as of `Decided.part`; None if nothing
            was since the labels of the run.
        """
        labels = self.planes.part(post, index, region)
        if decided is None:
            box = (*(slice(i, i + 1) for i in index), *region)
            locks = self.locks.crop(self.planes.shape, box)
        else:
            locks = decided.locks()
        mask = None if self.mask is None else self.mask[region]
        labels = locks.flow_around(keep_inside(labels, mask))
        if decided is not None and decided.handled:
            labels = keep_numbers(decided.labels, labels, locks.ids, decided.highest)
        return labels

    def without_labels(self) -> Run:
        """Return the run without what the labels on screen hold anyway, to be remembered."""
        return replace(self, labels=np.zeros(0, np.int32), locks=Locks.none())

    @property
    def held(self) -> Planes:
        """What of it takes most memory, shared with all that other settings made of it."""
        return self.planes

    @property
    def parts(self) -> dict[int, int]:
        """Bytes of what else a remembered run keeps, by the identity of each part."""
        rules = [gone for plane in self.removed.values() for gone in plane.values()]
        found = {id(self.removed): sum(one.pixels.nbytes + one.bounds.nbytes for one in rules)}
        if self.classes is not None:
            found[id(self.classes)] = self.classes.ids.nbytes + self.classes.probability.nbytes
        return found

    def with_labels(self, decided: Decided) -> Run:
        """Return the remembered run with the labels on screen."""
        return replace(self, labels=decided.labels, locks=decided.locks())

    def as_labels(self) -> Labels:
        """Return the labels with axes and pixel size, as they were last put on screen."""
        image = self.image
        axes = image.leading_axes + "YX"
        name = f"{image.name} labels"
        return Labels(self.labels, axes, image.pixel_size, image.z_step, name)

    def still_removed(self, rule: str) -> Mapping[Index, Removed]:
        """Return what `rule` took away and nobody brought back, by plane."""
        found = {}
        for index, rules in self.removed.items():
            gone = rules.get(rule)
            if gone is not None and gone.count:
                found[index] = _without(gone, self._decided(index))
        return {index: gone for index, gone in found.items() if gone.count}

    def removed_counts(self) -> dict[str, int]:
        """Return how many objects each rule took away, without those that were brought back."""
        rules = {rule for plane in self.removed.values() for rule in plane}
        return {
            rule: sum(gone.count for gone in self.still_removed(rule).values())
            for rule in sorted(rules)
        }

    def removed_at(
        self, rule: str, index: Index, y: int, x: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None:
        """Return rows and columns of the object at a pixel that `rule` removed, None if none."""
        gone = self.still_removed(rule).get(index)
        which = None if gone is None else gone.at(y, x)
        return None if gone is None or which is None else gone.coordinates(which)

    def _decided(self, index: Index) -> npt.NDArray[np.int64]:
        """Return the locked positions of a plane, as positions in that plane."""
        extent = self.planes.shape[-2] * self.planes.shape[-1]
        lead = self.planes.shape[:-2]
        first = int(np.ravel_multi_index(index, lead)) * extent if lead else 0
        low, high = np.searchsorted(self.locks.positions, [first, first + extent])
        return self.locks.positions[low:high] - first


def _without(gone: Removed, decided: npt.NDArray[np.int64]) -> Removed:
    """Leave out the objects that lie on decided pixels by more than half."""
    if not decided.size:
        return gone
    owner = np.repeat(np.arange(gone.count), gone.areas)
    covered = np.bincount(owner[np.isin(gone.pixels, decided)], minlength=gone.count)
    kept = covered * 2 <= gone.areas
    bounds = np.concatenate([[0], np.cumsum(gone.areas[kept])])
    return Removed(gone.rule, gone.shape, gone.pixels[kept[owner]], bounds)
