"""Start Python as a process beside this one, out of sight, with pipes to talk through."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

_LOWER_PRIORITY = 10
# Set by viewers, notebooks and debuggers for themselves; they would mislead another process.
_NOT_INHERITED = ("QT_", "QML", "PYTHONINSPECT", "PYDEVD")


def find_python() -> str | None:
    """Return the Python that runs here, as a program to start; None if there is none.

    A napari that is an app of its own names itself as the Python that runs; starting that would
    open another window, so the Python inside the app is looked for.
    """
    if getattr(sys, "frozen", False):
        return None
    own, inside = Path(sys.executable or ""), Path(sys.prefix)
    if own.stem.lower() == "pythonw":  # the one without a console cannot be given streams
        own = own.with_name("python.exe")
    places = [inside / "python.exe", inside / "bin" / "python3", inside / "bin" / "python"]
    if own.stem.lower().startswith(("python", "pypy")):
        places.insert(0, own)
    return next((str(place) for place in places if place.is_file()), None)


def processors() -> int:
    """Return how many processors this process may use."""
    mine = getattr(os, "sched_getaffinity", None)  # Linux alone tells
    return len(mine(0)) if mine is not None else os.cpu_count() or 1


def start(
    line: Sequence[str],
    *,
    buffered: bool = True,
    errors: int = subprocess.DEVNULL,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.Popen[bytes]:
    """Start a process with pipes to its input and output, in a group of its own, at low priority.

    Ctrl-C in the terminal does not reach it: it sees its input end, however this process ends.

    Parameters
    ----------
    line
        The command.
    buffered
        Whether reading waits for all that is asked for; else it returns what there is.
    errors
        What becomes of its standard error; a napari without a console has none to inherit.
    variables
        Of the environment, besides what it inherits.

    Raises
    ------
    OSError
        If it cannot be started.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)
    }
    # Whatever a library draws, no window opens.
    environment |= {"QT_QPA_PLATFORM": "offscreen", "MPLBACKEND": "agg", **variables}
    flags = 0
    if sys.platform == "win32":
        flags = (
            subprocess.CREATE_NEW_PROCESS_GROUP
            | subprocess.CREATE_NO_WINDOW
            | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        )
    process = subprocess.Popen(
        line,
        bufsize=-1 if buffered else 0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=environment,
        creationflags=flags,
        # No session of its own: Linux may share processors among sessions, and priorities count
        # within one alone.
        process_group=None if sys.platform == "win32" else 0,
    )
    if sys.platform != "win32":
        with suppress(OSError):
            os.setpriority(os.PRIO_PGRP, process.pid, _LOWER_PRIORITY)
    return process
