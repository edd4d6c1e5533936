"""Exporting from the tab: what is written, what it is called, and what is said when it fails."""

import json
from pathlib import Path

import numpy as np
import pytest

from napari_cellseg.core.export.measurements import read_table
from napari_cellseg.core.export.registry import EXPORTERS, importer_of
from napari_cellseg.core.reading import read_labels
from napari_cellseg.gui.conversion import METADATA_KEY
from napari_cellseg.gui.correct.desk import desk_of
from napari_cellseg.gui.measure import export as export_module
from napari_cellseg.gui.measure.export import file_name
from napari_cellseg.session.corrections.states import ObjectState

from .test_measure_panel import Tab, ramp, squares


@pytest.fixture
def tab(qtbot):
    tab = Tab(qtbot)
    tab.viewer.add_image(ramp(), name="DAPI")
    tab.layer = tab.viewer.add_labels(
        squares(), name="cells", metadata={METADATA_KEY: {"model": "nuclei"}}
    )
    tab.show()
    yield tab
    tab.close()


def choose(tab, name: str) -> None:
    box = tab.panel.view.export
    box.combo.setCurrentIndex(box.combo.findData(name))
    box.format_chosen.emit(name)


def write(tab, name: str, path: Path) -> str:
    choose(tab, name)
    tab.panel.export.write(path)
    tab.settle()
    assert tab.panel.view.export.button.text() == "Export…"
    return tab.panel.view.export.message.text()


def test_every_format_is_offered(tab):
    combo = tab.panel.view.export.combo
    assert {combo.itemData(k) for k in range(combo.count())} == set(EXPORTERS.names())
    assert combo.currentData() == "label-tiff"


@pytest.mark.parametrize("name", ["label-tiff", "imagej-roi", "geojson", "coco", "outlines-text"])
def test_what_is_written_is_the_labels(tab, tmp_path, name):
    path = tmp_path / f"out{EXPORTERS[name].suffix}"
    assert write(tab, name, path) == f"4 objects written to '{path}'."
    found = importer_of(path).read(path, None).labels.data
    assert len(np.unique(found)) == 5
    assert ((found > 0) == (squares() > 0)).mean() > 0.97


def test_a_label_image_tells_what_made_it_and_what_was_decided(tab, tmp_path):
    binding = desk_of(tab.viewer).bind(tab.layer)
    binding.document.decide("Accept", {2: ObjectState("accepted", True)})
    write(tab, "label-tiff", tmp_path / "a.tif")
    told = read_labels(tmp_path / "a.tif").provenance
    assert told["model"] == "nuclei"
    assert told["corrections"]["states"]["id"] == [2]


def test_settings_of_the_form_are_used(tab, tmp_path):
    choose(tab, "label-tiff")
    form = tab.panel.view.export.form
    form.controls["dtype"].set_value("uint32")
    form.controls["dtype"].changed.emit("uint32")
    tab.panel.export.write(tmp_path / "a.tif")
    tab.settle()
    import tifffile

    assert tifffile.imread(tmp_path / "a.tif").dtype == np.uint32


def test_measurements_are_measured_if_they_were_not(tab, tmp_path):
    write(tab, "measurements-csv", tmp_path / "a.csv")
    assert read_table(tmp_path / "a.csv")["area_px"].tolist() == [16, 36, 64, 100]


def test_measurements_of_changed_labels_are_measured_anew(tab, tmp_path):
    tab.measure()
    tab.layer.data_setitem((np.array([50]), np.array([50])), np.array([9]))
    write(tab, "measurements-csv", tmp_path / "a.csv")
    assert read_table(tmp_path / "a.csv")["label"].tolist() == [1, 2, 3, 5, 9]


def test_polygons_carry_the_measurements_of_the_table(tab, tmp_path):
    tab.measure()
    write(tab, "geojson", tmp_path / "a.geojson")
    assert "mean_C0" in (tmp_path / "a.geojson").read_text()


def test_a_failure_is_one_sentence_and_leaves_the_file_as_it_was(tab, tmp_path):
    tab.layer.data = squares().astype(np.int32) * 1000
    (tmp_path / "a.tif").write_text("before")
    choose(tab, "label-tiff")
    form = tab.panel.view.export.form
    form.controls["dtype"].set_value("uint8")
    form.controls["dtype"].changed.emit("uint8")
    tab.panel.export.write(tmp_path / "a.tif")
    tab.settle()
    assert "do not fit into uint8" in tab.panel.view.export.message.text()
    assert (tmp_path / "a.tif").read_text() == "before"


def test_a_missing_folder_is_told(tab, tmp_path):
    assert str(tmp_path / "none") in write(tab, "coco", tmp_path / "none" / "a.json")


def test_the_overlay_is_of_the_shown_plane(tab):
    tab.viewer.add_labels(squares((4, 60, 80)), name="stack", axis_labels=("z", "y", "x"))
    tab.viewer.dims.set_current_step(0, 2)
    choose(tab, "overlay")
    form = tab.panel.view.export.form
    assert form.params.z == 2
    assert form.params.t == 0
    assert not form.controls["t"].isVisibleTo(form)
    assert form.controls["z"].isVisibleTo(form)


def asked(monkeypatch, answer: str) -> list:
    calls = []

    def dialog(*args):
        calls.append(args)
        return answer, ""

    monkeypatch.setattr(export_module.QFileDialog, "getSaveFileName", dialog)
    return calls


def test_a_name_is_proposed_and_an_ending_added(tab, tmp_path, monkeypatch):
    tab.layer.name = "a/b: c?"
    calls = asked(monkeypatch, str(tmp_path / "mine"))
    choose(tab, "coco")
    tab.panel.view.export.button.click()
    tab.settle()
    assert Path(calls[0][2]).name == "a_b_ c_.json"
    assert json.loads((tmp_path / "mine.json").read_text())["annotations"]
    (tmp_path / "mine.json").unlink()
    tab.panel.view.export.button.click()
    tab.settle()
    assert Path(calls[1][2]).parent == tmp_path  # where one has written before


def test_a_file_that_only_gets_its_ending_here_is_not_replaced_unasked(tab, tmp_path, monkeypatch):
    asked(monkeypatch, str(tmp_path / "mine"))
    (tmp_path / "mine.json").write_text("before")
    questions = []

    def question(*args):
        questions.append(args[2])
        return export_module.QMessageBox.StandardButton.No

    monkeypatch.setattr(export_module.QMessageBox, "question", question)
    choose(tab, "coco")
    tab.panel.view.export.button.click()
    tab.settle()
    assert questions == ["'mine.json' exists already. Replace it?"]
    assert (tmp_path / "mine.json").read_text() == "before"


def test_cancelled_dialogs_write_nothing(tab, monkeypatch):
    asked(monkeypatch, "")
    tab.panel.view.export.button.click()
    assert not tab.panel.export.running


@pytest.mark.parametrize(
    ("title", "name"),
    [("a", "a"), ("..", "labels"), ("x\ny", "x_y"), ("Zellkerne ä", "Zellkerne ä")],
)
def test_names_of_files(title, name):
    assert file_name(title) == name
    assert len(file_name("x" * 500)) == 100
