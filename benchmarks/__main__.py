"""Runs the benchmarks and writes their results as JSON and as a page of tables."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.report import Table, markdown, read_tables, write_tables
from benchmarks.runner import ROOT, Result, Subject, in_turns

PEERS_VARIABLE = "CELLSEG_BENCH_PEERS"
TASKS = {
    "labels": (512, 1024, 2048, 8192),
    "maps": (1024, 2048),
    "training": (256,),
    "memory": (8192,),
    "dock": (0,),
    "editing": (4096,),
    "measuring": (4096,),
    "window": (4096,),
}
TOOLS = {
    "labels": ("ours", "watershed", "stardist", "cellpose"),
    "maps": ("ours", "stardist", "cellpose"),
    "training": ("ours", "stardist", "cellpose"),
    "memory": ("ours", "stardist", "cellpose"),
    "dock": ("dock",),
    "editing": ("ours", "cellpose_window"),
    "measuring": ("ours", "regionprops"),
    "window": ("window",),
}
OWN = ("ours", "watershed", "regionprops", "dock", "window")
SHOWN = ("dock", "window")
"""Tasks that need a display, and a fresh process for each round: some things happen once in it."""


def main() -> None:
    """Parse the command line and run."""
    options = _parser().parse_args()
    peers = dict(one.split("=", 1) for one in options.peer)
    from_environment = os.environ.get(PEERS_VARIABLE, "")
    peers |= dict(one.split("=", 1) for one in from_environment.split(";") if one)
    if "cellpose" in peers:
        peers["cellpose_window"] = peers["cellpose"]
    pythons = {**peers, **dict.fromkeys(OWN, sys.executable)}
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for task in options.only:
            for side in TASKS[task]:
                if options.smallest <= side <= options.largest:
                    _save(_run(task, side, folder, pythons, options), options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=PYTHON",
        help="interpreter of a peer's environment (cellpose=..., stardist=...); "
        f"also from {PEERS_VARIABLE}, separated by semicolons; absent peers are left out",
    )
    parser.add_argument("--only", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--largest", type=int, default=8192, help="largest picture side in px")
    parser.add_argument("--smallest", type=int, default=0, help="smallest picture side in px")
    parser.add_argument("--rounds", type=int, default=7, help="timed runs of each way")
    parser.add_argument(
        "--long", type=float, default=30, help="a way that takes more CPU seconds runs once only"
    )
    parser.add_argument("--folder", type=Path, help="keep the pictures here for the next time")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("bench-results"),
        help="writes OUT.json and OUT.md; tables of earlier runs in them are kept",
    )
    parser.add_argument(
        "--machine",
        default=f"{platform.system()}, {os.cpu_count()} CPUs",
        help="words for the page",
    )
    return parser


def _run(
    task: str, side: int, folder: Path, pythons: dict[str, str], options: argparse.Namespace
) -> Table:
    print(f"{task} {side or ''}", flush=True)
    table = Table(task, side)
    table.absent = [tool for tool in TOOLS[task] if tool not in pythons]
    if task in SHOWN and sys.platform == "linux" and "DISPLAY" not in os.environ:
        table.absent.append("a display (run under xvfb-run)")
    present = [
        tool for tool in TOOLS[task] if tool in pythons and not (tool in SHOWN and table.absent)
    ]
    if side and task not in ("training", "editing", "measuring", "window"):
        subprocess.run(
            [sys.executable, "-m", "benchmarks.cells", str(side), str(folder)], cwd=ROOT, check=True
        )
    if task == "memory":
        table.results = [
            one for tool in present for one in _once(tool, pythons, task, side, folder)
        ]
    elif task in SHOWN:
        runs = [_once(task, pythons, task, side, folder) for _ in present * options.rounds]
        table.results = _joined(runs)
    else:
        truth = np.load(folder / f"labels_{side}.npy") if task == "labels" else None
        with _all(present, pythons, task, side, folder) as subjects:
            table.results = in_turns(subjects, options.rounds, options.long, truth)
    for one in table.results:
        print(f"  {one.tool:10} {one.way:50} {1e3 * one.middle():10.1f} ms  {one.peak_mb:6.0f} MB")
    return table


@contextlib.contextmanager
def _all(
    tools: list[str], pythons: dict[str, str], task: str, side: int, folder: Path
) -> Iterator[list[Subject]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(Subject(tool, pythons[tool], task, side, folder)) for tool in tools
        ]


def _once(tool: str, pythons: dict[str, str], task: str, side: int, folder: Path) -> list[Result]:
    """Time each way once in a fresh process."""
    with Subject(tool, pythons[tool], task, side, folder) as subject:
        results = subject.hello()
        for result in results:
            subject.run(result)
    return results


def _joined(runs: list[list[Result]]) -> list[Result]:
    """Gather the single calls of many processes."""
    if not runs:
        return []
    joined = runs[0]
    for run in runs[1:]:
        for into, one in zip(joined, run, strict=True):
            into.cpu += one.cpu
            into.wall += one.wall
    return joined


def _save(table: Table, options: argparse.Namespace) -> None:
    """Write after every table, beside those of earlier runs, so that no long run is lost."""
    packages = ("torch", "numpy", "scipy", "scikit-image", "napari")
    own = [f"{name} {version(name)}" for name in packages]
    versions = ", ".join([f"Python {platform.python_version()}", *own])
    data = options.out.with_suffix(".json")
    tables = read_tables(data.read_text()) if data.exists() else []
    kept = [one for one in tables if (one.task, one.side) != (table.task, table.side)]
    tables = sorted([*kept, table], key=lambda one: (list(TASKS).index(one.task), one.side))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    data.write_text(write_tables(tables, options.machine, versions))
    options.out.with_suffix(".md").write_text(markdown(tables, options.machine, versions))


if __name__ == "__main__":
    main()
