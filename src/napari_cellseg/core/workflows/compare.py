"""Run several models on the same labelled images: how well, how fast, at what cost."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_cellseg.core.data.sources import Pair
from napari_cellseg.core.device import choose_device
from napari_cellseg.core.errors import (
    ChannelError,
    DataError,
    DeviceError,
    ImageError,
    ModelError,
    SettingsError,
)
from napari_cellseg.core.evaluation import ImageResult
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.reading import read_image, read_labels
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.evaluate import all_pairs, score_pair
from napari_cellseg.core.zoo.store import ModelEntry, find_model

if TYPE_CHECKING:
    from napari_cellseg.core.arrays import Image
    from napari_cellseg.core.comparison.result import ComparedModel, Comparison, Run
    from napari_cellseg.core.workflows.segment import Segmentation
    from napari_cellseg.core.zoo.bundle import Model

STAGE = "Comparing"


def compare(
    models: Sequence[str | Path],
    folders: Sequence[Path],
    *,
    part: str | None = "val",
    device: str = "auto",
    smallest: int = 0,
) -> Generator[Progress, None, Comparison]:
    """Segment the images of labelled folders with several models, each by its card's defaults.

    An image that cannot be read, or does not fit its labels, is left out for all models. One of a
    kind that a model was not trained on counts in none of that model's scores. Both are told in
    the result, and so is a model that cannot be loaded. One image is segmented before time is
    taken, and another time before the first model, so that no model pays for loading libraries.

    Parameters
    ----------
    models
        Names or folders of models.
    folders, part, smallest
        As in `evaluate`.
    device
        Where to compute.

    Yields
    ------
    Progress
        Done and total count images times models; the running mean of the model at work is in
        ``metrics["ap50"]``.

    Raises
    ------
    SettingsError
        If no model is given.
    ModelError
        If there is no such model.
    DataError
        If there is nothing to compare on.
    DeviceError
        If the computer lacks the device.
    """
    from napari_cellseg.core.comparison.result import Comparison

    entries = _entries(models)
    pairs = all_pairs(folders, part)
    chosen = choose_device(device).device
    work = _Work(pairs, chosen, len(entries), smallest)
    yield work.progress()
    names = _names(entries)
    yield from work.load_libraries(entries)
    compared = []
    for number, (entry, name) in enumerate(zip(entries, names, strict=True)):
        compared.append((yield from work.run_model(entry, name, number)))
    return Comparison(
        tuple(compared), len(pairs), tuple(map(Path, folders)), dict(work.skipped), chosen, smallest
    )


def _entries(models: Sequence[str | Path]) -> list[ModelEntry]:
    if not models:
        raise SettingsError("No model was given. Name the models to compare.")
    entries = {entry.folder.resolve(): entry for entry in map(find_model, models)}
    return list(entries.values())


def _names(entries: Sequence[ModelEntry]) -> list[str]:
    """Return the cards' names, but the full path of a model that shares its name with another."""
    count = Counter(entry.card.name for entry in entries)
    return [e.card.name if count[e.card.name] == 1 else e.name for e in entries]


