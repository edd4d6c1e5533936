"""The registry of networks that find objects one by one: boxes, scores and soft masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from napari_cellseg.core._torch import torch
from napari_cellseg.core.components import Params, Registry
from napari_cellseg.core.models.guide import GuideUNet
from napari_cellseg.core.models.registry import MODELS, DenseModel, build_model

INSTANCES = ("instances",)
"""What a card of such a network names as its maps."""

DETECTORS: Registry[type[Detector]] = Registry("detection architecture", __package__)


class DetectorParams(Params):
    """What every detection architecture accepts."""

    in_channels: int = Field(3, ge=1, le=64, title="Channels", description="Image channels.")
    width: Literal["base", "small"] | float = Field(
        "base",
        title="Width",
        description="'base' is the paper's size, 'small' fits a laptop; a number scales 'base'.",
    )

    @property
    def maps(self) -> tuple[str, ...]:
        """What the network predicts, in the words of a model's card."""
        return INSTANCES

    @field_validator("width")
    @classmethod
    def _width_in_range(cls, width: str | float) -> str | float:
        if isinstance(width, float) and not 0.05 <= width <= 8:
            raise ValueError("a width given as a number must lie between 0.05 and 8")
        return width


@dataclass(frozen=True, eq=False)
class Detections:
    """Objects in one image, the most certain first.

    Attributes
    ----------
    boxes
        ``(N, 4)`` as x0, y0, x1, y1 in pixels; x0 is the left edge of the first column that the
        object covers, x1 the right edge of the last.
    scores
        ``(N,)`` in [0, 1].
    masks
        ``(N, M, M)`` in [0, 1]: the probability that a part of the box belongs to the object.
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    masks: torch.Tensor


@dataclass(frozen=True, eq=False)
class ObjectTargets:
    """The objects of one training image.

    Attributes
    ----------
    boxes
        float32 ``(N, 4)``, as in `Detections`.
    masks
        uint8 ``(N, Y, X)``, 1 inside the object.
    """

    boxes: torch.Tensor
    masks: torch.Tensor

    def to(self, device: torch.device) -> ObjectTargets:
        """Return the targets on a device."""
        return ObjectTargets(self.boxes.to(device), self.masks.to(device))


class Detector(torch.nn.Module):
    """A network that maps images to `Detections`; it neither normalises nor tiles.

    Attributes
    ----------
    lowest_score
        Candidates with lower scores are not returned.
    backbone
        The convolutions over the whole image; they end in a mapping of feature maps by name.
    encoder_names, head_names
        As of a `DenseModel`.
    """

    Params: ClassVar[type[DetectorParams]] = DetectorParams
    lowest_score = 0.05
    encoder_names: ClassVar[tuple[str, ...]] = ("backbone.body",)
    head_names: ClassVar[tuple[str, ...]] = ("rpn", "roi_heads")
    backbone: torch.nn.Module

    @property
    def guide(self) -> GuideUNet | None:
        """What is trained first, if there is such a part."""
        return None

    def __init__(self, params: DetectorParams) -> None:
        super().__init__()
        self.params = params

    def forward(self, image: torch.Tensor) -> list[Detections]:
        """Find the objects in each image ``(B, C, Y, X)``, intensities in about [0, 1].

        Weakly overlapping and uncertain candidates are among them: score and overlap are decided
        later, while the result is looked at.
        """
        raise TypeError(f"{type(self).__name__} does not say what it finds")

    def losses(
        self, image: torch.Tensor, targets: Sequence[ObjectTargets]
    ) -> dict[str, torch.Tensor]:
        """Return the parts of the training loss by name."""
        raise TypeError(f"{type(self).__name__} does not say how it is trained")


def find_architecture(name: str) -> type[DenseModel] | type[Detector]:
    """Return the class of an architecture of either kind.

    Raises
    ------
    UnknownNameError
        If there is no such architecture.
    """
    return DETECTORS[name] if name in DETECTORS else MODELS[name]


def build_network(
    architecture: str, params: Mapping[str, Any] | None = None
) -> DenseModel | Detector:
    """Build a randomly initialised network of either kind.

    Raises
    ------
    UnknownNameError
        If there is no such architecture.
    SettingsError
        If a parameter is unknown or out of range.
    """
    if architecture in DETECTORS:
        model = DETECTORS[architecture]
        return model(model.Params.parse(dict(params or {})))
    return build_model(architecture, params)
