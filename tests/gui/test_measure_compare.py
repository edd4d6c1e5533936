"""Comparing in the tab: scores, the layer of errors, the tour through them, the report."""

import numpy as np
import pytest

from napari_cellseg.core.agreement.agreement import compare_planes
from napari_cellseg.core.agreement.object_errors import ErrorKind
from napari_cellseg.core.agreement.report.pictures import TINTS
from napari_cellseg.core.arrays import Labels
from napari_cellseg.core.export.label_tiff import write_labels
from napari_cellseg.core.progress import finish
from napari_cellseg.gui.highlights import ERRORS_NAME

from .test_measure_panel import Tab, ramp, squares


def reference() -> np.ndarray:
    """Return the objects of `squares`, one missing, one too many, one as two, one shifted."""
    found = squares()
    found[found == 1] = 0
    found[40:46, 40:46] = 7
    found[5:11, 26:29] = 8  # half of object 2
    found[found == 5] = 0
    found[8:18, 59:69] = 5
    return found


@pytest.fixture
def tab(qtbot):
    tab = Tab(qtbot)
    tab.viewer.add_image(ramp(), name="DAPI")
    tab.other = tab.viewer.add_labels(reference(), name="by hand")
    tab.layer = tab.viewer.add_labels(squares(), name="cells")
    tab.show()
    yield tab
    tab.close()


def compare(tab):
    tab.panel.view.compare.button.click()
    tab.settle()
    return tab.panel.view.compare.results


def test_scores_and_errors_are_those_of_the_core(tab):
    results = compare(tab)
    expected = finish(compare_planes(squares(), reference()))
    assert tab.panel.compare.report.result.images[0].scores == expected.scores
    assert f"{expected.scores['pq']:.3f}" in results.scores.text()
    assert "4 objects; 5 in the reference" in results.scores.text()
    assert [e.kind for e in results.model.errors] == [e.kind for e in expected.errors]
    assert results.isVisible()


def test_the_layer_of_errors_shows_each_kind_in_its_colour(tab):
    compare(tab)
    (layer,) = tab.named(ERRORS_NAME)
    expected = finish(compare_planes(squares(), reference())).error_map
    np.testing.assert_array_equal(layer.data, expected)
    for kind, tint in TINTS.items():
        shown = layer.colormap.map(np.array([[int(kind)]], np.uint8))[0, 0]
        np.testing.assert_allclose(shown[:3], np.array(tint) / 255, atol=0.01)
    assert layer.colormap.map(np.array([[0]], np.uint8))[0, 0, 3] == 0
    assert layer not in tab.panel.subject.choices()
    compare(tab)
    assert len(tab.named(ERRORS_NAME)) == 1


def test_next_and_previous_go_round_the_errors(tab):
    results = compare(tab)
    errors = results.model.errors
    results.next.click()
    first = errors[0]
    y, x = (first.box[0] + first.box[2] - 1) / 2, (first.box[1] + first.box[3] - 1) / 2
    assert tab.viewer.scene.camera.center[-2:] == pytest.approx((y, x))
    assert results.place.text() == f"1 of {len(errors)}"
    assert tab.named("Error")
    results.previous.click()
    assert results.place.text() == f"{len(errors)} of {len(errors)}"
    results.next.click()
    assert results.place.text() == f"1 of {len(errors)}"
    tab.panel.hide()
    assert not tab.named("Error")


def test_one_kind_of_errors_can_be_listed(tab):
    results = compare(tab)
    results.kinds.setCurrentIndex(results.kinds.findData(int(ErrorKind.EXTRA)))
    results.kind_chosen.emit()
    assert {e.kind for e in results.model.errors} == {ErrorKind.EXTRA}
    assert results.kinds.currentText() == f"extra ({len(results.model.errors)})"
    texts = [results.model.data(results.model.index(k, 0)) for k in range(1)]
    assert texts == ["extra: object 1, 16 px"]


def test_a_file_can_be_the_reference(tab, tmp_path):
    write_labels(Labels(reference(), "YX", name="truth"), tmp_path / "truth.tif")
    tab.panel.compare.add_file(tmp_path / "truth.tif")
    assert tab.panel.view.compare.combo.currentText() == "truth.tif"
    compare(tab)
    assert tab.panel.compare.report.result.images[0].n_reference == 5


def test_a_damaged_file_is_one_sentence(tab, tmp_path):
    (tmp_path / "bad.tif").write_text("no image")
    tab.panel.compare.add_file(tmp_path / "bad.tif")
    compare(tab)
    assert "bad.tif" in tab.panel.view.compare.message.text()
    assert tab.panel.view.compare.button.text() == "Compare"
    assert tab.panel.compare.report is None


def test_sizes_that_differ_are_told(tab):
    tab.other.data = np.zeros((30, 30), np.int32)
    compare(tab)
    assert "shape" in tab.panel.view.compare.message.text()
    assert not tab.named(ERRORS_NAME)


def test_labels_of_a_part_are_compared_with_that_part(tab):
    part = tab.viewer.add_labels(squares()[:, 20:], name="part", translate=(0, 20))
    assert tab.panel.subject.layer is part
    box = tab.panel.view.compare
    box.combo.setCurrentIndex(box.combo.findText("by hand"))
    compare(tab)
    expected = finish(compare_planes(squares()[:, 20:], reference()[:, 20:]))
    assert tab.panel.compare.report.result.images[0].scores == expected.scores


def test_a_stack_with_one_plane_is_gone_to_in_its_plane(tab):
    tab.viewer.add_labels(squares()[None], name="stack", axis_labels=("z", "y", "x"))
    box = tab.panel.view.compare
    box.combo.setCurrentIndex(box.combo.findText("by hand"))
    results = compare(tab)
    assert tab.named(ERRORS_NAME)[0].data.shape == (1, 60, 80)
    results.next.click()
    assert tab.named("Error")


def test_the_report_is_written(tab, tmp_path):
    compare(tab)
    tab.panel.compare.save_report(tmp_path / "r.html")
    tab.settle()
    assert "<html" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "r.html" in tab.panel.view.compare.message.text()


def test_other_labels_end_the_comparison(tab):
    results = compare(tab)
    tab.panel.subject.take(tab.other)
    assert not tab.named(ERRORS_NAME)
    assert not results.isVisible()
    assert tab.panel.view.compare.combo.currentText() == "cells"


def test_without_other_labels_there_is_nothing_to_compare(tab):
    tab.viewer.layers.remove(tab.other)
    assert not tab.panel.view.compare.button.isEnabled()
    assert tab.panel.view.compare.combo.currentText() == "No other labels"
