"""The tab Measure & export: what is measured, and how table, plot and viewer follow each other."""

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Vectors
from napari.utils.theme import get_theme

from napari_cellseg.core.measure.measure import measure
from napari_cellseg.core.measure.table import MeasureTable
from napari_cellseg.core.progress import finish
from napari_cellseg.gui.conversion import METADATA_KEY, to_image, to_labels
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.highlights import SELECTED_NAME
from napari_cellseg.gui.measure.place import fitting_axes, part_below
from napari_cellseg.gui.measure.plot import bin_edges
from napari_cellseg.gui.measure.snapshot import attributes_of
from napari_cellseg.gui.panels.measure import MeasurePanel
from napari_cellseg.session.corrections.states import ObjectState

GUI = Path(__file__).parents[2] / "src" / "napari_cellseg" / "gui"
ROOM = 60_000  # ms


def squares(shape=(60, 80)) -> np.ndarray:
    """Return objects 1, 2, 3, 5 of growing area."""
    labels = np.zeros(shape, np.int32)
    for k, (label, side) in enumerate(((1, 4), (2, 6), (3, 8), (5, 10))):
        labels[..., 5 : 5 + side, 5 + 18 * k : 5 + 18 * k + side] = label
    return labels


def ramp(shape=(60, 80)) -> np.ndarray:
    return np.broadcast_to(np.arange(shape[-1], dtype=np.uint8), shape).copy()


class Tab:
    def __init__(self, qtbot) -> None:
        self.qtbot, self.viewer = qtbot, ViewerModel()
        self.panel = MeasurePanel(self.viewer)
        qtbot.addWidget(self.panel)

    def show(self) -> None:
        self.panel.show()
        self.settle()

    def settle(self) -> None:
        panel = self.panel
        self.qtbot.waitUntil(lambda: not (panel.runner.busy or panel.picking.busy), timeout=ROOM)

    def measure(self) -> MeasureTable:
        self.panel.view.measure.button.click()
        self.settle()
        return self.panel.selection.table

    def named(self, name: str):
        return [layer for layer in self.viewer.layers if layer.name == name]

    def close(self) -> None:
        self.panel.shut_down()
        self.qtbot.waitUntil(lambda: not self.panel.runner.busy, timeout=ROOM)


@pytest.fixture
def tab(qtbot):
    tab = Tab(qtbot)
    yield tab
    tab.close()


@pytest.fixture
def simple(tab):
    """An image with labels, measured."""
    tab.viewer.add_image(ramp(), name="DAPI", scale=(0.5, 0.5), units="um")
    tab.layer = tab.viewer.add_labels(squares(), scale=(0.5, 0.5), units="um")
    tab.show()
    tab.measure()
    return tab


# What is measured


def test_the_table_is_what_the_core_measures(simple):
    table, layer = simple.panel.selection.table, simple.layer
    labels = to_labels(layer.data, attributes_of(layer))
    expected = finish(measure(labels, to_image(simple.viewer.layers[0], "YX")))
    assert table["label"].tolist() == [1, 2, 3, 5]
    assert "solidity" not in table.columns
    assert "median_C0" not in table.columns
    for name in table.columns:
        np.testing.assert_array_equal(table[name], expected[name])
    assert "4 objects: mean area 13.5" in simple.panel.view.table.summary.text()


def test_the_tab_takes_up_the_labels_that_were_selected_elsewhere(simple):
    viewer, panel = simple.viewer, simple.panel
    panel.hide()
    other = viewer.add_labels(squares(), name="others")
    assert panel.subject.layer is simple.layer
    simple.show()
    assert panel.subject.layer is other
    assert panel.view.measure.combo.currentText() == "others"
    panel.hide()
    viewer.layers.selection.active = viewer.layers[0]
    simple.show()
    assert panel.subject.layer is other


def test_slow_columns_follow_when_they_are_ticked(simple):
    box = simple.panel.view.measure
    box.hulls.setChecked(True)
    box.rings.setChecked(True)
    simple.panel.selection.choose([2], None)
    table = simple.measure()
    assert {"solidity", "feret_max_px", "median_C0", "ring_mean_C0"} <= set(table.columns)
    assert simple.panel.selection.rows.tolist() == [2]


