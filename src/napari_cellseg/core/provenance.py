"""Where labels come from: kept with the layer and beside every file."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from typing import Any, Self

from pydantic import Field

from napari_cellseg import __version__
from napari_cellseg.core.arrays import Image
from napari_cellseg.core.components import Params
from napari_cellseg.core.recipe import Recipe

_PACKAGES = ("numpy", "scipy", "scikit-image", "numba", "torch", "segmentation-models-pytorch")


class RunRecord(Params):
    """How one result was made.

    Attributes
    ----------
    image, source
        Name of the image and the file that it was read from, or "".
    model, weights_sha256
        Name of the model and the hash of its weights.
    recipe
        The recipe as plain values.
    device, device_reason
        Where the network ran at last, and why that device was chosen.
    scale
        Network pixels per image pixel.
    steps
        What was changed on the way, one sentence each (batch halved, image rescaled).
    objects, removed
        Objects found, and how many each rule removed.
    seconds, started
        Duration and ISO time of the start.
    versions
        Versions of Python, this package and those that it computes with.
    """

    image: str
    source: str = ""
    model: str
    weights_sha256: str = ""
    recipe: dict[str, Any]
    device: str
    device_reason: str = ""
    scale: float = 1.0
    steps: tuple[str, ...] = ()
    objects: int
    removed: dict[str, int] = Field(default_factory=dict)
    seconds: float
    started: str
    versions: dict[str, str]

    @classmethod
    def of(cls, image: Image, recipe: Recipe, **values: Any) -> Self:
        """Return the record of a run; `values` are the attributes not told by image and recipe."""
        return cls(
            image=image.name,
            source=str(image.source or ""),
            model=recipe.model,
            weights_sha256=recipe.weights_sha256 or "",
            recipe=recipe.model_dump(mode="json"),
            versions=installed_versions(),
            **values,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON and for the metadata of a layer."""
        return self.model_dump(mode="json")


def now() -> str:
    """Return the time as ISO text with its zone, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def installed_versions() -> dict[str, str]:
    """Return the versions of what a result may depend on, as far as it is installed."""
    return dict(_versions())


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    # Once a process: looking them up takes as long as finding the objects of a small image.
    versions = {"python": platform.python_version(), "napari-cellseg": __version__}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
