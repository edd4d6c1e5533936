"""The result of an evaluation: scores of each image, of each group, as table, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_cellseg.core.files import make_folder, write_text
from napari_cellseg.core.metrics import Scores, summarize
from napari_cellseg.core.recipe import Recipe

_TABLE = ("ap50", "ap75", "map", "f1_50", "pq", "aji", "dice", "iou", "n_true", "n_pred")
_HEADINGS = ("AP50", "AP75", "mAP", "F1", "PQ", "AJI", "Dice", "IoU", "true", "found")


@dataclass(frozen=True)
class ImageResult:
    """Scores of one image.

    Attributes
    ----------
    name, group, folder
        The file's stem, its kind (from ``groups.json``, else the folder's name), its data folder.
    scores
        Every metric.
    seconds
        Wall time of the segmentation; 0 for labels made elsewhere.
    """

    name: str
    group: str
    folder: str
    scores: Scores
    seconds: float = 0.0

    def as_row(self) -> dict[str, Any]:
        """Return one flat row of a table."""
        about = {"name": self.name, "group": self.group, "folder": self.folder}
        return {**about, "seconds": round(self.seconds, 4), **self.scores.as_row()}


@dataclass(frozen=True)
class Evaluation:
    """Scores of many images.

    Attributes
    ----------
    images
        One result an image.
    recipe
        What made the labels, or None for labels made elsewhere.
    """

    images: tuple[ImageResult, ...]
    recipe: Recipe | None = None

    def overall(self) -> dict[str, float]:
        """Return means over all images and pooled counts, see `metrics.summarize`."""
        return summarize([one.scores for one in self.images])

    def groups(self) -> dict[str, dict[str, float]]:
        """Return the same for each group of images."""
        names = sorted({one.group for one in self.images})
        return {
            name: summarize([one.scores for one in self.images if one.group == name])
            for name in names
        }

    def table(self) -> str:
        """Return means per group and overall as aligned text; object counts are sums."""
        groups = self.groups()
        lines = list(groups.items())
        if len(groups) > 1:
            lines.append(("all", self.overall()))
        width = max(len("group"), *(len(name) for name, _ in lines))
        text = [f"{'group':{width}} {'images':>6}" + "".join(f" {h:>6}" for h in _HEADINGS)]
        for name, summary in lines:
            cells = [
                f" {summary[key]:6.0f}" if key.startswith("n_") else f" {summary[key]:6.3f}"
                for key in _TABLE
            ]
            text.append(f"{name:{width}} {summary['images']:6.0f}" + "".join(cells))
        return "\n".join(text)

    def to_csv(self) -> str:
        """Return one row an image, with a header."""
        text = io.StringIO()
        rows = [one.as_row() for one in self.images]
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def to_json(self) -> str:
        """Return overall, group and image scores and the recipe."""
        content = {
            "overall": self.overall(),
            "groups": self.groups(),
            "images": [one.as_row() for one in self.images],
            "recipe": self.recipe.model_dump(mode="json") if self.recipe else None,
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    def save(self, folder: Path) -> None:
        """Write ``evaluation.csv`` and ``evaluation.json``.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        make_folder(folder)
        write_text(folder / "evaluation.csv", self.to_csv())
        write_text(folder / "evaluation.json", self.to_json())
