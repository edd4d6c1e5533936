"""Make the pictures of the documentation, in real windows.

Every sample image, segmented in the dock; the tab Correct with locked objects, and in review.

python -m tox -e screenshots
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_cellseg.core.samples import SAMPLES
from napari_cellseg.core.zoo.store import HOME_VARIABLE
from napari_cellseg.gui.demo import run_demo

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"


def show_correcting() -> None:
    """Write docs/images/correct.png, review.png, finetune.png and measure.png."""
    import napari
    from skimage.measure import regionprops

    from napari_cellseg.core.samples import DEFAULT
    from napari_cellseg.gui.contributions import open_dock, sample_layer

    viewer = napari.Viewer()
    viewer.window.resize(1400, 900)
    for data, options, _ in sample_layer(DEFAULT):
        viewer.add_image(data, **options)
    dock = open_dock(viewer)
    segment = dock.panel("segment")
    segment.run_active_layer()
    wait_for(lambda: segment.session.run is not None and not segment.network.running)
    correct = dock.panel("correct")
    labels = segment.result.layer
    found = sorted(regionprops(labels.data), key=lambda one: -one.area)
    for tool, some in (("lock", found[:12]), ("smooth", found[12:20])):
        correct.hand.choose(tool)
        for one in some:
            middle = one.coords[len(one.coords) // 2]
            correct.hand.tool.click(labels.data_to_world(middle), frozenset())
    correct.hand.choose("merge")
    picture(viewer, "correct")
    correct.hand.choose("")
    correct.review.start()
    wait_for(lambda: correct.review.queue is not None)
    for _ in range(4):
        correct.review.do("next")
    picture(viewer, "review")
    correct.review.stop()
    show_teaching_and_measuring(viewer, dock)
    viewer.close()


def show_teaching_and_measuring(viewer: Any, dock: Any) -> None:
    """Write docs/images/finetune.png and measure.png, of the labels that were corrected."""
    viewer.reset_view()
    dock.panel("correct").view.reviewed.view.click()
    finetune = dock.panel("finetune")
    wait_for(lambda: finetune.view.training.estimate.text() != "", 60)
    finetune.view.training.button.click()
    wait_for(lambda: finetune.view.run.status.text().startswith("Training "), 120)
    wait_for(lambda: False, 20)
    picture(viewer, "finetune")
    finetune.view.run.cancel.click()
    wait_for(lambda: not finetune.runs.running, 120)
    measure = dock.panel("measure")
    measure.view.measure.button.click()
    wait_for(lambda: measure.selection.table is not None and not measure.measuring.running)
    wait_for(lambda: False, 2)
    measure.view.table.view.selectRow(3)
    wait_for(lambda: not measure.picking.busy)
    picture(viewer, "measure")


def show_batch() -> None:
    """Write docs/images/batch.png: the sample images as files, one of them broken off."""
    import napari
    import tifffile

    from napari_cellseg.core.samples import load_sample
    from napari_cellseg.gui.contributions import open_dock

    with tempfile.TemporaryDirectory() as text:
        folder = Path(text) / "plate 1"
        folder.mkdir()
        for name in SAMPLES:
            tifffile.imwrite(folder / f"{name}.tif", load_sample(name).data, compression="zlib")
        (folder / "well_B7.tif").write_bytes((folder / "dense.tif").read_bytes()[:60])
        viewer = napari.Viewer()
        viewer.window.resize(1400, 900)
        panel = open_dock(viewer).panel("batch")
        panel.listing.add_paths([folder])
        wait_for(lambda: panel.view.order.start.isEnabled() and not panel.runner.busy)
        panel.view.order.measure.setChecked(True)
        panel.view.order.start.click()
        wait_for(lambda: not panel.runs.running)
        panel.open_result(0)
        wait_for(lambda: not panel.showing.busy)
        picture(viewer, "batch")
        viewer.close()


def picture(viewer: Any, name: str) -> None:
    """Write docs/images/NAME.png."""
    wait_for(lambda: False, 2)
    path = IMAGES / f"{name}.png"
    viewer.screenshot(str(path), canvas_only=False, flash=False)


def wait_for(happened: Callable[[], bool], patience: float = 600) -> None:
    """Let the window work until something has happened, or for so many seconds."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + patience
    while not happened() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def main() -> int:
    """Write all pictures and return 0 if every sample was segmented."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            failed |= run_demo(Path(folder), headless=True, sample=name)
            for picture in Path(folder).glob("*_screenshot.png"):
                shutil.copyfile(picture, IMAGES / f"{name}.png")
    os.environ[HOME_VARIABLE] = tempfile.mkdtemp()  # no journals of other windows
    show_correcting()
    show_batch()
    return failed


if __name__ == "__main__":
    sys.exit(main())