class _Work:
    """Images, device and progress that the models of a comparison share."""

    def __init__(
        self, pairs: Sequence[tuple[Path, Pair]], device: str, models: int, smallest: int
    ) -> None:
        self.skipped: dict[Path, str] = {}
        self._smallest = smallest
        self._pairs = pairs
        self._device = device
        self._total = models * len(pairs)
        self._done = 0

    def progress(self, message: str = "", runs: Sequence[Run] = ()) -> Progress:
        ap = [run.image.scores.ap[0] for run in runs]
        metrics = {"ap50": float(np.mean(ap))} if ap else {}
        return Progress(STAGE, self._done, self._total, message, metrics)

    def load_libraries(self, entries: Sequence[ModelEntry]) -> Generator[Progress, None, None]:
        """Segment an image with the first model that can be loaded, for nothing but its imports."""
        from napari_cellseg.core.zoo.bundle import load_bundle

        for entry in entries:
            try:
                yield from self._warm_up(load_bundle(entry.folder), entry)
                return
            except (ModelError, DeviceError):
                continue  # told when its turn comes

    def run_model(
        self, entry: ModelEntry, name: str, number: int
    ) -> Generator[Progress, None, ComparedModel]:
        """Load a model, run it on every image, and measure it."""
        from napari_cellseg.core.comparison.cost import PeakMemory, network_cost, size_on_disk
        from napari_cellseg.core.comparison.result import ComparedModel
        from napari_cellseg.core.inference.effort import release_memory
        from napari_cellseg.core.zoo.bundle import load_bundle

        runs: list[Run] = []
        unreadable: dict[str, str] = {}
        model: Model | None = None
        problem = ""
        gc.collect()
        for place in {"cpu", self._device}:
            release_memory(place)
        with PeakMemory(self._device) as memory:
            try:
                model = load_bundle(entry.folder)
                yield from self._warm_up(model, entry)
                yield from self._run_images(model, entry, runs, unreadable)
            except (ModelError, DeviceError) as error:
                problem = str(error)
                yield self.progress(f"{name}: {problem}", runs)
        self._done = (number + 1) * len(self._pairs)
        yield self.progress(runs=runs)
        return ComparedModel(
            name,
            entry.card.architecture,
            tuple(runs),
            unreadable,
            network_cost(model) if model else None,
            size_on_disk(entry.folder),
            memory.rise,
            problem,
        )

    def _warm_up(self, model: Model, entry: ModelEntry) -> Generator[Progress, None, None]:
        """Segment the first image that the model can read."""
        for _, pair in self._pairs:
            try:
                yield from self._timed(model, entry, read_image(pair.image), [])
                return
            except ImageError:
                continue  # told when its turn comes

    def _run_images(
        self, model: Model, entry: ModelEntry, runs: list[Run], unreadable: dict[str, str]
    ) -> Generator[Progress, None, None]:
        """Segment and score every image; what is left out goes to `unreadable` or `skipped`."""
        for folder, pair in self._pairs:
            message = ""
            if pair.image not in self.skipped:
                try:
                    runs.append((yield from self._run_image(model, entry, folder, pair, runs)))
                except ChannelError as error:
                    unreadable[pair.name] = str(error)
                    message = str(error) if len(unreadable) == 1 else ""
                except (ImageError, DataError) as error:
                    self.skipped[pair.image] = str(error)
                    message = f"{pair.image}: {error}"
            self._done += 1
            yield self.progress(message, runs)

    def _run_image(
        self, model: Model, entry: ModelEntry, folder: Path, pair: Pair, runs: Sequence[Run]
    ) -> Generator[Progress, None, Run]:
        from napari_cellseg.core.comparison.result import Run

        image, truth = read_image(pair.image), read_labels(pair.labels).data
        made, wall, cpu = yield from self._timed(model, entry, image, runs)
        scores = score_pair(pair, truth, made.labels.data, self._smallest)
        result = ImageResult(pair.name, pair.group, folder.name, scores, wall)
        return Run(result, cpu, truth.size / 1e6)

    def _timed(
        self, model: Model, entry: ModelEntry, image: Image, runs: Sequence[Run]
    ) -> Generator[Progress, None, tuple[Segmentation, float, float]]:
        """Segment; return wall and processor seconds, without what the caller does in between."""
        from napari_cellseg.core.workflows.segment import segment

        recipe = Recipe.for_model(entry.card, entry.name)
        with closing(segment(image, recipe, model=model, device=self._device)) as run:
            made: Segmentation | None = None
            wall = cpu = 0.0
            while made is None:
                clocks = time.perf_counter(), time.process_time()
                try:
                    step = next(run)
                except StopIteration as stop:
                    made = stop.value
                wall += time.perf_counter() - clocks[0]
                cpu += time.process_time() - clocks[1]
                if made is None:
                    yield self.progress(step.message, runs)
            return made, wall, cpu
