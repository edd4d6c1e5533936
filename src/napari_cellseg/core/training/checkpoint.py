"""A checkpoint on disk: tensors and their JSON, written whole or not at all, never unpickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.errors import OutputError, TrainingError
from napari_cellseg.core.files import atomic_file
from napari_cellseg.core.training.config import TrainConfig

Tensors = dict[str, torch.Tensor]


def write_checkpoint(path: Path, tensors: Tensors, metadata: Mapping[str, str]) -> None:
    """Write a checkpoint; an older one stays whole until the new one is.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    content: bytes = gated_import("safetensors.torch").save(contiguous, dict(metadata))
    try:
        with atomic_file(path) as file:
            file.write(content)
    except OutputError as error:
        raise OutputError(f"{error} The last checkpoint is kept: resume the run then.") from error


def read_checkpoint(path: Path) -> tuple[Tensors, dict[str, str]]:
    """Return tensors and metadata of a checkpoint.

    Raises
    ------
    TrainingError
        If there is none, or it is damaged.
    """
    if not path.is_file():
        raise TrainingError(f"There is no checkpoint '{path}' to resume. Start a new run.")
    try:
        with gated_import("safetensors").safe_open(path, "pt") as file:
            metadata: dict[str, str] = file.metadata()
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except gated_import("safetensors").SafetensorError as error:
        raise damaged(path) from error


def damaged(path: Path) -> TrainingError:
    """Word that a checkpoint cannot be used."""
    return TrainingError(f"The checkpoint '{path}' is damaged. Remove it and start a new run.")


def check_same(saved: TrainConfig, config: TrainConfig) -> None:
    """Refuse to go on with other settings than before, but for the length of the run.

    Raises
    ------
    TrainingError
        If a setting differs.
    """
    budget = {"steps", "minutes", "patience"}
    old, new = saved.model_dump(exclude=budget), config.model_dump(exclude=budget)
    changed = [name for name in new if new[name] != old[name]]
    if changed:
        raise TrainingError(
            f"The checkpoint was made with another '{changed[0]}' ({old[changed[0]]}). "
            "Use the same settings, or start a new run."
        )


def split_names(tensors: Tensors) -> dict[str, Tensors]:
    """Return the tensors by the part of their name before the first dot, named by the rest."""
    parts: dict[str, Tensors] = {}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = value
    return parts


def optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[Tensors, Any]:
    """Return an optimiser's tensors, named PARAMETER.NAME, and its settings for JSON."""
    state = optimizer.state_dict()
    return {
        f"{number}.{name}": value
        for number, values in state["state"].items()
        for name, value in values.items()
        if value is not None  # of SGD without momentum
    }, state["param_groups"]


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Tensors, groups: Any) -> None:
    """Give an optimiser back what `optimizer_state` returned."""
    state = {int(number): values for number, values in split_names(tensors).items()}
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    for number, values in state.items():
        for name, value in values.items():
            if value.shape == parameters[number].shape:
                # A fused step goes through the memory of all as if they were laid out alike.
                values[name] = torch.empty_like(parameters[number]).copy_(value)
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def to_json(values: Mapping[str, object]) -> dict[str, str]:
    """Return metadata: each value as JSON."""
    return {name: json.dumps(value) for name, value in values.items()}
