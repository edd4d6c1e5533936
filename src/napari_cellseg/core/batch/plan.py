"""What a batch was to do, kept in its folder: it can be taken up without being told again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from napari_cellseg.core.batch.folder import BatchFolder
from napari_cellseg.core.batch.inputs import BatchInput
from napari_cellseg.core.batch.settings import BatchSettings
from napari_cellseg.core.components import Params
from napari_cellseg.core.errors import DataError, SettingsError
from napari_cellseg.core.files import write_text
from napari_cellseg.core.recipe import Recipe

SCHEMA_VERSION = 1


class PlannedImage(Params):
    """An image that was to be done, see `BatchInput`; one that was a layer has no path."""

    name: str
    path: str = ""
    series: int | None = None
    axes: str | None = None


class Plan(Params):
    """All images of a batch and what was to be done with them; the recipe lies beside it."""

    schema_version: Literal[1] = 1
    images: tuple[PlannedImage, ...]
    settings: BatchSettings = BatchSettings()

    @classmethod
    def of(cls, inputs: Sequence[BatchInput], settings: BatchSettings) -> Plan:
        """Return the plan of a batch."""
        images = tuple(
            PlannedImage(
                name=one.name,
                path=str(one.path.absolute()) if one.path is not None else "",
                series=one.series,
                axes=one.axes,
            )
            for one in inputs
        )
        # To go on is not to begin again.
        return cls(images=images, settings=settings.replace(again=False))

    def inputs(self) -> list[BatchInput]:
        """Return the images that come from files; layers have to be given by their viewer."""
        return [
            BatchInput(one.name, Path(one.path), one.series, one.axes)
            for one in self.images
            if one.path
        ]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the images that came from no file."""
        return tuple(one.name for one in self.images if not one.path)

    def save(self, folder: BatchFolder) -> None:
        """Write the plan into the folder of the results.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        text = json.dumps(self.model_dump(mode="json"), ensure_ascii=False)
        write_text(folder.plan, text + "\n")


def read_plan(root: Path) -> tuple[Plan, Recipe]:
    """Return what a batch in the folder `root` was to do, and its recipe.

    Raises
    ------
    DataError
        If the folder holds no batch, or what it holds cannot be read.
    """
    folder = BatchFolder(root)
    try:
        values = json.loads(folder.plan.read_text("utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"The folder '{root}' holds no batch to go on with: choose another, or add images."
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(
            f"The list of images in '{folder.plan}' cannot be read ({error}): add the images again."
        ) from error
    version = values.get("schema_version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise DataError(
            f"The batch in '{root}' was begun by a newer version of this plugin: update "
            "napari-cellseg, or choose another folder."
        )
    try:
        return Plan.parse(values), Recipe.load(folder.recipe)
    except SettingsError as error:
        raise DataError(
            f"The batch in '{root}' cannot be taken up ({error}): add the images again."
        ) from error
