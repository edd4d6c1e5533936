"""What a way took by its own account."""

from __future__ import annotations

from typing import NamedTuple


class Times(NamedTuple):
    """Seconds."""

    cpu: float
    wall: float
