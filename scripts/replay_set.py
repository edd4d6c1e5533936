"""Make the patches with which children of the included nuclei models keep what those knew.

    python scripts/replay_set.py nuclei_dsb2018 nuclei_bbbc039

All come from the ``train`` parts. 40 are cut from images that the models were trained on, 16 from
others: images that the training runs held out and, of a kind of which they held out too few, images
that were trained on but gave none of the 40. Kinds of image are weighed as in training, by the root
of their number of images. The file goes to the package, its hash into the cards of the models.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from napari_cellseg.core.data.sources import Pair, load_pairs
from napari_cellseg.core.finetuning.material.patches import Part, ReplayPatch, cut_patches
from napari_cellseg.core.finetuning.material.replay import ReplaySet, quotas, shared_file
from napari_cellseg.core.progress import finish
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.workflows.train import split_pairs
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.contents import CARD_FILE
from napari_cellseg.core.zoo.store import included_folder

ROOT = Path(__file__).resolve().parents[1]
PARTS: dict[Part, int] = {"train": 40, "held-out": 16}
FEWEST_OBJECTS = 3  # of a patch that is worth its bytes
MOST_BYTES = 3_000_000


def cut(pairs: list[Pair], part: Part, count: int, config: TrainConfig) -> list[ReplayPatch]:
    """Return a patch each of `count` images at random places of the list; fewer if it is short."""
    order = np.random.default_rng(config.seed).permutation(len(pairs))
    patches: list[ReplayPatch] = []
    for number in order:
        if len(patches) == count:
            break
        (image,) = finish(load_pairs([pairs[number]], config.normalization))
        patches += [
            one
            for one in cut_patches(image, part, 1, seed=config.seed)
            if len(np.unique(one.labels)) > FEWEST_OBJECTS
        ]
    return patches


def choose(folders: list[Path], config: TrainConfig) -> ReplaySet:
    """Cut all patches."""
    train, held_out = split_pairs(folders, config)
    numbers = Counter(pair.group for pair in train)
    weights = {group: math.sqrt(number) for group, number in numbers.items()}
    patches: list[ReplayPatch] = []
    for group, count in quotas(weights, PARTS["train"], numbers).items():
        patches += cut([one for one in train if one.group == group], "train", count, config)
    used = {one.name for one in patches}
    for group, count in quotas(weights, PARTS["held-out"], numbers).items():
        found = cut([one for one in held_out if one.group == group], "held-out", count, config)
        rest = [one for one in train if one.group == group and one.name not in used]
        more = cut(rest, "held-out", count - len(found), config)
        print(f"{group}: {len(found)} of images held out, {len(more)} of others")
        patches += found + more
    return ReplaySet(tuple(patches))


def main(folders: list[Path]) -> None:
    """Write the file and enter its hash in the cards."""
    recipe = json.loads((ROOT / "training" / "nuclei" / "recipe.json").read_text("utf-8"))
    replay = choose(folders, TrainConfig.parse(recipe))
    for (part, group), number in Counter((one.part, one.group) for one in replay.patches).items():
        print(f"{part}: {number} of {group}")
    if len(replay.content) > MOST_BYTES:
        sys.exit(f"{len(replay.content)} bytes are more than {MOST_BYTES}: cut fewer patches")
    path = shared_file(replay.sha256)
    path.parent.mkdir(exist_ok=True)
    for old in path.parent.glob("*.npz"):
        old.unlink()
    path.write_bytes(replay.content)
    for bundle in sorted(included_folder().glob("nuclei*")):
        card = Card.load(bundle).replace(replay_sha256=replay.sha256)
        (bundle / CARD_FILE).write_text(card.to_json(), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main([Path(folder) for folder in sys.argv[1:]])
