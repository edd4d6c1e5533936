"""A result of a batch opens in a window step by step, the image before its labels."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_cellseg.core.arrays import Labels as Objects
from napari_cellseg.core.batch.folder import BatchFolder
from napari_cellseg.core.batch.inputs import BatchInput
from napari_cellseg.core.export.label_tiff import write_labels
from napari_cellseg.gui.batch import showing as module
from napari_cellseg.gui.batch.showing import Showing
from napari_cellseg.gui.job_runner import JobRunner

from .conftest import discs

ROOM = 60_000  # ms


class Opener:
    """Opens the results of two images, and notes what is told and added, and when."""

    def __init__(self, qtbot, viewer, folder) -> None:
        self.qtbot, self.viewer, self.folder = qtbot, viewer, folder
        self.runner = JobRunner()
        self.showing = Showing(viewer, self.runner)
        self.told, self.added = [], []
        self.showing.told.connect(self.told.append)
        viewer.layers.events.inserted.connect(self._on_inserted)
        self.inputs = [self.result(seed) for seed in range(2)]

    def result(self, seed):
        path = self.folder / f"f{seed}.tif"
        image = discs((90, 120), seed)
        tifffile.imwrite(path, image)
        folder = BatchFolder(self.folder / "out")
        folder.labels.mkdir(parents=True, exist_ok=True)
        found = (image > 100) * np.int32(seed + 1)
        write_labels(Objects(found, "YX"), folder.labels_of(f"f{seed}"))
        return BatchInput(f"f{seed}", path)

    def open(self, seed=0, layer=None):
        self.showing.open(self.inputs[seed], self.folder / "out", layer)

    def settle(self):
        self.qtbot.waitUntil(lambda: not (self.runner.busy or self.showing.busy), timeout=ROOM)

    def _on_inserted(self, event) -> None:
        image = self.viewer.layers[0]
        self.added.append((type(event.value), image.visible, self.showing.busy))


@pytest.fixture
def windowed(make_napari_viewer, qtbot, tmp_path):
    opener = Opener(qtbot, make_napari_viewer(show=True), tmp_path)
    yield opener
    opener.settle()


def test_the_labels_come_once_the_image_is_seen(windowed):
    windowed.open()
    windowed.qtbot.waitUntil(lambda: len(windowed.viewer.layers) == 1, timeout=ROOM)
    (image,) = windowed.viewer.layers
    assert windowed.showing.busy
    assert windowed.told == ["Opening 'f0.tif'…"]
    windowed.open(1)  # one at a time
    windowed.settle()
    labels = windowed.viewer.layers[1]
    windowed.qtbot.waitUntil(lambda: labels.visible, timeout=ROOM)
    assert [kind for kind, _, _ in windowed.added] == [Image, Labels]
    assert windowed.added[1][1]
    assert image.visible
    np.testing.assert_array_equal(image.data, discs((90, 120), 0))
    np.testing.assert_array_equal(labels.data, discs((90, 120), 0) > 100)
    assert windowed.told[-1] == ""
    assert windowed.viewer.layers.selection.active is labels
    height = windowed.viewer.scene.camera.center[1]
    assert height == pytest.approx(44.5)


def test_an_image_that_is_removed_at_once_takes_its_labels_along(windowed):
    windowed.open()
    windowed.qtbot.waitUntil(lambda: len(windowed.viewer.layers) == 1, timeout=ROOM)
    windowed.viewer.layers.clear()
    assert not windowed.showing.busy
    assert windowed.told[-1] == ""
    windowed.qtbot.wait(100)
    assert not len(windowed.viewer.layers)
    windowed.open(1)
    windowed.settle()
    assert [type(layer) for layer in windowed.viewer.layers] == [Image, Labels]
    assert windowed.viewer.layers[1].data.max() == 2


def test_over_an_image_that_is_open_the_labels_come_at_once(windowed):
    image = windowed.viewer.add_image(discs((90, 120)), name="f0")
    windowed.open(layer=image)
    windowed.settle()
    assert [type(layer) for layer in windowed.viewer.layers] == [Image, Labels]
    windowed.open()
    windowed.settle()
    assert len(windowed.viewer.layers) == 2
    assert windowed.told[-1] == ""


def test_what_napari_loads_for_the_first_labels_is_loaded_in_the_worker(
    qtbot, tmp_path, monkeypatch
):
    where = []
    monkeypatch.setattr(
        module, "load_layer_parts", lambda: where.append(threading.current_thread())
    )
    opener = Opener(qtbot, ViewerModel(), tmp_path)
    opener.open()
    opener.settle()
    assert len(opener.viewer.layers) == 2
    assert where
    assert threading.main_thread() not in where
