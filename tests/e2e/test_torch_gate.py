"""Late torch beside an open viewer: it must not be loaded early, and must not crash when it is.

Each case runs in a process of its own, because the crash (two copies of LLVM, see core/_torch.py)
takes the whole process along.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("napari")
pytest.importorskip("qtpy")

VIEWER_FIRST = """
import numpy as np
import napari

viewer = napari.Viewer()
viewer.add_image(np.zeros((64, 64), np.float32))
viewer.screenshot(canvas_only=False, flash=False)  # makes Mesa load its own LLVM

from napari_cellseg.core._torch import gated_import, torch

smp = gated_import("segmentation_models_pytorch")
gated_import("torchvision")
network = smp.Unet("resnet18", encoder_weights=None, encoder_depth=3, decoder_channels=(8, 8, 8))
optimizer = torch.optim.AdamW(network.parameters())
network(torch.zeros(2, 3, 32, 32)).mean().backward()
optimizer.step()
viewer.screenshot(canvas_only=False, flash=False)
viewer.close()
print("survived")
"""

OPEN_WIDGETS = """
import sys

import napari
from npe2 import PluginManager

viewer = napari.Viewer()
manifest = PluginManager.instance().get_manifest("napari-cellseg")
assert manifest.contributions.widgets
for widget in manifest.contributions.widgets:
    viewer.window.add_plugin_dock_widget("napari-cellseg", widget.display_name)
heavy = {"torch", "torchvision", "timm", "segmentation_models_pytorch", "triton"} & set(sys.modules)
viewer.close()
print("heavy:", *sorted(heavy))
"""


def test_torch_after_a_viewer_survives():
    done = _run(VIEWER_FIRST)
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stderr}"
    assert "survived" in done.stdout


def test_opening_the_widgets_loads_no_torch():
    done = _run(OPEN_WIDGETS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("heavy:"), done.stdout


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "NAPARI_CONFIG": ""},
    )
