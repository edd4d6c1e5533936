"""Measures the objects of an image, plane by plane."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.measure.decisions import Decisions
from napari_cellseg.core.measure.hull import hull_columns
from napari_cellseg.core.measure.intensity import as_numbers, intensity_columns
from napari_cellseg.core.measure.objects import Objects, find_objects
from napari_cellseg.core.measure.outline import (
    find_outlines,
    neighbour_columns,
    perimeter_columns,
)
from napari_cellseg.core.measure.settings import MeasureSettings
from napari_cellseg.core.measure.shape import PixelSize, shape_columns
from napari_cellseg.core.measure.surroundings import grown, slow_intensity_columns
from napari_cellseg.core.measure.table import Columns, MeasuredImage, MeasureTable
from napari_cellseg.core.progress import Progress

Channels = dict[str, npt.NDArray[Any]]


def measure(
    labels: Labels,
    image: Image | None = None,
    settings: MeasureSettings | None = None,
    decisions: Decisions | None = None,
    *,
    pixel_size: PixelSize = None,
) -> Generator[Progress, None, MeasureTable]:
    """Measure every object in every plane.

    Parameters
    ----------
    labels
        Object numbers; an object of several pieces is one object, in stacks it has a row a plane.
    image
        The image, for brightness; planes as the labels have.
    settings
        What to measure.
    decisions
        What else is known of the objects.
    pixel_size
        Height and width of a pixel in µm; None takes that of the labels, else of the image.

    Yields
    ------
    Progress
        Done and total count planes, and within one those objects whose slow columns are done.

    Returns
    -------
    MeasureTable
        Rows by plane, then by object number. With columns `t` and `z` where there are such axes.

    Raises
    ------
    DataError
        If labels and image differ in size, or a label is below 0.
    """
    settings = settings or MeasureSettings()
    _check(labels, image)
    size, notes = _pixel_size(labels, image, pixel_size)
    names = channel_names(image) if image is not None and "intensity" in settings.kinds else ()
    planes = list(np.ndindex(labels.data.shape[:-2]))
    sources = list(image.planes()) if image is not None else []
    missing = dict.fromkeys(names, 0)
    rows: list[Columns] = []
    covered = 0
    for number, index in enumerate(planes):
        yield Progress("Measuring", number, len(planes))
        objects = find_objects(labels.data[index])
        channels = _channels(image, sources[number], names) if image is not None and names else {}
        columns = _keys(labels, index, objects)
        columns |= _fast(objects, channels, settings, size, missing)
        columns |= yield from _slow(objects, channels, settings, size)
        rows.append(columns)
        covered += int(objects.shapes.area.sum())
    notes += [
        f"{count} pixels of objects are NaN or infinite in channel {name} and were left out."
        for name, count in missing.items()
        if count
    ]
    table = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    if decisions is not None:
        table |= decisions.columns(table["label"])
    about = MeasuredImage(
        labels.name, "", len(table["label"]), len(planes), labels.data.size, covered, size
    )
    return MeasureTable(table, (about,), tuple(notes))


def channel_names(image: Image) -> tuple[str, ...]:
    """Return the endings of the columns of each channel: its name, else C0, C1, ...

    Names that are missing, or the same for two channels, are not used; colours are R, G and B.
    """
    number = image.size("C")
    if image.rgb:
        return ("R", "G", "B")
    names = tuple("_".join(name.split()) for name in image.channel_names)
    if len(names) == number and all(names) and len(set(names)) == number:
        return names
    return tuple(f"C{k}" for k in range(number))


def _check(labels: Labels, image: Image | None) -> None:
    if labels.data.min() < 0:
        raise DataError("Object numbers below 0 cannot be measured: renumber the objects.")
    if image is None:
        return
    size = (*image.leading, image.size("Y"), image.size("X"))
    if _long(size) != _long(labels.data.shape):
        raise DataError(
            f"The labels {labels.data.shape} and the image '{image.name}' {size} differ in size: "
            "measure in the image that the labels were made from."
        )


def _long(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without T or Z of length 1."""
    return (*(n for n in shape[:-2] if n > 1), *shape[-2:])


def _pixel_size(
    labels: Labels, image: Image | None, given: PixelSize
) -> tuple[PixelSize, list[str]]:
    if given is not None:
        if not all(math.isfinite(one) and one > 0 for one in given):
            raise DataError(f"A pixel size of {given} µm is impossible: give positive numbers.")
        return given, []
    theirs = image.pixel_size if image is not None else None
    if labels.pixel_size and theirs and not np.allclose(labels.pixel_size, theirs, rtol=0.01):
        return labels.pixel_size, [
            f"The labels state a pixel size of {labels.pixel_size} µm, the image of {theirs} µm: "
            "that of the labels was taken."
        ]
    return labels.pixel_size or theirs, []


def _channels(image: Image, index: tuple[int, ...], names: tuple[str, ...]) -> Channels:
    plane = image.plane(index)
    return {name: as_numbers(plane[..., k]) for k, name in enumerate(names)}


def _keys(labels: Labels, index: tuple[int, ...], objects: Objects) -> Columns:
    ids = objects.shapes.ids
    columns: Columns = {
        axis.lower(): np.full(len(ids), position)
        for axis, position in zip(labels.axes[:-2], index, strict=True)
    }
    if "z" in columns and labels.z_step:
        columns["z_position_um"] = columns["z"] * labels.z_step
    return {"label": ids, **columns}


def _fast(
    objects: Objects,
    channels: Channels,
    settings: MeasureSettings,
    size: PixelSize,
    missing: dict[str, int],
) -> Columns:
    columns: Columns = {}
    shape, near = settings.wants("shape", "fast"), settings.wants("neighbours", "fast")
    if shape:
        columns |= shape_columns(objects, size)
    if shape or near:
        margin = int(settings.neighbour_distance) if near else 1
        outlines = find_outlines(objects, margin)
        if shape:
            columns |= perimeter_columns(objects, outlines, size)
        if near:
            columns |= neighbour_columns(objects, outlines, settings.neighbour_distance, size)
    if settings.wants("intensity", "fast"):
        for name, pixels in channels.items():
            found, left_out = intensity_columns(objects, pixels, name)
            missing[name] += left_out
            columns |= found
    return columns


def _slow(
    objects: Objects, channels: Channels, settings: MeasureSettings, size: PixelSize
) -> Generator[Progress, None, Columns]:
    """Measure some objects at a time what takes long."""
    shape = settings.wants("shape", "slow")
    bright = channels if settings.wants("intensity", "slow") else {}
    if not shape and not bright:
        return {}
    background = objects.shapes.place == 0
    found: list[Columns] = []
    for part, runs in objects.portions():
        yield Progress("Measuring objects", part.start, len(objects.shapes.ids))
        columns = hull_columns(runs, size) if shape else {}
        if bright:
            radii = (settings.ring_gap + settings.ring_width, settings.ring_gap)
            outer, inner = (grown(runs, radius, objects.plane) for radius in radii)
            for name, pixels in bright.items():
                columns |= slow_intensity_columns(runs, (outer, inner), background, pixels, name)
        found.append(columns)
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}
