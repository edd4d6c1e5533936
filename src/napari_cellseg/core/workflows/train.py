"""Train a network on folders of labelled images."""

from __future__ import annotations

import csv
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_cellseg.core.data.patches import PatchSampler
from napari_cellseg.core.data.sources import (
    LabelledImage,
    Pair,
    find_pairs,
    has_split,
    load_pairs,
)
from napari_cellseg.core.errors import DataError, OutputError
from napari_cellseg.core.models.registry import MODELS
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.result import save_result
from napari_cellseg.core.training.trainer import Trainer
from napari_cellseg.core.training.validation import validate

Row = dict[str, float]


@dataclass(frozen=True)
class TrainResult:
    """What a training run leaves.

    Attributes
    ----------
    folder
        The model bundle.
    history
        One row an epoch: step, seconds, loss, rate and the validation's scores.
    best
        The row of the weights that were kept.
    """

    folder: Path
    history: tuple[Row, ...]
    best: Row


@dataclass
class _Run:
    """Where a run keeps its files, and what it has seen so far."""

    folder: Path
    history: list[Row]

    @property
    def checkpoint(self) -> Path:
        return self.folder / "last.safetensors"

    @property
    def best_checkpoint(self) -> Path:
        return self.folder / "best.safetensors"

    @property
    def best(self) -> Row:
        return max(self.history, key=lambda row: row["ap50"])

    def write_history(self) -> None:
        names = sorted({name for row in self.history for name in row})
        front = [n for n in ("step", "seconds", "rate", "loss") if n in names]
        names = front + [n for n in names if n not in front]
        with (self.folder / "history.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in self.history)


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
        Each with ``images/``, ``labels/`` and optionally ``split.json`` and ``groups.json``.
    output
        Folder of the bundle; it must not exist yet.
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
    OutputError
        If the bundle exists already or its folder cannot be written.
    TrainingError
        If the loss is not finite or there is nothing to resume.
    """
    from napari_cellseg.core.device import choose_device

    run = _Run(output.with_name(output.name + ".run"), [])
    _make_room(run, output, resume)
    train_pairs, validation_pairs = split_pairs(folders, config)
    images = yield from load_pairs(train_pairs, config.normalization)
    held_out = yield from load_pairs(_spread(validation_pairs, config), config.normalization)
    channels = MODELS[config.model].Params.parse(config.model_params).in_channels
    sampler = PatchSampler(
        images, config.patch_size, channels, config.augment, config.targets, config.seed
    )
    trainer = Trainer(config, sampler, choose_device(device).device)
    if resume:
        run.history = trainer.load(run.checkpoint)["history"]
    try:
        yield from _epochs(trainer, run, held_out, channels)
    finally:
        if trainer.step_number:
            trainer.save(run.checkpoint, {"history": run.history})
    yield Progress("Saving the model")
    save_result(trainer, run.best_checkpoint, output, images)
    return TrainResult(output, tuple(run.history), run.best)


def _make_room(run: _Run, output: Path, resume: bool) -> None:
    """Refuse to overwrite a model or an unfinished run; make the run's folder."""
    if output.exists():
        raise OutputError(f"'{output}' exists already. Choose another name, or remove it.")
    if run.checkpoint.exists() and not resume:
        raise OutputError(
            f"'{run.folder}' holds an unfinished run. Resume it, or remove that folder."
        )
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder '{run.folder}' cannot be made: {error.strerror}. Choose another place."
        ) from error


def _spread(pairs: list[Pair], config: TrainConfig) -> list[Pair]:
    """Take at most `validation_images`, evenly from the sorted list."""
    if len(pairs) <= config.validation_images:
        return pairs
    picked = np.linspace(0, len(pairs) - 1, config.validation_images).round().astype(int)
    return [pairs[k] for k in picked]


def _epochs(
    trainer: Trainer, run: _Run, held_out: list[LabelledImage], channels: int
) -> Generator[Progress, None, None]:
    config = trainer.config
    while trainer.fraction < 1:
        losses: list[float] = []
        for _ in range(config.epoch_steps):
            started = time.perf_counter()
            losses.append(trainer.step())
            trainer.seconds += time.perf_counter() - started
            yield _progress(trainer, losses[-1])
            if trainer.fraction >= 1:
                break
        scores = yield from validate(trainer.average, held_out, channels, PostParams())
        row: Row = {
            "step": trainer.step_number,
            "seconds": trainer.seconds,
            "rate": trainer.learning_rate(),
            "loss": float(np.mean(losses)),
            **scores,
        }
        run.history.append(row)
        run.write_history()
        trainer.save(run.checkpoint, {"history": run.history})
        if run.best is row:
            trainer.save(run.best_checkpoint, {"scores": scores})
        yield _progress(trainer, row["loss"], **scores)
        if config.patience and len(run.history) - run.history.index(run.best) > config.patience:
            return


def _progress(trainer: Trainer, loss: float, **scores: float) -> Progress:
    """Express a run bounded by time in expected steps, so that a bar and its ETA are right."""
    total = round(trainer.step_number / max(trainer.fraction, 1e-9))
    metrics = {"loss": loss, "rate": trainer.learning_rate(), **scores}
    return Progress("Training", trainer.step_number, max(total, 1), metrics=metrics)
