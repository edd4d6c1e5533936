"""Many images under one recipe: loading, computing and writing at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.batch.folder import BatchFolder
from napari_cellseg.core.batch.ledger import Finished, Ledger, hash_of
from napari_cellseg.core.batch.queue import CANCELLED, Item, Queue, State
from napari_cellseg.core.batch.results import BatchResult, BatchWriter, write_tables
from napari_cellseg.core.batch.settings import BatchSettings
from napari_cellseg.core.device import choose_device
from napari_cellseg.core.errors import CellsegError, DeviceError, OutputError
from napari_cellseg.core.files import write_text
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.segment import Predicted, run_network, with_weights_of
from napari_cellseg.core.zoo.bundle import Model, load_bundle
from napari_cellseg.core.zoo.store import find_model

AHEAD = 2
"""Images that are loaded before their turn."""
BEHIND = 2
"""Images whose objects are separated, measured and written after their turn."""
_LARGE = 2**29  # bytes on disk, or pixels: such images are worked on one by one
_TICK_S = 0.2
FINISHED_BEFORE = "Finished before."
_NO_MEMORY = "It needs more memory than there is: crop it, or use a computer with more."

R = TypeVar("R")
Steps = Generator[Progress, None, R]


def batch(
    queue: Queue,
    recipe: Recipe,
    folder: Path,
    *,
    settings: BatchSettings | None = None,
    model: Model | None = None,
    device: str = "auto",
) -> Steps[BatchResult]:
    """Segment all images of a queue; a bad one is told and left out.

    What an earlier batch has finished in the folder, with the same recipe, from files that have
    not changed since, is not done again. Closing the generator cancels all; images that the
    network has seen by then are still finished.

    Parameters
    ----------
    queue
        The images; shows what becomes of them.
    recipe
        What to do.
    folder
        Where the results go, see `BatchFolder`; made if missing.
    settings
        What else to do.
    model, device
        As of `segment`.

    Yields
    ------
    Progress
        Done and total count images; the message tells of one that failed; `seconds_left` is
        among the metrics once it is known.

    Raises
    ------
    ModelError, DeviceError
        If the recipe cannot be used at all, or the device fails.
    OutputError
        If the folder takes no results, or another batch writes to it.
    DataError
        If the folder was written by a newer version.
    """
    settings, place = settings or BatchSettings(), BatchFolder(folder)
    yield Progress("Loading the model", 0, len(queue))
    choose_device(device)
    model = model or load_bundle(find_model(recipe.model).folder)
    recipe = with_weights_of(model.card, recipe)
    with place.held():
        ledger = Ledger(place.ledger)
        writer = BatchWriter(place, ledger, settings, hash_of(recipe))
        write_text(place.recipe, recipe.to_json())
        run = _Batch(queue, recipe, writer, model, device)
        try:
            yield from run.work()
        finally:
            run.close()
    return BatchResult(folder, queue.items)


class _Batch:
    """One batch under way: this thread computes, others load ahead of it and finish behind it."""

    def __init__(
        self, queue: Queue, recipe: Recipe, writer: BatchWriter, model: Model, device: str
    ) -> None:
        self._queue, self._recipe, self._writer = queue, recipe, writer
        self._model, self._device = model, device
        self._waiting: deque[Item] = deque()
        self._loading: deque[tuple[Item, Finished, Future[Image]]] = deque()
        self._finishing: deque[tuple[Item, Future[dict[str, Any]]]] = deque()
        self._rows: dict[int, dict[str, Any]] = {}
        self._loader = ThreadPoolExecutor(1, "napari-cellseg-load")
        self._finisher = ThreadPoolExecutor(BEHIND, "napari-cellseg-write")

    def work(self) -> Steps[None]:
        """Do all images."""
        yield from self._leave_out_finished()
        while True:
            self._load_ahead()
            if not self._loading:
                break
            item, finished, future = self._loading.popleft()
            yield from self._until(future)
            self._load_ahead()
            if self._queue.start(item.number):
                yield from self._compute(item, finished, future)
            yield from self._collect(BEHIND)
        yield from self._collect(0)

    def close(self) -> None:
        """Stop loading, finish what the network has seen, and write the tables."""
        self._loader.shutdown(wait=True, cancel_futures=True)
        self._finisher.shutdown(wait=True)
        while self._finishing:
            self._settle(*self._finishing.popleft(), closing=True)
        for item in self._queue.items:
            if item.state == State.RUNNING:
                self._queue.settle(item.number, State.SKIPPED, CANCELLED)
        write_tables(self._writer.folder, self._queue.items, self._rows, self._writer.settings)

    def _leave_out_finished(self) -> Steps[None]:
        for item in self._queue.items:
            found = self._writer.finished_before(item.input)
            if found is None:
                self._waiting.append(item)
                continue
            self._rows[item.number] = found.row
            objects = found.row.get("objects")
            count = objects if isinstance(objects, int) else None
            self._queue.settle(item.number, State.SKIPPED, FINISHED_BEFORE, count)
        yield self._progress()

    def _load_ahead(self) -> None:
        while self._waiting and len(self._loading) < AHEAD:
            if not self._queue.waits(self._waiting[0].number):
                self._waiting.popleft()
                continue
            if self._loading and self._waiting[0].input.bytes() > _LARGE:
                return
            item = self._waiting.popleft()
            # Looked at before it is read: a file that changes meanwhile is done again next time.
            about = self._writer.about(item.input)
            self._loading.append((item, about, self._loader.submit(item.input.load)))

    def _compute(self, item: Item, finished: Finished, future: Future[Image]) -> Steps[None]:
        try:
            image = future.result()
            predicted = yield from self._predict(item, image)
        except (DeviceError, OutputError):
            raise  # it would fail for every image
        except CellsegError as error:
            yield self._failed(item, str(error))
        except MemoryError:
            yield self._failed(item, _NO_MEMORY)
        else:
            if predicted is None:
                self._queue.settle(item.number, State.SKIPPED, CANCELLED)
                return
            task = self._finisher.submit(self._finish, predicted, finished)
            self._finishing.append((item, task))
            if predicted.image.size("Y") * predicted.image.size("X") > _LARGE:
                yield from self._collect(0)

    def _predict(self, item: Item, image: Image) -> Steps[Predicted | None]:
        steps = run_network(image, self._recipe, model=self._model, device=self._device)
        with closing(steps):
            while not self._queue.is_cancelled(item.number):
                try:
                    next(steps)
                except StopIteration as stop:
                    predicted: Predicted = stop.value
                    return predicted
                yield self._progress()
        return None

    def _finish(self, predicted: Predicted, finished: Finished) -> dict[str, Any]:
        """Separate, measure and write (in a thread behind)."""
        return self._writer.write(predicted.separated(), predicted.image, finished)

    def _collect(self, limit: int) -> Steps[None]:
        """Settle what is written; wait until no more than `limit` images are not."""
        while self._finishing:
            item, future = self._finishing[0]
            if len(self._finishing) <= limit and not future.done():
                return
            yield from self._until(future)
            self._finishing.popleft()
            yield self._settle(item, future)

    def _settle(
        self, item: Item, future: Future[dict[str, Any]], *, closing: bool = False
    ) -> Progress:
        try:
            row = future.result()
        except OutputError as error:
            if not closing:
                self._failed(item, str(error))
                raise
            return self._failed(item, str(error))
        except CellsegError as error:
            return self._failed(item, str(error))
        except MemoryError:
            return self._failed(item, _NO_MEMORY)
        self._rows[item.number] = row
        self._queue.settle(item.number, State.DONE, "", row["objects"], row["seconds"])
        return self._progress()

    def _failed(self, item: Item, note: str) -> Progress:
        self._queue.settle(item.number, State.FAILED, note)
        return self._progress(f"{item.input.title}: {note}")

    def _until(self, future: Future[Any]) -> Steps[None]:
        while not future.done():
            wait([future], _TICK_S)
            if not future.done():
                yield self._progress()

    def _progress(self, message: str = "") -> Progress:
        left = self._queue.seconds_left()
        metrics = {} if left is None else {"seconds_left": left}
        return Progress("Segmenting", self._queue.settled, len(self._queue), message, metrics)
