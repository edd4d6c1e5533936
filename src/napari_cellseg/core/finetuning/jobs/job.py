"""A fine-tuning on disk: data, settings and parent, all that a run needs wherever it runs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_cellseg.core.errors import DataError, OutputError
from napari_cellseg.core.files import write_text
from napari_cellseg.core.finetuning.jobs import packing
from napari_cellseg.core.finetuning.jobs.description import (
    JOB_FILE,
    JobFile,
    describe,
    read_bytes,
    read_source,
    write_source,
)
from napari_cellseg.core.finetuning.jobs.parent import PARENT, find_parent
from napari_cellseg.core.finetuning.jobs.place import (
    free_folder,
    hold,
    is_held,
    jobs_folder,
    new_folder,
    remove,
)
from napari_cellseg.core.finetuning.jobs.rounds import split_record
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.finetuning.material.split import Split
from napari_cellseg.core.finetuning.settings import FineTuneSettings
from napari_cellseg.core.training.run import Run
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.contents import is_zip, read_all
from napari_cellseg.core.zoo.store import ModelEntry

__all__ = ["Job", "free_folder", "jobs_folder", "unfinished"]


@dataclass(frozen=True)
class Job:
    """A fine-tuning on disk.

    Attributes
    ----------
    folder
        Holds ``job.json``, ``images/``, ``labels/`` and ``known/``; ``parent/`` where it was packed
        with it; and what the run adds: ``run/``, ``child/``, ``gate.json``.
    content
        What ``job.json`` says.
    """

    folder: Path
    content: JobFile

    @classmethod
    def create(
        cls,
        folder: Path,
        name: str,
        parent: ModelEntry,
        settings: FineTuneSettings,
        sources: Sequence[Source],
    ) -> Job:
        """Divide the sources into training and validation and write all that a run needs.

        Parameters
        ----------
        folder
            Of the job; must not exist. `free_folder` gives one.
        name
            Of the model to come.
        parent
            Model to start from.
        settings
            What the person chose.
        sources
            What is reviewed; copied.

        Raises
        ------
        DataError
            If there is no object, or `name` cannot be a model's.
        ChannelError
            If the parent does not take a source's channels.
        SettingsError
            If the loss is unknown.
        OutputError
            If the folder exists, or cannot be written; nothing is left behind then.
        """
        content = describe(name, parent, settings, sources)
        with new_folder(folder) as scratch:
            for kind in ("images", "labels", "known"):
                (scratch / kind).mkdir()
            for entry, source in zip(content.sources, sources, strict=True):
                write_source(scratch, entry, source)
            write_text(scratch / JOB_FILE, content.to_json())
        return cls(folder, content)

    @classmethod
    def load(cls, path: Path, into: Path | None = None) -> Job:
        """Read a job from its folder, or unpack it from its zip.

        Parameters
        ----------
        path
            Folder, or a zip made by `pack`.
        into
            Where a zip is unpacked, or was before: what was trained there stays. None takes a new
            folder in `jobs_folder`.

        Raises
        ------
        DataError, ModelError
            If it is no job, damaged, not safe, or of a newer version.
        OutputError
            If a zip cannot be unpacked; nothing is left behind then.
        """
        if not is_zip(path):
            return cls(path, JobFile.from_json(read_bytes(path / JOB_FILE)))
        text = packing.job_text(path)
        content = JobFile.from_json(text)
        folder = into or free_folder(content.name)
        if (folder / JOB_FILE).exists() and read_bytes(folder / JOB_FILE) == text:
            return cls(folder, content)
        with new_folder(folder) as scratch:
            packing.unpack(path, scratch)
        return cls(folder, content)

    def pack(self, path: Path, *, with_parent: bool = True) -> None:
        """Write recipe and data, and the parent, as one zip that can be trained elsewhere.

        Raises
        ------
        OutputError
            If it cannot be written; an earlier file of that name is then as it was.
        ModelError
            If the parent is missing or was changed.
        """
        parent = read_all(self.find_parent().folder) if with_parent else {}
        files = [one for entry in self.content.sources for one in entry.paths(self.folder)]
        names = [one.relative_to(self.folder).as_posix() for one in files if one.exists()]
        packing.pack(path, self.folder, [JOB_FILE, *names], parent)

    def sources(self) -> list[Source]:
        """Read the sources, whole; `parts` divides them by `splits`.

        Raises
        ------
        DataError
            If a file is missing, damaged or was changed.
        """
        return [read_source(self.folder, entry) for entry in self.content.sources]

    def find_parent(self) -> ModelEntry:
        """Return the model to start from: the one that was packed, or an installed one.

        Raises
        ------
        ModelError
            If it is missing, or has other weights than when the job was made.
        """
        content = self.content
        return find_parent(content.parent_name, content.parent_sha256, self.folder / PARENT)

    def hold(self) -> AbstractContextManager[None]:
        """Keep other processes from training the same job, while in the context.

        Raises
        ------
        TrainingError, OutputError
            If a living process does so already, or the folder is missing or read-only.
        """
        return hold(self.folder, self.name)

    def remove(self) -> None:
        """Delete the job with all that was trained.

        Raises
        ------
        TrainingError, OutputError
            If it is being trained, or cannot be deleted.
        """
        remove(self.folder, self.name)

    def record(self, parent: Card) -> list[dict[str, Any]]:
        """Return what the child's card notes as ``recipe["finetuning"]["sources"]``."""
        entries = self.content.sources
        return split_record(parent, [(e.name, e.sha256, e.split) for e in entries])

    @property
    def splits(self) -> dict[str, Split]:
        """What trains and what judges, by `Source.sha256`."""
        return {one.sha256: one.split for one in self.content.sources}

    @property
    def name(self) -> str:
        """Name of the model to come."""
        return self.content.name

    @property
    def parent_name(self) -> str:
        """Name of the model to start from."""
        return self.content.parent_name

    @property
    def settings(self) -> FineTuneSettings:
        """What the person chose."""
        return self.content.settings

    @property
    def run_folder(self) -> Path:
        """Checkpoints and history."""
        return self.folder / "run"

    @property
    def child_folder(self) -> Path:
        """Bundle of the model, once it is trained."""
        return self.folder / "child"

    @property
    def gate_file(self) -> Path:
        """Comparison with the parent; the last thing that a run writes."""
        return self.folder / "gate.json"


def unfinished(root: Path | None = None) -> list[Job]:
    """Return the jobs that were begun and not ended, and that no living process works on.

    Parameters
    ----------
    root
        Folder of jobs; None for `jobs_folder`.
    """
    root = root or jobs_folder()
    found = []
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        begun = Run(folder / "run", []).checkpoint.exists()
        if folder.name.startswith(".") or not begun or (folder / "gate.json").exists():
            continue
        try:
            job = Job.load(folder)
            if not is_held(folder):
                found.append(job)
        except (DataError, OutputError):
            continue  # it could not be resumed either
    return found
