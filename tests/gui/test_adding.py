"""A layer is there at once, and drawn a moment later where there is a window."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_cellseg.gui import adding


def labels(editable=True):
    layer = Labels(np.ones((20, 30), np.uint8), visible=False)
    layer.editable = editable
    return layer


def test_without_a_window_everything_happens_at_once():
    viewer, done = ViewerModel(), []
    below, layer = labels(), labels()
    adding.insert(viewer, below)
    adding.insert(viewer, layer, 0, lambda: done.append(layer.visible))
    assert list(viewer.layers) == [layer, below]
    assert below.visible
    assert done == [True]


@pytest.mark.parametrize("editable", [True, False])
def test_in_a_window_it_is_seen_a_moment_later(make_napari_viewer, qtbot, editable):
    viewer, done = make_napari_viewer(show=True), []
    layer = labels(editable)
    adding.insert(viewer, layer, then=lambda: done.append(layer.visible))
    assert layer in viewer.layers
    assert not layer.visible
    qtbot.waitUntil(lambda: bool(done))
    assert done == [True]
    tools = [layer._overlays[name] for name in adding._TOOLS]
    if editable:
        qtbot.waitUntil(lambda: all(tool.visible for tool in tools))
        layer.mode = "polygon"
        assert tools[0].enabled
    else:
        qtbot.wait(100)
        assert not any(tool.visible for tool in tools)


def test_a_layer_that_has_gone_meanwhile_stays_away(make_napari_viewer, qtbot):
    viewer, done = make_napari_viewer(show=True), []
    layer = labels()
    adding.insert(viewer, layer, then=lambda: done.append(1))
    viewer.layers.remove(layer)
    qtbot.wait(100)
    assert not done
    assert not layer.visible
