"""How well the classes of found objects agree with the truth: confusion matrix and F1 a class."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.overlap import match, overlap_table, ratio

MISSED, SPURIOUS = "(missed)", "(spurious)"

IOU = 0.5
"""Intersection over union from which a found object is taken for a true one."""


@dataclass(frozen=True, eq=False)
class Confusion:
    """Objects counted by true and predicted class.

    Attributes
    ----------
    types
        Names of the K classes.
    counts
        int64 (K + 1, K + 1): a row a true class, a column a predicted one. The last column counts
        the missed objects, the last row the spurious ones.
    """

    types: tuple[str, ...]
    counts: npt.NDArray[np.int64]

    def f1(self) -> dict[str, float]:
        """Return F1 = 2 TP / (2 TP + FP + FN) of each class that occurs in truth or prediction.

        An object that was found but given another class is a false positive of that class and a
        false negative of its own.
        """
        right = np.diag(self.counts)[:-1]
        sides = self.counts.sum(0)[:-1] + self.counts.sum(1)[:-1]
        return {
            name: ratio(2 * int(tp), int(both))
            for name, tp, both in zip(self.types, right, sides, strict=True)
            if both
        }

    def mean_f1(self) -> float:
        """Return the mean of F1 over the classes that occur; 1.0 where none does."""
        values = list(self.f1().values())
        return float(np.mean(values)) if values else 1.0

    def rows(self) -> list[list[Any]]:
        """Return the matrix as rows of a table, with a header, and F1 last."""
        f1 = self.f1()
        table: list[list[Any]] = [["true class", *self.types, MISSED, "F1"]]
        for name, counts in zip((*self.types, SPURIOUS), self.counts.tolist(), strict=True):
            if name == SPURIOUS:
                counts = [*counts[:-1], ""]
            table.append([name, *counts, f"{f1[name]:.3f}" if name in f1 else ""])
        return table

    def table(self) -> str:
        """Return the matrix as aligned text."""
        cells = [[str(cell) for cell in row] for row in self.rows()]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in cells
        ]
        return "\n".join(line.rstrip() for line in lines)

    def to_csv(self) -> str:
        """Return the matrix and F1 as CSV."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self.rows())
        return text.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "types": list(self.types),
            "f1_50": self.f1(),
            "mean_f1_50": self.mean_f1(),
            "confusion": self.counts.tolist(),
        }


def confusion(
    true: npt.ArrayLike,
    pred: npt.ArrayLike,
    true_classes: Mapping[int, str],
    pred_classes: Mapping[int, str],
    types: Sequence[str],
) -> Confusion:
    """Count the objects of one picture by true and predicted class.

    Objects are matched one to one at an IoU of 0.5, whatever their classes. A true object without a
    class is left out, together with the found object that matches it.

    Parameters
    ----------
    true, pred
        Integer labels of one shape, 0 = background.
    true_classes, pred_classes
        Class names by object number; every object of `pred` needs one.
    types
        Names of the classes that can be predicted; further ones of the truth are put behind them.

    Raises
    ------
    DataError
        As of `overlap_table`.
    """
    names = (*types, *sorted(set(true_classes.values()) - set(types)))
    number = {name: k for k, name in enumerate(names)}
    table = overlap_table(true, pred)
    pairs = match(table, IOU)
    none = len(names)
    partner = np.full(len(table.true_ids), -1)
    partner[pairs.true_index] = pairs.pred_index
    predicted = np.array([number[pred_classes[i]] for i in table.pred_ids.tolist()], np.int64)
    counts = np.zeros((none + 1, none + 1), np.int64)
    for i, found in zip(table.true_ids.tolist(), partner.tolist(), strict=True):
        if i in true_classes:
            counts[number[true_classes[i]], none if found < 0 else predicted[found]] += 1
    spurious = np.delete(predicted, pairs.pred_index)
    np.add.at(counts[none], spurious, 1)
    return Confusion(names, counts)


def pooled(parts: Sequence[Confusion]) -> Confusion:
    """Add the counts of several pictures, whose classes need not be the same."""
    names = tuple(dict.fromkeys(name for part in parts for name in part.types))
    counts = np.zeros((len(names) + 1, len(names) + 1), np.int64)
    for part in parts:
        places = [*(names.index(name) for name in part.types), len(names)]
        counts[np.ix_(places, places)] += part.counts
    return Confusion(names, counts)
