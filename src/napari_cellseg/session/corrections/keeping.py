"""What the journal keeps of a document, and how a document comes out of it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.run_length import decode, encode
from napari_cellseg.session.corrections._record import Record
from napari_cellseg.session.corrections.decided import BoolArray, Decided
from napari_cellseg.session.corrections.delta import Delta, Int32Array, Positions
from napari_cellseg.session.corrections.history import Step
from napari_cellseg.session.corrections.log import Entry, entry_of
from napari_cellseg.session.corrections.states import UNTOUCHED, States


@dataclass(frozen=True, eq=False)
class Recovered:
    """A document out of a journal.

    Attributes
    ----------
    about
        What was said about the layer.
    labels
        int32, as they were after the last operation.
    states
        What was decided about the objects.
    erased
        Positions that a person erased.
    reviewed
        Mask of the labels' shape, True where a person said that everything is right; None if
        nowhere.
    done
        The operations since the labels were written, as of `log.entry_of`.
    """

    about: dict[str, Any]
    labels: Int32Array
    states: States
    erased: Positions
    reviewed: BoolArray | None = None
    done: tuple[Entry, ...] = ()


def base_of(about: Mapping[str, Any], decided: Decided, states: States) -> dict[str, Any]:
    """Return what is kept beside the labels `decided` when a generation begins."""
    return {**base_without_masks(about, states), **masks_of(decided)}


def base_without_masks(about: Mapping[str, Any], states: States) -> dict[str, Any]:
    """Return of it what is there at once."""
    return {"about": dict(about), "states": states.to_json()}


def masks_of(decided: Decided) -> dict[str, Any]:
    """Return of it what takes long for large labels."""
    masks = {"erased": decided.erased, "reviewed": decided.reviewed}
    return {name: encode(mask) for name, mask in masks.items() if mask is not None}


def record_of(step: Step) -> tuple[str, dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Return name, plain values and arrays that keep a step."""
    after = States({label: state for label, (_, state) in step.states.items()})
    untouched = [label for label, (_, state) in step.states.items() if state == UNTOUCHED]
    meta: dict[str, Any] = {"states": after.to_json(), "untouched": untouched}
    meta["entry"] = entry_of(step)
    arrays: dict[str, npt.NDArray[Any]] = {
        "positions": step.pixels.positions,
        "after": step.pixels.after,
        "freed": step.freed,
        "claimed": step.claimed,
    }
    return step.name, meta, {name: array for name, array in arrays.items() if array.size}


def record_of_area(area: BoolArray | None) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return name, plain values and arrays that keep the reviewed area."""
    return "Reviewed area", {"reviewed": "" if area is None else encode(area)}, {}


def replay(
    base: Mapping[str, Any], labels: npt.NDArray[np.integer], records: Sequence[Record]
) -> Recovered:
    """Return the document after all `records`.

    Parameters
    ----------
    base
        As of `base_of`.
    labels
        The labels that it belongs to.
    records
        What followed, as of `record_of` and `record_of_area`.
    """
    now = np.array(labels, dtype=np.int32, order="C")
    flat = now.reshape(-1)
    states = States.from_json(base["states"])
    erased = np.zeros(now.size, dtype=bool)
    if "erased" in base:
        erased[:] = decode(base["erased"], now.shape).reshape(-1)
    reviewed, done = str(base.get("reviewed", "")), []
    for record in records:
        if "reviewed" in record.meta:
            reviewed = str(record.meta["reviewed"])
            continue
        if "entry" in record.meta:  # not of version 0.1
            done.append(dict(record.meta["entry"]))
        arrays = record.arrays
        if "positions" in arrays:
            flat[arrays["positions"]] = arrays["after"]
        erased[arrays.get("freed", Delta.none().positions)] = True
        erased[arrays.get("claimed", Delta.none().positions)] = False
        changed = States.from_json(record.meta["states"])
        new = {label: changed[label] for label in changed}
        new |= dict.fromkeys(record.meta["untouched"], UNTOUCHED)
        states.make(states.change(new))
    area = decode(reviewed, now.shape) if reviewed else None
    positions = np.flatnonzero(erased)
    return Recovered(dict(base["about"]), now, states, positions, area, tuple(done))
