"""What is to be measured, and the work of it for a worker."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.measure.decisions import Decisions
from napari_cellseg.core.measure.settings import Kind, MeasureSettings
from napari_cellseg.core.measure.table import MeasureTable
from napari_cellseg.core.progress import Progress
from napari_cellseg.gui.measure.snapshot import Snapshot


@dataclass(frozen=True, eq=False)
class Measured:
    """A table and what it is about."""

    table: MeasureTable
    labels: Labels
    images: tuple[Image, ...]


def measure_fast(
    snapshot: Snapshot, settings: MeasureSettings
) -> Generator[Progress, None, Measured]:
    """Measure what takes a second even of many objects."""
    yield Progress("Reading the labels")
    labels = snapshot.labels()
    fast = settings.replace(speed="fast")
    table = yield from _measure_images(labels, snapshot.images, fast, snapshot.decisions)
    return Measured(table, labels, snapshot.images)


def measure_slow(
    before: Measured, kinds: tuple[Kind, ...], settings: MeasureSettings
) -> Generator[Progress, None, Measured]:
    """Measure the slow columns of some kinds, beside those that are there."""
    slow = settings.replace(speed="slow", kinds=kinds)
    more = yield from _measure_images(before.labels, before.images, slow, None)
    return Measured(before.table.joined(more), before.labels, before.images)


def _measure_images(
    labels: Labels,
    images: tuple[Image, ...],
    settings: MeasureSettings,
    decisions: Decisions | None,
) -> Generator[Progress, None, MeasureTable]:
    from napari_cellseg.core.measure.measure import measure

    first, rest = (images[0] if images else None), images[1:]
    table = yield from measure(labels, first, settings, decisions)
    if "intensity" in settings.kinds:
        for image in rest:
            only = settings.replace(kinds=("intensity",))
            more = yield from measure(labels, image, only)
            table = table.joined(more)
    return table