def test_rings_are_not_asked_for_without_an_image(tab):
    tab.viewer.add_labels(squares())
    tab.show()
    box = tab.panel.view.measure
    assert box.no_image.isVisible()
    assert not box.images.isVisible()
    box.rings.setChecked(True)
    table = tab.measure()
    assert "area_px" in table.columns
    assert not any("C0" in name for name in table.columns)


def test_columns_go_into_the_features_beside_those_of_others(simple):
    layer = simple.layer
    assert layer.features["area_px"].tolist() == [16, 36, 64, 100]
    layer.features = {"index": [2, 3, 5], "mine": [1.0, 2.0, 3.0]}
    simple.measure()
    features = layer.features.set_index("index")
    assert features.loc[5, "mine"] == 3
    assert features.loc[1, "area_px"] == 16
    simple.panel.subject.images.tick(simple.viewer.layers[0], False)
    simple.measure()
    assert "mean_C0" not in layer.features
    assert "mine" in layer.features


def test_several_images_give_columns_of_their_names(tab):
    tab.viewer.add_image(ramp(), name="DAPI")
    tab.viewer.add_image(np.stack([ramp()] * 3, -1), name="stain", rgb=True)
    tab.viewer.add_labels(squares())
    tab.show()
    table = tab.measure()
    np.testing.assert_array_equal(table["mean_stain_G"], table["mean_DAPI"])
    assert table["mean_DAPI"][1] == 25.5


def test_an_invisible_image_is_measured_only_when_ticked(tab):
    tab.viewer.add_image(ramp(), name="off", visible=False)
    tab.viewer.add_labels(squares())
    tab.show()
    assert "mean_C0" not in tab.measure().columns
    item = tab.panel.view.measure.images.item(0)
    item.setCheckState(item.checkState().Checked)
    assert "mean_C0" in tab.measure().columns


def test_labels_of_a_part_are_measured_in_that_part(tab):
    tab.viewer.add_image(np.tile(np.arange(200), (100, 1)), name="large", scale=(2, 2))
    tab.viewer.add_labels(squares(), scale=(2, 2), translate=(20, 60))
    tab.show()
    assert tab.measure()["min_C0"].tolist() == [35, 53, 71, 89]


def test_an_image_on_another_grid_is_not_offered(tab):
    tab.viewer.add_image(ramp(), name="shifted", translate=(0.5, 0))
    tab.viewer.add_image(ramp((30, 40)), name="small")
    labels = tab.viewer.add_labels(squares())
    for image in tab.viewer.layers[:2]:
        assert fitting_axes(image, labels, "YX") is None
    tab.show()
    assert tab.panel.view.measure.images.count() == 0


def test_the_reading_of_axes_that_fits_the_labels_is_taken(tab):
    image = tab.viewer.add_image(np.zeros((4, 60, 80)), name="four")
    labels = tab.viewer.add_labels(squares())
    assert fitting_axes(image, labels, "YX") == ("CYX", {"Y": slice(0, 60), "X": slice(0, 80)})
    stack = tab.viewer.add_labels(squares((4, 60, 80)))
    axes, box = fitting_axes(image, stack, "TYX")
    assert axes == "TYX"
    assert box["T"] == slice(0, 4)
    assert part_below(image, "TYX", labels, "YX") is None


def test_decisions_of_a_person_are_columns(simple):
    binding = desk_of(simple.viewer).bind(simple.layer)
    binding.document.decide("Accept", {2: ObjectState("accepted", True, "mitosis")})
    table = simple.measure()
    assert table["accepted"].tolist() == [False, True, False, False]
    assert table["locked"].tolist() == [False, True, False, False]
    assert not table["edited"].any()


