"""Run a network over an image: planes, tiles, batches, probability maps."""

from __future__ import annotations

import gc
import itertools
import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cellseg.core._torch import torch
from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import ImageError
from napari_cellseg.core.inference.acceleration import accelerate
from napari_cellseg.core.inference.blending import Blender
from napari_cellseg.core.inference.channels import choose_channels
from napari_cellseg.core.inference.detection import accelerated, detect_plane, tiling_of
from napari_cellseg.core.inference.effort import Effort, is_out_of_memory, release_memory
from napari_cellseg.core.inference.output import TYPE_PREFIX, forward, plane_names
from napari_cellseg.core.inference.prediction import Prediction, allocate_maps
from napari_cellseg.core.inference.preparation import Preparation, normalize, percentile_limits
from napari_cellseg.core.inference.resample import make_taps, resample
from napari_cellseg.core.inference.tiling import Grid, Tiling
from napari_cellseg.core.models.detector import Detector
from napari_cellseg.core.postprocess.instances import Instances
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.zoo.bundle import Model
from napari_cellseg.core.zoo.card import Card

Region = tuple[slice, slice]

STAGE = "Predicting"
_LARGE_PIXELS = 2**22
SCALES = (1 / 16, 4.0)
"""Least and greatest scale at which an image is shown to a network."""

AUTOMATIC_SCALES = (1 / 8, 2.0)
"""The same where nobody asked for it: specks in a large image must not cost minutes."""


def scale_for(diameter: float, card: Card, limits: tuple[float, float] = SCALES) -> float:
    """Return the scale at which objects of `diameter` px have the size that the model sees best."""
    return min(max(card.shown_diameter(diameter) / diameter, limits[0]), limits[1])


def predict(
    model: Model,
    image: Image,
    preparation: Preparation,
    tiling: Tiling,
    device: str = "cpu",
    *,
    scale: float | None = None,
    region: Region | None = None,
) -> Generator[Progress, None, Prediction]:
    """Predict the maps of an image, or find its objects; T and Z are independent slices.

    When memory runs out, the batch is halved, then the tile, then the run moves to the CPU; each
    step is told in ``Progress.message`` and kept in ``Prediction.steps``. Closing the generator
    leaves nothing behind.

    Parameters
    ----------
    model
        Card and network.
    image
        The image.
    preparation, tiling
        Settings of the recipe.
    device
        Device in torch's spelling.
    scale
        Network pixels per image pixel; by default what ``preparation.diameter`` asks for, or 1.
    region
        Rows and columns to predict; intensities are still scaled by those of the whole plane.

    Raises
    ------
    ChannelError
        If the model was not trained on such channels.
    DeviceError
        If memory is not enough even for the smallest tile on the CPU.
    OutputError
        If large maps find no room in the temporary folder.
    """
    choice = choose_channels(image, preparation.channels, model.card)
    if scale is None:
        scale = scale_for(preparation.diameter, model.card) if preparation.diameter else 1.0
    rows, columns = _bounds(image, region)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    detects = isinstance(model.network, Detector)
    maps = allocate_maps(() if detects else plane_names(model.card), (*image.leading, *shape))
    instances: dict[tuple[int, ...], Instances] = {}
    effort = Effort.of(device, tiling_of(tiling) if detects else tiling)
    steps: list[str] = []
    job = _Job(model.card.in_channels, _scaled(shape, scale), math.prod(image.leading))
    network = _made_ready(model, device)
    try:
        for number, index in enumerate(image.planes()):
            plane = image.plane(index, choice.indices)
            limits = percentile_limits(plane, preparation.low, preparation.high, choice.joint)
            view = _PlaneView(plane[rows, columns], limits, job)
            while True:
                out_of_memory = False
                try:
                    if isinstance(network, Detector):
                        at = (number, job.planes)
                        instances[index] = yield from detect_plane(
                            network, view, job.shape, shape, effort, at
                        )
                    else:
                        targets = [stack[index] for stack in maps.values()]
                        yield from _predict_plane(network, view, targets, effort, number)
                except (MemoryError, RuntimeError) as error:
                    if not is_out_of_memory(error):
                        raise
                    out_of_memory = True
                if not out_of_memory:
                    break
                # Only here, outside the except block, do the failed call's tensors have no owner.
                reduced, told = effort.reduced(job.shape)
                if reduced.device != effort.device:
                    model.variants.pop(effort.device, None)
                    network = _made_ready(model, reduced.device)
                gc.collect()
                release_memory(effort.device)
                effort = reduced
                steps.append(told)
                yield Progress(STAGE, message=told)
    finally:
        del network
        if device != "cpu" or math.prod(job.shape) >= _LARGE_PIXELS:
            release_memory(device)
    axes = image.leading_axes + "YX"
    classes = {name: maps.pop(TYPE_PREFIX + name) for name in model.card.types}
    return Prediction(maps, axes, scale, effort.device, tuple(steps), instances, classes)


