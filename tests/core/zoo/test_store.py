"""Finding models by name and by path."""

import shutil
import subprocess
import sys

import pytest

from napari_cellseg.core.errors import ModelError
from napari_cellseg.core.zoo import store
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.store import find_model, list_models, user_folder


def put(parent, name, **values):
    folder = parent / name
    folder.mkdir(parents=True)
    values = {"name": name, "architecture": "attention-unet", **values}
    (folder / "card.json").write_text(Card(**values).to_json(), encoding="utf-8")
    return folder


@pytest.fixture
def included(tmp_path, monkeypatch):
    folder = tmp_path / "included"
    monkeypatch.setattr(store, "included_folder", lambda: folder)
    return folder


def test_included_and_own_models_are_listed(included, cellseg_home):
    put(included, "nuclei")
    mine = put(cellseg_home / "models", "zellen")
    assert user_folder() == cellseg_home / "models"
    assert [(e.name, e.group) for e in list_models()] == [
        ("nuclei", "included"),
        ("zellen", "mine"),
    ]
    assert find_model("zellen").folder == mine


def test_missing_folders_are_no_error(included, cellseg_home):
    assert list_models() == []
    assert not user_folder().exists()


def test_an_own_model_does_not_replace_an_included_one(included, cellseg_home):
    put(included, "nuclei")
    mine = put(cellseg_home / "models", "nuclei")
    assert find_model("nuclei").group == "included"
    assert {entry.name for entry in list_models()} == {"nuclei", str(mine)}
    assert find_model(str(mine)).group == "mine"


def test_a_broken_model_is_told_and_does_not_hide_the_others(included, cellseg_home):
    put(included, "nuclei")
    broken = put(cellseg_home / "models", "broken")
    (broken / "card.json").write_text("{")
    (cellseg_home / "models" / ".bundle-abc").mkdir()
    problems = []
    assert [e.name for e in list_models(problems.append)] == ["nuclei"]
    assert len(problems) == 1
    assert problems[0].startswith("broken: ")


@pytest.mark.parametrize("part", ["", "card.json", "weights.safetensors"])
def test_a_path_to_a_bundle_or_a_file_in_it(bundle, part):
    entry = find_model(bundle / part)
    assert entry.group == "file"
    assert entry.card.name == "tiny"
    assert entry.folder.samefile(bundle)
    assert find_model(entry.name).folder.samefile(bundle), "a recipe finds it again by this name"


def test_unknown_names_get_a_hint(included, cellseg_home):
    put(included, "nuclei")
    with pytest.raises(ModelError, match=r"Did you mean 'nuclei'\? Installed: nuclei"):
        find_model("nucleii")


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.onnx"])
def test_foreign_files_are_not_opened(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="may run foreign code"):
        find_model(tmp_path / name)


def test_a_folder_that_is_no_bundle(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"holds no card\.json"):
        find_model(tmp_path)


def test_without_the_variable_the_platform_decides(monkeypatch):
    monkeypatch.delenv(store.HOME_VARIABLE)
    folder = user_folder()
    assert folder.name == "models"
    assert "napari-cellseg" in str(folder)


def test_listing_does_not_import_torch(bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "home" / "models" / "tiny")
    code = (
        "import sys; from napari_cellseg.core.zoo.store import list_models;"
        "print('tiny' in [e.name for e in list_models()], 'torch' in sys.modules)"
    )
    environment = {"NAPARI_CELLSEG_HOME": str(tmp_path / "home"), "PYTHONPATH": ":".join(sys.path)}
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["True", "False"]
