"""Losses for the maps of a network, by name."""

from napari_cellseg.core.losses.registry import LOSSES, UNKNOWN, Loss, total_loss

__all__ = ["LOSSES", "UNKNOWN", "Loss", "total_loss"]
