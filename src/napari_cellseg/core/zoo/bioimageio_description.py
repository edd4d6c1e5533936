"""What a BioImage.IO zip says about a model: its YAML (model description 0.5) and its README."""

from __future__ import annotations

import re
from typing import Any

from napari_cellseg import __version__
from napari_cellseg.core.models.registry import ModelParams
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.contents import THUMBNAIL_FILE

FORMAT_VERSION = "0.5.4"
OPSET = 18
"""Of ONNX."""

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_+\- ()]+")


def describe(card: Card, params: ModelParams, stride: int, attachments: list[str]) -> bytes:
    """Return the YAML.

    Parameters
    ----------
    card
        Card of the model.
    params
        Parameters of its network: they say which maps there are.
    stride
        Sides of the input are multiples of it.
    attachments
        Names of the bundle's own files in the zip.
    """
    import yaml

    outputs = {
        name: ["background", *params.types] if name == "classes" else [name]
        for name in params.map_channels
    }
    title = _NOT_IN_NAMES.sub(" ", card.title or card.name).strip()
    description: dict[str, Any] = {
        "type": "model",
        "format_version": FORMAT_VERSION,
        "name": re.sub(" +", " ", title)[:64].ljust(5, "-"),
        "description": (card.description or card.title or card.name)[:1000],
        "authors": [{"name": "The napari-cellseg developers"}],
        "cite": [],
        "license": card.licence or None,
        "documentation": "README.md",
        "covers": [THUMBNAIL_FILE],
        "tags": ["segmentation", "instance-segmentation", "2d", "napari-cellseg"],
        "attachments": [{"source": name} for name in attachments],
        "inputs": [_input(card, stride)],
        "outputs": [_output(name, channels) for name, channels in outputs.items()],
        "weights": {"onnx": {"source": "weights.onnx", "opset_version": OPSET}},
        "config": {"napari-cellseg": {"version": __version__, "model": card.name}},
    }
    if card.created:
        description["timestamp"] = card.created
    text: str = yaml.safe_dump(description, sort_keys=False, allow_unicode=True)
    return text.encode()


def _input(card: Card, stride: int) -> dict[str, Any]:
    colour = "rgb" in card.channels
    names = [f"channel{number}" for number in range(card.in_channels)]
    size = {"min": stride, "step": stride}
    percentiles = {
        "axes": ["channel", "y", "x"] if colour else ["y", "x"],
        "min_percentile": card.normalization.low,
        "max_percentile": card.normalization.high,
    }
    return {
        "id": "image",
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": ["red", "green", "blue"] if colour else names},
            *({"type": "space", "id": axis, "size": size} for axis in "yx"),
        ],
        "test_tensor": {"source": "test_image.npy"},
        "data": {"type": "float32"},
        "preprocessing": [
            {"id": "scale_range", "kwargs": percentiles},
            {"id": "clip", "kwargs": {"min": 0.0, "max": 1.0}},
        ],
    }


def _output(name: str, channels: list[str]) -> dict[str, Any]:
    sizes = {axis: {"tensor_id": "image", "axis_id": axis} for axis in "yx"}
    return {
        "id": name,
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": channels},
            *({"type": "space", "id": axis, "size": size} for axis, size in sizes.items()),
        ],
        "test_tensor": {"source": f"test_{name}.npy"},
        "data": {"type": "float32"},
    }


def readme(card: Card) -> str:
    """Return the documentation that travels with the model."""
    low, high = card.diameter_range
    data = "".join(f"- {one.name}: {one.images} images, {one.licence}\n" for one in card.data)
    return f"""# {card.title or card.name}

{card.description}

It gives probability maps ({", ".join(card.maps)}). napari-cellseg makes separate objects of them;
other programs have to do that themselves. Objects should measure about {card.object_diameter:g} px
({low:g} to {high:g} px): rescale other images before. A grey image is repeated in all
{card.in_channels} channels. Sides that do not fit are padded by reflection.

`napari-cellseg models install` takes this zip and gives the original model back: the attached
`card.json`, `weights.safetensors` and `self_test.safetensors` are all that it needs.

## Trained on

{data or "- not told"}

## Validation

{_scores(card)}
"""


def _scores(card: Card) -> str:
    rows = [
        f"- {name}: " + ", ".join(f"{metric} {value:.3f}" for metric, value in scores.items())
        for name, scores in card.scores.items()
    ]
    return "\n".join(rows) or "No scores are known."
