"""Building blocks that several architectures share; each exists once."""

from napari_cellseg.core.models.blocks.attention import AttentionGate, ResidualGate
from napari_cellseg.core.models.blocks.cbam import CBAM, ChannelAttention, SpatialAttention
from napari_cellseg.core.models.blocks.convolution import ConvBlock, DoubleConv, UpConvBlock
from napari_cellseg.core.models.blocks.cross_attention import CrossSpatialAttention
from napari_cellseg.core.models.blocks.decoding import UNetStep
from napari_cellseg.core.models.blocks.deformable import DeformableConv
from napari_cellseg.core.models.blocks.eca import EfficientChannelAttention
from napari_cellseg.core.models.blocks.residual import ResidualBlock
from napari_cellseg.core.models.blocks.residual_u import ContextFusion, ResidualUBlock, enlarge

__all__ = [
    "CBAM",
    "AttentionGate",
    "ChannelAttention",
    "ContextFusion",
    "ConvBlock",
    "CrossSpatialAttention",
    "DeformableConv",
    "DoubleConv",
    "EfficientChannelAttention",
    "ResidualBlock",
    "ResidualGate",
    "ResidualUBlock",
    "SpatialAttention",
    "UNetStep",
    "UpConvBlock",
    "enlarge",
]