def _made_ready(model: Model, device: str) -> torch.nn.Module:
    """Return the network in its fastest form for `device`; made once for each loaded model."""
    if device not in model.variants:
        network, channels = model.network, model.card.in_channels
        model.variants[device] = (
            accelerated(network, channels, device)
            if isinstance(network, Detector)
            else accelerate(network, channels, device)
        )
    return model.variants[device]


@dataclass(frozen=True)
class _Job:
    in_channels: int
    shape: tuple[int, int]  # of a plane, in network pixels
    planes: int


def _bounds(image: Image, region: Region | None) -> Region:
    sizes = image.size("Y"), image.size("X")
    if region is None:
        return slice(0, sizes[0]), slice(0, sizes[1])
    rows, columns = (slice(*part.indices(n)[:2]) for part, n in zip(region, sizes, strict=True))
    if rows.stop <= rows.start or columns.stop <= columns.start:
        raise ImageError("The chosen region lies outside the image: choose one that overlaps it.")
    return rows, columns


def _scaled(shape: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


class _PlaneView:
    """A plane as the network sees it: normalised, rescaled and padded, tile by tile."""

    def __init__(
        self, plane: npt.NDArray[np.generic], limits: npt.NDArray[np.float64], job: _Job
    ) -> None:
        self.job = job
        self._plane = plane
        self._limits = limits

    def tile(self, grid: Grid, row: int, column: int) -> npt.NDArray[np.float32]:
        """Return the input of a tile, float32 (Y, X, C)."""
        starts = grid.rows.starts[row], grid.columns.starts[column]
        stops = [min(a + n, m) for a, n, m in zip(starts, grid.shape, self.job.shape, strict=True)]
        if self.job.shape == self._plane.shape[:2]:
            part = self._plane[starts[0] : stops[0], starts[1] : stops[1]]
            tile = normalize(part, self._limits)
        else:
            tile = self._rescaled(starts, (stops[0], stops[1]))
        missing = [(0, n - m) for n, m in zip(grid.shape, tile.shape[:2], strict=True)]
        if any(after for _, after in missing):
            tile = np.pad(tile, [*missing, (0, 0)], mode="reflect")
        return tile

    def _rescaled(self, starts: tuple[int, int], stops: tuple[int, int]) -> npt.NDArray[np.float32]:
        taps = []
        for start, stop, size, length in zip(
            starts, stops, self._plane.shape[:2], self.job.shape, strict=True
        ):
            step = size / length
            taps.append(make_taps((np.arange(start, stop) + 0.5) * step, step, 0, size))
        rows, columns = taps
        part = self._plane[rows.first : rows.stop, columns.first : columns.stop]
        return resample(normalize(part, self._limits), rows, columns)


def _predict_plane(
    network: torch.nn.Module,
    view: _PlaneView,
    targets: list[npt.NDArray[np.uint8]],
    effort: Effort,
    number: int,
) -> Generator[Progress, None, None]:
    grid = effort.grid(view.job.shape)
    count = len(grid.tiles)
    blender = Blender(grid, targets)
    done, total = number * count, view.job.planes * count
    yield Progress(STAGE, done, total)
    for row, tiles in itertools.groupby(grid.tiles, key=lambda tile: tile[0]):
        for batch in _chunks(tiles, effort.batch(view.job.shape)):
            inputs = np.stack([view.tile(grid, *tile) for tile in batch])
            outputs = forward(network, inputs, view.job.in_channels, effort.device)
            for tile, values in zip(batch, outputs, strict=True):
                blender.add(*tile, values)
            done += len(batch)
            yield Progress(STAGE, done, total)
        blender.finish_row(row)


def _chunks(tiles: Iterator[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    while batch := list(itertools.islice(tiles, size)):
        yield batch
