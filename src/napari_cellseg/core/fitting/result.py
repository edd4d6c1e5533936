"""What a fit found, and whether it is worth applying."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from napari_cellseg.core.components import Params
from napari_cellseg.core.fitting.tally import FitScore
from napari_cellseg.core.wording import counted


@dataclass(frozen=True)
class FitResult:
    """Settings that agree best with what was reviewed.

    Attributes
    ----------
    params
        The settings; those of the start, unless others are better by more than chance.
    start
        The settings that the fit began with.
    before, after
        Scores of `start` and of `params` on what the fit used.
    error
        Standard error of the difference of the two mean scores, see `standard_error`.
    objects, pixels
        True objects and pixels of the regions that the fit used.
    evaluations
        How many settings were tried.
    """

    params: Params
    start: Params
    before: FitScore
    after: FitScore
    error: float
    objects: int
    pixels: int
    evaluations: int

    @property
    def worthwhile(self) -> bool:
        """Whether applying `params` changes anything, and for the better."""
        return bool(self.changes)

    @property
    def changes(self) -> Mapping[str, tuple[Any, Any]]:
        """Old and new value of each setting that differs."""
        old, new = self.start.model_dump(), self.params.model_dump()
        return {name: (old[name], new[name]) for name in old if old[name] != new[name]}

    def as_dict(self) -> dict[str, Any]:
        """Return plain data: scores before and after, what changes, and all settings."""
        return {
            "worthwhile": self.worthwhile,
            "before": asdict(self.before),
            "after": asdict(self.after),
            "error": self.error,
            "objects": self.objects,
            "pixels": self.pixels,
            "evaluations": self.evaluations,
            "changes": {name: list(values) for name, values in self.changes.items()},
            "post": self.params.model_dump(mode="json"),
        }

    def text(self) -> str:
        """Return the outcome in words, with a table of scores and one of changes."""
        lines = [
            f"{'':8}{'before':>8}{'after':>8}",
            f"{'PQ':8}{self.before.pq:8.3f}{self.after.pq:8.3f}",
            f"{'AP@0.5':8}{self.before.ap:8.3f}{self.after.ap:8.3f}",
        ]
        if not self.worthwhile:
            lines.append(
                f"No settings agree better with the {counted(self.objects, 'reviewed object')} by "
                "more than chance: the present ones are kept."
            )
            return "\n".join(lines)
        lines.append(f"On {counted(self.objects, 'reviewed object')}, with these changes:")
        width = max(map(len, self.changes))
        for name, (old, new) in self.changes.items():
            lines.append(f"  {name:{width}}  {old} -> {new}")
        return "\n".join(lines)
