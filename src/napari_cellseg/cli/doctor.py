"""The command ``doctor``: what is installed, which device is used and why, what is wrong."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from napari_cellseg.cli.console import say

_MARKS = {"ok": "  ok  ", "warning": " warn ", "error": "ERROR "}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Examine the installation; 1 if something is broken."""
    from napari_cellseg.core.doctor import examine

    findings = examine()
    if arguments.json:
        say(json.dumps([asdict(one) for one in findings], indent=2, ensure_ascii=False))
    else:
        for one in findings:
            say(f"[{_MARKS[one.status]}] {one.subject}: {one.text}")
            if one.remedy:
                say(f"{'':9}→ {one.remedy}")
    return 1 if any(one.status == "error" for one in findings) else 0
