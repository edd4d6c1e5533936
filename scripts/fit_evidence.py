"""Measure what a fit of the post-processing on one half of an image gives on the other half.

    python scripts/fit_evidence.py DATA -o TABLE.csv [--model nuclei] [--images 20]

DATA holds ``nuclei_dsb2018`` and ``nuclei_bbbc039``; as many images of each ``val`` part with at
least 20 objects in each half take part, spread evenly. Each half is fitted from the general
settings and from bad ones, and the fitted settings are scored on the other half: mean of PQ and of
AP at IoU 0.5, as the fit itself counts.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from napari_cellseg.core.data.sources import Pair, find_pairs
from napari_cellseg.core.fitting.regions import regions_of
from napari_cellseg.core.fitting.tally import score_of
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.progress import finish
from napari_cellseg.core.reading import read_image, read_labels
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.fit import Reviewed, fit
from napari_cellseg.core.workflows.segment import segment
from napari_cellseg.core.zoo.bundle import Model, load_bundle
from napari_cellseg.core.zoo.store import find_model

FOLDERS = ("nuclei_dsb2018", "nuclei_bbbc039")
FEWEST = 20
STARTS = {
    "general": PostParams(),
    "low threshold": PostParams(foreground_threshold=0.15),
    "no split": PostParams(split="none"),
    "grown": PostParams(growth=3, closing=2),
}


def halves(pair: Pair, model: Model) -> list[Reviewed]:
    """Return prediction and truth of the left and of the right half of an image."""
    recipe = Recipe.for_model(model.card)
    found = finish(segment(read_image(pair.image), recipe, model=model, device="cpu"))
    maps, truth = found.prediction.plane(()), read_labels(pair.labels).data
    middle = truth.shape[1] // 2
    return [
        Reviewed(
            Prediction({name: np.array(one[:, part]) for name, one in maps.items()}, "YX"),
            np.array(truth[:, part]),
        )
        for part in (slice(None, middle), slice(middle, None))
    ]


def suited(data: Path, count: int) -> Iterator[Pair]:
    """Choose images of a folder's ``val`` part."""
    pairs = find_pairs(data, "val")
    rich = []
    for pair in pairs:
        truth = read_labels(pair.labels).data
        middle = truth.shape[1] // 2
        parts = (truth[:, :middle], truth[:, middle:])
        if min(len(np.unique(part)) - 1 for part in parts) >= FEWEST:
            rich.append(pair)
    for k in np.linspace(0, len(rich) - 1, min(count, len(rich))).round().astype(int):
        yield rich[k]


def score(half: Reviewed, post: PostParams) -> float:
    """Return the mean of PQ and AP of a half under settings."""
    return score_of(np.concatenate([one.tally(post) for one in regions_of([half])])).mean


def main() -> None:
    """Measure, write a row for each fit, and print a summary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--images", type=int, default=20)
    arguments = parser.parse_args()
    model = load_bundle(find_model(arguments.model).folder)
    rows: list[dict[str, object]] = []
    for folder in FOLDERS:
        for pair in suited(arguments.data / folder, arguments.images // len(FOLDERS)):
            parts = halves(pair, model)
            for start, post in STARTS.items():
                for here, there in (parts, parts[::-1]):
                    used = time.process_time()
                    result = finish(fit(here, post))
                    used = time.process_time() - used
                    before, after = score(there, post), score(there, result.params)
                    rows.append(
                        {
                            "image": pair.image.stem,
                            "start": start,
                            "evaluations": result.evaluations,
                            "cpu_seconds": round(used, 2),
                            "here_before": round(result.before.mean, 4),
                            "here_after": round(result.after.mean, 4),
                            "there_before": round(before, 4),
                            "there_after": round(after, 4),
                        }
                    )
    with arguments.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for start in STARTS:
        gains = np.array(
            [
                float(str(row["there_after"])) - float(str(row["there_before"]))
                for row in rows
                if row["start"] == start
            ]
        )
        seconds = [float(str(row["cpu_seconds"])) for row in rows if row["start"] == start]
        sys.stdout.write(
            f"{start}: {len(gains)} fits, other half not worse in {np.mean(gains >= 0):.1%}, "
            f"mean gain {gains.mean():+.4f}, least {gains.min():+.4f}, "
            f"{np.mean(seconds):.1f} s each\n"
        )


if __name__ == "__main__":
    main()
