"""The slow parts of the tools can be loaded ahead."""

import subprocess
import sys


def test_loading_ahead_leaves_nothing_slow_for_the_first_click():
    code = """
import sys
from napari_cellseg.core.editing.ready import load_slow_parts
load_slow_parts()
before = set(sys.modules)
load_slow_parts()
assert set(sys.modules) == before
assert "skimage.morphology" in before and "torch" not in before
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
