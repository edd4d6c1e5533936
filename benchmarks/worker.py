"""Times one tool in a process of its own: ``python -m benchmarks.worker TOOL TASK SIDE FOLDER``.

It answers commands from standard input, one JSON object a line: ``run WAY`` times one call, ``keep
WAY`` saves what one call returns (an array) in FOLDER. It needs only numpy besides the tool itself.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from benchmarks.times import Times


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB of 2**20 bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count the parent's memory in, from before exec
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if platform.system() == "Darwin" else 1024)


def timed(function: Callable[[], Any]) -> dict[str, float]:
    """Call once; return CPU seconds of the whole process, wall seconds, peak memory.

    A function that returns `Times` has them taken in place of these.
    """
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if isinstance(result, Times):
        cpu, wall = result
    return {"cpu": cpu, "wall": wall, "peak_mb": peak_memory_mb()}


def serve(ways: dict[str, Callable[[], Any]], folder: Path, answers: TextIO) -> None:
    """Answer commands until standard input ends."""

    def answer(reply: dict[str, Any]) -> None:
        answers.write(json.dumps(reply) + "\n")
        answers.flush()

    answer({"ways": list(ways), "peak_mb": peak_memory_mb()})
    for line in sys.stdin:
        command, way = line.rstrip("\n").split(" ", 1)
        if command == "run":
            answer(timed(ways[way]))
        else:
            path = folder / f"kept_{os.getpid()}.npy"
            np.save(path, np.asarray(ways[way]()))
            answer({"path": str(path)})


if __name__ == "__main__":
    tool, task, side, place = sys.argv[1:]
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the tool prints must not mix with the answers
    subject = importlib.import_module(f"benchmarks.subjects.{tool}")
    serve(subject.ways(task, int(side), Path(place)), Path(place), channel)
