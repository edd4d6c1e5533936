"""What all tests share: a safe process, an isolated home, real images where they are at hand."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]

# Before napari, numba or torch read them: no settings file of the person who runs the tests, and
# no OpenMP threads that spin while other tests or programs need the cores.
os.environ["NAPARI_CONFIG"] = ""
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_configure() -> None:
    """Load torch through the gate before any test can open a viewer (see core/_torch.py)."""
    if importlib.util.find_spec("napari") is not None:
        from napari_cellseg.core._torch import prepare_process

        prepare_process()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this processor cannot compute."""
    if item.get_closest_marker("bfloat16") is not None:
        from napari_cellseg.core.device import can_compute_bfloat16

        if not can_compute_bfloat16("cpu"):
            pytest.skip("this processor has no bfloat16")


@pytest.fixture(autouse=True)
def cellseg_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test its own folder of models and caches."""
    home = tmp_path_factory.mktemp("cellseg_home")
    monkeypatch.setenv("NAPARI_CELLSEG_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real images with true labels; skip where it is absent."""
    folder = Path(os.environ.get("NAPARI_CELLSEG_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "nuclei_dsb2018").is_dir():
        pytest.skip(f"the real images are not at {folder} (set NAPARI_CELLSEG_TEST_DATA)")
    return folder
