"""What the documentation says of fine-tuning, measured anew with a small budget."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "finetune_evidence.py"


@pytest.mark.slow
def test_five_images_teach_whole_cells(shared_data, tmp_path):
    """In as many steps as the preset "quick" has time for, however busy the computer is."""
    command = [sys.executable, str(SCRIPT), str(shared_data), "-o", str(tmp_path)]
    subprocess.run([*command, "--cases", "5", "--steps", "200"], check=True)
    with (tmp_path / "evidence.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    found = {name: float(value) for name, value in row.items() if "_ap50_" in name}
    assert found["cells_ap50_after"] >= found["cells_ap50_before"] + 0.25
    assert found["nuclei_ap50_after"] >= found["nuclei_ap50_before"] - 0.02
