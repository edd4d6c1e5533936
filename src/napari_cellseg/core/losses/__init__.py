"""Losses for the maps of a network, by name."""

from napari_cellseg.core.losses.registry import LOSSES, UNCLASSIFIED, Loss, total_loss

__all__ = ["LOSSES", "UNCLASSIFIED", "Loss", "total_loss"]
