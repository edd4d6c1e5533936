"""The table of objects: order, words, and a selection that survives both."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qtpy.QtCore import QItemSelectionModel, Qt

from napari_cellseg.core.measure.table import MeasureTable
from napari_cellseg.gui.boxes.measure_table import MeasureTableBox
from napari_cellseg.gui.boxes.objects_model import ObjectsModel, shown, title

UP, DOWN = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder


def table(count: int = 6, **more) -> MeasureTable:
    labels = np.arange(1, count + 1)
    return MeasureTable({"label": labels, "area_px": labels[::-1] * 10, **more})


def texts(model: ObjectsModel, name: str) -> list[str]:
    column = model.names.index(name)
    return [model.data(model.index(row, column)) for row in range(model.rowCount())]


@pytest.fixture
def box(qtbot):
    box = MeasureTableBox()
    qtbot.addWidget(box)
    return box


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.integers(-3, 3).map(float), st.just(float("nan")))), st.booleans())
def test_a_column_is_sorted_stably_with_unknown_numbers_last(values, falling):
    model = ObjectsModel()
    column = np.array(values, float)
    model.show(MeasureTable({"label": np.arange(column.size), "x": column}))
    model.sort(1, DOWN if falling else UP)
    known = [k for k, v in enumerate(values) if v == v]
    unknown = [k for k, v in enumerate(values) if v != v]
    expected = sorted(known, key=lambda k: -values[k] if falling else values[k]) + unknown
    assert model.order.tolist() == expected
    assert model.order[model.places_of(np.arange(column.size))].tolist() == list(range(column.size))


@pytest.mark.parametrize("falling", [False, True])
def test_texts_and_truths_are_sorted_too(falling):
    model = ObjectsModel()
    named = np.array(["b", "a", "b", "c"], dtype=object)
    model.show(MeasureTable({"class": named, "locked": np.array([True, False, True, False])}))
    model.sort(0, DOWN if falling else UP)
    assert model.order.tolist() == ([3, 0, 2, 1] if falling else [1, 0, 2, 3])
    model.sort(1, DOWN if falling else UP)
    assert model.order.tolist() == ([0, 2, 1, 3] if falling else [1, 3, 0, 2])
    model.sort(-1)
    assert model.order.tolist() == [0, 1, 2, 3]


def test_cells_and_titles_are_for_people():
    assert [shown(v) for v in (np.float64("nan"), 1234.56789, 123456.7, np.int64(70000))] == [
        "",
        "1235",
        "123457",
        "70000",
    ]
    assert [shown(v) for v in (np.True_, False, "mitosis")] == ["yes", "no", "mitosis"]
    assert title("equivalent_diameter_um") == "equivalent diameter (µm)"
    assert title("mean_minus_ring_GFP") == "mean minus ring GFP"


def test_a_header_says_what_its_column_means():
    model = ObjectsModel()
    model.show(table())
    tip = model.headerData(1, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
    assert tip == "area (px): Pixels of the object, all its pieces together, holes not counted."
    assert model.data(model.index(0, 1), Qt.ItemDataRole.TextAlignmentRole)


def test_a_selected_row_is_told_as_the_row_of_the_table_whatever_the_order(box):
    box.show_table(table())
    box.view.sortByColumn(1, UP)  # the last object is the smallest
    told = []
    box.selected.connect(lambda rows: told.append(rows.tolist()))
    flags = QItemSelectionModel.SelectionFlag
    box.view.selectionModel().select(box.model.index(0, 0), flags.ClearAndSelect | flags.Rows)
    assert told == [[5]]


def test_sorting_keeps_the_selection_and_tells_nobody(box):
    box.show_table(table())
    told = []
    box.selected.connect(told.append)
    box.show_selected(np.array([0, 4]))
    box.view.sortByColumn(1, UP)
    chosen = {k.row() for k in box.view.selectionModel().selectedRows()}
    assert {int(box.model.order[k]) for k in chosen} == {0, 4}
    assert told == []


def test_a_selection_from_elsewhere_can_be_brought_to_the_top(box):
    box.show_table(table())
    box.show_selected(np.array([1, 3, 5]), together=True)
    assert texts(box.model, "label")[:3] == ["2", "4", "6"]
    assert {k.row() for k in box.view.selectionModel().selectedRows()} == {0, 1, 2}
    box.show_selected(np.array([3]))
    assert texts(box.model, "label") == ["1", "2", "3", "4", "5", "6"]


def test_a_table_of_as_many_columns_keeps_its_order(box):
    box.show_table(table())
    box.view.sortByColumn(1, UP)
    box.show_table(table(4))
    assert texts(box.model, "label") == ["4", "3", "2", "1"]


def test_forty_thousand_rows_are_no_burden(box, qtbot):
    count = 40_000
    rng = np.random.default_rng(0)
    columns = {f"x{k}": rng.random(count) for k in range(30)}
    box.show()
    start = time.thread_time()
    box.show_table(MeasureTable({"label": np.arange(count), **columns}))
    shown_s = time.thread_time() - start
    start = time.thread_time()
    box.view.sortByColumn(3, DOWN)
    sorted_s = time.thread_time() - start
    start = time.thread_time()
    box.show_selected(np.flatnonzero(rng.random(count) < 0.5))  # 10,000 pieces
    selected_s = time.thread_time() - start
    assert len(box.view.selectionModel().selection()) == 1
    assert max(shown_s, sorted_s, selected_s) < 0.3, (shown_s, sorted_s, selected_s)
