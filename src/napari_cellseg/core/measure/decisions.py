"""What the model and a person said about objects, as columns beside what was measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_cellseg.core.measure.table import Columns


@dataclass(frozen=True)
class Decisions:
    """By object number; None where nothing is known of any object, which gives no column.

    Attributes
    ----------
    score, margin
        Score of the model, and by how much its class leads before the second one.
    classes
        Names of the classes.
    locked, edited, accepted
        Numbers of the objects that are.
    """

    score: Mapping[int, float] | None = None
    margin: Mapping[int, float] | None = None
    classes: Mapping[int, str] | None = None
    locked: Collection[int] | None = None
    edited: Collection[int] | None = None
    accepted: Collection[int] | None = None

    @classmethod
    def of_provenance(cls, provenance: Mapping[str, Any]) -> Decisions:
        """Return what label files that were corrected here tell, see `Labels.provenance`."""
        states = _states(provenance)
        if states is None:
            return cls()
        rows = list(zip(states["id"], states["decision"], states["locked"], strict=True))
        named = zip(states["id"], states["class"], strict=True)
        return cls(
            classes={int(i): str(name) for i, name in named if name} or None,
            locked={int(i) for i, _, locked in rows if locked},
            edited={int(i) for i, decision, _ in rows if decision == "edited"},
            accepted={int(i) for i, decision, _ in rows if decision == "accepted"},
        )

    def columns(self, ids: np.ndarray[Any, Any]) -> Columns:
        """Return a column for whatever is known, a row for each of `ids`; unknown is NaN or ""."""
        columns: Columns = {}
        names = ids.tolist()
        for name, numbers in (("score", self.score), ("margin", self.margin)):
            if numbers is not None:
                columns[name] = np.array([numbers.get(i, np.nan) for i in names], np.float64)
        if self.classes is not None:
            columns["class"] = np.array([self.classes.get(i, "") for i in names], str)
        for name, some in (
            ("locked", self.locked),
            ("edited", self.edited),
            ("accepted", self.accepted),
        ):
            if some is not None:
                columns[name] = np.isin(ids, np.fromiter(some, np.int64, len(some)))
        return columns


def _states(provenance: Mapping[str, Any]) -> Mapping[str, list[Any]] | None:
    corrections = provenance.get("corrections")
    states = corrections.get("states") if isinstance(corrections, Mapping) else None
    if not isinstance(states, Mapping):
        return None
    columns = [states.get(name) for name in ("id", "decision", "locked", "class")]
    lengths = {len(column) for column in columns if isinstance(column, list)}
    whole = len(lengths) == 1 and all(isinstance(column, list) for column in columns)
    return states if whole else None
