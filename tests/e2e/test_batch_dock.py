"""A batch from the dock and one from the command line write equal label files."""

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_cellseg import cli
from napari_cellseg.core.reading import read_labels
from napari_cellseg.core.recipe import Recipe

ROOM = 300_000  # ms


def test_dock_and_command_line_write_equal_labels(
    shared_data, tmp_path, make_napari_viewer, qtbot, monkeypatch
):
    from napari_cellseg.gui.contributions import open_dock
    from napari_cellseg.gui.panels import batch as batch_module
    from napari_cellseg.gui.panels import segment as segment_module
    from napari_cellseg.gui.preferences import Preferences, Runtime

    preferences = Preferences(runtime=Runtime(warm_up=False, device="cpu"))
    for module in (batch_module, segment_module):
        monkeypatch.setattr(module, "read_preferences", lambda: preferences)
    images = sorted((shared_data / "nuclei_dsb2018" / "images").iterdir())[:3]

    viewer = make_napari_viewer(show=True)
    dock = open_dock(viewer)
    segment, panel = dock.panel("segment"), dock.panel("batch")
    segment.view.live.form.controls["min_area"]._spin.setValue(40)
    panel.listing.add_paths(images)
    qtbot.waitUntil(lambda: not panel.listing.searching, timeout=ROOM)
    docked = tmp_path / "docked"
    panel.view.order.folder.setText(str(docked))
    panel.view.order.start.click()
    qtbot.waitUntil(lambda: not panel.runs.running, timeout=ROOM)
    assert [row.item.state for row in panel.listing.rows] == ["done"] * 3
    recipe = Recipe.load(docked / "recipe.json")
    assert recipe.post.min_area == 40

    typed = tmp_path / "typed"
    command = ["batch", *map(str, images), "--recipe", str(docked / "recipe.json")]
    assert cli.main([*command, "-o", str(typed), "--device", "cpu"]) == 0
    assert (typed / "recipe.json").read_text() == (docked / "recipe.json").read_text()
    names = sorted(path.name for path in (docked / "labels").iterdir())
    assert names == sorted(path.name for path in (typed / "labels").iterdir())
    for name in names:
        one, other = read_labels(docked / "labels" / name), read_labels(typed / "labels" / name)
        np.testing.assert_array_equal(one.data, other.data)
        assert one.provenance["recipe"] == other.provenance["recipe"]
        assert one.n_objects > 0
