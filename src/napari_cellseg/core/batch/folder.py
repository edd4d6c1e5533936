"""The folder of results: where everything lies in it, and one batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from napari_cellseg.core.errors import OutputError
from napari_cellseg.core.files import make_folder, output_error
from napari_cellseg.core.folder_lock import FolderLock


@dataclass(frozen=True)
class BatchFolder:
    """Paths of the results of a batch.

    Attributes
    ----------
    root
        The folder; what the batch itself needs to know lies in ``.batch``.
    """

    root: Path

    @property
    def labels(self) -> Path:
        """Folder of the label images."""
        return self.root / "labels"

    def labels_of(self, name: str) -> Path:
        """Return the label image of an image."""
        return self.labels / f"{name}_labels.tif"

    def classes_of(self, name: str) -> Path:
        """Return the table of object classes of an image, where the model tells classes apart."""
        return self.labels / f"{name}_objects.csv"

    def exported(self, kind: str, name: str, suffix: str) -> Path:
        """Return the objects of an image in another format, called `kind`."""
        return self.root / kind / f"{name}{suffix}"

    @property
    def recipe(self) -> Path:
        """The recipe of all images."""
        return self.root / "recipe.json"

    @property
    def measurements(self) -> Path:
        """Table of all objects of all images."""
        return self.root / "measurements.csv"

    @property
    def summary(self) -> Path:
        """Table of all images."""
        return self.root / "summary.csv"

    @property
    def report(self) -> Path:
        """What was done and what failed, in words."""
        return self.root / "report.txt"

    @property
    def hidden(self) -> Path:
        """Folder of what is needed to go on with the batch."""
        return self.root / ".batch"

    @property
    def ledger(self) -> Path:
        """List of what is finished."""
        return self.hidden / "finished.jsonl"

    @property
    def plan(self) -> Path:
        """List of what was to be done."""
        return self.hidden / "plan.json"

    def measured(self, name: str) -> Path:
        """Return the measurements of one image, as they wait for the table of all."""
        return self.hidden / "measurements" / f"{name}.csv"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folders, and keep other processes from writing to them meanwhile.

        Raises
        ------
        OutputError
            If they cannot be made, or a living process writes to them.
        """
        make_folder(self.labels)
        make_folder(self.hidden / "measurements")
        try:
            lock = FolderLock.take(self.hidden)
        except OSError as error:
            raise output_error(self.hidden, error) from error
        if lock is None:
            raise OutputError(
                f"Another batch writes to '{self.root}' already: wait until it has ended, cancel "
                "it, or choose another folder."
            )
        try:
            yield
        finally:
            lock.release()
