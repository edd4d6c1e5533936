"""The same recipe gives bit-equal labels from the dock, the API and the command line."""

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_cellseg import api, cli
from napari_cellseg.core.reading import read_labels


@pytest.mark.parametrize("data_set", ["nuclei_bbbc039", "nuclei_dsb2018"])
def test_dock_api_and_command_line_agree(
    data_set, bright_model, shared_data, tmp_path, make_napari_viewer, qtbot, monkeypatch
):
    from napari_cellseg.gui.contributions import open_dock
    from napari_cellseg.gui.panels import segment as module
    from napari_cellseg.gui.preferences import Models, Preferences, Runtime

    preferences = Preferences(runtime=Runtime(warm_up=False), models=Models(default=bright_model))
    monkeypatch.setattr(module, "read_preferences", lambda: preferences)
    path = sorted((shared_data / data_set / "images").iterdir())[0]
    image = api.read_image(path)

    viewer = make_napari_viewer()
    panel = open_dock(viewer).panel("segment")
    viewer.add_image(np.asarray(image.data), rgb=image.rgb, name=image.name)
    panel.run()
    qtbot.waitUntil(lambda: not panel.network.running, timeout=120_000)
    panel.view.live.form.controls["min_area"]._spin.setValue(40)
    panel.view.live.form.controls["foreground_threshold"]._spin.setValue(0.42)
    qtbot.waitUntil(lambda: not panel.live.busy, timeout=60_000)
    docked = np.asarray(panel.result.layer.data)
    recipe = panel.session.run.recipe
    assert docked.max() > 3

    from_api = api.segment(path, recipe=recipe)
    np.testing.assert_array_equal(from_api.labels.data, docked)

    file = tmp_path / "recipe.json"
    file.write_text(recipe.to_json())
    out = tmp_path / "out"
    assert cli.main(["segment", str(path), "--recipe", str(file), "-o", str(out)]) == 0
    (written,) = out.glob("*_labels.tif")
    np.testing.assert_array_equal(read_labels(written).data, docked)