def test_what_a_file_tells_of_decisions_is_a_column_too(tab):
    states = {"id": [3], "decision": ["edited"], "locked": [True], "class": [""]}
    told = {METADATA_KEY: {"corrections": {"states": states}}}
    tab.viewer.add_labels(squares(), metadata=told)
    tab.show()
    assert tab.measure()["edited"].tolist() == [False, False, True, False]


def test_labels_that_change_are_said_to_have_changed(simple):
    message = simple.panel.view.measure.message
    assert not message.isVisible()
    assert simple.panel.measuring.fresh is not None
    simple.layer.data_setitem((np.array([50]), np.array([50])), np.array([9]))
    assert "changed" in message.text()
    assert simple.panel.measuring.fresh is None
    assert simple.measure()["label"].tolist() == [1, 2, 3, 5, 9]
    assert not message.isVisible()


def test_other_labels_begin_anew_and_none_leave_nothing(simple):
    other = simple.viewer.add_labels(squares(), name="other")
    assert simple.panel.subject.layer is other
    assert simple.panel.selection.table is None
    simple.viewer.layers.clear()
    assert simple.panel.subject.layer is None
    assert not simple.panel.view.measure.button.isEnabled()
    assert not simple.panel.view.export.isEnabled()


def test_labels_that_are_none_are_refused_in_a_sentence(tab):
    tab.viewer.add_labels(np.zeros((20, 20), np.int64) + 2**40)
    tab.show()
    assert tab.measure() is None
    assert "object numbers" in tab.panel.view.measure.message.text()
    assert tab.panel.view.measure.button.text() == "Measure"


# Table and viewer


def test_a_row_shows_its_object(simple):
    box = simple.panel.view.table
    box.view.selectRow(2)
    simple.settle()
    assert simple.layer.selected_label == 3
    assert simple.viewer.scene.camera.center[-2:] == pytest.approx((8.5 * 0.5, 44.5 * 0.5))
    (frame,) = simple.named("Selected object")
    assert isinstance(frame, Vectors)
    assert "1 selected: area 16 µm²" in box.marked.text()


def test_several_rows_are_tinted_and_the_others_dimmed(simple):
    simple.panel.selection.choose([0, 3], None)
    simple.settle()
    (tint,) = simple.named(SELECTED_NAME)
    expected = np.where(np.isin(squares(), (1, 5)), 1, np.where(squares() > 0, 2, 0))
    np.testing.assert_array_equal(tint.data, expected)
    np.testing.assert_array_equal(tint.scale, simple.layer.scale)
    simple.panel.selection.choose([], None)
    simple.settle()
    assert not simple.named(SELECTED_NAME)
    assert len(simple.viewer.layers) == 2


def test_a_click_in_the_viewer_selects_the_row_and_beside_it_none(simple):
    camera = tuple(simple.viewer.scene.camera.center)
    simple.panel.picking.pick_at((6 * 0.5, 60 * 0.5))
    assert simple.panel.selection.rows.tolist() == [3]
    assert [k.row() for k in simple.panel.view.table.view.selectionModel().selectedRows()] == [3]
    simple.settle()
    assert tuple(simple.viewer.scene.camera.center) == camera  # the person is looking at it
    simple.panel.picking.pick_at((0, 0))
    assert not simple.panel.selection.rows.size


def test_naparis_own_picker_selects_the_row(simple):
    simple.layer.selected_label = 5
    assert simple.panel.selection.rows.tolist() == [3]
    simple.layer.selected_label = 77  # no object: a new one to paint
    assert simple.panel.selection.rows.tolist() == [3]


def test_a_hidden_tab_leaves_the_viewer_alone(simple):
    simple.panel.selection.choose([0, 3], None)
    simple.settle()
    simple.panel.hide()
    assert len(simple.viewer.layers) == 2
    picking = simple.panel.picking
    assert picking._on_mouse not in simple.viewer.mouse_drag_callbacks
    simple.layer.selected_label = 2
    assert simple.panel.selection.rows.tolist() == [0, 3]


