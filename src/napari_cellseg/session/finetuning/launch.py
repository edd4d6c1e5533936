"""Start the command line as a process of its own, out of sight and out of the viewer's way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from napari_cellseg.core import child_process
from napari_cellseg.core.errors import TrainingError


def find_python() -> str:
    """Return the Python to start, the one that runs here.

    Raises
    ------
    TrainingError
        If there is none.
    """
    found = child_process.find_python()
    if found is None:
        raise TrainingError(
            "This napari is an app without a Python that could train in the background: save the "
            "job for training elsewhere and run 'napari-cellseg finetune' on it where "
            "napari-cellseg is installed with pip or conda."
        )
    return found


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
    variables = {"PYTHONIOENCODING": "utf-8:backslashreplace"}
    try:
        return child_process.start(
            line, buffered=False, errors=subprocess.PIPE, variables=variables
        )
    except OSError as error:
        raise TrainingError(
            f"The training process cannot be started ({error.strerror}): free memory, or check "
            f"that '{line[0]}' may be run."
        ) from error


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
