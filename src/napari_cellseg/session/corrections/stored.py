"""What was decided about labels, as plain values that are kept in their file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core import run_length
from napari_cellseg.core.errors import DataError
from napari_cellseg.session.corrections.delta import Positions
from napari_cellseg.session.corrections.history import no_positions
from napari_cellseg.session.corrections.states import Decision, States

BoolArray = npt.NDArray[np.bool_]
_DECISIONS: tuple[Decision, ...] = ("", "edited", "accepted", "skipped")
_LEFT_OUT = (
    "The decisions that are stored with these labels {} and were left out; the labels themselves "
    "are whole: accept or edit their objects again."
)


@dataclass(frozen=True, eq=False)
class Stored:
    """What a file of labels tells about them.

    Attributes
    ----------
    states
        What was decided about objects.
    erased
        Flat positions in the labels (T?, Z?, Y, X) that a person erased.
    reviewed
        Mask of the labels' shape, True where a person says that everything is right; None if
        no such area was marked.
    """

    states: States = field(default_factory=States)
    erased: Positions = field(default_factory=no_positions)
    reviewed: BoolArray | None = None


def to_store(states: States, erased: str, reviewed: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return what `read_stored` reads, plain values that JSON can hold; empty if nothing is told.

    Parameters
    ----------
    states
        What was decided about objects.
    erased, reviewed
        Masks as text, see `napari_cellseg.core.run_length`; empty if there is none.
    shape
        Of the labels (T?, Z?, Y, X).
    """
    found: dict[str, Any] = {"states": states.to_json()} if len(states) else {}
    found |= {name: text for name, text in (("erased", erased), ("reviewed", reviewed)) if text}
    return {"shape": list(shape), **found} if found else {}


def read_stored(values: Mapping[str, Any], shape: tuple[int, ...]) -> Stored:
    """Return what was stored about labels of `shape`.

    Raises
    ------
    DataError
        If it is damaged, or was stored about labels of another shape.
    """
    try:
        if tuple(values.get("shape", shape)) != shape:
            raise DataError(_LEFT_OUT.format("belong to labels of another shape"))
        states = States.from_json(values.get("states", {}))
        if any(states[label].decision not in _DECISIONS or label < 1 for label in states):
            raise DataError(_LEFT_OUT.format("are of a newer version"))
        erased, reviewed = values.get("erased", ""), values.get("reviewed", "")
        return Stored(
            states,
            run_length.decode_positions(erased, math.prod(shape)) if erased else no_positions(),
            run_length.decode(reviewed, shape) if reviewed else None,
        )
    except DataError:
        raise
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(_LEFT_OUT.format(f"are damaged ({error})")) from error
