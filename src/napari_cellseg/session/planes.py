"""The post-processing of all planes of a run, kept ready for the next move of a slider."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Mapping

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.postprocessor import PostProcessor
from napari_cellseg.core.postprocess.removed import Removed
from napari_cellseg.core.progress import Progress

Index = tuple[int, ...]
RemovedByPlane = Mapping[Index, Mapping[str, Removed]]

_KEPT_PIXELS = 2**26  # intermediate states take about ten bytes a pixel


class Planes:
    """Gives the labels of `postprocess_stack`, but remembers the stages of the last planes.

    `all_planes` and `part` may run in two threads.
    """

    def __init__(self, prediction: Prediction) -> None:
        self.prediction = prediction
        self._processors: OrderedDict[Index, PostProcessor] = OrderedDict()
        y, x = self.shape[-2:]
        self._capacity = max(1, _KEPT_PIXELS // (y * x))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (T?, Z?, Y, X) of maps and labels."""
        return self.prediction.shape

    @property
    def nbytes(self) -> tuple[int, int]:
        """Bytes of the maps in memory, and in temporary files."""
        return self.prediction.nbytes

    def rest(self) -> None:
        """Forget the stages: they are worked out again when a slider moves."""
        self._processors = OrderedDict()

    def put_away(self) -> None:
        """Move the maps into temporary files; from any thread, and whatever uses them goes on.

        Raises
        ------
        OutputError
            If there is no room for them.
        """
        self.prediction = self.prediction.on_disk()
        self.rest()

    def _processor(self, index: Index) -> PostProcessor:
        kept = self._processors  # `rest` may put another in its place
        processor = kept.get(index)
        if processor is None:
            processor = kept[index] = PostProcessor(self.prediction.plane(index))
            while len(kept) > self._capacity:
                kept.popitem(last=False)
        return processor

    def part(
        self, params: PostParams, index: Index, region: tuple[slice, slice]
    ) -> npt.NDArray[np.int32]:
        """Return the labels of a region of one plane, numbered on their own."""
        return self._processor(index).run(params, region).labels

    def all_planes(
        self, params: PostParams
    ) -> Generator[Progress, None, tuple[npt.NDArray[np.int32], RemovedByPlane]]:
        """Return the labels of the whole image, numbered on from plane to plane.

        Raises
        ------
        SettingsError
            If the settings need a map that the model does not predict.
        """
        indices = list(np.ndindex(self.shape[:-2]))
        if not self.shape[:-2]:
            only = self._processor(()).run(params)
            return only.labels, {(): only.removed}
        labels = np.zeros(self.shape, np.int32)
        removed: dict[Index, Mapping[str, Removed]] = {}
        count = 0
        for done, index in enumerate(indices):
            yield Progress("Finding objects", done, len(indices))
            result = self._processor(index).run(params)
            np.add(result.labels, count, out=labels[index], where=result.labels > 0)
            removed[index] = result.removed
            count += result.count
        return labels, removed
