"""Make an included model from a trained bundle: fit its settings, score it, write its card.

    python scripts/included_model.py RUN/nuclei nuclei_dsb2018 nuclei_bbbc039

RUN/nuclei is what ``napari-cellseg train`` left, with RUN/nuclei.run beside it. Its settings of
post-processing are chosen on images of the training part: those that the run held out, and a share
of the others. The scores on the card are those of the untouched ``val`` parts, with these settings.
The finished bundle, with a self-test on a sample image, replaces the one of its architecture in the
package; recipe, history, curve and scores go to training/NAME/.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np

from napari_cellseg.core.data.sources import Pair
from napari_cellseg.core.metrics import average_precision
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.postprocessor import PostProcessor, warm_up
from napari_cellseg.core.progress import finish
from napari_cellseg.core.reading import read_image, read_labels
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.samples import load_sample
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.workflows.evaluate import evaluate
from napari_cellseg.core.workflows.segment import segment
from napari_cellseg.core.workflows.train import split_pairs
from napari_cellseg.core.zoo.bundle import Model, load_bundle, save_bundle
from napari_cellseg.core.zoo.card import Card, DataSource
from napari_cellseg.core.zoo.contents import CARD_FILE
from napari_cellseg.core.zoo.self_test import add_self_test

ROOT = Path(__file__).resolve().parents[1]
BUNDLES = ROOT / "src" / "napari_cellseg" / "core" / "zoo" / "bundles"
RECORDS = ROOT / "training"

NETWORKS = {
    "attention-unet": ("", "", "Attention U-Net with an EfficientNet-B0 encoder"),
    "attention-linknet": ("-attention-linknet", "attention LinkNet", "Attention LinkNet"),
    "haru-net": ("-haru-net", "HARU-Net", "HARU-Net of a quarter of the paper's widths"),
    "iau-net": ("-iau-net", "IAU-Net", "IAU-Net of half the paper's widths"),
    "unetpp-attention": (
        "-unetpp-attention",
        "U-Net++ with attention",
        "U-Net++ with attention gates, of half the paper's widths",
    ),
    "mask-rcnn-msfl-csam": (
        "-mask-rcnn",
        "Mask R-CNN with MSFL and CSAM",
        "Mask R-CNN with multiscale features and cross attention, on a ResNet-18",
    ),
    "unet": ("-unet", "Plain U-Net", "U-Net with an EfficientNet-B0 encoder, a baseline"),
}
"""By architecture: what it adds to the bundle's name and title, and what the network is."""

SOURCES = {
    "nuclei_dsb2018": DataSource(
        name="DSB2018",
        licence="CC0-1.0",
        source="2018 Data Science Bowl, stage 1, BBBC038v1 (Caicedo et al. 2019), with the "
        "community's corrections",
    ),
    "nuclei_bbbc039": DataSource(
        name="BBBC039",
        licence="CC0-1.0",
        source="Broad Bioimage Benchmark Collection, BBBC039v1 (Caicedo et al. 2019)",
    ),
    "cells_t98g_phase": DataSource(
        name="T98G phase contrast",
        licence="MIT",
        source="Usiigaci (Tsai et al. 2019)",
    ),
}
NUCLEI = (
    "nuclei",
    "Nuclei (fluorescence, bright field, stained tissue)",
    "Finds nuclei in fluorescence, grey bright field and stained colour images, bright on dark or "
    "dark on bright.",
)
PHASE = (
    "cells-phase",
    "Whole cells (phase contrast)",
    "Finds whole adherent cells in phase contrast images; trained on 20 images of one cell line "
    "(T98G) from one microscope.",
)

CANDIDATES: dict[str, tuple[float, ...]] = {
    "score_threshold": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    "nms_threshold": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
    "mask_threshold": (0.3, 0.4, 0.5, 0.6, 0.7),
    "min_visible": (0.3, 0.5, 0.7),
    "min_area": (16, 20, 24, 30),
}
"""Settings of a network that finds objects one by one."""

GRID: dict[str, tuple[float, ...]] = {
    "foreground_threshold": (0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85),
    "contour_threshold": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    "contour_ends": (0, 24),
    "contour_gap": (0, 2, 3, 4, 5),
    "opening": (0, 1, 2, 3),
    "min_area": (16, 20, 24),
}
LARGE: dict[str, tuple[float, ...]] = {
    **GRID,
    "contour_threshold": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    "contour_ends": (0, 48),
    "contour_gap": (0, 2, 4, 6, 8, 10),
    "opening": (0, 2, 4, 6, 8),
    "min_seed_area": (16, 50, 100, 200, 400),
    "min_area": (24, 100, 200, 400, 600, 800),
}
"""The same for objects that the network is shown shrunk: settings are in pixels of the image."""

TOGETHER = ("contour_threshold", "contour_ends", "contour_gap")
"""Settings that stand in for each other: all combinations are tried."""

ROUNDS = 2
SHARES = {"attention-unet": 2}  # of the images trained on, every so many takes part in the fit
SHARE = 4

METRICS = ("ap50", "ap75", "map", "f1_50", "pq", "aji", "dice", "iou", "images")


