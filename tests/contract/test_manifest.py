"""The manifest that napari reads: one content, valid, and nothing in it that leads nowhere."""

from __future__ import annotations

import importlib
from importlib import metadata, resources
from pathlib import Path

import pytest
import yaml

npe2 = pytest.importorskip("npe2")
pytest.importorskip("napari")

ROOT = Path(__file__).resolve().parents[2]
CONTRIBUTABLE = {
    *(f"napari/file/{menu}" for menu in ("new_layer", "io_utilities", "acquire")),
    *(
        f"napari/layers/{menu}"
        for menu in (
            "visualize", "annotate", "data", "metadata", "layer_type", "filter", "transform",
            "measure", "register", "project", "segment", "track", "classify",
        )
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def text() -> str:
    return (resources.files("napari_cellseg") / "napari.yaml").read_text("utf-8")


@pytest.fixture(scope="module")
def contributions(text) -> dict:
    return yaml.safe_load(text)["contributions"]


def test_the_root_leads_to_the_same_manifest(text):
    root = ROOT / "napari.yaml"
    if root.read_text("utf-8") == "src/napari_cellseg/napari.yaml":
        pytest.skip("this checkout writes links as text files")  # Windows without symlinks
    assert root.read_text("utf-8") == text


def test_the_manifest_is_valid():
    path = resources.files("napari_cellseg") / "napari.yaml"
    manifest = npe2.PluginManifest.from_file(Path(str(path)))
    assert manifest.name == "napari-cellseg"
    assert manifest.contributions.widgets


def test_napari_finds_it_under_the_entry_point():
    (entry,) = metadata.entry_points(group="napari.manifest", name="napari-cellseg")
    assert entry.value == "napari_cellseg:napari.yaml"
    manifest = npe2.PluginManifest.from_distribution("napari-cellseg")
    assert manifest.package_version == metadata.version("napari-cellseg")


def test_every_command_leads_to_something_callable(contributions):
    for command in contributions["commands"]:
        module, _, name = command["python_name"].partition(":")
        assert callable(getattr(importlib.import_module(module), name)), command["id"]


def test_every_command_that_is_named_is_defined(contributions):
    # npe2 validates neither the menus nor the ids in them
    defined = {command["id"] for command in contributions["commands"]}
    named = {
        entry["command"]
        for kind in ("widgets", "readers", "writers", "sample_data")
        for entry in contributions.get(kind, [])
        if "command" in entry
    }
    named |= {e["command"] for e in _menu_entries(contributions) if "command" in e}
    assert named <= defined, named - defined
    assert all(name.startswith("napari-cellseg.") for name in defined)


def test_every_menu_and_submenu_exists(contributions):
    submenus = {submenu["id"] for submenu in contributions.get("submenus", [])}
    opened = {e["submenu"] for e in _menu_entries(contributions) if "submenu" in e}
    assert opened == submenus
    assert set(contributions["menus"]) <= CONTRIBUTABLE | submenus


def _menu_entries(contributions: dict) -> list[dict]:
    return [entry for menu in contributions.get("menus", {}).values() for entry in menu]
