"""The result of a comparison: scores, speed and cost of each model, as table, CSV and plot."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_cellseg.core.comparison.cost import NetworkCost, PeakMemory
from napari_cellseg.core.comparison.plot import Point, scatter_svg
from napari_cellseg.core.evaluation import ImageResult, small_note
from napari_cellseg.core.files import make_folder, write_text
from napari_cellseg.core.metrics import summarize

_SCORES = ("ap50", "map", "pq", "aji", "dice", "iou", "f1_50")
_COLUMNS = (
    ("AP@0.5", "ap50", 1.0, ".3f"),
    ("mAP", "map", 1.0, ".3f"),
    ("PQ", "pq", 1.0, ".3f"),
    ("AJI", "aji", 1.0, ".3f"),
    ("Dice", "dice", 1.0, ".3f"),
    ("IoU", "iou", 1.0, ".3f"),
    ("F1", "f1_50", 1.0, ".3f"),
    ("s/Mpx", "seconds_per_mpx", 1.0, ".3g"),
    ("CPU s/Mpx", "cpu_seconds_per_mpx", 1.0, ".3g"),
    ("M params", "parameters", 1e-6, ".2f"),
    ("GFLOP/Mpx", "flops_per_mpx", 1e-9, ".1f"),
    ("file MB", "file_bytes", 1e-6, ".1f"),
    ("peak MB", "peak_bytes", 1e-6, ".0f"),
)


@dataclass(frozen=True)
class Run:
    """One image segmented by one model.

    Attributes
    ----------
    image
        Its scores, and the wall time in seconds.
    cpu_seconds
        Time of the processor, summed over all threads.
    megapixels
        Size of the image in 10**6 px, all planes counted.
    """

    image: ImageResult
    cpu_seconds: float
    megapixels: float


@dataclass(frozen=True)
class ComparedModel:
    """Scores, speed and cost of one model.

    Attributes
    ----------
    name, architecture
        Of the model, and of its network.
    runs
        One an image that it could read.
    unreadable
        Names of the images of a kind that it was not trained on, and why.
    cost
        Of its network; None if it could not be loaded.
    file_bytes, peak_bytes
        Size on disk; rise of memory while it was loaded and ran, None if it did not.
    problem
        Why it could not be loaded, or had to stop; "" if all went well.
    """

    name: str
    architecture: str
    runs: tuple[Run, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    cost: NetworkCost | None = None
    file_bytes: int = 0
    peak_bytes: int | None = None
    problem: str = ""

    def scores(self, folder: str | None = None) -> dict[str, float]:
        """Return means over the images that it read, in all data folders or the one of a name."""
        return summarize(
            [run.image.scores for run in self.runs if folder in (None, run.image.folder)]
        )

    def as_row(self) -> dict[str, Any]:
        """Return one flat row; what is not known is None."""
        scores = self.scores()
        wall = [run.image.seconds / run.megapixels for run in self.runs]
        cpu = [run.cpu_seconds / run.megapixels for run in self.runs]
        return {
            "model": self.name,
            "architecture": self.architecture,
            "images": len(self.runs),
            **{name: scores.get(name) for name in _SCORES},
            "seconds_per_mpx": statistics.median(wall) if wall else None,
            "cpu_seconds_per_mpx": statistics.median(cpu) if cpu else None,
            "parameters": self.cost.parameters if self.cost else None,
            "flops_per_mpx": self.cost.flops_per_mpx if self.cost else None,
            "file_bytes": self.file_bytes,
            "peak_bytes": self.peak_bytes if self.runs else None,
            "unreadable": len(self.unreadable),
            "problem": self.problem,
        }


@dataclass(frozen=True)
class Comparison:
    """What several models make of the same images.

    Attributes
    ----------
    models
        In the order in which they were given.
    images
        Number of images asked for.
    folders
        The data folders.
    skipped
        Images that could not be used, and why.
    device
        Where it was computed, in torch's spelling.
    smallest
        Objects of fewer pixels were left out of labels and truth.
    """

    models: tuple[ComparedModel, ...]
    images: int
    folders: tuple[Path, ...]
    skipped: Mapping[Path, str]
    device: str
    smallest: int = 0

    @property
    def complete(self) -> bool:
        """Whether no image was skipped and every model ran to the end."""
        return not self.skipped and not any(one.problem for one in self.models)

    def table(self) -> str:
        """Return one line a model as aligned text, then `notes`; "–" stands for no value."""
        lines = [["model", "images", *(heading for heading, *_ in _COLUMNS)]]
        for model in self.models:
            row = model.as_row()
            values = [_shown(row[key], scale, form) for _, key, scale, form in _COLUMNS]
            lines.append([model.name, f"{row['images']}/{self.images}", *values])
        return "\n".join([aligned(lines), "", *self.notes()])

    def notes(self) -> list[str]:
        """Return sentences: what was left out and why, and how speed and cost were measured."""
        notes = [f"{path}: {reason} It was left out." for path, reason in self.skipped.items()]
        for model in self.models:
            if model.problem:
                notes.append(f"{model.name}: {model.problem}")
            if model.unreadable:
                reason = next(iter(model.unreadable.values()))
                notes.append(
                    f"{model.name} cannot read {len(model.unreadable)} of {self.images} images, "
                    f"which its scores leave out: {reason}"
                )
        if self.smallest > 1:
            notes.append(small_note(self.smallest))
        return [
            *notes,
            f"Scores: means over images. Time: median over images after one warm-up, on "
            f"{self.device}; of the wall clock, and of the processor with all threads summed. "
            "FLOP: of the plain network, a multiply-add counts as two. Peak: rise of the "
            f"{PeakMemory.method(self.device)}, from before the model is loaded.",
        ]

    def to_csv(self) -> str:
        """Return one row a model: scores, seconds, counts and bytes, without rounding."""
        return to_csv([one.as_row() for one in self.models])

    def images_csv(self) -> str:
        """Return one row a model and image, with every metric."""
        rows = [
            {
                "model": model.name,
                **run.image.as_row(),
                "cpu_seconds": round(run.cpu_seconds, 4),
                "megapixels": run.megapixels,
            }
            for model in self.models
            for run in model.runs
        ]
        return to_csv(rows)

    def as_dict(self) -> dict[str, Any]:
        """Return the rows of the models, and what was left out, as JSON can hold them."""
        return {
            "models": [one.as_row() for one in self.models],
            "images": self.images,
            "device": self.device,
            "smallest": self.smallest,
            "skipped": {str(path): reason for path, reason in self.skipped.items()},
        }

    def to_svg(self) -> str:
        """Return a plot of AP@0.5 against seconds per megapixel, one point a model."""
        rows = [one.as_row() for one in self.models if one.runs]
        points = [Point(r["model"], r["seconds_per_mpx"], r["ap50"]) for r in rows]
        where = f"seconds per megapixel on {self.device} (logarithmic)"
        return scatter_svg(points, where, "AP at IoU 0.5")

    def save(self, folder: Path) -> None:
        """Write ``comparison`` as ``.txt``, ``.csv``, ``.svg``, and ``comparison_images.csv``.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        make_folder(folder)
        write_text(folder / "comparison.txt", self.table() + "\n")
        write_text(folder / "comparison.csv", self.to_csv())
        write_text(folder / "comparison_images.csv", self.images_csv())
        write_text(folder / "comparison.svg", self.to_svg())


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return cells as text in columns, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])])
        for first, *others in lines
    )


def _shown(value: float | None, scale: float, form: str) -> str:
    return "–" if value is None else format(value * scale, form)


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows of the same keys as CSV with a header; without rows it is empty."""
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
