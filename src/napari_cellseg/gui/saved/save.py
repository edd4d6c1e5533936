"""Saves the work on a labels layer, by napari's own menu or in the background."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer
from napari.utils.notifications import show_error, show_info
from qtpy.QtWidgets import QFileDialog

from napari_cellseg.core.errors import CellsegError, ImageError
from napari_cellseg.core.saved.work import SUFFIX
from napari_cellseg.gui import layers
from napari_cellseg.gui.correct.desk import bare, desk_of
from napari_cellseg.gui.correct.journals import journals_of, note_saved
from napari_cellseg.gui.job_runner import Job, single_step
from napari_cellseg.gui.measure.export import file_name
from napari_cellseg.gui.saved.ask import visible_window
from napari_cellseg.gui.saved.collect import Collected, collect
from napari_cellseg.gui.saved.opened import WORK_FILE_KEY


def collected(viewer: ViewerModel, layer: LabelsLayer) -> Collected:
    """Return what is to be saved of a layer of a viewer, as it is now.

    Raises
    ------
    ImageError
        If the layer holds no object numbers.
    """
    desk = desk_of(viewer)
    desk.note(layer.data)
    return collect(layer, desk.of(layer), list(viewer.layers))


def write_layer(path: str, data: Any) -> list[str]:
    """Save the layer of the current viewer that holds `data`, and wait for it.

    Raises
    ------
    CellsegError
        If there is no such layer, or the file cannot be written.
    """
    viewer = napari.current_viewer()
    layer = next((one for one in getattr(viewer, "layers", ()) if one.data is data), None)
    if viewer is None or layer is None:
        raise ImageError("The labels are in no viewer: add them to one to save work on them.")
    target = with_suffix(path)
    collected(viewer, bare(layer)).write(target)
    bare(layer).metadata[WORK_FILE_KEY] = str(target.absolute())
    note_saved(data)
    return [str(target)]


def save_in_background(viewer: ViewerModel, layer: LabelsLayer, path: Path) -> Job:
    """Save a layer in a worker; a notification tells when it is done, or what went wrong.

    Raises
    ------
    ImageError
        If the layer holds no object numbers.
    """
    what = collected(viewer, layer)
    data, version = layer.data, _version(viewer, layer)
    job = journals_of(desk_of(viewer)).runner.create(single_step(lambda: what.write(path)))

    def done(_: object) -> None:
        layer.metadata[WORK_FILE_KEY] = str(path.absolute())
        if version == _version(viewer, layer):  # else the journal holds more than the file does
            note_saved(data)
        show_info(f"The work was saved in '{path}'.")

    job.succeeded.connect(done)
    job.failed.connect(lambda error: show_error(str(error)))
    job.start()
    return job


def ask_and_save(viewer: ViewerModel) -> Job | None:
    """Ask for a file and save the selected labels, or the topmost ones, in it."""
    viewer = bare(viewer)
    active = viewer.layers.selection.active
    known = layers.labels_layers(viewer)
    layer = active if active in known else next(iter(known), None)
    if layer is None:
        show_error("There are no labels to save: run the network, or open labels, first.")
        return None
    proposed = _folder(viewer, layer) / f"{file_name(layer.name)}{SUFFIX}"
    chosen, _ = QFileDialog.getSaveFileName(
        visible_window(), "Save work", str(proposed), f"Saved work (*{SUFFIX})"
    )
    if not chosen:
        return None
    try:
        return save_in_background(viewer, layer, with_suffix(chosen))
    except CellsegError as error:
        show_error(str(error))
        return None


def with_suffix(path: str) -> Path:
    """Return the path of a saved work, with its ending."""
    return Path(path if path.lower().endswith(SUFFIX) else f"{path}{SUFFIX}")


def _folder(viewer: ViewerModel, layer: LabelsLayer) -> Path:
    """Return where the labels or their image come from: work is found again beside them."""
    binding = desk_of(viewer).of(layer)
    origin = binding.origin[:1] if binding is not None else ()
    sources = [one.source.path for one in (layer, *origin)]
    folders = [Path(path).parent for path in sources if path]
    return next((one for one in folders if one.is_dir()), Path.home())


def _version(viewer: ViewerModel, layer: LabelsLayer) -> int:
    binding = desk_of(viewer).of(layer)
    return binding.document.version if binding is not None else -1
