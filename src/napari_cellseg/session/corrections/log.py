"""What was done to labels, by whom and when: kept with them, whatever undo has forgotten."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from napari_cellseg.session.corrections.history import Step

LONGEST = 10_000
"""Entries that are kept; the oldest go first."""
_MOST_IDS = 100  # objects that an entry names whose pixels changed; decisions name all theirs

Entry = dict[str, Any]


@lru_cache(maxsize=1)
def person() -> str:
    """Return the name under which the person is logged in, "" if the system does not tell."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return ""


def entry_of(step: Step) -> Entry:
    """Return one step as plain values for JSON.

    Returns
    -------
    name, when, by, objects and pixels that changed; ``decided`` with the objects by decision
    ("open" where one was taken back), ``classes`` with those that were given one, and ``undo``
    where it takes another one back.
    """
    changes = {label: after for label, (_, after) in step.states.items()}
    objects = sorted({*changes, *step.pixels.ids})
    entry: Entry = {
        "name": step.name,
        "when": step.when,
        "by": person(),
        "objects": [int(one) for one in objects[:_MOST_IDS]],
        "pixels": int(step.pixels.positions.size),
    }
    decided = _grouped({i: state.decision or "open" for i, state in changes.items()})
    classes = _grouped({i: s.cell_class for i, s in changes.items() if s.cell_class})
    found = {"decided": decided, "classes": classes, "undo": step.takes_back}
    return entry | {name: value for name, value in found.items() if value}


class Log:
    """The entries of one labels layer, the oldest first.

    Parameters
    ----------
    entries
        Those of before.
    """

    def __init__(self, entries: Iterable[Any] = ()) -> None:
        self._entries = [dict(one) for one in entries if isinstance(one, Mapping)]

    @property
    def entries(self) -> list[Entry]:
        """All entries, in a list of its own."""
        return list(self._entries)

    def follow(self, step: Step, last: Step | None) -> None:
        """Note a step.

        Parameters
        ----------
        step
            What happened.
        last
            The last step of the history afterwards. Where it is not this one, this one was made
            one with those of the same slider before it, or nothing was left of all of them.
        """
        if not step:
            return
        if last is not None and last is not step and not step.takes_back:
            if self._entries and self._entries[-1]["name"] == step.name:
                self._entries.pop()
            if last.name != step.name:
                return
            step = last
        self._entries.append(entry_of(step))
        del self._entries[:-LONGEST]


def _grouped(values: Mapping[int, str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for label in sorted(values):
        found.setdefault(values[label], []).append(int(label))
    return found
