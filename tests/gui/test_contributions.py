"""What napari calls by the manifest works as the manifest says."""

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from npe2 import PluginManifest

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.samples import SAMPLES
from napari_cellseg.gui import contributions, preferences

MANIFEST = contributions.__file__.replace("gui/contributions.py", "napari.yaml")


@pytest.fixture(scope="module")
def manifest():
    return PluginManifest.from_file(MANIFEST)


def test_everything_refers_to_a_command_or_submenu(manifest):
    found = manifest.contributions
    commands = {command.id for command in found.commands}
    submenus = {submenu.id for submenu in found.submenus}
    used = [w.command for w in found.widgets]
    used += [r.command for r in found.readers] + [w.command for w in found.writers]
    used += [sample.command for sample in found.sample_data]
    for place, items in found.menus.items():
        assert place in submenus or place.startswith("napari/layers/")
        for item in items:
            if hasattr(item, "command"):
                used.append(item.command)
            else:
                assert item.submenu in submenus
    assert set(used) == commands


def test_sample_data_are_the_samples(manifest):
    assert [sample.key for sample in manifest.contributions.sample_data] == list(SAMPLES)
    for sample, known in zip(manifest.contributions.sample_data, SAMPLES.values(), strict=True):
        assert sample.display_name == known.title


def test_preferences_are_those_of_the_manifest(manifest):
    defaults = preferences.Preferences()
    for section, contribution in manifest.contributions.configurations.items():
        part = getattr(defaults, section)
        assert set(contribution.properties) == set(type(part).model_fields)
        for name, declared in contribution.properties.items():
            assert getattr(part, name) == declared.default


def test_preferences_are_read_from_the_file_that_napari_writes(tmp_path):
    file = tmp_path / "napari-cellseg.yaml"
    file.write_text("schema_version: 1\nruntime:\n  device: cpu\n  tile: 256\n")
    found = preferences._parse(file)
    assert found.runtime.device == "cpu"
    assert found.runtime.tile == 256
    assert found.models.default == "nuclei"
    for text in ("runtime: [1]", "{", "runtime:\n  device: abacus\n", ""):
        file.write_text(text)
        assert preferences._parse(file) == preferences.Preferences()
    assert preferences._parse(tmp_path / "missing") == preferences.Preferences()


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_open_with_known_axes(name):
    viewer = ViewerModel()
    key = f"sample_{name.replace('-', '_')}"
    for data, options, kind in getattr(contributions, key)():
        assert kind == "image"
        layer = viewer.add_image(data, **options)
        from napari_cellseg.gui.conversion import guess_layer_axes

        assert not guess_layer_axes(layer).ambiguous


@pytest.mark.parametrize("shape", [(20, 30), (3, 20, 30)])
def test_labels_come_back_as_they_were_written(tmp_path, shape):
    viewer = ViewerModel()
    data = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    axes = "zyx"[-len(shape) :]
    layer = viewer.add_labels(
        data,
        scale=(2, 0.5, 0.25)[-len(shape) :],
        units=("um",) * len(shape),
        axis_labels=tuple(axes),
        metadata={"napari-cellseg": {"model": "nuclei", "axes": axes.upper()}},
    )
    (path,) = contributions.write_labels(
        str(tmp_path / "cells.tif"), *layer.as_layer_data_tuple()[:2]
    )
    reader = contributions.get_reader(path)
    ((again, options, kind),) = reader(path)
    assert kind == "labels"
    np.testing.assert_array_equal(again, data)
    back = viewer.add_labels(again, **options)
    np.testing.assert_allclose(back.scale, layer.scale)
    assert back.units == layer.units
    assert back.metadata["napari-cellseg"]["model"] == "nuclei"


def test_labels_of_cellpose_are_opened(tmp_path):
    path = tmp_path / "cells_seg.npy"
    masks = np.arange(12, dtype=np.uint16).reshape(3, 4)
    np.save(path, {"masks": masks, "filename": "cells.tif"}, allow_pickle=True)
    ((data, options, kind),) = contributions.get_reader(str(path))(str(path))
    assert kind == "labels"
    np.testing.assert_array_equal(data, masks)
    ViewerModel().add_labels(data, **options)
    np.save(path, masks)
    assert contributions.get_reader(str(path)) is None


def test_reader_leaves_all_other_files_alone(tmp_path):
    plain = tmp_path / "plain.tif"
    tifffile.imwrite(plain, np.zeros((5, 5), np.uint8))
    text = tmp_path / "text.tif"
    text.write_text("not an image")
    empty = tmp_path / "empty.tif"
    empty.touch()
    for path in (plain, text, empty, tmp_path / "missing.tif"):
        assert contributions.get_reader(str(path)) is None
    assert contributions.get_reader([]) is None


def test_writing_where_one_may_not_says_so(tmp_path):
    with pytest.raises(CellsegError, match="cannot be written"):
        contributions.write_labels(
            str(tmp_path / "nowhere" / "cells.tif"), np.zeros((4, 4), np.int32), {}
        )


def test_demo_writes_its_files(make_napari_viewer, valleys, cold, monkeypatch, tmp_path, capsys):
    import napari

    from napari_cellseg.gui.demo import run_demo

    monkeypatch.setattr(napari, "Viewer", lambda **_: make_napari_viewer(show=True))
    assert run_demo(tmp_path / "out", headless=True, sample="fluorescence") == 0
    said = capsys.readouterr().out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "fluorescence_screenshot.png", "fluorescence_labels.tif", "fluorescence_recipe.json",
    }  # fmt: skip
    assert "cells found" in said
    assert all(name in said for name in names)
