"""The loop of a training run: steps, validations, checkpoints, the best weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from napari_cellseg.core.data.sources import LabelledImage
from napari_cellseg.core.errors import DeviceError, TrainingError
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.training.detection import DetectionTrainer
from napari_cellseg.core.training.run import Row, Run
from napari_cellseg.core.training.trainer import Trainer
from napari_cellseg.core.training.validation import LossOf, validate

Steps = Generator[Progress, None, None]
Between = Callable[[Progress], Steps]
"""What is done after each step, such as to wait; it is given the progress, and yields it."""


def _only(progress: Progress) -> Steps:
    yield progress


@contextmanager
def checkpointed(trainer: Trainer, run: Run) -> Iterator[None]:
    """Save a checkpoint however the block ends, unless the weights of now may be spoilt."""
    try:
        yield
    except (TrainingError, DeviceError):
        raise
    except BaseException:
        _save(trainer, run)
        raise
    _save(trainer, run)


def _save(trainer: Trainer, run: Run) -> None:
    if trainer.step_number:
        trainer.save(run.checkpoint, {"history": run.history})


def train_guide(trainer: Trainer, between: Between = _only) -> Steps:
    """Take the steps of a run that train the guide; none where there is no guide."""
    while isinstance(trainer, DetectionTrainer) and trainer.guiding:
        value = _timed_step(trainer)
        metrics = {"loss": value, "rate": trainer.learning_rate()}
        done = trainer.step_number
        whole = done / max(trainer.fraction, 1e-9)
        total = max(done, round(trainer.config.guide_share * whole))
        yield from between(Progress("Training the guide", done, total, _note(trainer), metrics))


def train_epochs(
    trainer: Trainer,
    run: Run,
    held_out: Sequence[LabelledImage],
    channels: int,
    post: PostParams,
    between: Between = _only,
    loss_of: LossOf | None = None,
) -> Steps:
    """Train until steps, time or patience are used up; validate and save after each epoch.

    Parameters
    ----------
    held_out
        What is validated on.
    channels
        Of the network.
    post
        Settings of the post-processing in validation.
    between
        What is done after each step.
    loss_of
        Gives the loss on validation.

    Yields
    ------
    Progress
        One step a batch; after a validation its scores are in ``metrics``.
    """
    config = trainer.config
    # A run that was interrupted before a validation goes on with it; and every run takes a step
    # and is validated, even where a guide's first step has used up the whole time.
    while not _stuck(trainer, run) and (trainer.fraction < 1 or trainer.losses or not run.history):
        while len(trainer.losses) < config.epoch_steps and (
            trainer.fraction < 1 or not (trainer.losses or run.history)
        ):
            trainer.losses.append(_timed_step(trainer))
            yield from between(_progress(trainer, trainer.losses[-1]))
        trainer.settle()
        scores = yield from validate(trainer.average, held_out, channels, post, loss_of)
        yield _progress(trainer, _close_epoch(trainer, run, scores), **scores)


def _stuck(trainer: Trainer, run: Run) -> bool:
    """Tell whether patience is used up, also before an interruption."""
    patience = trainer.config.patience
    if not patience or not run.history or trainer.losses:
        return False
    return len(run.history) - run.history.index(run.best) > patience


def _close_epoch(trainer: Trainer, run: Run, scores: dict[str, float]) -> float:
    """Note and save what an epoch brought; return its mean loss."""
    loss = float(np.mean(trainer.losses))
    row: Row = {
        "step": trainer.step_number,
        "seconds": trainer.seconds,
        "rate": trainer.learning_rate(),
        "loss": loss,
        **scores,
    }
    run.history.append(row)
    trainer.scores.append(scores["ap50"])
    trainer.losses.clear()
    run.write_history()
    # First the best: a run that is killed in between then does the validation again.
    if run.best is row:
        trainer.save(run.best_checkpoint, {"scores": scores})
    trainer.save(run.checkpoint, {"history": run.history})
    return loss


def _timed_step(trainer: Trainer) -> float:
    started = time.perf_counter()
    loss = trainer.step()
    trainer.seconds += time.perf_counter() - started
    return loss


def _note(trainer: Trainer) -> str:
    """Take what the trainer has to tell."""
    told = " ".join(trainer.notes)
    trainer.notes.clear()
    return told


def _progress(trainer: Trainer, loss: float, **scores: float) -> Progress:
    """Express a run bounded by time in expected steps, so that a bar and its ETA are right."""
    done = trainer.step_number
    total = max(done, round(done / max(trainer.fraction, 1e-9)))
    metrics = {"loss": loss, "rate": trainer.learning_rate(), **scores}
    return Progress("Training", done, total, _note(trainer), metrics)
