"""Start the command line as a process of its own, out of sight and out of the viewer's way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from napari_cellseg.core.errors import TrainingError

_LOWER_PRIORITY = 10
# Set by viewers, notebooks and debuggers for themselves; they would mislead another process.
_NOT_INHERITED = ("QT_", "QML", "PYTHONINSPECT", "PYDEVD")


def find_python() -> str:
    """Return the Python to start, the one that runs here.

    Returns
    -------
    Path of the program. A napari that is an app of its own names itself as the Python that runs;
    starting that would open another window, so the Python inside the app is looked for.

    Raises
    ------
    TrainingError
        If there is none.
    """
    own = Path(sys.executable or "")
    if not getattr(sys, "frozen", False):
        if own.stem.lower() == "pythonw":  # the one without a console cannot be given streams
            own = own.with_name("python.exe")
        inside = Path(sys.prefix)
        places = [inside / "python.exe", inside / "bin" / "python3", inside / "bin" / "python"]
        if own.stem.lower().startswith(("python", "pypy")):
            places.insert(0, own)
        for place in places:
            if place.is_file():
                return str(place)
    raise TrainingError(
        "This napari is an app without a Python that could train in the background: save the job "
        "for training elsewhere and run 'napari-cellseg finetune' on it where napari-cellseg is "
        "installed with pip or conda."
    )


def command(folder: Path, device: str, resume: bool) -> list[str]:
    """Return the command that trains a job and tells events.

    Raises
    ------
    TrainingError
        If there is no Python to start.
    """
    # -P: a file torch.py in the folder where napari was started must not be taken for torch.
    line = [find_python(), "-P", "-m", "napari_cellseg.cli"]
    line += ["finetune", str(folder.absolute()), "--json", "--device", device]
    return [*line, "--resume"] if resume else line


def start(line: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a process with pipes to all its streams, in a group of its own, at lower priority.

    Ctrl-C in the terminal of napari does not reach it: it sees its standard input end, as it does
    however napari ends.

    Raises
    ------
    TrainingError
        If it cannot be started.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)
    }
    # Whatever a library draws, no window opens.
    environment |= {
        "QT_QPA_PLATFORM": "offscreen",
        "MPLBACKEND": "agg",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }
    flags = 0
    if sys.platform == "win32":
        flags = (
            subprocess.CREATE_NEW_PROCESS_GROUP
            | subprocess.CREATE_NO_WINDOW
            | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        )
    try:
        process = subprocess.Popen(
            line,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            creationflags=flags,
            start_new_session=sys.platform != "win32",
        )
    except OSError as error:
        raise TrainingError(
            f"The training process cannot be started ({error.strerror}): free memory, or check "
            f"that '{line[0]}' may be run."
        ) from error
    if sys.platform != "win32":
        with suppress(OSError):
            os.setpriority(os.PRIO_PGRP, process.pid, _LOWER_PRIORITY)
    return process


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process, and those that it started, at once; no matter if it has ended."""
    if process.poll() is not None:
        return
    with suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            import signal

            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
