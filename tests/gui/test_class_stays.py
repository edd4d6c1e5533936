"""A class that a person gave stays with its object, whatever sliders and runs do."""

import numpy as np
from qtpy.QtWidgets import QApplication

from napari_cellseg.gui.correct.workbench import Workbench
from napari_cellseg.gui.tools.decide import ClassTool

from .conftest import discs


def test_a_class_survives_sliders_and_another_run(tab):
    tab.viewer.add_image(discs(), name="field")
    tab.run()
    tab.layer.metadata["napari-cellseg"]["types"] = ["round", "flat"]
    bench = Workbench(tab.viewer)
    bench.take(tab.layer)
    tool = ClassTool(bench)
    tool.press("1")
    document = bench.binding.document
    areas = np.bincount(tab.labels.ravel())
    areas[0] = 0
    label = int(
        areas.argmin() if areas.min() else np.flatnonzero(areas > 0)[areas[areas > 0].argmin()]
    )
    mask = tab.labels == label
    tool.click(tuple(tab.layer.data_to_world(np.argwhere(mask)[0])), frozenset())
    assert document.states[label].cell_class == "round"

    tab.move("min_area", int(areas[label]) + 20)
    assert (tab.labels[mask] == label).all(), "the slider took the object away"
    assert len(np.unique(tab.labels)) < np.count_nonzero(areas) + 1, "and others are gone"
    tab.run()
    assert (tab.labels[mask] == label).all()
    assert document.states[label].cell_class == "round"
    QApplication.processEvents()
