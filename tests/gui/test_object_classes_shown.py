"""Classes of objects in the tab Segment: features table and colours, kept in step."""

import numpy as np
import pytest
from napari.utils.colormaps import DirectLabelColormap

from napari_cellseg.gui.classes import PALETTE, UNKNOWN

from .conftest import Tab, discs, install_valleys


@pytest.fixture
def kinds(cellseg_home, monkeypatch):
    """Install the network of `valleys`, with a map that calls what lies left "left"."""
    from napari_cellseg.core._torch import torch
    from napari_cellseg.core.models.registry import MODELS, ModelParams
    from napari_cellseg.core.zoo.bundle import save_bundle
    from napari_cellseg.core.zoo.store import find_model

    install_valleys(cellseg_home, monkeypatch)
    plain = MODELS["valleys"]

    class Kinds(plain):
        def forward_padded(self, image):
            maps = self.filter(image)
            column = torch.arange(image.shape[-1]).to(maps).expand_as(maps[:, :1])
            classes = [torch.full_like(column, -9), 60 - column, column - 60]
            return self.split(torch.cat([maps, *classes], 1))

    monkeypatch.setitem(MODELS._members, "kinds", Kinds)
    params = ModelParams(maps=("foreground", "contour", "classes"), types=("left", "right"))
    card = find_model("valleys").card.replace(
        name="kinds", architecture="kinds", params=params.model_dump(mode="json"), maps=params.maps
    )
    save_bundle(cellseg_home / "models" / "kinds", Kinds(params), card)


@pytest.fixture
def tab(qtbot, kinds, cold):
    from napari.components import ViewerModel

    tab = Tab(qtbot, ViewerModel())
    yield tab
    tab.close()


def hex_of(colour) -> str:
    return "#" + "".join(f"{round(float(part) * 255):02x}" for part in colour[:3])


def expected(layer) -> dict[int, str]:
    labels = np.asarray(layer.data)
    return {
        int(k): "left" if np.nonzero(labels == k)[1].mean() < 60 else "right"
        for k in np.unique(labels)[1:]
    }


def test_features_and_colours_follow_every_change(tab):
    live = tab.panel.view.live
    tab.viewer.add_image(discs())
    assert live.by_class.isHidden()  # the model chosen so far tells no classes apart
    tab.panel.view.model.choose("kinds")
    assert not live.by_class.isHidden()
    assert "left" in live.legend.text()
    tab.run()
    layer = tab.layer
    plain = layer.colormap
    live.by_class.setChecked(True)
    for min_area in (None, 120):
        if min_area:
            tab.move("min_area", min_area)
        truth = expected(layer)
        assert set(truth.values()) == {"left", "right"}
        table = layer.features
        assert dict(zip(table["index"], table["class"], strict=True)) == truth
        assert table["margin"].between(0, 1).all()
        for label, name in truth.items():
            assert hex_of(layer.get_color(label)) == PALETTE[("left", "right").index(name)]
    assert hex_of(layer.get_color(9999)) == UNKNOWN
    live.by_class.setChecked(False)
    assert type(layer.colormap) is type(plain)
    assert tab.panel.session.run.classes.types == ("left", "right")


def test_a_model_without_classes_leaves_features_and_colours_alone(tab):
    tab.viewer.add_image(discs())
    tab.run()
    assert tab.panel.session.run.classes is None
    assert "class" not in tab.layer.features
    tab.panel.view.live.by_class.setChecked(True)
    assert hex_of(tab.layer.get_color(1)) not in (PALETTE[0], UNKNOWN)
    own = DirectLabelColormap(color_dict={None: "red", 0: "transparent"})
    tab.layer.colormap = own
    tab.panel.view.live.by_class.setChecked(False)
    tab.move("min_area", 90)
    assert tab.layer.colormap == own


def test_dock_api_and_command_line_agree(tab, tmp_path):
    import csv

    import tifffile

    from napari_cellseg import api
    from napari_cellseg.cli import main

    image = discs()
    tab.viewer.add_image(image)
    tab.panel.view.model.choose("kinds")
    tab.run()
    shown = tab.panel.session.run
    found = api.segment(image, "kinds", device="cpu")
    np.testing.assert_array_equal(found.labels.data, tab.labels)
    assert found.classes.to_csv() == shown.classes.to_csv()
    tifffile.imwrite(tmp_path / "field.tif", image)
    options = ["--model", "kinds", "-o", str(tmp_path / "out"), "--device", "cpu"]
    assert main(["segment", str(tmp_path / "field.tif"), *options]) == 0
    written = tmp_path / "out" / "field_labels.tif"
    np.testing.assert_array_equal(tifffile.imread(written), tab.labels)
    assert (tmp_path / "out" / "field_objects.csv").read_text() == shown.classes.to_csv()
    rows = list(csv.DictReader((tmp_path / "out" / "field_objects.csv").open()))
    assert list(rows[0]) == ["label", "class", "margin", "p_left", "p_right"]
