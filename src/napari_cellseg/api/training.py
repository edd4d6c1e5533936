"""Train a model, and teach one what was corrected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_cellseg.api._calls import ProgressCallback, drain, folders_of

if TYPE_CHECKING:
    from napari_cellseg.core.workflows.finetune import FineTuneResult
    from napari_cellseg.core.workflows.train import TrainResult


def train(
    data: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    unlabelled: str | Path | Sequence[str | Path] = (),
    resume: bool = False,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    **settings: Any,
) -> TrainResult:
    """Train a model on labelled images.

    Parameters
    ----------
    data
        Folder, or folders, of ``images/`` and ``labels/`` with equal names; an optional
        ``split.json`` lists ``train`` and ``val``, an optional ``classes.csv`` gives the classes of
        objects.
    output
        Folder of the new model.
    unlabelled
        Images without labels, or folders of them, for a ``teacher``.
    resume
        Go on with an interrupted run.
    device, progress
        As of `segment`.
    **settings
        Fields of `napari_cellseg.core.training.config.TrainConfig`, such as ``minutes=30``, or
        ``recipe="haru-net"`` for the settings of a paper, which the others change.

    Returns
    -------
    TrainResult
        Folder of the model, history of the run, scores of the weights that were kept.

    Raises
    ------
    DataError
        If the data cannot be used.
    SettingsError
        If a setting does not exist or cannot have its value.
    TrainingError
        If the loss is not finite or there is nothing to resume.

    Examples
    --------
    >>> api.train("my_data", "my_model", minutes=30)  # doctest: +SKIP
    """
    from napari_cellseg.core.training.recipes import configure
    from napari_cellseg.core.workflows.train import train as workflow

    run = workflow(
        configure(settings),
        folders_of(data),
        Path(output),
        unlabelled=folders_of(unlabelled),
        resume=resume,
        device=device,
    )
    return drain(run, progress)


def fine_tune(
    data: str | Path | Sequence[str | Path],
    output: str | Path,
    parent: str | Path = "nuclei",
    *,
    preset: str = "quick",
    resume: bool = False,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    **settings: Any,
) -> FineTuneResult:
    """Teach a model what was corrected, and compare it with its parent.

    Parameters
    ----------
    data
        Folder, or folders, of ``images/``, ``labels/`` and optionally ``known/``, which is above 0
        where the labels are right and complete; nothing is learned elsewhere.
    output
        Folder of the new model. Data and checkpoints lie beside it, in ``OUTPUT.job``.
    parent
        Name or folder of the model to start from.
    preset
        ``"quick"`` or ``"thorough"``.
    resume
        Go on with an interrupted run, by the settings that it was begun with.
    device, progress
        As of `segment`.
    **settings
        Fields of `napari_cellseg.core.finetuning.settings.FineTuneSettings` that differ from the
        preset, such as ``minutes=10`` or ``freeze="encoder"``.

    Returns
    -------
    FineTuneResult
        Folder of the new model, whether it is better than its parent and why, both models' scores
        with intervals, history of the run.

    Raises
    ------
    ChannelError, DataError
        If the data cannot be used.
    ModelError, DeviceError
        If the parent or the device cannot be used.
    OutputError
        If the output exists, or cannot be written.
    SettingsError
        If a setting does not exist or cannot have its value.
    TrainingError
        If the loss is not finite, or somebody else trains the same model.

    Examples
    --------
    >>> result = api.fine_tune("corrected", "my_nuclei", minutes=5)  # doctest: +SKIP
    >>> result.verdict.accepted, result.verdict.reason  # doctest: +SKIP
    """
    from napari_cellseg.core.finetuning.settings import FineTuneSettings
    from napari_cellseg.core.workflows.finetune_folders import finetune_folders

    chosen = FineTuneSettings.preset(preset).replace(**settings)
    run = finetune_folders(
        folders_of(data), Path(output), parent, chosen, resume=resume, device=device
    )
    return drain(run, progress)
