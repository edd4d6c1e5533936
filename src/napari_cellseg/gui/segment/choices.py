"""What the choices in the tab amount to: can they be run, and how are they repeated elsewhere."""

from __future__ import annotations

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.inference.channels import choose_channels
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.gui import conversion
from napari_cellseg.gui.boxes.image import ImageBox
from napari_cellseg.gui.boxes.model import NO_MODEL, ModelBox
from napari_cellseg.gui.segment.network import Request
from napari_cellseg.gui.segment.scope import describe_part
from napari_cellseg.session.command import command_and_recipe, command_line
from napari_cellseg.session.run import Run

_NOTHING = (
    "No objects were found: check the channel and the diameter, or lower the foreground threshold."
)


def why_not(image: ImageBox, model: ModelBox) -> str:
    """Return what keeps the network from running, "" if nothing does."""
    if image.layer is None:
        return "Open an image first."
    if model.entry is None:
        return NO_MODEL
    if image.problem or not image.confirmed:
        return image.problem or "Say first whether the axes are right."
    try:
        whole = conversion.to_image(image.layer, image.axes)
        choose_channels(whole, image.channels, model.entry.card)
    except CellsegError as error:
        return str(error)
    return ""


def command_text(run: Run, request: Request, start: Recipe) -> str:
    """Return the command line and the recipe that give the labels of `run`."""
    # A file may leave the axes in as much doubt as the layer did.
    axes = request.axes if needs_axes(request) else ""
    line = command_line(run.image, run.recipe, start, request.device, axes)
    part = describe_part(request.layer, request.axes, request.part)
    note = f"The result in napari covers only {part}." if part else ""
    return command_and_recipe(line, run.recipe, note)


def needs_axes(request: Request) -> bool:
    """Tell whether the axes of a run are what the user said, not what the shape says."""
    guess = conversion.guess_layer_axes(request.layer)
    return guess.ambiguous or guess.axes != request.axes


def told_at_once(run: Run) -> str:
    """Return what is said when a run has ended: what was changed on the way, or found nothing."""
    return " ".join(run.record.steps if run.record.objects else (*run.record.steps, _NOTHING))


def summary(run: Run) -> str:
    """Return what a run found, and how long it took."""
    record = run.record
    count = f"{record.objects} object" + ("" if record.objects == 1 else "s")
    locked = f", {len(run.locks.ids)} locked" if run.locks.ids else ""
    return f"{count}{locked}; {record.seconds:.1f} s on {record.device}."