def fit_post(model: Model, pairs: Sequence[Pair]) -> dict[str, float]:
    """Return the post-processing with the best AP@0.5: setting after setting, in two rounds.

    Means are taken over groups, which weigh as in training: by the root of their number of images.
    """
    warm_up()
    recipe = Recipe.for_model(model.card)
    truth = [read_labels(pair.labels).data for pair in pairs]
    processors = []
    for pair in pairs:
        result = finish(segment(read_image(pair.image), recipe, model=model, device="cpu"))
        processors.append(PostProcessor(result.prediction.plane(())))
    groups = Counter(pair.group for pair in pairs)

    def quality(settings: dict[str, float]) -> float:
        post = PostParams(**settings)
        sums = dict.fromkeys(groups, 0.0)
        for pair, labels, processor in zip(pairs, truth, processors, strict=True):
            sums[pair.group] += average_precision(labels, processor.run(post).labels)
        means = [sums[group] / count for group, count in groups.items()]
        return float(np.average(means, weights=np.sqrt(list(groups.values()))))

    grid = LARGE if model.card.expected_diameter else GRID
    if "instances" in model.card.maps:
        grid = CANDIDATES
    best = {name: PostParams().model_dump()[name] for name in grid}
    print(f"default settings: {quality(best):.4f}")
    together = [name for name in TOGETHER if name in grid]
    combined = [
        dict(zip(together, values, strict=True))
        for values in product(*(grid[name] for name in together))
    ]
    steps = [combined, *([{name: v} for v in grid[name]] for name in grid if name not in together)]
    for _ in range(ROUNDS):
        for changes in steps:
            best |= max(changes, key=lambda change: quality({**best, **change}))
    print(f"{best}: {quality(best):.4f}")
    return best


def describe(card: Card, post: dict[str, float]) -> Card:
    """Fill in what a training run does not know: title, licence, sources."""
    folders = {source.name: folder for folder, source in SOURCES.items()}  # a card made before
    counts: Counter[str] = Counter()
    for one in card.data:
        name = folders.get(one.name, one.name)
        # the kinds of images of DSB2018 are named apart
        counts[name if name in SOURCES else "nuclei_dsb2018"] += one.images
    data = [SOURCES[name].model_dump() | {"images": count} for name, count in counts.items()]
    phase = "cells_t98g_phase" in counts
    name, title, what = PHASE if phase else NUCLEI
    ending, addition, network = NETWORKS[card.architecture]
    start = f", begun from '{card.lineage[-1]}'" if phase and card.lineage else ""
    return card.replace(
        name=name + ending,
        title=f"{addition}: {title[0].lower()}{title[1:]}" if addition else title,
        description=(
            f"{what} {network}, trained by us{start}. Scores are means over the images of the "
            "held-out parts, with default settings."
        ),
        licence="BSD-3-Clause",
        data=data,
        post=post,
    )


def measure_speed(model: Model, pairs: Sequence[Pair], repeats: int = 3) -> float:
    """Return processor seconds a megapixel, from image to maps; the least of some repeats."""
    image = read_image(pairs[-1].image)
    recipe = Recipe.for_model(model.card)
    pixels = image.data.shape[0] * image.data.shape[1]
    took = []
    for _ in range(repeats):
        before = time.process_time()
        finish(segment(image, recipe, model=model, device="cpu"))
        took.append(time.process_time() - before)
    return min(took) / pixels * 1e6


def test_image(card: Card, train: Sequence[Pair]) -> np.ndarray:
    """Return the image of the self-test: a sample in the public domain, or one of training."""
    if card.name.startswith(NUCLEI[0]):
        return np.asarray(load_sample().data)
    return np.asarray(read_image(train[0].image).data)


def plot(history: Path, picture: Path) -> None:
    """Draw loss and validation AP of a run."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with history.open(encoding="utf-8") as file:
        rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    left.plot([r["step"] for r in rows], [r["loss"] for r in rows], ".-")
    left.set(xlabel="step", ylabel="training loss", title="Loss, mean of an epoch")
    for name in sorted({k for r in rows for k in r if k.startswith("ap50")}):
        have = [r for r in rows if name in r]
        label = "all" if name == "ap50" else name.removeprefix("ap50_")
        right.plot([r["step"] for r in have], [r[name] for r in have], ".-", label=label)
    right.set(xlabel="step", ylabel="AP@0.5", ylim=(0, 1), title="Images held out of training")
    right.legend(fontsize=7)
    figure.savefig(picture, dpi=110)


def enter_scores(bundle: Path, folders: list[Path]) -> None:
    """Score a bundle on the ``val`` parts; its card and training/NAME/ get the scores."""
    result = finish(evaluate(str(bundle), folders, device="cpu"))
    print(result.table())
    groups = {**result.groups(), "all": result.overall()}
    scores = {
        f"val: {name}": {metric: round(values[metric], 4) for metric in METRICS}
        for name, values in groups.items()
    }
    card = Card.load(bundle).replace(scores=scores)
    (bundle / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    record = RECORDS / card.name
    record.mkdir(parents=True, exist_ok=True)
    (record / "scores.csv").write_text(result.to_csv(), encoding="utf-8")
    (record / "scores.txt").write_text(result.table() + "\n", encoding="utf-8")


def main(bundle: Path, folders: list[Path]) -> None:
    """Fit, score and install the model."""
    model = load_bundle(bundle)
    config = TrainConfig.parse(model.card.recipe)
    train, held_out = split_pairs(folders, config)
    share = SHARES.get(config.model, SHARE)
    card = describe(model.card, fit_post(model, [*held_out, *train[::share]]))
    card = card.replace(seconds_per_megapixel=round(measure_speed(model, train), 2))
    target, record = BUNDLES / card.name, RECORDS / card.name
    if target.exists():  # the patches to rehearse stay (see replay_set.py)
        card = card.replace(replay_sha256=Card.load(target).replay_sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    save_bundle(target, model.network, card)
    enter_scores(target, folders)
    add_self_test(target, test_image(card, train))
    recipe = json.dumps(card.recipe, indent=2) + "\n"
    (record / "recipe.json").write_text(recipe, encoding="utf-8")
    history = bundle.with_name(bundle.name + ".run") / "history.csv"
    shutil.copy(history, record / "history.csv")
    plot(history, record / "curve.png")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), [Path(folder) for folder in sys.argv[2:]])
