"""Runs tools side by side in turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from napari_cellseg.core.metrics import average_precision

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "OMP_WAIT_POLICY": "PASSIVE",
}
ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Result:
    """What one way of doing one task took.

    Attributes
    ----------
    tool, way
        Who, and how.
    cpu, wall
        Seconds of every timed call, in order.
    before_mb, peak_mb
        Largest resident memory before the first call, and at the end.
    ap50
        AP at IoU 0.5 of the labels against those that the maps were made from.
    """

    tool: str
    way: str
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    before_mb: float = 0.0
    peak_mb: float = 0.0
    ap50: float | None = None

    def middle(self) -> float:
        """Return the median CPU seconds of a call."""
        return statistics.median(self.cpu)


class Subject:
    """One tool on one task, in a process of its own that waits for commands."""

    def __init__(self, tool: str, python: str, task: str, side: int, folder: Path) -> None:
        self.tool = tool
        source = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [python, "-W", "ignore", "-m", "benchmarks.worker", tool, task, str(side), str(folder)],
            cwd=ROOT,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": source},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def hello(self) -> list[Result]:
        """Wait until the tool is ready; return an empty result for each of its ways."""
        reply = self._read()
        return [Result(self.tool, way, before_mb=reply["peak_mb"]) for way in reply["ways"]]

    def ask(self, command: str, way: str) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command} {way}\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the benchmark process of {self.tool} ended early")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def run(self, result: Result) -> None:
        """Time one call and note it."""
        reply = self.ask("run", result.way)
        result.cpu.append(reply["cpu"])
        result.wall.append(reply["wall"])
        result.peak_mb = reply["peak_mb"]


def in_turns(
    subjects: list[Subject], rounds: int, long: float, truth: np.ndarray | None = None
) -> list[Result]:
    """Time every way of every subject round-robin, after one call of each to warm up.

    A way whose warm-up takes more than `long` CPU seconds is not called again: that call counts.
    With `truth`, each way's labels are scored against it.
    """
    pairs = [(subject, result) for subject in subjects for result in subject.hello()]
    for subject, result in pairs:
        subject.run(result)
    again = [(subject, result) for subject, result in pairs if result.cpu[0] <= long]
    for _, result in again:
        result.cpu.clear()
        result.wall.clear()
    for _ in range(rounds):
        for subject, result in again:
            subject.run(result)
    if truth is not None:
        for subject, result in pairs:
            if (subject, result) in again:
                kept = Path(subject.ask("keep", result.way)["path"])
                labels = np.load(kept)
                kept.unlink()
                if labels.shape == truth.shape:  # a way that labels only the view is not scored
                    result.ap50 = average_precision(truth, labels)
    return [result for _, result in pairs]
