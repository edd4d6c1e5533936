"""Fine-tune a model on folders of corrected labels."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

from napari_cellseg.core.errors import OutputError
from napari_cellseg.core.finetuning.jobs.folders import job_beside, job_of_folders
from napari_cellseg.core.finetuning.jobs.job import Job
from napari_cellseg.core.finetuning.settings import FineTuneSettings
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.workflows.finetune import FineTuneResult, finetune
from napari_cellseg.core.zoo.contents import read_all, write_folder


def finetune_folders(
    folders: Sequence[Path],
    output: Path,
    parent: str | Path,
    settings: FineTuneSettings,
    *,
    resume: bool = False,
    device: str = "auto",
) -> Generator[Progress, None, FineTuneResult]:
    """Prepare a job beside `output`, work on it as `finetune` does, and copy the child to `output`.

    Parameters
    ----------
    folders
        As of `sources_of_folder`.
    output
        Folder of the new model; it must not exist yet.
    parent
        Name or folder of the model to start from.
    settings
        Of the fine-tuning; with `resume` those that it was begun with hold.
    resume
        Go on with an interrupted run.
    device
        ``"auto"``, ``"cuda"``, ``"mps"`` or ``"cpu"``.

    Raises
    ------
    OutputError
        If the output exists already or cannot be written.
    ChannelError, DataError, DeviceError, ModelError, SettingsError, TrainingError
        As `job_of_folders` and `finetune` say.
    """
    if output.exists():
        raise OutputError(f"'{output}' exists already: choose another folder, or remove it.")
    if resume:
        job = Job.load(job_beside(output))
    else:
        job = yield from job_of_folders(folders, output, parent, settings)
    result = yield from finetune(job, resume=resume, device=device)
    write_folder(output, read_all(result.folder))
    return replace(result, folder=output)
