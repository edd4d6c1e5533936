"""Layers that go take their programs and textures with them in the context of the canvas."""

import subprocess
import sys

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtGui import QOpenGLContext
from qtpy.QtWidgets import QApplication

from napari_cellseg.gui.correct.desk import desk_of

_STROKES = """
import numpy as np, napari, time
from qtpy.QtWidgets import QApplication
from napari_cellseg.gui.correct.desk import desk_of

def draw():
    end = time.monotonic() + 0.05
    while time.monotonic() < end:
        QApplication.processEvents()

viewer = napari.Viewer()
desk_of(viewer)
viewer.add_image(np.random.default_rng(0).random((400, 500)))
draw()
for k in range(3):
    layer = viewer.add_labels(np.full((400, 500), k, np.int32))
    draw()
    layer.mode, layer.selected_label = "paint", 5
    for j in range(3):
        layer.paint((100 + 10 * j, 100 + 20 * j), 3)
        draw()
    viewer.layers.remove(layer)
    draw()
    other = viewer.add_labels(np.ones((300, 300), np.int32))
    draw()
    viewer.layers.remove(other)
print("survived")
"""


def test_the_context_of_the_canvas_is_current_when_a_layer_goes(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    desk_of(viewer)
    layer = viewer.add_labels(np.ones((20, 20), np.int32))
    for _ in range(3):
        QApplication.processEvents()
    native = viewer.window._qt_viewer.canvas.native
    native.doneCurrent()
    assert QOpenGLContext.currentContext() is None
    viewer.layers.remove(layer)
    assert QOpenGLContext.currentContext() is native.context()


def test_a_viewer_without_a_window_needs_none():
    viewer = ViewerModel()
    desk_of(viewer)
    viewer.add_labels(np.ones((20, 20), np.int32))
    viewer.layers.clear()


@pytest.mark.skipif(sys.platform != "linux", reason="Mesa's software OpenGL is what crashes")
def test_labels_that_are_removed_and_added_do_not_crash_the_process():
    done = subprocess.run(
        [sys.executable, "-c", _STROKES], capture_output=True, text=True, timeout=120, check=False
    )
    assert "survived" in done.stdout, done.stderr[-2000:]
