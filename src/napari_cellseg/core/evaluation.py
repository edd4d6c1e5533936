"""The result of an evaluation: scores of each image, of each group, as table, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_cellseg.core.confusion import Confusion, pooled
from napari_cellseg.core.files import make_folder, write_text
from napari_cellseg.core.metrics import Scores, summarize
from napari_cellseg.core.recipe import Recipe

_TABLE = ("ap50", "ap75", "map", "f1_50", "pq", "aji", "dice", "iou", "n_true", "n_pred")
_HEADINGS = ("AP50", "AP75", "mAP", "F1", "PQ", "AJI", "Dice", "IoU", "true", "found")


def small_note(smallest: int) -> str:
    """Return the sentence that says which objects were left out."""
    return f"Objects of fewer than {smallest} px count on neither side."


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
    confusion
        Objects by true and predicted class, if both are known.
    """

    name: str
    group: str
    folder: str
    scores: Scores
    seconds: float = 0.0
    confusion: Confusion | None = None

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
    smallest
        Objects of fewer pixels were left out of both sides.
    """

    images: tuple[ImageResult, ...]
    recipe: Recipe | None = None
    smallest: int = 0

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

    def confusion(self) -> Confusion | None:
        """Return the objects of all images by true and predicted class, None without classes."""
        parts = [one.confusion for one in self.images if one.confusion is not None]
        return pooled(parts) if parts else None

    def table(self) -> str:
        """Return means per group and overall as aligned text; object counts are sums.

        With classes the confusion matrix at IoU 0.5 and F1 of each class follow.
        """
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
        confusion = self.confusion()
        if confusion is not None:
            text += ["", "Objects by true (rows) and predicted class (columns):", confusion.table()]
        if self.smallest > 1:
            text += ["", small_note(self.smallest)]
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
        """Return overall, group and image scores, the recipe, and with classes their scores."""
        confusion = self.confusion()
        content = {
            "overall": self.overall(),
            "groups": self.groups(),
            "images": [one.as_row() for one in self.images],
            "smallest": self.smallest,
            "recipe": self.recipe.model_dump(mode="json") if self.recipe else None,
            **({"classes": confusion.to_dict()} if confusion else {}),
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    def save(self, folder: Path) -> None:
        """Write ``evaluation.csv`` and ``.json``, and with classes ``evaluation_classes.csv``.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        make_folder(folder)
        write_text(folder / "evaluation.csv", self.to_csv())
        write_text(folder / "evaluation.json", self.to_json())
        confusion = self.confusion()
        if confusion is not None:
            write_text(folder / "evaluation_classes.csv", confusion.to_csv())
