"""The command ``demo``: napari with the dock, a sample image and its result."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.samples import DEFAULT, SAMPLES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument(
        "--headless",
        action="store_true",
        help="do the same without staying open, and write screenshot, labels and recipe",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("demo-output"),
        metavar="FOLDER",
        help="where a headless run writes its files (default: ./demo-output)",
    )
    parser.add_argument(
        "--sample", choices=tuple(SAMPLES), default=DEFAULT, help=f"default: {DEFAULT}"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo in a real window; without a display, in one on a virtual display.

    Raises
    ------
    CellsegError
        If napari is not installed, or there is no display of any kind.
    """
    if find_spec("napari") is None:
        raise CellsegError(
            "The demo opens napari, which is not installed: run 'pip install \"napari[all]\"'."
        )
    if not _has_display():
        return _run_virtually(arguments)
    # Only this command needs napari and Qt, which a server may lack.
    from napari_cellseg.gui.demo import run_demo

    return int(run_demo(arguments.output, arguments.headless, arguments.sample))


def _has_display() -> bool:
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _run_virtually(arguments: argparse.Namespace) -> int:
    xvfb = shutil.which("xvfb-run")
    if xvfb is None:
        raise CellsegError(
            "There is no display to open napari on: run 'sudo apt-get install xvfb', or start the "
            "demo on a computer with a screen."
        )
    again = [sys.executable, "-m", "napari_cellseg.cli", "demo", "--headless"]
    again += ["--output", str(arguments.output), "--sample", arguments.sample]
    command = [xvfb, "-a", "-s", "-screen 0 1600x1000x24", *again]
    return subprocess.run(command, check=False).returncode
