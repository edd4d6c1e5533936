"""What napari calls by the manifest: widgets, reader, writer, sample images, menu commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import napari

    from napari_cellseg.gui.dock import Dock

LayerData = tuple[Any, dict[str, Any], str]

DOCK_NAME = "CellSeg"


def open_dock(viewer: napari.viewer.Viewer) -> Dock:
    """Show the dock, making it if it is not there yet."""
    from napari_cellseg.gui.dock import Dock

    for widget in viewer.window.dock_widgets.values():
        if isinstance(widget, Dock):
            widget.parentWidget().show()
            widget.parentWidget().raise_()
            return widget
    dock = Dock(viewer)
    viewer.window.add_dock_widget(dock, name=DOCK_NAME, area="right", tabify=False)
    return dock


def segment_active_layer(viewer: napari.viewer.Viewer) -> None:
    """Open the dock, choose the selected image and the default model, and run."""
    panel = open_dock(viewer).panel("segment")
    panel.run_active_layer()


def get_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """Return a reader for labels written here or by cellpose, None for every other file."""
    paths = [path] if isinstance(path, str | Path) else list(path)
    if not paths or not all(_holds_labels(Path(one)) for one in paths):
        return None
    return _read_labels


def _holds_labels(path: Path) -> bool:
    """Look for our key in the description of the first page, or objects; no pixels are read."""
    from tifffile import TiffFile, TiffFileError

    from napari_cellseg.core.reading import PROVENANCE_KEY
    from napari_cellseg.core.reading.cellpose_seg import SUFFIX, is_pickled

    if path.name.endswith(SUFFIX):
        return is_pickled(path)
    try:
        with TiffFile(path) as file:
            return PROVENANCE_KEY in file.pages.first.description
    except (TiffFileError, OSError, ValueError, IndexError):
        return False


def _read_labels(path: str | Sequence[str]) -> list[LayerData]:
    from napari_cellseg.core.reading import read_labels

    paths = [path] if isinstance(path, str | Path) else list(path)
    found: list[LayerData] = []
    for one in paths:
        labels = read_labels(one)
        y, x = labels.pixel_size or (1.0, 1.0)
        steps = {"T": 1.0, "Z": labels.z_step or 1.0, "Y": y, "X": x}
        unit = "micrometer" if labels.pixel_size else "pixel"
        units = {"T": "pixel", "Z": unit if labels.z_step else "pixel", "Y": unit, "X": unit}
        options = {
            "name": labels.name,
            "scale": tuple(steps[axis] for axis in labels.axes),
            "units": tuple(units[axis] for axis in labels.axes),
            "axis_labels": tuple(axis.lower() for axis in labels.axes),
            "metadata": {"napari-cellseg": {**labels.provenance, "axes": labels.axes}},
        }
        found.append((labels.data, options, "labels"))
    return found


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write one Labels layer with its pixel size, provenance and what a person decided about it.

    The whole file is written or none.

    Raises
    ------
    CellsegError
        If the layer is no label image or the file cannot be written.
    """
    from napari_cellseg.core.export.label_tiff import write_labels as write
    from napari_cellseg.gui.conversion import to_labels
    from napari_cellseg.gui.correct.desk import with_decisions

    target = Path(path if Path(path).suffix else f"{path}.tif")
    write(to_labels(data, with_decisions(data, attributes)), target)
    from napari_cellseg.gui.correct.journals import note_saved

    note_saved(data)
    return [str(target)]


def get_work_reader(path: str | Sequence[str]) -> Callable[[Any], list[Any]] | None:
    """Return a reader for saved work, None for every other file."""
    paths = [path] if isinstance(path, str | Path) else list(path)
    if not paths or not all(str(one).lower().endswith(".cellseg") for one in paths):
        return None
    return _read_work


def _read_work(path: str | Sequence[str]) -> list[Any]:
    from napari_cellseg.gui.saved.opening import open_works

    paths = [path] if isinstance(path, str | Path) else list(path)
    return open_works([Path(one) for one in paths])


def write_work(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:  # noqa: ARG001
    """Save the work on one Labels layer: labels, maps, decisions, and which image they belong to.

    The whole file is written or none.

    Raises
    ------
    CellsegError
        If the layer is no label image or in no viewer, or the file cannot be written.
    """
    from napari_cellseg.gui.saved.save import write_layer

    return write_layer(path, data)


def save_work(viewer: napari.viewer.Viewer) -> None:
    """Ask for a file and save the work on the selected labels in it."""
    from napari_cellseg.gui.saved.save import ask_and_save

    ask_and_save(viewer)


def sample_layer(name: str) -> list[LayerData]:
    """Return a sample image as layer data."""
    from napari_cellseg.core.samples import SAMPLES, load_sample

    image = load_sample(name)
    axes = image.axes.removesuffix("C") if image.rgb else image.axes
    options = {
        "name": SAMPLES[name].title,
        "rgb": image.rgb,
        "axis_labels": tuple(axes.lower()),
    }
    return [(image.data, options, "image")]


def sample_fluorescence() -> list[LayerData]:
    """Return fluorescent nuclei."""
    return sample_layer("fluorescence")


def sample_tissue() -> list[LayerData]:
    """Return stained nuclei in colour."""
    return sample_layer("tissue")


def sample_16_bit() -> list[LayerData]:
    """Return a 16-bit field of nuclei."""
    return sample_layer("16-bit")


def sample_dense() -> list[LayerData]:
    """Return densely packed nuclei."""
    return sample_layer("dense")
