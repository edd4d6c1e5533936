"""Fine-tune a model on corrections, and judge whether it became better."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_cellseg.core.data.patches import PatchSampler
from napari_cellseg.core.device import choose_device, has_fast_bfloat16
from napari_cellseg.core.errors import DataError, ModelError, OutputError
from napari_cellseg.core.files import make_folder
from napari_cellseg.core.finetuning.child import child_card, complete, kept_for_later
from napari_cellseg.core.finetuning.events import Preview
from napari_cellseg.core.finetuning.jobs.job import Job
from napari_cellseg.core.finetuning.judgement.gate import Comparison, GateReport, Verdict
from napari_cellseg.core.finetuning.material.material import Material, prepare
from napari_cellseg.core.finetuning.material.replay import ReplaySet, add_replay, load_replay
from napari_cellseg.core.finetuning.mixing import mixed
from napari_cellseg.core.finetuning.requests import Requests
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.progress import Progress, finish
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.detection import make_trainer
from napari_cellseg.core.training.epochs import checkpointed, train_epochs, train_guide
from napari_cellseg.core.training.object_types import object_types
from napari_cellseg.core.training.run import Row, Run
from napari_cellseg.core.training.trainer import Trainer
from napari_cellseg.core.workflows.judge import fit_child, judge_child
from napari_cellseg.core.zoo.bundle import Model, load_bundle, save_bundle
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.contents import CARD_FILE, read_all, write_folder
from napari_cellseg.core.zoo.install import install_model
from napari_cellseg.core.zoo.store import ModelEntry, included_folder, user_folder

__all__ = ["FineTuneResult", "finetune", "install_child"]


@dataclass(frozen=True)
class FineTuneResult:
    """What a fine-tuning leaves.

    Attributes
    ----------
    folder
        Bundle of the new model.
    verdict
        Whether it is better than its parent, in words.
    comparisons
        Parent and child on ``"new"`` data and, where the parent brings some, on ``"replay"``.
    history
        One row an epoch, as of a training.
    """

    folder: Path
    verdict: Verdict
    comparisons: Mapping[str, Comparison]
    history: tuple[Row, ...]


@dataclass(frozen=True, eq=False)
class _Round:
    """What does not change while a job is worked on."""

    job: Job
    parent: Model
    replay: ReplaySet
    config: TrainConfig
    material: Material
    run: Run
    device: str

    def save(self, trainer: Trainer, folder: Path, scores: dict[str, float]) -> None:
        params = trainer.average.params.model_dump(mode="json")
        card = child_card(self.job, self.config, self.material, self.parent.card, params, scores)
        share = self.job.settings.parent_share
        save_bundle(folder, mixed(trainer.average, self.parent.network, share), card)


def finetune(
    job: Job,
    *,
    resume: bool = False,
    device: str = "auto",
    requests: Requests | None = None,
    parent: Model | None = None,
) -> Generator[Progress, None, FineTuneResult]:
    """Fine-tune as a job says; write the child's bundle, and last the comparison with its parent.

    Closing the generator, at any step, saves a checkpoint from which `resume` goes on. A run
    bounded by steps alone is repeatable on the CPU, one bounded by time as far as it goes.

    Parameters
    ----------
    job
        Data, settings and parent. All is written into its folder; the parent is only read.
    resume
        Go on from the last checkpoint, if there is one.
    device
        ``"auto"``, ``"cuda"``, ``"mps"`` or ``"cpu"``.
    requests
        Wishes from outside. Previews are answered here, by a `Preview` among the steps; to pause
        is up to whoever draws the steps.
    parent
        The loaded parent, if it is at hand.

    Yields
    ------
    Progress
        One step a batch; after a validation its scores are in ``metrics``.

    Raises
    ------
    DataError, ChannelError
        If there is nothing to train on, or the parent does not take the data.
    DeviceError
        If memory does not hold even one patch.
    ModelError
        If the parent is missing or was changed.
    OutputError
        If something cannot be written, or the job is begun or finished already.
    TrainingError
        If loss or gradients are not finite, or somebody else works on the job.
    """
    with job.hold():
        run = Run(job.run_folder, [])
        _check_state(job, run, resume)
        now = yield from _begin(job, run, device, parent)
        trainer = yield from _train(now, resume, requests or Requests())
        yield Progress("Saving")
        scores: dict[str, float] = trainer.load(run.best_checkpoint)["scores"]
        now.save(trainer, job.child_folder, scores)
        del trainer  # its memory is for the comparison
        if job.settings.fit_post:
            yield from fit_child(job.child_folder, now.material.fitted, now.device)
        yield Progress("Saving")
        add_replay(job.child_folder, kept_for_later(now.replay, now.material))
        report = yield from judge_child(
            now.parent, job.child_folder, now.material, now.replay, job.settings, now.device
        )
        yield Progress("Saving")
        complete(job.child_folder, now.material, report.new, report.replay)
        report.save(job.gate_file)
    found = {"new": report.new, "replay": report.replay}
    comparisons = {name: one for name, one in found.items() if one is not None}
    return FineTuneResult(job.child_folder, report.verdict, comparisons, tuple(run.history))


def _check_state(job: Job, run: Run, resume: bool) -> None:
    if job.gate_file.exists():
        raise OutputError(
            f"The fine-tuning '{job.name}' is finished already: prepare a new one to train again."
        )
    if run.checkpoint.exists() and not resume:
        raise OutputError(
            f"The fine-tuning '{job.name}' was begun already: resume it, or remove "
            f"'{run.folder}' to begin again."
        )
    make_folder(run.folder)


def _begin(
    job: Job, run: Run, device: str, parent: Model | None
) -> Generator[Progress, None, _Round]:
    """Load the parent and read the data."""
    settings = job.settings
    entry = job.find_parent()
    yield Progress("Reading training data")
    parent = parent or load_bundle(entry.folder)
    if parent.card.weights_sha256 != entry.card.weights_sha256:
        raise ModelError(
            f"The model '{parent.card.name}' was changed since the fine-tuning was prepared: "
            "prepare it again."
        )
    place = choose_device(device).device
    sources = job.sources()
    config = settings.training(parent.card, sources)
    if settings.precision == "auto" and has_fast_bfloat16(place):
        config = config.replace(precision="bfloat16")
    material = yield from prepare(sources, job.splits, parent.card, config)
    replay = load_replay(entry.folder) or ReplaySet(())
    return _Round(job, parent, replay, config, material, run, place)


def _train(now: _Round, resume: bool, requests: Requests) -> Generator[Progress, None, Trainer]:
    config, material, run = now.config, now.material, now.run
    channels = now.parent.card.in_channels
    replay = [one.to_train() for one in now.replay.learnt] if config.replay else []
    sampler = PatchSampler(
        material.train,
        config.patch_size,
        channels,
        config.augment,
        config.targets,
        config.touching,
        config.seed,
        object_types(config),
        replay,
        config.replay,
    )
    trainer = make_trainer(config, sampler, now.device, now.parent.network.state_dict())
    if resume and run.checkpoint.exists():
        run.history = trainer.load(run.checkpoint)["history"]

    def between(step: Progress) -> Generator[Progress, None, None]:
        yield step
        if requests.take_preview():
            folder = now.job.folder / "preview"
            trainer.settle()
            now.save(trainer, folder, {})
            yield Preview(step.stage, step.done, step.total, metrics=step.metrics, folder=folder)

    # What the gate will judge by may be looked at, but must not choose the weights.
    run.keeps = "best" if material.choosing else "last"
    looked_at = (material.choosing or material.held_out)[: config.validation_images]
    post = PostParams.parse(now.parent.card.post)
    with checkpointed(trainer, run):
        yield from train_guide(trainer, between)
        yield from train_epochs(trainer, run, looked_at, channels, post, between, trainer.loss_of)
    return trainer


def install_child(job: Job) -> ModelEntry:
    """Put the model of a finished fine-tuning among the user's own, under a name not yet taken.

    Its card notes what the comparison said, under ``recipe["finetuning"]["verdict"]``: also that a
    model is used although it was not found to be better.

    Raises
    ------
    ModelError
        If the fine-tuning left no model, or it is damaged.
    OutputError
        If the folder of own models cannot be written.
    """
    if not (job.child_folder / CARD_FILE).exists():
        raise ModelError(f"The fine-tuning '{job.name}' has no model yet: let it finish first.")
    name, number = job.name, 1
    while any((folder / name).exists() for folder in (included_folder(), user_folder())):
        number += 1
        name = f"{job.name}-{number}"
    _note_verdict(job)
    return finish(install_model(job.child_folder, name=name))


def _note_verdict(job: Job) -> None:
    try:
        verdict = GateReport.load(job.gate_file).verdict
    except DataError:  # the model is as good without
        return
    card = Card.load(job.child_folder)
    finetuning = {**card.recipe.get("finetuning", {}), "verdict": verdict.model_dump()}
    card = card.replace(recipe={**card.recipe, "finetuning": finetuning})
    write_folder(
        job.child_folder, {**read_all(job.child_folder), CARD_FILE: card.to_json().encode()}
    )
