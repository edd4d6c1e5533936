"""Train a network on folders of labelled images."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np

from napari_cellseg.core.data.patches import PatchSampler
from napari_cellseg.core.data.rescale import common_scale, enlarged, rescaled
from napari_cellseg.core.data.sources import (
    Pair,
    find_pairs,
    has_split,
    load_pairs,
)
from napari_cellseg.core.data.unlabelled import UnlabelledSampler, load_unlabelled
from napari_cellseg.core.errors import DataError, SettingsError
from napari_cellseg.core.models.detector import find_architecture
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.detection import make_trainer
from napari_cellseg.core.training.epochs import checkpointed, train_epochs, train_guide
from napari_cellseg.core.training.object_types import object_types, with_object_types
from napari_cellseg.core.training.result import save_result
from napari_cellseg.core.training.run import Run, TrainResult, make_room
from napari_cellseg.core.training.teacher import Teacher
from napari_cellseg.core.zoo.bundle import Model, load_bundle
from napari_cellseg.core.zoo.store import find_model

__all__ = ["TrainResult", "split_pairs", "train"]


def split_pairs(folders: Sequence[Path], config: TrainConfig) -> tuple[list[Pair], list[Pair]]:
    """Divide the pairs of all folders into training and validation.

    With ``config.holdout`` at 0, a folder's ``split.json`` decides; without one a tenth is held
    out. Otherwise that share of the training images is held out, and ``val`` stays untouched.

    Returns
    -------
    Training and validation pairs.

    Raises
    ------
    DataError
        If a folder holds no pairs, or nothing is left to train on or to validate with.
    """
    train: list[Pair] = []
    validation: list[Pair] = []
    for number, folder in enumerate(folders):
        if has_split(folder) and not config.holdout:
            train += find_pairs(folder, "train")
            validation += find_pairs(folder, "val")
            continue
        pairs = find_pairs(folder, "train" if has_split(folder) else None)
        rng = np.random.default_rng((config.seed, number))
        order = rng.permutation(len(pairs))
        held = max(1, round(len(pairs) * (config.holdout or 0.1)))
        validation += [pairs[k] for k in sorted(order[:held])]
        train += [pairs[k] for k in sorted(order[held:])]
    if not train or not validation:
        raise DataError("Training needs at least two labelled images. Add some to the folder.")
    return train, validation


def train(
    config: TrainConfig,
    folders: Sequence[Path],
    output: Path,
    *,
    unlabelled: Sequence[Path] = (),
    resume: bool = False,
    device: str = "auto",
) -> Generator[Progress, None, TrainResult]:
    """Train a network and write a model bundle.

    Checkpoints and ``history.csv`` lie in a folder ``OUTPUT.run`` beside the bundle; closing the
    generator saves a checkpoint from which `resume` goes on.

    Parameters
    ----------
    config
        Settings; with the same settings and data a run on the CPU is repeatable bit for bit.
    folders
        Each with ``images/``, ``labels/`` and optionally ``split.json``, ``groups.json`` and
        ``classes.csv``, whose classes a dense network then learns too.
    output
        Folder of the bundle; it must not exist yet.
    unlabelled
        Images, or folders of them, for ``config.teacher``.
    resume
        Go on from the last checkpoint.
    device
        ``"auto"``, ``"cuda"``, ``"mps"`` or ``"cpu"``.

    Yields
    ------
    Progress
        One step a batch; after a validation its scores are in ``metrics``.

    Raises
    ------
    DataError
        If the data cannot be used.
    ModelError
        If the parent or the teacher cannot be loaded.
    OutputError
        If the bundle exists already or its folder cannot be written.
    SettingsError
        If a setting of the post-processing is unknown, or the teacher does not fit.
    TrainingError
        If the loss is not finite or there is nothing to resume.
    """
    from napari_cellseg.core.device import choose_device

    parent = load_bundle(find_model(config.parent).folder) if config.parent else None
    if parent:
        config = config.replace(
            model=parent.card.architecture,
            model_params=parent.card.params,
            normalization=parent.card.normalization.model_dump(),
        )
        if parent.card.expected_diameter and not config.diameter:
            config = config.replace(diameter=parent.card.object_diameter)
        if parent.card.enlarged_diameter and not config.smallest_diameter:
            config = config.replace(smallest_diameter=parent.card.diameter_range[0])
    post = PostParams.parse({**(parent.card.post if parent else {}), **config.post})
    teacher_model = _find_teacher(config, unlabelled)
    train_pairs, validation_pairs = split_pairs(folders, config)
    config = with_object_types(config, [*train_pairs, *validation_pairs])
    run = Run(output.with_name(output.name + ".run"), [])
    make_room(run, output, resume)
    images = yield from load_pairs(train_pairs, config.normalization)
    held_out = yield from load_pairs(_spread(validation_pairs, config), config.normalization)
    scale = common_scale(images, config.diameter) if config.diameter else 1.0
    images, held_out = (
        [enlarged(rescaled(i, scale), config.enlarged_below) for i in part]
        for part in (images, held_out)
    )
    architecture = find_architecture(config.model)
    channels = architecture.Params.parse(config.model_params).in_channels
    sampler = PatchSampler(
        images,
        config.patch_size,
        channels,
        config.augment,
        config.targets,
        config.touching,
        config.seed,
        object_types(config),
    )
    teacher = None
    if teacher_model:
        planes = yield from load_unlabelled(unlabelled, config.normalization)
        patches = UnlabelledSampler(
            planes, config.patch_size, channels, config.augment, config.seed
        )
        teacher = Teacher(teacher_model, patches, config)
    weights = parent.network.state_dict() if parent else None
    trainer = make_trainer(config, sampler, choose_device(device).device, weights, teacher)
    if resume:
        run.history = trainer.load(run.checkpoint)["history"]
    with checkpointed(trainer, run):
        yield from train_guide(trainer)
        yield from train_epochs(trainer, run, held_out, channels, post)
    yield Progress("Saving the model")
    save_result(
        trainer, run.best_checkpoint, output, images, parent.card if parent else None, scale
    )
    return TrainResult(output, tuple(run.history), run.best)


def _find_teacher(config: TrainConfig, unlabelled: Sequence[Path]) -> Model | None:
    if bool(config.teacher) != bool(unlabelled):
        raise SettingsError("A teacher and unlabelled images go together. Give both, or neither.")
    return load_bundle(find_model(config.teacher).folder) if config.teacher else None


def _spread(pairs: list[Pair], config: TrainConfig) -> list[Pair]:
    """Take at most `validation_images`, evenly from the sorted list."""
    if len(pairs) <= config.validation_images:
        return pairs
    picked = np.linspace(0, len(pairs) - 1, config.validation_images).round().astype(int)
    return [pairs[k] for k in picked]
