"""Measure what fine-tuning gains: the included nuclei model, taught whole cells in phase contrast.

    python scripts/finetune_evidence.py DATA -o FOLDER [--cases 1 2 5 10 quarter ten]
        [--parent nuclei] [--minutes 1.2 | --steps N] [--replay 0.5] [--seed N] [--peer PYTHON]

DATA holds ``cells_t98g_phase``, ``nuclei_dsb2018`` and ``nuclei_bbbc039``. Every case is fine-tuned
as the dock does it, with the preset "quick" unless told otherwise:

- ``1``, ``2``, ``5``, ``10``: so many corrected images of the ``train`` part
- ``quarter``: the upper left quarter of one image was reviewed
- ``ten``: ten corrected cells of one image, and nothing else

Parent and child, with their own default settings, are then scored on the ``val`` part of the cells,
and with the parent's settings on that of the nuclei; neither took part in any of it. A number of
steps in place of a time gives the same models however busy the computer is. PYTHON of an
environment with cellpose 3 trains cellpose from scratch, without a download, on the same images for
the same minutes. One row a case is added to FOLDER/evidence.csv.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_cellseg.core.data.sources import Pair, find_pairs
from napari_cellseg.core.finetuning.jobs.job import Job
from napari_cellseg.core.finetuning.judgement.gate import GateReport
from napari_cellseg.core.finetuning.material.source import Source, source_from
from napari_cellseg.core.finetuning.settings import FineTuneSettings
from napari_cellseg.core.progress import finish
from napari_cellseg.core.reading import read_image, read_labels
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.evaluate import evaluate, evaluate_labels
from napari_cellseg.core.workflows.finetune import finetune
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.store import ModelEntry, find_model

CELLS = ("cells_t98g_phase",)
NUCLEI = ("nuclei_dsb2018", "nuclei_bbbc039")
TEN = 10


def sources_of(case: str, train: Sequence[Pair]) -> list[Source]:
    """Return what a person has reviewed in a case."""
    if case.isdigit():
        return [_source(pair) for pair in _spread(train, int(case))]
    return [_source(_spread(train, 1)[0], case)]


def _spread(train: Sequence[Pair], count: int) -> list[Pair]:
    """Take images evenly: neighbours in the list are neighbours in time."""
    picked = np.linspace(0, len(train) - 1, 2 * count + 1)[1::2].round().astype(int)
    return [train[k] for k in picked]


def _source(pair: Pair, what: str = "") -> Source:
    image, labels = read_image(pair.image), read_labels(pair.labels).data
    if what == "quarter":
        area = np.zeros(labels.shape, bool)
        area[: labels.shape[0] // 2, : labels.shape[1] // 2] = True
        return source_from(image, labels, area)
    if what == "ten":
        return source_from(image, labels, None, _nearest(labels))
    return source_from(image, labels, np.ones(labels.shape, bool))


def _nearest(labels: np.ndarray) -> list[int]:
    """Return the ten objects around the one that is nearest to the middle: neighbours."""
    from scipy import ndimage

    ids = np.unique(labels[labels > 0])
    centres = np.array(ndimage.center_of_mass(labels > 0, labels, ids))
    far = np.hypot(*(centres - np.array(labels.shape) / 2).T)
    return [int(ids[k]) for k in np.argsort(far)[:TEN]]


def score(
    model: ModelEntry, data: Path, folders: Sequence[str], like: Card | None = None
) -> tuple[float, float]:
    """Return AP at IoU 0.5 and PQ, means over the images of the ``val`` parts.

    With `like`, by the settings of that card: nuclei are looked for as the parent looks for them.
    """
    recipe = Recipe.for_model(model.card, str(model.folder))
    if like is not None:
        of = Recipe.for_model(like)
        recipe = recipe.replace(preparation=of.preparation.model_dump(), post=of.post)
    result = finish(evaluate(recipe, [data / name for name in folders], device="cpu"))
    means = result.overall()
    return means["ap50"], means["pq"]


def score_peer(python: str, job: Job, data: Path, folder: Path, minutes: float) -> float:
    """Train cellpose on the images of a job and return its AP on the cells' ``val`` part."""
    cells = data / CELLS[0]
    val = find_pairs(cells, "val")
    worker = Path(__file__).with_name("finetune_cellpose.py")
    images = [str(pair.image) for pair in val]
    command = [python, str(worker), str(job.folder), str(folder), str(minutes), *images]
    subprocess.run(command, check=True)
    return finish(evaluate_labels(folder, [cells])).overall()["ap50"]


def chosen(arguments: argparse.Namespace) -> FineTuneSettings:
    """Return the settings of all cases."""
    settings = FineTuneSettings.quick()
    if arguments.steps:
        settings = settings.replace(minutes=None, steps=arguments.steps)
    elif arguments.minutes > 5:
        settings = FineTuneSettings.thorough().replace(minutes=arguments.minutes)
    else:
        settings = settings.replace(minutes=arguments.minutes)
    return settings.replace(replay=arguments.replay, seed=arguments.seed)


def main() -> None:
    """Measure the cases that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--cases", nargs="+", default=["1", "2", "5", "10", "quarter", "ten"])
    parser.add_argument("--parent", default="nuclei")
    parser.add_argument("--minutes", type=float, default=FineTuneSettings.quick().minutes)
    parser.add_argument("--steps", type=int, help="in place of a time")
    parser.add_argument("--replay", type=float, default=FineTuneSettings.quick().replay)
    parser.add_argument("--seed", type=int, default=FineTuneSettings.quick().seed)
    parser.add_argument("--peer", metavar="PYTHON", help="of an environment with cellpose 3")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    table = arguments.output / "evidence.csv"
    entry = find_model(arguments.parent)
    train = find_pairs(arguments.data / CELLS[0], "train")
    before = score(entry, arguments.data, CELLS)
    kept = score(entry, arguments.data, NUCLEI)
    for case in arguments.cases:
        settings = chosen(arguments)
        length = f"{arguments.steps}steps" if arguments.steps else f"{arguments.minutes:g}"
        name = f"{arguments.parent}-{case}-{length}-{arguments.replay:g}-{arguments.seed}"
        job = Job.create(arguments.output / name, name, entry, settings, sources_of(case, train))
        started, used = time.perf_counter(), time.process_time()
        result = finish(finetune(job, device="cpu"))
        seconds, used = time.perf_counter() - started, time.process_time() - used
        child = find_model(result.folder)
        after = score(child, arguments.data, CELLS)
        replayed = score(child, arguments.data, NUCLEI, entry.card)
        gate = GateReport.load(job.gate_file)
        row = {
            "case": case,
            "minutes": "" if arguments.steps else arguments.minutes,
            "replay": arguments.replay,
            "seed": arguments.seed,
            "steps": int(result.history[-1]["step"]),
            "seconds": round(seconds),
            "cpu_seconds": round(used),
            "cells_ap50_before": round(before[0], 4),
            "cells_ap50_after": round(after[0], 4),
            "cells_pq_before": round(before[1], 4),
            "cells_pq_after": round(after[1], 4),
            "nuclei_ap50_before": round(kept[0], 4),
            "nuclei_ap50_after": round(replayed[0], 4),
            "accepted": gate.verdict.accepted,
            "reason": gate.verdict.reason,
        }
        if arguments.peer:
            folder = arguments.output / f"{name}-cellpose"
            ap = score_peer(arguments.peer, job, arguments.data, folder, arguments.minutes)
            row["cellpose_ap50"] = round(ap, 4)
        new = not table.exists()
        with table.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
        sys.stdout.write(f"{row}\n")


if __name__ == "__main__":
    main()
