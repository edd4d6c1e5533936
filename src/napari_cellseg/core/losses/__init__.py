"""Losses for the maps of a network, by name."""

from napari_cellseg.core.losses.registry import LOSSES, Loss, total_loss

__all__ = ["LOSSES", "Loss", "total_loss"]
