"""See whether a network does better where images of small objects are enlarged, and let it.

    python scripts/small_objects.py BUNDLE nuclei_dsb2018 nuclei_bbbc039
    python scripts/small_objects.py BUNDLE nuclei_dsb2018 nuclei_bbbc039 --below 11.8

The first prints the mean AP@0.5 of fluorescence images of the ``train`` parts at several scales, by
the diameter of the objects that the network finds in them. The second enters a diameter in the
card: images of smaller objects are enlarged from then on. It scores the model on the ``val`` parts.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from included_model import enter_scores
from napari_cellseg.core.data.rescale import enlarged_diameter
from napari_cellseg.core.data.sources import find_pairs
from napari_cellseg.core.inference.predict import predict
from napari_cellseg.core.metrics import average_precision
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.postprocessor import PostProcessor, warm_up
from napari_cellseg.core.progress import finish
from napari_cellseg.core.reading import read_image, read_labels
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.separate import diameter_of
from napari_cellseg.core.zoo.bundle import load_bundle
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.contents import CARD_FILE

SCALES = (1.0, 0.75, 1.25, 1.5, 2.0)
CLASSES = (0.0, 10.1, 11.8, 13.8, 16.0, 19.5, 22.6, 27.6, 33.9)
"""Diameters in px at which a class of images begins."""


def show(bundle: Path, folders: list[Path]) -> None:
    """Print AP by class of diameter and scale, on fluorescence images."""
    warm_up()
    model = load_bundle(bundle)
    recipe, post = Recipe.for_model(model.card), PostParams.parse(model.card.post)
    found: dict[int, list[list[float]]] = defaultdict(list)
    for pair in [pair for folder in folders for pair in find_pairs(folder, "train")]:
        if "color" in pair.group or "brightfield" in pair.group:
            continue
        image, truth = read_image(pair.image), read_labels(pair.labels).data
        made = []
        for scale in SCALES:
            seen = finish(predict(model, image, recipe.preparation, recipe.tiling, scale=scale))
            made.append(PostProcessor(seen.plane(())).run(post).labels)
        diameter = diameter_of(made[0])
        if diameter is not None:
            row = [average_precision(truth, labels) for labels in made]
            found[int(np.searchsorted(CLASSES, diameter, side="right"))].append(row)
    print("from px  images  " + "".join(f"{scale:>7g}x" for scale in SCALES))
    for number, rows in sorted(found.items()):
        means = "".join(f"{value:8.4f}" for value in np.mean(rows, axis=0))
        print(f"{CLASSES[number - 1]:7g} {len(rows):7d}  {means}")


def enter(bundle: Path, folders: list[Path], below: float) -> None:
    """Enter the diameter in the card, with the scores that the model has with it."""
    card = Card.load(bundle)
    card = card.replace(
        diameter_range=(below, card.diameter_range[1]), enlarged_diameter=enlarged_diameter(below)
    )
    (bundle / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    enter_scores(bundle, folders)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--below", type=float, help="in px, to be entered in the card")
    arguments = parser.parse_args()
    if arguments.below is None:
        show(arguments.bundle, arguments.folders)
    else:
        enter(arguments.bundle, arguments.folders, arguments.below)
