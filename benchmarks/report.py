"""Results as a page of tables, with the ratios to this plugin and the bars that it must pass."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from benchmarks.runner import Result

BARS = {
    ("labels", 1024, "foreground threshold"): 0.008,
    ("labels", 1024, "split strength"): 0.008,
    ("labels", 1024, "threshold + morphology + clean-up"): 0.016,
    ("labels", 1024, "foreground threshold, without numba"): 0.020,
    ("labels", 8192, "foreground threshold"): 0.5,
    ("labels", 8192, "foreground threshold, view of 1 MPix"): 0.030,
    ("maps", 1024, "predict"): 0.45 * 1024**2 / 1e6,
    ("training", 256, "attention-unet, bfloat16"): 1.3,
    ("dock", 0, ""): 0.3,
    **{
        ("editing", 4096, way): 0.030
        for way in ("merge two", "delete one", "split by a line", "smooth", "undo")
    },
    ("editing", 4096, "delete 1,000"): 0.3,
    ("editing", 4096, "undo that"): 0.3,
    ("measuring", 4096, "fast set"): 1.0,
}
"""Most seconds that a way of this plugin may take, by task, side and way."""

MEMORY_BAR_MB = 1800

STALL_BAR = 0.1
"""Seconds that the window may stand still at most, whatever is done."""

TITLES = {
    "labels": "One step of a slider: probability maps to labels",
    "maps": "Image to probability maps",
    "training": "One training step on 8 patches",
    "memory": "Peak memory",
    "dock": "Opening the dock",
    "editing": "Correcting labels, 41,616 objects",
    "measuring": "Measuring 41,616 objects and one channel",
    "window": "The longest stall of the window",
}


@dataclass
class Table:
    """Results of one task at one picture side; 0 where there is no picture."""

    task: str
    side: int
    results: list[Result] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


def write_tables(tables: Sequence[Table], machine: str, versions: str) -> str:
    """Return every single time as JSON."""
    content = {"machine": machine, "versions": versions, "tables": [asdict(t) for t in tables]}
    return json.dumps(content, indent=1) + "\n"


def read_tables(text: str) -> list[Table]:
    """Read what `write_tables` has written."""
    return [
        Table(**{**table, "results": [Result(**one) for one in table["results"]]})
        for table in json.loads(text)["tables"]
    ]


def markdown(tables: Sequence[Table], machine: str, versions: str) -> str:
    """Return the whole page."""
    lines = [
        "# Benchmarks",
        "",
        "Made by `python -m benchmarks`; `benchmarks/README.md` says how. Times are CPU time of",
        "one thread, medians of interleaved runs, every tool in a process of its own: other load",
        "slows all tools alike, so read ratios first. 'x' is the ratio to a table's first line.",
        "",
        f"Machine: {machine}. {versions}.",
    ]
    for table in tables:
        lines += ["", f"## {_title(table)}", "", *_rows(table)]
        if table.task == "dock" and table.results:
            wall = statistics.median(table.results[0].wall)
            lines += [
                "",
                f"The bar is for what a person waits: {_ms(wall)} ms here, the median wall time.",
            ]
        lines += [f"Not installed, left out: {', '.join(table.absent)}."] * bool(table.absent)
    return "\n".join(lines) + "\n"


def _title(table: Table) -> str:
    size = f", {table.side} x {table.side} px" if table.side else ""
    return TITLES[table.task] + size


def _rows(table: Table) -> list[str]:
    if table.task == "memory":
        return _memory_rows(table)
    scored = any(one.ap50 is not None for one in table.results)
    head = ["tool", "way", "CPU median, ms", "least, ms", "n", "x", "bar, ms"]
    head += ["AP50"] * scored
    rows = [head, ["---", "---"] + ["---:"] * (len(head) - 2)]
    first = table.results[0].middle()
    for one in table.results:
        middle = one.middle()
        bar = bar_of(table.task, table.side, one)
        # the bar of the dock is a person's wait, the others are work; a stall is judged by its
        # least, as other load makes the window's thread itself slower
        judged = statistics.median(one.wall) if table.task == "dock" else middle
        judged = min(one.cpu) if table.task == "window" else judged
        passed = "" if bar is None else f"{1e3 * bar:.0f} {'met' if judged <= bar else 'MISSED'}"
        row = [one.tool, one.way, _ms(middle), _ms(min(one.cpu)), str(len(one.cpu))]
        row += [_ratio(middle / first), passed]
        row += [_score(one.ap50)] * scored
        rows.append(row)
    return ["| " + " | ".join(row) + " |" for row in rows]


def _memory_rows(table: Table) -> list[str]:
    rows = [
        "| tool | way | peak, MB | before, MB | CPU, s | bar, MB |",
        "|---|---|---:|---:|---:|---|",
    ]
    for one in table.results:
        bar = ""
        if one.tool == "ours":
            bar = f"{MEMORY_BAR_MB} {'met' if one.peak_mb <= MEMORY_BAR_MB else 'MISSED'}"
        rows.append(
            f"| {one.tool} | {one.way} | {one.peak_mb:.0f} | {one.before_mb:.0f} "
            f"| {one.cpu[0]:.1f} | {bar} |"
        )
    return rows


def bar_of(task: str, side: int, result: Result) -> float | None:
    """Return the seconds that a result may take at most, or None without a bar."""
    if task == "window":
        return STALL_BAR
    if result.tool not in ("ours", "dock"):
        return None
    return BARS.get((task, side, result.way if side else ""))


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:,.{1 if seconds < 0.1 else 0}f}"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
