"""The plain networks that the papers compare with, from segmentation-models-pytorch."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.errors import SettingsError, TrainingError
from napari_cellseg.core.models.registry import MODELS, DenseModel, Maps, ModelParams
from napari_cellseg.core.models.width import level_channels

nn = torch.nn

_DECODER = {"base": (256, 128, 64, 32, 16), "small": (128, 64, 48, 32, 16)}
_ATROUS = {"base": (256,), "small": (96,)}  # channels of DeepLab's decoder


class BaselineParams(ModelParams):
    """Parameters of the baselines; ``width`` scales the decoder alone."""

    encoder: str = Field(
        "efficientnet-b0",
        title="Encoder",
        description="Any encoder of segmentation-models-pytorch with five stages.",
    )


class _Baseline(DenseModel):
    """A network of segmentation-models-pytorch with random weights, one output for all maps."""

    Params = BaselineParams
    stride = 32
    encoder_names = ("network.encoder",)
    head_names = ("network.segmentation_head",)
    kind: str

    def __init__(self, params: BaselineParams) -> None:
        super().__init__(params)
        make = getattr(gated_import("segmentation_models_pytorch"), self.kind)
        try:
            self.network: nn.Module = make(
                encoder_name=params.encoder,
                encoder_weights=None,
                in_channels=params.in_channels,
                classes=sum(params.map_channels.values()),
                **self.decoder_options(params),
            )
        except (KeyError, ValueError, RuntimeError) as error:
            raise SettingsError(
                f"The encoder '{params.encoder}' cannot be used here: {error}. Choose one that "
                "segmentation-models-pytorch lists with five stages, such as 'efficientnet-b0'."
            ) from error
        encoder: Any = self.network.encoder
        for unused in ("_conv_head", "_bn1", "_avg_pooling", "_dropout"):
            if hasattr(encoder, unused):
                delattr(encoder, unused)

    def decoder_options(self, params: BaselineParams) -> dict[str, Any]:
        """Return what the decoder's width means to this architecture."""
        return {"decoder_channels": level_channels(params.width, _DECODER)}

    def forward_padded(self, image: torch.Tensor) -> Maps:
        """Predict logits of an image whose sides are multiples of 32."""
        return self.split(self.network(image))


@MODELS.register("unet")
class UNet(_Baseline):
    """U-Net (Ronneberger et al. 2015) on an encoder: skips are concatenated."""

    kind = "Unet"


@MODELS.register("unetpp")
class UNetPlusPlus(_Baseline):
    """U-Net++ (Zhou et al. 2018) on an encoder: nested, dense skips; no deep supervision."""

    kind = "UnetPlusPlus"


@MODELS.register("linknet")
class LinkNet(_Baseline):
    """LinkNet (Chaurasia & Culurciello 2017) on an encoder: skips are added.

    The encoder sets the channels of the whole decoder, so ``width`` changes nothing.
    """

    kind = "Linknet"

    def decoder_options(self, params: BaselineParams) -> dict[str, Any]:
        """Return nothing: the decoder follows the encoder."""
        return {}


@MODELS.register("deeplabv3plus")
class DeepLabV3Plus(_Baseline):
    """DeepLabv3+ (Chen et al. 2018) on an encoder: atrous pyramid, output at a quarter of the size.

    The pyramid's pooled branch sees the whole tile, so that maps depend a little on the tiling.
    """

    kind = "DeepLabV3Plus"

    def decoder_options(self, params: BaselineParams) -> dict[str, Any]:
        """Return the one number of channels that the decoder has."""
        (channels,) = level_channels(params.width, _ATROUS)
        return {"decoder_channels": channels}

    def forward_padded(self, image: torch.Tensor) -> Maps:
        """Predict logits of an image whose sides are multiples of 32."""
        if self.training and len(image) < 2:
            raise TrainingError(
                "deeplabv3plus normalises pooled features over a batch and needs at least two "
                "patches to learn from. Raise the batch size."
            )
        return super().forward_padded(image)
