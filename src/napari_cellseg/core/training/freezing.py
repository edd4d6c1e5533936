"""What of a network learns: parts that are kept fixed, statistics of batches that are kept."""

from __future__ import annotations

from napari_cellseg.core._torch import torch
from napari_cellseg.core.errors import SettingsError
from napari_cellseg.core.models.detector import Detector
from napari_cellseg.core.models.registry import DenseModel
from napari_cellseg.core.training.config import TrainConfig

NORMS = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)


def freeze(network: DenseModel | Detector, config: TrainConfig) -> None:
    """Keep the parts fixed that ``config.freeze`` names: no gradient is computed there.

    The encoder of Mask R-CNN is its backbone without the feature pyramid, and its heads are the
    proposals and all that is done with a box but the guide.

    Raises
    ------
    SettingsError
        If the network has no such part.
    """
    if config.freeze == "none":
        return
    if config.freeze == "encoder":
        for part in _parts(network, network.encoder_names):
            part.requires_grad_(False)
    else:
        network.requires_grad_(False)
        for part in _parts(network, network.head_names):
            part.requires_grad_(True)
    guide = network.guide if isinstance(network, Detector) else None
    if guide is not None:
        guide.requires_grad_(False)


def switch_to_training(network: DenseModel | Detector, config: TrainConfig) -> None:
    """Put a network into training mode, all but what is fixed.

    What is fixed runs as in prediction: with its own means and variances, which stay, and without
    leaving out anything by chance. With ``config.batch_norm`` at ``"keep"`` every layer of batch
    normalisation does, though its factors learn.
    """
    if config.freeze == "all but heads":
        network.eval()
        network.training = True
        for part in _parts(network, network.head_names):
            part.train()
    else:
        network.train()
        for part in _parts(network, network.encoder_names) if config.freeze == "encoder" else ():
            part.eval()
    guide = network.guide if isinstance(network, Detector) else None
    if guide is not None:  # it is trained before and alone
        guide.eval()
    if config.batch_norm == "keep":
        for part in network.modules():
            if isinstance(part, NORMS):
                part.eval()


def _parts(network: DenseModel | Detector, names: tuple[str, ...]) -> list[torch.nn.Module]:
    try:
        return [network.get_submodule(name) for name in names]
    except AttributeError as error:
        raise SettingsError(
            f"The architecture {type(network).__name__} does not say which of its layers are the "
            "encoder and the heads: choose to keep nothing fixed."
        ) from error
