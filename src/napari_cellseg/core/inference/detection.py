"""Run a detection network over a plane: tiles in, candidates of the whole plane out."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_cellseg.core._torch import torch
from napari_cellseg.core.inference.acceleration import fold_batch_norms
from napari_cellseg.core.inference.effort import Effort
from napari_cellseg.core.inference.tiling import Axis, Grid, Tiling
from napari_cellseg.core.models.detector import Detections, Detector
from napari_cellseg.core.postprocess.instances import Instances, box_areas, intersections
from napari_cellseg.core.progress import Progress

LARGEST_TILE = 512
"""Side of tiles: a network returns so many objects at most, and they must suffice for a tile."""

_SLACK = 8.0  # px: two tiles need not agree to the pixel on the middle of an object at their seam
_SAME_OBJECT = 0.5  # share of the smaller of two objects that lies in one from another tile
_HALF = 127  # of a mask's 255: above it a pixel belongs to the object
_LEAST_INSIDE = 0.25  # of a box: what is cut by the image's border goes on in the tile's padding

Image = npt.NDArray[np.float32]


class View(Protocol):
    """A plane as a network sees it."""

    def tile(self, grid: Grid, row: int, column: int) -> Image:
        """Return the input of a tile, float32 (Y, X, C)."""


@dataclass(frozen=True, eq=False)
class _Found:
    """Candidates of one tile: boxes y0, x0, y1, x1 in network pixels of the plane."""

    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    masks: npt.NDArray[np.uint8]


def tiling_of(tiling: Tiling) -> Tiling:
    """Return the tiling that a detection network gets where this one is asked for."""
    return tiling.replace(tile=min(tiling.tile, LARGEST_TILE))


def accelerated(network: Detector, in_channels: int, device: str) -> Detector:
    """Return a copy for prediction on `device`; its backbone has taken over its normalisations."""
    fast = copy.deepcopy(network).eval()
    backbone: torch.nn.Module = fast.backbone
    fast.backbone = fold_batch_norms(backbone, in_channels)
    return fast.to(torch.device(device)).to(memory_format=torch.channels_last)


def detect_plane(
    network: Detector,
    view: View,
    shape: tuple[int, int],
    sizes: tuple[int, int],
    effort: Effort,
    progress: tuple[int, int],
) -> Generator[Progress, None, Instances]:
    """Find the objects of one plane.

    An object belongs to the tile in whose own part its middle lies; what two tiles found of the
    same object at their seam is told by the overlap of the boxes, and the more certain one stays.

    Parameters
    ----------
    view
        Gives the tiles.
    shape, sizes
        (Y, X) of the plane in network pixels and in image pixels.
    effort
        Device, tiles and batch.
    progress
        Number of this plane, and of all planes.

    Yields
    ------
    Progress
        One step a batch of tiles.
    """
    grid = effort.grid(shape)
    tiles, channels = grid.tiles, network.params.in_channels
    done, total = progress[0] * len(tiles), progress[1] * len(tiles)
    yield Progress("Predicting", done, total)
    found: list[_Found] = []
    waiting = iter(tiles)
    while batch := list(itertools.islice(waiting, effort.batch(shape))):
        inputs = np.stack([view.tile(grid, *tile) for tile in batch])
        for tile, detections in zip(batch, run(network, inputs, channels), strict=True):
            found.append(_owned(_as_arrays(detections), grid, *tile))
        done += len(batch)
        yield Progress("Predicting", done, total)
    return _join(found, shape, sizes)


def run(network: Detector, inputs: Image, channels: int) -> list[Detections]:
    """Run a network on normalised images (B, Y, X, C); grey ones are repeated."""
    parameter = next(network.parameters())
    with torch.inference_mode():
        batch = torch.from_numpy(inputs).to(parameter.device).permute(0, 3, 1, 2)
        if batch.shape[1] < channels:
            batch = batch.expand(-1, channels, -1, -1)
        return list(network(batch.contiguous(memory_format=torch.channels_last)))


def find_instances(network: Detector, image: npt.NDArray[np.floating], channels: int) -> Instances:
    """Find the objects of a whole small image, normalised intensities (Y, X, C)."""
    (detections,) = run(network, np.ascontiguousarray(image, np.float32)[None], channels)
    shape = (image.shape[0], image.shape[1])
    return _join([_as_arrays(detections)], shape, shape)


def _as_arrays(found: Detections) -> _Found:
    masks = (found.masks.float() * 255).round().to(torch.uint8).cpu().numpy()
    boxes = found.boxes.float().cpu().numpy()[:, [1, 0, 3, 2]]
    return _Found(boxes, found.scores.float().cpu().numpy(), masks)


def _owned(found: _Found, grid: Grid, row: int, column: int) -> _Found:
    """Return what lies in the tile's own part, in pixels of the plane.

    A tile that reaches beyond the plane is filled up by reflection: of an object that the border
    cuts it shows twice the visible part, whose middle may come to lie on either side of the border.
    """
    start = np.array([grid.rows.starts[row], grid.columns.starts[column]] * 2, np.float32)
    boxes = found.boxes + start
    kept = np.ones(len(boxes), bool)
    for axis, (line, number) in enumerate(((grid.rows, row), (grid.columns, column))):
        low, high = _own_part(line, number)
        middle = (boxes[:, axis] + boxes[:, axis + 2]) / 2
        inside = np.minimum(boxes[:, axis + 2], line.length) - boxes[:, axis]
        kept &= (middle >= low) & (middle <= high)
        kept &= inside >= _LEAST_INSIDE * (boxes[:, axis + 2] - boxes[:, axis])
    return _Found(boxes[kept], found.scores[kept], found.masks[kept])


def _own_part(line: Axis, tile: int) -> tuple[float, float]:
    before, after = line.seams(tile)
    slack = min(_SLACK, line.margin / 2)
    last = tile + 1 == len(line.starts)
    return before - slack if tile else 0.0, np.inf if last else after + slack


def _join(found: Sequence[_Found], shape: tuple[int, int], sizes: tuple[int, int]) -> Instances:
    """Put the candidates of all tiles together, in image pixels and without duplicates."""
    boxes = np.concatenate([f.boxes for f in found])
    scores = np.concatenate([f.scores for f in found])
    masks = np.concatenate([f.masks for f in found])
    tile = np.repeat(np.arange(len(found)), [len(f.scores) for f in found])
    factors = np.array([sizes[0] / shape[0], sizes[1] / shape[1]] * 2, np.float32)
    boxes = boxes * factors
    kept = (boxes[:, :2] < sizes).all(axis=1) & (box_areas(boxes) > 0)
    boxes, scores, masks, tile = boxes[kept], scores[kept], masks[kept], tile[kept]
    every = Instances(sizes, boxes, scores, masks)
    kept = ~_duplicates(every, tile)
    return Instances.of(sizes, boxes[kept], scores[kept], masks[kept])


def _duplicates(found: Instances, tile: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which candidates, of any order, another tile has found better.

    The smaller one counts, not the union: one tile may see only a part of what the other sees.
    """
    gone = np.zeros(len(found), bool)
    if len(np.unique(tile)) < 2:
        return gone
    boxes, scores = found.boxes, found.scores
    pairs, common = intersections(boxes)
    areas = box_areas(boxes)
    smaller = np.minimum(areas[pairs[:, 0]], areas[pairs[:, 1]])
    same = (common > _SAME_OBJECT * smaller) & (tile[pairs[:, 0]] != tile[pairs[:, 1]])
    pairs = pairs[same]
    first = scores[pairs[:, 0]] >= scores[pairs[:, 1]]
    ordered = np.where(first[:, None], pairs, pairs[:, ::-1])
    ordered = ordered[np.argsort(-scores[ordered[:, 0]], kind="stable")]
    for better, worse in ordered[_share_pixels(found, ordered)]:
        if not gone[better]:
            gone[worse] = True
    return gone


def _share_pixels(found: Instances, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which pairs are one object by their masks as well.

    The box of a slanting cell holds neighbours whose pixels it does not touch.
    """
    chosen = np.unique(pairs)
    part = Instances(found.shape, found.boxes[chosen], found.scores[chosen], found.masks[chosen])
    pixels = part.pixels(((0, found.shape[0]), (0, found.shape[1])))
    covered = {}
    for number, (begin, end) in enumerate(itertools.pairwise(pixels.bounds)):
        inside = pixels.value[begin:end] > _HALF
        covered[chosen[number]] = pixels.position[begin:end][inside]
    same = np.ones(len(pairs), bool)
    for number, (one, other) in enumerate(pairs):
        mine, theirs = covered[one], covered[other]
        common = np.intersect1d(mine, theirs, assume_unique=True).size
        same[number] = common >= _SAME_OBJECT * min(len(mine), len(theirs))
    return same