def test_a_stack_has_a_row_a_plane_and_the_view_goes_there(tab):
    labels = squares((3, 60, 80))
    labels[1] = 0
    tab.viewer.add_labels(labels, axis_labels=("z", "y", "x"))
    tab.show()
    table = tab.measure()
    assert table["z"].tolist() == [0] * 4 + [2] * 4
    assert "area_px" not in tab.viewer.layers[0].features  # an object has no single row
    tab.panel.view.table.view.selectRow(6)
    tab.settle()
    assert tab.viewer.dims.current_step[0] == 2
    assert tab.named("Selected object")
    tab.panel.selection.choose([0, 1, 7], None)
    tab.settle()
    assert set(np.unique(tab.named(SELECTED_NAME)[0].data)) == {0, 1, 2}
    tab.viewer.dims.set_current_step(0, 1)
    tab.settle()
    assert not tab.named(SELECTED_NAME)[0].data.any()
    tab.panel.picking.pick_at((1, 6, 60))
    assert not tab.panel.selection.rows.size


# The plot


def test_a_drag_in_the_histogram_selects_by_one_column(simple):
    box = simple.panel.view.histogram
    assert box.columns[0] == "area_um2"
    box.dragged.emit(5.0, 20.0, 0.0, 0.1)
    assert simple.panel.selection.rows.tolist() == [1, 2]
    assert box.area.plot is not None
    box.cleared.emit()
    assert not simple.panel.selection.rows.size


def test_a_drag_in_the_scatter_selects_by_two(simple):
    box = simple.panel.view.histogram
    box.up.setCurrentIndex(box.up.findData("mean_C0"))
    box.columns_chosen.emit()
    box.dragged.emit(5.0, 30.0, 0.0, 30.0)
    assert simple.panel.selection.rows.tolist() == [1]
    simple.settle()
    simple.panel.plot.draw()
    unselected, selected = box._items
    assert len(unselected.data) == 3
    assert len(selected.data) == 1


def test_the_plot_knows_no_place_of_unknown_numbers(simple):
    selection = simple.panel.selection
    columns = {**selection.table.columns, "odd": np.array([np.nan, np.inf, 1.0, 2.0])}
    selection.show(MeasureTable(columns, selection.table.images))
    box = simple.panel.view.histogram
    box.across.setCurrentIndex(box.across.findData("odd"))
    simple.panel.plot.draw()
    box.dragged.emit(-1e9, 1e9, 0, 0)
    assert selection.rows.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], [0, 1]),
        ([np.nan], [0, 1]),
        ([2.5], [2, 3]),
        ([0, 1, 3, 3], [-0.5, 0.5, 1.5, 2.5, 3.5]),
    ],
)
def test_bins_of_few_values(values, expected):
    assert bin_edges(np.array(values, float)).tolist() == expected


def test_bins_hold_every_known_value():
    values = np.append(np.random.default_rng(0).normal(size=500), np.nan)
    edges = bin_edges(values)
    assert np.histogram(values[:-1], edges)[0].sum() == 500
    assert 8 < edges.size <= 61


def test_no_window_waits_for_the_plotting_library():
    for path in GUI.rglob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert not any(line.startswith(("import pyqtgraph", "from pyqtgraph")) for line in lines)


def test_every_control_is_named_and_explained(simple):
    from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox

    for kind in (QAbstractButton, QComboBox, QAbstractSpinBox):
        for widget in simple.panel.view.findChildren(kind):
            if widget.parent() is simple.panel.view.table.view or kind is QAbstractButton:
                named = widget.accessibleName() or widget.text() or not widget.isVisible()
            else:
                named = widget.accessibleName()
            assert named, widget
    assert simple.panel.view.minimumSizeHint().width() <= 300


def test_plots_follow_the_theme_of_the_viewer(simple):
    """The key that switches themes changes the viewer's alone, not that of the settings."""
    simple.measure()
    area = simple.panel.view.histogram.area
    simple.qtbot.waitUntil(lambda: area.plot is not None, timeout=ROOM)
    for theme in ("light", "dark"):
        simple.viewer.theme = theme
        wanted = get_theme(theme).background.as_hex("long")
        assert area.colours.background == wanted
        assert area.plot.backgroundBrush().color().name() == wanted
