"""A batch under way: one thread computes, others load ahead of it and finish behind it."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.batch.inputs import BatchInput
from napari_cellseg.core.batch.ledger import Finished
from napari_cellseg.core.batch.queue import CANCELLED, FINISHED_BEFORE, Item, Queue, State
from napari_cellseg.core.batch.results import BatchWriter, write_tables
from napari_cellseg.core.errors import CellsegError, DeviceError, OutputError
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.helper.helper import Helper
from napari_cellseg.core.workflows.helper.work import finish_image
from napari_cellseg.core.workflows.segment import FirstPass, first_pass
from napari_cellseg.core.workflows.separate import Predicted, Rescale, Seen
from napari_cellseg.core.zoo.bundle import Model

AHEAD = 2
"""Images that are loaded before their turn."""
BEHIND = 2
"""Images whose objects are separated, measured and written after their turn."""
_LARGE = 2**29  # bytes on disk, or pixels: such images are worked on one by one
_TICK_S = 0.2
_NO_MEMORY = "It needs more memory than there is: crop it, or use a computer with more."

R = TypeVar("R")
Steps = Generator[Progress, None, R]
_Row = dict[str, Any]
_Loaded = tuple[Finished, Image]


@dataclass(frozen=True, eq=False)
class _Again:
    """An image whose objects are not of the size that the model is made for."""

    first: FirstPass
    wanted: Rescale
    about: Finished


class Pipeline:
    """Does the images of a queue.

    Parameters
    ----------
    queue
        The images.
    recipe
        With the hash of the weights.
    writer
        Takes what comes out.
    model, device
        As of `segment`.
    helper
        A process that the threads behind leave their work to, where there is one.
    """

    def __init__(
        self,
        queue: Queue,
        recipe: Recipe,
        writer: BatchWriter,
        model: Model,
        device: str,
        helper: Helper | None = None,
    ) -> None:
        self._queue, self._recipe, self._writer, self._helper = queue, recipe, writer, helper
        self._model, self._device = model, device
        self._waiting: deque[Item] = deque()
        self._loading: deque[tuple[Item, Future[_Loaded]]] = deque()
        self._finishing: deque[tuple[Item, Future[Finished | _Again]]] = deque()
        self._rows: dict[int, _Row] = {}
        self._sizes: dict[int, int] = {}
        self._loader = ThreadPoolExecutor(1, "napari-cellseg-load")
        self._finisher = ThreadPoolExecutor(BEHIND, "napari-cellseg-write")

    def work(self) -> Steps[None]:
        """Do all images."""
        yield from self._leave_out_finished()
        while True:
            self._load_ahead()
            if not self._loading:
                break
            item, future = self._loading.popleft()
            yield from self._until(future)
            self._load_ahead()
            if self._queue.start(item.number):
                yield from self._compute(item, future)
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
        yield self._progress()

    def _load_ahead(self) -> None:
        while self._waiting and len(self._loading) < AHEAD:
            if not self._queue.waits(self._waiting[0].number):
                self._waiting.popleft()
                continue
            if self._loading and self._size(self._waiting[0]) > _LARGE:
                return
            item = self._waiting.popleft()
            following = self._waiting[0] if self._waiting else None
            self._loading.append((item, self._loader.submit(self._load, item.input, following)))

    def _load(self, one: BatchInput, following: Item | None) -> _Loaded:
        """Look at an image and read it, and see how large the next one is (in a thread ahead)."""
        # In this order: a file that changes meanwhile is done again next time.
        about, image = self._writer.about(one), one.load()
        if following is not None:
            self._size(following)
        return about, image

    def _size(self, item: Item) -> int:
        """Return how many bytes an image has; to ask a busy disk takes time."""
        if item.number not in self._sizes:
            self._sizes[item.number] = item.input.bytes()
        return self._sizes[item.number]

    def _compute(self, item: Item, future: Future[_Loaded]) -> Steps[None]:
        try:
            about, image = future.result()
            steps = first_pass(image, self._recipe, model=self._model, device=self._device)
        except CellsegError as error:
            yield self._failed(item, str(error))
        except MemoryError:
            yield self._failed(item, _NO_MEMORY)
        else:
            yield from self._predict(item, about, steps)
            if image.size("Y") * image.size("X") > _LARGE:
                yield from self._collect(0)

    def _predict(
        self, item: Item, about: Finished, steps: Generator[Progress, None, FirstPass | Predicted]
    ) -> Steps[None]:
        """Run the network, and hand over to the threads behind what it leaves."""
        try:
            seen = yield from self._unless_cancelled(item, steps)
        except (DeviceError, OutputError):
            raise  # it would fail for every image
        except CellsegError as error:
            yield self._failed(item, str(error))
        except MemoryError:
            yield self._failed(item, _NO_MEMORY)
        else:
            if seen is None:
                self._queue.settle(item.number, State.SKIPPED, self._queue.reason(item.number))
                return
            self._finishing.append((item, self._finisher.submit(self._finish, seen, about)))

    def _unless_cancelled(self, item: Item, steps: Steps[R]) -> Steps[R | None]:
        with closing(steps):
            while not self._queue.is_cancelled(item.number):
                try:
                    step = next(steps)
                except StopIteration as stop:
                    found: R = stop.value
                    return found
                if step.total > 1:
                    self._queue.report(item.number, step.done / step.total)
                yield self._progress()
        return None

    def _finish(self, left: FirstPass | Predicted, about: Finished) -> Finished | _Again:
        """Separate, measure and write, if the network need not look again (in a thread behind)."""
        seen = left.seen if isinstance(left, FirstPass) else left
        found = self._by_helper(seen, about) or finish_image(seen, about, self._writer)
        if isinstance(found, Finished):
            return found
        if not isinstance(left, FirstPass):
            raise TypeError("what was rescaled fits")
        return _Again(left, found, about)

    def _by_helper(self, seen: Seen | Predicted, about: Finished) -> Finished | Rescale | None:
        found = self._helper.finish(seen, about) if self._helper is not None else None
        if isinstance(found, Finished):
            self._writer.ledger.add(found)  # one process alone writes to it
        return found

    def _collect(self, limit: int) -> Steps[None]:
        """Settle what is written; wait until no more than `limit` images are not."""
        while self._finishing:
            item, future = self._finishing[0]
            if len(self._finishing) <= limit and not future.done():
                return
            yield from self._until(future)
            self._finishing.popleft()
            again = self._settle(item, future)
            if again is not None:
                yield from self._predict(item, again.about, again.first.again(again.wanted))
            now = self._queue.items[item.number]
            told = f"{item.input.title}: {now.note}" if now.state == State.FAILED else ""
            yield self._progress(told if again is None else "")

    def _settle(
        self, item: Item, future: Future[Finished | _Again], *, closing: bool = False
    ) -> _Again | None:
        """Note what has become of an image; return it if the network has to see it again."""
        try:
            found = future.result()
        except OutputError as error:
            self._queue.settle(item.number, State.FAILED, str(error))
            if not closing:
                raise
        except CellsegError as error:
            self._queue.settle(item.number, State.FAILED, str(error))
        except MemoryError:
            self._queue.settle(item.number, State.FAILED, _NO_MEMORY)
        else:
            if isinstance(found, _Again):
                return found
            row: _Row = found.row
            self._rows[item.number] = row
            self._queue.settle(item.number, State.DONE, "", row["objects"], row["seconds"])
        return None

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
