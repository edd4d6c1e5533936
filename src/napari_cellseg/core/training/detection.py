"""Training of networks that find objects one by one: targets, guide, steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core._torch import torch
from napari_cellseg.core.data.patches import PatchSampler
from napari_cellseg.core.data.sources import LabelledImage
from napari_cellseg.core.device import can_compute_bfloat16
from napari_cellseg.core.errors import DeviceError
from napari_cellseg.core.models.detector import Detector, ObjectTargets, find_architecture
from napari_cellseg.core.models.guide import GuideUNet
from napari_cellseg.core.models.mask_heads import number_boxes
from napari_cellseg.core.models.registry import Maps
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.freezing import NORMS, switch_to_training
from napari_cellseg.core.training.schedules import learning_rate
from napari_cellseg.core.training.teacher import Teacher
from napari_cellseg.core.training.trainer import Trainer

functional = torch.nn.functional

_SMALLEST = 9  # px; what the border of a patch leaves of an object may be too little to be found
_MOST_CROPS = 64
_MARGIN = (-0.1, 0.3)  # of a side: how far a crop may lie within or beyond the box


def object_targets(labels: npt.NDArray[np.integer]) -> ObjectTargets:
    """Return box and mask of each object of a patch.

    The two parts of an object that the patch's border mirrors apart count as two.

    Parameters
    ----------
    labels
        Instance ids (Y, X), 0 is background.
    """
    from scipy import ndimage
    from skimage import measure

    parts = measure.label(labels, connectivity=2)
    boxes, masks = [], []
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        inside = parts[box] == number
        if np.count_nonzero(inside) < _SMALLEST:
            continue
        rows, columns = box
        boxes.append((columns.start, rows.start, columns.stop, rows.stop))
        mask = np.zeros(labels.shape, np.uint8)
        mask[box] = inside
        masks.append(mask)
    stacked = np.stack(masks) if masks else np.zeros((0, *labels.shape), np.uint8)
    found = np.array(boxes, np.float32).reshape(-1, 4)
    return ObjectTargets(torch.from_numpy(found), torch.from_numpy(stacked))


def guide_loss(
    guide: GuideUNet, image: torch.Tensor, targets: Sequence[ObjectTargets]
) -> torch.Tensor:
    """Return the loss of a guide on crops around objects, of which only that object is the truth.

    As in the paper (III-B2) a crop shows more than the box, and so parts of the neighbours. How
    much is drawn anew for each side, from a little less than the box to 30 % more, as proposals
    miss the box. The loss, which the paper does not name, is binary cross-entropy.
    """
    boxes = [_moved(t.boxes) for t in targets]
    regions = number_boxes(boxes)
    masks = [
        guide.crop(t.masks[:, None].float(), _one_each(b))
        for t, b in zip(targets, boxes, strict=True)
    ]
    truth = torch.cat(masks)
    chosen = torch.randperm(len(regions))[:_MOST_CROPS].to(regions.device)
    if not len(chosen):  # a batch without objects
        return torch.stack([parameter.sum() for parameter in guide.parameters()]).sum() * 0
    logits: torch.Tensor = guide(guide.crop(image, regions[chosen]))
    return functional.binary_cross_entropy_with_logits(logits.float(), truth[chosen])


def _moved(boxes: torch.Tensor) -> torch.Tensor:
    low, high = _MARGIN
    outward = (torch.rand(boxes.shape) * (high - low) + low).to(boxes.device)
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    signs = boxes.new_tensor([-1.0, -1.0, 1.0, 1.0])
    return boxes + outward * sides * signs


def _one_each(boxes: torch.Tensor) -> torch.Tensor:
    """Put numbers before boxes so that each is cut out of a mask of its own."""
    return torch.cat([torch.arange(len(boxes), device=boxes.device)[:, None], boxes], dim=1)


class DetectionTrainer(Trainer):
    """Trains a `Detector`: first its guide, if it has one, then all the rest."""

    network: Detector

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Validation asks for nothing below; an untrained network would offer a thousand objects.
        post = PostParams.parse(self.config.post)
        self.average.lowest_score = post.score_threshold

    @property
    def guiding(self) -> bool:
        """Whether the next step trains the guide; the last step of a run trains all the rest."""
        return (
            self.network.guide is not None
            and self.config.freeze == "none"
            and self.fraction < self.config.guide_share
            and self.step_number + 1 < self.config.steps
        )

    @torch.no_grad()
    def loss_of(self, logits: Maps, image: LabelledImage) -> float:
        """Return the loss of the average on a whole labelled image; `logits` are not looked at.

        The network takes it as in training, but normalises as in prediction; which boxes are drawn
        for it is the same at every call.
        """
        pixels = image.image.transpose(2, 0, 1).astype(np.float32)
        if len(pixels) < self.average.params.in_channels:
            pixels = np.repeat(pixels, self.average.params.in_channels, axis=0)
        batch = torch.from_numpy(pixels)[None].to(self.device)
        targets = [object_targets(image.labels).to(self.device)]
        self.average.train()
        for part in self.average.modules():
            if isinstance(part, NORMS):
                part.eval()
        devices = [self.device] if self.device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices):
                torch.manual_seed(0)
                parts = list(self.average.losses(batch, targets).values())
        finally:
            self.average.eval()
        return float(torch.stack(parts).sum())

    def learning_rate(self) -> float:
        """Return the rate of the next step; guide and network each have a whole schedule."""
        fraction, share = self.fraction, self.config.guide_share
        if self.guiding:
            fraction = fraction / share
        elif self.network.guide is not None and self.config.freeze == "none":
            fraction = max(0.0, (fraction - share) / (1 - share))
        return learning_rate(self.config, fraction, self.step_number, self.scores)

    def loss(self, piece: int = 0) -> torch.Tensor:
        """Return the loss of a piece of the next batch."""
        size = self.config.batch_size // self.pieces
        first = (self.step_number * self.pieces + piece) * size
        patches = [self._sampler.patch(first + k) for k in range(size)]
        image = torch.from_numpy(np.stack([patch.image for patch in patches])).to(self.device)
        image = image.contiguous(memory_format=torch.channels_last)
        targets = [object_targets(patch.labels).to(self.device) for patch in patches]
        switch_to_training(self.network, self.config)
        guide = self.network.guide
        # on processors the pooling of boxes has no bfloat16
        reduced = self.config.precision == "bfloat16" and self.device.type != "cpu"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=reduced):
            if guide is not None and self.guiding:
                guide.train()
                return guide_loss(guide, image, targets)
            return torch.stack(list(self.network.losses(image, targets).values())).sum()


def make_trainer(
    config: TrainConfig,
    sampler: PatchSampler,
    device: str,
    weights: Mapping[str, torch.Tensor] | None = None,
    teacher: Teacher | None = None,
) -> Trainer:
    """Return the trainer of an architecture of either kind; arguments as for `Trainer`.

    Raises
    ------
    DeviceError
        If the device lacks the precision.
    """
    detector = issubclass(find_architecture(config.model), Detector)
    reduced = config.precision == "bfloat16" and not detector  # see `DetectionTrainer.loss`
    if reduced and not can_compute_bfloat16(device):
        raise DeviceError("This processor cannot train in bfloat16: set the precision to float32.")
    kind = DetectionTrainer if detector else Trainer
    return kind(config, sampler, device, weights, teacher)
