"""Make the pictures of the README: every sample image, segmented in the dock, in a real window.

python -m tox -e screenshots
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from napari_cellseg.core.samples import SAMPLES
from napari_cellseg.gui.demo import run_demo

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"


def main() -> int:
    """Write docs/images/SAMPLE.png for each sample and return 0 if all of them worked."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            failed |= run_demo(Path(folder), headless=True, sample=name)
            for picture in Path(folder).glob("*_screenshot.png"):
                shutil.copyfile(picture, IMAGES / f"{name}.png")
    return failed


if __name__ == "__main__":
    sys.exit(main())
