"""The demo: napari with the dock and a sample image, segmented through the dock itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_cellseg.core.samples import DEFAULT, SAMPLES

if TYPE_CHECKING:
    import napari

    from napari_cellseg.gui.panels.segment import SegmentPanel

_PATIENCE_S = 600
_SETTLE_MS = 500


def run_demo(output: Path, headless: bool = False, sample: str | None = None) -> int:
    """Open napari, segment a sample image in the dock, and stay open.

    Parameters
    ----------
    output
        Folder for screenshot, labels and recipe of a headless run.
    headless
        Write those files and close again, instead of staying open.
    sample
        Name of a sample image.

    Returns
    -------
    0 if the image was segmented, else 1.
    """
    import napari

    from napari_cellseg.gui.contributions import open_dock, sample_layer

    name = sample or DEFAULT
    viewer = napari.Viewer(title=f"CellSeg demo: {SAMPLES[name].title}")
    if headless:
        viewer.window.resize(1400, 900)
    for data, options, _ in sample_layer(name):
        viewer.add_image(data, **options)
    panel = open_dock(viewer).panel("segment")
    panel.run_active_layer()
    if not headless:
        napari.run()
        return 0
    try:
        return _finish(viewer, panel, output, name)
    finally:
        viewer.close()


def _finish(viewer: napari.Viewer, panel: SegmentPanel, output: Path, name: str) -> int:
    """Wait for the result, write its files, and say where they are."""
    from napari_cellseg.core.export.result import save_result
    from napari_cellseg.core.files import make_folder
    from napari_cellseg.core.workflows.segment import Segmentation

    problem = _wait(panel)
    run = panel.session.run
    if run is None:
        _say(f"The sample image could not be segmented. {problem}".strip())
        return 1
    make_folder(output)
    screenshot = output / f"{name}_screenshot.png"
    viewer.screenshot(str(screenshot), canvas_only=False, flash=False)
    result = Segmentation(
        run.as_labels(), run.planes.prediction, run.recipe, run.record, run.removed, run.classes
    )
    files = [screenshot, *save_result(result, output, name)]
    _say(f"{run.record.objects} cells found in '{run.image.name}' ({run.record.device}).")
    for file in files:
        _say(f"  {file.resolve()}")
    return 0


def _wait(panel: SegmentPanel) -> str:
    """Process events until the run has ended; return what the tab says."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    panel.network.finished.connect(loop.quit)
    QTimer.singleShot(int(_PATIENCE_S * 1000), loop.quit)
    if panel.network.running:
        loop.exec_()
    settle = QTimer()
    settle.setSingleShot(True)
    settle.timeout.connect(loop.quit)
    settle.start(_SETTLE_MS)  # the canvas draws the new layer
    loop.exec_()
    return panel.view.run.message.text()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
