"""The table of what would be learnt from: one row a picture, stack or folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.session.finetuning.material import Material, OpenLabels, UInt8Array, thumbnail

if TYPE_CHECKING:
    from napari_cellseg.core.finetuning.material.split import Split
    from napari_cellseg.core.finetuning.settings import FineTuneSettings
    from napari_cellseg.core.zoo.card import Card


@dataclass(frozen=True, eq=False)
class SourceRow:
    """What is told of some material.

    Attributes
    ----------
    key, name
        As of the material.
    objects
        Objects that are right.
    decided
        Those that were accepted or edited; None where that is not known.
    share
        Part, 0 to 1, of its reviewed planes where it is known what is there.
    planes, of_planes
        How many are reviewed, and how many there are.
    part
        What it is used for, in words; "" if not yet known.
    picture
        Small picture (Y, X, 3), None if there is none.
    problem
        Why nothing can be learnt from it; "" if something can.
    """

    key: str
    name: str
    objects: int = 0
    decided: int | None = None
    share: float = 0.0
    planes: int = 0
    of_planes: int = 0
    part: str = ""
    picture: UInt8Array | None = None
    problem: str = ""


@dataclass(frozen=True, eq=False)
class Overview:
    """All rows, and the sources of those that are ticked."""

    rows: tuple[SourceRow, ...]
    sources: tuple[Source, ...]


def look(
    materials: Sequence[Material],
    ticked: Collection[str],
    card: Card | None,
    settings: FineTuneSettings,
) -> Overview:
    """Count what there is in each material, and say what it would be used for (in a worker).

    Parameters
    ----------
    materials
        What there is.
    ticked
        Keys of those that a model would learn from.
    card
        Card of the model, None if none is chosen.
    settings
        What a run would be made with.
    """
    rows: list[SourceRow] = []
    entering: dict[str, list[Source]] = {}
    for one in materials:
        try:
            found = list(one.sources())
            if card is not None:
                for source in found:
                    source.channel_choice(card)
        except CellsegError as error:
            rows.append(SourceRow(one.key, one.name, problem=str(error)))
            continue
        rows.append(_row(one, found))
        if one.key in ticked:
            entering[one.key] = found
    every = [source for found in entering.values() for source in found]
    if card is None or not every:
        return Overview(tuple(rows), tuple(every))
    from napari_cellseg.core.finetuning.jobs.rounds import planned_splits

    try:
        splits = planned_splits(settings, card, every)
    except CellsegError as error:
        told = [replace(r, part=str(error)) if r.key in entering else r for r in rows]
        return Overview(tuple(told), tuple(every))
    told = [
        replace(row, part=_part(entering[row.key], splits)) if row.key in entering else row
        for row in rows
    ]
    return Overview(tuple(told), tuple(every))


def _row(material: Material, found: Sequence[Source]) -> SourceRow:
    pixels = sum(source.labels.size for source in found)
    return SourceRow(
        material.key,
        material.name,
        objects=sum(source.objects for source in found),
        decided=material.decisions if isinstance(material, OpenLabels) else None,
        share=sum(source.area for source in found) / pixels if pixels else 0.0,
        planes=len(found),
        of_planes=material.of_planes or len(found),
        picture=thumbnail(found[0]) if found else None,
        problem="" if found else "Nothing of it is reviewed.",
    )


def _part(found: Sequence[Source], splits: Mapping[str, Split]) -> str:
    """Return what sources are used for, in words."""
    said = [splits[source.sha256] for source in found]
    whole = {kind: said.count(kind) for kind in ("train", "validation")}
    cut = len(said) - sum(whole.values())
    words = {"train": "training", "validation": "validation"}
    if len(said) == 1:
        return words[str(said[0])] if not cut else "training, a strip for validation"
    told = [f"{count} {words[kind]}" for kind, count in whole.items() if count]
    return ", ".join(told + ([f"{cut} both"] if cut else []))
