"""Examine the installation: versions, device, memory, models, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from napari_cellseg import __version__
from napari_cellseg.core.errors import CellsegError

_PACKAGES = ("numpy", "scipy", "scikit-image", "tifffile", "torch", "segmentation-models-pytorch")
_TORCH_HELP = "see https://pytorch.org/get-started/locally for a build that fits your GPU"
_LOW_MEMORY = 2 * 2**30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    subject
        What was looked at.
    status
        ``"error"`` if something cannot work, ``"warning"`` if it could work better.
    text
        What was found.
    remedy
        What to do about it, or "".
    """

    subject: str
    status: Literal["ok", "warning", "error"]
    text: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at everything that runs depend on; imports torch and loads every model."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _versions,
        _device,
        _memory,
        _optional_packages,
        _viewer,
        _models,
        _user_folder,
    )
    return [finding for check in checks for finding in check()]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _versions() -> Iterator[Finding]:
    yield Finding("napari-cellseg", "ok", f"{__version__}, in {Path(__file__).parents[1]}")
    yield Finding("Python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield Finding("System", "ok", f"{platform.platform()}, {os.cpu_count()} processor cores")
    for package in _PACKAGES:
        version = _version(package)
        if version is None:
            yield Finding(package, "error", "not installed", f"run 'pip install {package}'")
        else:
            yield Finding(package, "ok", version)


def _device() -> Iterator[Finding]:
    from napari_cellseg.core.device import choose_device, has_fast_bfloat16

    try:
        choice = choose_device("auto")
    except (CellsegError, ImportError, OSError) as error:
        yield Finding("Device", "error", f"torch cannot be used: {error}", _TORCH_HELP)
        return
    idle_gpu = choice.device == "cpu" and shutil.which("nvidia-smi") is not None
    yield Finding(
        "Device",
        "warning" if idle_gpu else "ok",
        f"{choice.device} ({choice.reason})",
        f"there is an NVIDIA driver, but this torch does not see a GPU: {_TORCH_HELP}"
        if idle_gpu
        else "",
    )
    fast = "fast" if has_fast_bfloat16(choice.device) else "not used: no fast instructions for it"
    yield Finding("bfloat16", "ok", fast)


def _memory() -> Iterator[Finding]:
    from napari_cellseg.core.device import free_memory

    free = free_memory("cpu")
    if free is None:
        return
    low = free < _LOW_MEMORY
    yield Finding(
        "Free memory",
        "warning" if low else "ok",
        f"{free / 2**30:.1f} GB",
        "close other programs before you segment images of 8000 × 8000 pixels" if low else "",
    )


def _optional_packages() -> Iterator[Finding]:
    wanted = {
        "numba": ("moving a slider takes longer", "run 'pip install numba'"),
        "imagecodecs": (
            "TIFF files with LZW, JPEG or other compressions cannot be opened",
            "run 'pip install imagecodecs'",
        ),
    }
    for package, (consequence, remedy) in wanted.items():
        if find_spec(package) is None:
            yield Finding(package, "warning", f"not installed: {consequence}", remedy)
        else:
            yield Finding(package, "ok", _version(package) or "installed")


def _viewer() -> Iterator[Finding]:
    version = _version("napari")
    if version is None:
        yield Finding(
            "napari",
            "warning",
            "not installed: only the command line and the Python API work",
            "run 'pip install \"napari[all]\"'",
        )
        return
    yield Finding("napari", "ok", version)
    names = ("PyQt6", "PySide6", "PyQt5", "PySide2")
    backend = next((name for name in names if find_spec(name) is not None), None)
    if backend is None:
        yield Finding("Qt", "error", "no Qt is installed", "run 'pip install PyQt6'")
    else:
        yield Finding("Qt", "ok", f"{backend} {_version(backend) or ''}".strip())


def _models() -> Iterator[Finding]:
    from napari_cellseg.core.zoo.store import list_models

    problems: list[str] = []
    entries = list_models(on_problem=problems.append)
    for problem in problems:
        yield Finding("Model", "error", problem, "install it again, or delete its folder")
    if not entries:
        yield Finding(
            "Models",
            "error",
            "none is installed",
            "run 'pip install --force-reinstall napari-cellseg'",
        )
    try:
        from napari_cellseg.core.zoo.bundle import load_untested
        from napari_cellseg.core.zoo.self_test import check
    except (ImportError, OSError) as error:
        yield Finding("Models", "error", f"cannot be loaded: {error}", _TORCH_HELP)
        return
    for entry in entries:
        try:
            tested = check(load_untested(entry.folder), entry.folder)
        except CellsegError as error:
            yield Finding(f"Model {entry.name}", "error", str(error), f"it lies in {entry.folder}")
        else:
            told = "self-test right" if tested else "it has no self-test"
            yield Finding(f"Model {entry.name}", "ok", f"{entry.group}, weights intact, {told}")


def _user_folder() -> Iterator[Finding]:
    from napari_cellseg.core.zoo.store import user_folder

    folder = user_folder()
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    if existing.is_dir() and os.access(existing, os.W_OK):
        yield Finding("Your models", "ok", str(folder))
        return
    yield Finding(
        "Your models",
        "warning",
        f"{folder} cannot be written",
        "set NAPARI_CELLSEG_HOME to a folder that you may write to",
    )
