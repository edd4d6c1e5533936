"""Writes what comes out of one image, and in the end what comes out of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.batch.exporting import exported
from napari_cellseg.core.batch.folder import BatchFolder
from napari_cellseg.core.batch.image_writer import ROW, ImageWriter
from napari_cellseg.core.batch.inputs import BatchInput
from napari_cellseg.core.batch.ledger import Finished, Ledger, hash_of
from napari_cellseg.core.batch.queue import Item, State
from napari_cellseg.core.batch.settings import BatchSettings
from napari_cellseg.core.batch.tables import join_tables, write_rows
from napari_cellseg.core.files import output_error, write_text

if TYPE_CHECKING:
    from napari_cellseg.core.workflows.separate import Segmentation

_ABOUT = ("image", "file", "series", "state")


@dataclass(frozen=True)
class BatchResult:
    """What a batch left.

    Attributes
    ----------
    folder
        Folder of the results.
    items
        The images, each with what has become of it.
    """

    folder: Path
    items: tuple[Item, ...]

    def number(self, state: State) -> int:
        """Return how many images are in a state."""
        return sum(item.state == state for item in self.items)


@dataclass(frozen=True)
class BatchWriter:
    """Writes the results of the images, one by one, and says so in the ledger.

    Attributes
    ----------
    folder, ledger
        Where to.
    settings
        What is wanted.
    recipe
        Hash of the recipe.
    """

    folder: BatchFolder
    ledger: Ledger
    settings: BatchSettings
    recipe: str

    def about(self, one: BatchInput) -> Finished:
        """Return what the ledger will say of an image once it is finished."""
        wanted = hash_of(self.settings.measurements) if self.settings.measure else ""
        return Finished(
            key=one.key,
            state=one.state(),
            recipe=self.recipe,
            measured=wanted,
            formats=self.settings.formats,
            name=one.name,
            row={},
        )

    def finished_before(self, one: BatchInput) -> Finished | None:
        """Return what an earlier batch left of an image, None if that is not all that is wanted.

        Raises
        ------
        OutputError
            If the folder cannot be looked at.
        """
        if self.settings.again or not self.ledger.knows(one.key):
            return None  # without looking at its file: there may be thousands on a slow disk
        found = self.ledger.find(self.about(one))
        if found is None:
            return None
        paths = exported(self.folder, self.settings.formats, found.name)
        if self.settings.measure:
            paths.append(self.folder.measured(found.name))
        try:
            return found if self._is_whole(found) and all(map(Path.exists, paths)) else None
        except OSError as error:
            raise output_error(self.folder.root, error) from error

    def _is_whole(self, found: Finished) -> bool:
        path = self.folder.labels_of(found.name)
        return path.is_file() and found.size in (None, path.stat().st_size)

    @property
    def images(self) -> ImageWriter:
        """What writes the files, without the ledger."""
        return ImageWriter(self.folder, self.settings)

    def write(self, result: Segmentation, image: Image, about: Finished) -> Finished:
        """Write what comes out of one image, as `ImageWriter.write`, then note it."""
        finished = self.images.write(result, image, about)
        self.ledger.add(finished)
        return finished


def write_tables(
    folder: BatchFolder,
    items: Sequence[Item],
    rows: dict[int, dict[str, Any]],
    settings: BatchSettings,
) -> None:
    """Write the tables over all images and the report.

    Parameters
    ----------
    folder
        Where to.
    items
        All images of the batch.
    rows
        By number, the row of what `BatchWriter.write` returned, now or in an earlier batch.
    settings
        What is wanted.

    Raises
    ------
    OutputError
        If they cannot be written.
    DataError
        If a file of an earlier batch was damaged.
    """
    table = []
    for item in items:
        one, row = item.input, rows.get(item.number, {})
        about = (one.name, str(one.path or ""), one.series, _word(item, rows))
        table.append([*about, *(row.get(name) for name in ROW), item.note])
    write_rows(folder.summary, [*_ABOUT, *ROW, "note"], table)
    if settings.measure:
        parts = [folder.measured(item.input.name) for item in items if item.number in rows]
        join_tables(folder.measurements, parts)
    write_text(folder.report, report_of(items, rows))


def report_of(items: Sequence[Item], rows: dict[int, dict[str, Any]]) -> str:
    """Return in words what was done and what failed."""
    failed = [item for item in items if item.state == State.FAILED]
    left = [item for item in items if item.number not in rows and item.state != State.FAILED]
    text = [f"{len(rows)} of {len(items)} images are segmented."]
    for title, some in (("could not be segmented", failed), ("are not done", left)):
        if some:
            text += ["", f"{len(some)} {title}:"]
            text += [f"  {_place(item.input)}: {item.note or 'Not begun.'}" for item in some]
    return "\n".join(text) + "\n"


def _place(one: BatchInput) -> str:
    if one.path is None:
        return one.name
    return f"{one.path}" + ("" if one.series is None else f" (image {one.series})")


def _word(item: Item, rows: dict[int, dict[str, Any]]) -> str:
    return str(State.DONE if item.number in rows else item.state)
