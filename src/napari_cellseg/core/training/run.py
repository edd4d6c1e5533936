"""What a training run leaves: the folder with its checkpoints and history, and its result."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_cellseg.core.errors import OutputError
from napari_cellseg.core.files import write_text

Row = dict[str, float]


@dataclass(frozen=True)
class TrainResult:
    """What a training run leaves.

    Attributes
    ----------
    folder
        The model bundle.
    history
        One row an epoch: step, seconds, loss, rate and the validation's scores.
    best
        The row of the weights that were kept.
    """

    folder: Path
    history: tuple[Row, ...]
    best: Row


@dataclass
class Run:
    """Where a run keeps its files, and what it has seen so far.

    Attributes
    ----------
    folder
        Made by `make_room`.
    history
        One row an epoch, as in `TrainResult`.
    keeps
        Whether the weights of the ``"best"`` validation are kept, or those of the ``"last"``. The
        best of many looks at the same images is better there than elsewhere: where the model is
        judged by those images, the last has to be kept. Patience is of no use then.
    """

    folder: Path
    history: list[Row]
    keeps: Literal["best", "last"] = "best"

    @property
    def checkpoint(self) -> Path:
        """The state after the last epoch, or where the run was interrupted."""
        return self.folder / "last.safetensors"

    @property
    def best_checkpoint(self) -> Path:
        """The state after the epoch whose weights are kept."""
        return self.folder / "best.safetensors"

    @property
    def best(self) -> Row:
        """The row of the epoch whose weights are kept; of equally good ones the first.

        The best has the highest AP50, or with object classes the highest sum of AP50 and F1. With
        few objects many epochs are equal there; then the lowest loss on validation decides.
        """
        if self.keeps == "last":
            return self.history[-1]
        return max(
            self.history,
            key=lambda row: (
                row["ap50"] + row.get("class_f1", 0.0),
                -row.get("validation_loss", 0.0),
            ),
        )

    def write_history(self) -> None:
        """Write ``history.csv``.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        names = sorted({name for row in self.history for name in row})
        front = [n for n in ("step", "seconds", "rate", "loss") if n in names]
        names = front + [n for n in names if n not in front]
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in self.history)
        write_text(self.folder / "history.csv", text.getvalue())


def make_room(run: Run, output: Path, resume: bool) -> None:
    """Make the run's folder.

    Raises
    ------
    OutputError
        If `output` or an unfinished run would be overwritten, or the folder cannot be made.
    """
    if output.exists():
        raise OutputError(f"'{output}' exists already. Choose another name, or remove it.")
    if run.checkpoint.exists() and not resume:
        raise OutputError(
            f"'{run.folder}' holds an unfinished run. Resume it, or remove that folder."
        )
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder '{run.folder}' cannot be made: {error.strerror}. Choose another place."
        ) from error
