"""The registry of network architectures and what they share: named maps, padding, sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from napari_cellseg.core._torch import torch
from napari_cellseg.core.components import Params, Registry

MODELS: Registry[type[DenseModel]] = Registry("model architecture", __package__)

Maps = dict[str, torch.Tensor]
MapName = Literal["foreground", "contour", "classes"]


class ModelParams(Params):
    """What every dense architecture accepts."""

    in_channels: int = Field(3, ge=1, le=64, title="Channels", description="Image channels.")
    maps: tuple[MapName, ...] = Field(
        ("foreground", "contour"),
        min_length=1,
        title="Maps",
        description="Names of the predicted maps: 'classes' has a logit for background and for "
        "each object type, the others have one.",
    )
    types: tuple[str, ...] = Field(
        (),
        max_length=64,
        title="Object types",
        description="Names of the types that 'classes' tells apart, without background.",
    )
    width: Literal["base", "small"] | float = Field(
        "base",
        title="Width",
        description="'base' is the paper's size, 'small' fits a laptop; a number scales 'base'.",
    )

    @model_validator(mode="after")
    def _types_go_with_classes(self) -> Self:
        if bool(self.types) != ("classes" in self.maps):
            raise ValueError("'types' are given if, and only if, 'classes' is among the maps")
        if len(set(self.types)) != len(self.types) or len(set(self.maps)) != len(self.maps):
            raise ValueError("a map or an object type is named twice")
        return self

    @property
    def map_channels(self) -> dict[str, int]:
        """Logits of each map: one, and for ``"classes"`` one more than there are types."""
        return {name: 1 + len(self.types) if name == "classes" else 1 for name in self.maps}

    @field_validator("width")
    @classmethod
    def _width_in_range(cls, width: str | float) -> str | float:
        if isinstance(width, float) and not 0.05 <= width <= 8:
            raise ValueError("a width given as a number must lie between 0.05 and 8")
        return width


class DenseModel(torch.nn.Module):
    """A network that maps an image to named maps of the same size.

    Subclasses set ``Params`` and ``stride`` (the factor between input and deepest features) and
    implement `forward_padded`, which may rely on sides that are multiples of ``stride``. A deeply
    supervised network also overrides `supervised_padded`. ``encoder_names`` and ``head_names`` say
    which of its modules are the encoder and the last layers, each kept fixed in some fine-tunings.
    """

    Params: type[ModelParams] = ModelParams
    stride: int = 32
    encoder_names: tuple[str, ...] = ("encoder",)
    head_names: tuple[str, ...] = ("head",)

    def __init__(self, params: ModelParams) -> None:
        super().__init__()
        self.params = params

    def forward(self, image: torch.Tensor) -> Maps:
        """Predict raw logits.

        Parameters
        ----------
        image
            ``(B, C, Y, X)``, float, intensities normalised to about [0, 1]; any Y and X >= 1.

        Returns
        -------
        dict
            For each name of ``params.maps`` logits ``(B, K, Y, X)``, K as in ``map_channels``.
        """
        return _crop(self.forward_padded(pad_to_multiple(image, self.stride)), image)

    def supervised(self, image: torch.Tensor) -> list[Maps]:
        """Predict all maps that training compares with the truth.

        Parameters
        ----------
        image
            As for `forward`.

        Returns
        -------
        list
            What `forward` returns, then auxiliary outputs of the same names and sizes, if any.
        """
        outputs = self.supervised_padded(pad_to_multiple(image, self.stride))
        return [_crop(maps, image) for maps in outputs]

    def forward_padded(self, image: torch.Tensor) -> Maps:
        """Predict logits of an image whose sides are multiples of ``stride``."""
        raise TypeError(f"{type(self).__name__} does not implement forward_padded")

    def supervised_padded(self, image: torch.Tensor) -> list[Maps]:
        """Predict all supervised outputs of a padded image, the final one first."""
        return [self.forward_padded(image)]

    def split(self, logits: torch.Tensor) -> Maps:
        """Give the channels of ``(B, K, Y, X)`` their maps' names; K is the sum over all maps."""
        channels = self.params.map_channels
        return dict(zip(channels, torch.split(logits, list(channels.values()), dim=1), strict=True))


def type_probabilities(logits: torch.Tensor) -> torch.Tensor:
    """Return the probabilities of the object types, ``(B, K - 1, Y, X)``, without background.

    Parameters
    ----------
    logits
        The map ``"classes"``, ``(B, K, Y, X)``, background first.
    """
    return logits.float().softmax(1)[:, 1:]


def _crop(maps: Maps, image: torch.Tensor) -> Maps:
    height, width = image.shape[-2:]
    return {name: logits[..., :height, :width] for name, logits in maps.items()}


def pad_to_multiple(image: torch.Tensor, stride: int) -> torch.Tensor:
    """Pad below and right to multiples of `stride`, by reflection where that is possible."""
    height, width = image.shape[-2:]
    below, right = -height % stride, -width % stride
    if not (below or right):
        return image
    mode = "reflect" if below < height and right < width else "replicate"
    return torch.nn.functional.pad(image, (0, right, 0, below), mode=mode)


def build_model(architecture: str, params: Mapping[str, Any] | None = None) -> DenseModel:
    """Build a randomly initialised network.

    Parameters
    ----------
    architecture
        A name of ``MODELS``, such as ``"attention-unet"``.
    params
        Values for its ``Params``; missing ones take their defaults.

    Raises
    ------
    UnknownNameError
        If there is no such architecture.
    SettingsError
        If a parameter is unknown or out of range.
    """
    model = MODELS[architecture]
    return model(model.Params.parse(dict(params or {})))
