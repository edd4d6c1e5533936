"""Train cellpose 3 from scratch on the images of a fine-tuning job; run by `finetune_evidence.py`.

    python finetune_cellpose.py JOB OUTPUT MINUTES IMAGE ...

Writes OUTPUT/STEM_labels.tif for each IMAGE. Labels outside the reviewed area are background, as
cellpose wants dense labels.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import tifffile


def main(job: Path, output: Path, minutes: float, images: list[str]) -> None:
    """Train for so many minutes, then segment the images at the training cells' diameter."""
    from cellpose import models, train

    stems = sorted(path.stem for path in (job / "labels").iterdir())
    pictures = [np.squeeze(tifffile.imread(job / "images" / f"{s}.tif")) for s in stems]
    labels = [tifffile.imread(job / "labels" / f"{s}.tif").astype(np.int32) for s in stems]
    areas = np.concatenate([np.bincount(one.ravel())[1:] for one in labels])
    diameter = float(2 * np.sqrt(np.median(areas[areas > 0]) / np.pi))
    model = models.CellposeModel(gpu=False, pretrained_model=None, model_type=None, diam_mean=30.0)
    settings = {
        "train_data": pictures,
        "train_labels": labels,
        "channels": [0, 0],
        "save_path": str(output),
        "batch_size": 8,
        "min_train_masks": 1,
        "nimg_per_epoch": max(8, len(pictures)),
    }
    output.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    train.train_seg(model.net, n_epochs=1, model_name="first", **settings)
    epoch = time.perf_counter() - started
    epochs = max(1, round((minutes * 60 - epoch) / epoch))
    train.train_seg(model.net, n_epochs=epochs, model_name="cells", **settings)
    for path in map(Path, images):
        found, *_ = model.eval(tifffile.imread(path), diameter=diameter, channels=[0, 0])
        tifffile.imwrite(output / f"{path.stem}_labels.tif", found.astype(np.uint16))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
