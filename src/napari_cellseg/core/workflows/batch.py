"""Many images under one recipe: loading, computing and writing at the same time."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

from napari_cellseg.core.batch.exporting import check_formats
from napari_cellseg.core.batch.folder import BatchFolder
from napari_cellseg.core.batch.image_writer import ImageWriter
from napari_cellseg.core.batch.inputs import BatchInput
from napari_cellseg.core.batch.ledger import Ledger, hash_of
from napari_cellseg.core.batch.plan import Plan
from napari_cellseg.core.batch.queue import Queue
from napari_cellseg.core.batch.results import BatchResult, BatchWriter
from napari_cellseg.core.batch.settings import BatchSettings
from napari_cellseg.core.device import choose_device
from napari_cellseg.core.errors import OutputError
from napari_cellseg.core.files import write_text
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.batch_pipeline import Pipeline
from napari_cellseg.core.workflows.helper.helper import Helper, helper_for
from napari_cellseg.core.workflows.segment import with_weights_of
from napari_cellseg.core.zoo.bundle import Model, load_bundle
from napari_cellseg.core.zoo.store import find_model


def batch(
    queue: Queue,
    recipe: Recipe,
    folder: Path,
    *,
    settings: BatchSettings | None = None,
    model: Model | None = None,
    device: str = "auto",
) -> Generator[Progress, None, BatchResult]:
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
    check_formats(settings.formats)
    # Before the model: it can start while that is loaded.
    inputs = [item.input for item in queue.items]
    helper = helper_for(inputs, ImageWriter(place, settings), recipe)
    try:
        choose_device(device)
        model = model or load_bundle(find_model(recipe.model).folder)
        recipe = with_weights_of(model.card, recipe)
        with place.held():
            yield from _run(queue, recipe, place, settings, model, device, helper)
    finally:
        if helper is not None:
            helper.close()
    return BatchResult(folder, queue.items)


def _run(
    queue: Queue,
    recipe: Recipe,
    place: BatchFolder,
    settings: BatchSettings,
    model: Model,
    device: str,
    helper: Helper | None,
) -> Generator[Progress, None, None]:
    """Do the images, in a folder that nobody else writes to."""
    inputs = [item.input for item in queue.items]
    ledger = _ledger(place, hash_of(recipe), inputs, settings)
    writer = BatchWriter(place, ledger, settings, hash_of(recipe))
    write_text(place.recipe, recipe.to_json())
    Plan.of(inputs, settings).save(place)
    run = Pipeline(queue, recipe, writer, model, device, helper)
    try:
        yield from run.work()
    finally:
        run.close()


def _ledger(
    place: BatchFolder, recipe: str, inputs: Sequence[BatchInput], settings: BatchSettings
) -> Ledger:
    """Open the ledger; results of others are not replaced unless that is asked for."""
    ledger = Ledger(place.ledger)
    others = ledger.of_other_recipes(recipe)
    if others and not settings.again:
        images = "1 image" if others == 1 else f"{others} images"
        raise OutputError(
            f"The folder '{place.root}' holds results of another recipe ({images}): choose another "
            "folder, or ask for everything to be done again, which replaces them."
        )
    lost = ledger.of_other_images((one.key, one.name) for one in inputs)
    if lost and not settings.again:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise OutputError(
            f"The folder '{place.root}' holds results of other images with the same names "
            f"('{lost[0].name}' of '{lost[0].key}'{more}): choose another folder, or ask for "
            "everything to be done again, which replaces them."
        )
    if others:
        ledger.keep_only(recipe)
    return ledger
