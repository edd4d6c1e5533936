"""What may import what, and what must not be imported at all."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

grimp = pytest.importorskip("grimp")
importlinter = pytest.importorskip("importlinter.cli")

ROOT = Path(__file__).resolve().parents[2]

HEADLESS = (
    "napari_cellseg.core",
    "napari_cellseg.session",
    "napari_cellseg.api",
    "napari_cellseg.cli",
)

# Makes napari and Qt impossible to import, then imports every headless module.
WITHOUT_NAPARI = """
import importlib, pkgutil, sys

absent = ["napari", "npe2", "qtpy", "superqt", "magicgui", "pyqtgraph", "PyQt6", "PyQt5", "PySide6"]
for name in sys.argv[2:] + absent:
    sys.modules[name] = None
storey = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(getattr(storey, "__path__", []), sys.argv[1] + "."):
    if not module.name.endswith("__main__"):  # that would run it
        importlib.import_module(module.name)
"""

HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "segmentation_models_pytorch",
    "triton",
    "numba",
    "skimage",
)


def test_every_import_goes_down_the_storeys():
    assert importlinter.lint_imports(str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_every_package_that_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {
        _normal(re.split(r"[^\w.-]", requirement)[0]) for some in wanted for requirement in some
    }
    graph = grimp.build_graph("napari_cellseg", include_external_packages=True, cache_dir=None)
    imported = {m for m in graph.modules if not m.startswith("napari_cellseg")}
    distributions = packages_distributions()
    undeclared = {
        module
        for module in imported - set(sys.stdlib_module_names)
        if not declared & {_normal(name) for name in distributions.get(module, [module])}
    }
    assert not undeclared


@pytest.mark.parametrize("storey", HEADLESS)
def test_headless_storeys_import_without_napari_and_qt(storey):
    # psygnal belongs to the session, and core is not to need even that
    further = ["psygnal"] if storey.endswith(".core") else []
    done = _python(WITHOUT_NAPARI, storey, *further)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "module",
    ["napari_cellseg", "napari_cellseg.cli", "napari_cellseg.api", "napari_cellseg.session"],
)
def test_importing_the_package_loads_nothing_heavy(module):
    code = "import importlib, sys; importlib.import_module(sys.argv[1]); print(*sys.modules)"
    done = _python(code, module)
    assert done.returncode == 0, done.stderr
    assert not set(HEAVY) & set(done.stdout.split())


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120
    )
