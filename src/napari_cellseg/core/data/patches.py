"""Batches of augmented patches, each a function of seed and number alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_cellseg.core._torch import torch
from napari_cellseg.core.data.augment import change_intensities
from napari_cellseg.core.data.augment_params import AugmentParams
from napari_cellseg.core.data.cutting import Patch, cut_patch
from napari_cellseg.core.data.pool import Pool
from napari_cellseg.core.data.sources import LabelledImage
from napari_cellseg.core.data.targets import TargetParams, make_targets
from napari_cellseg.core.errors import DataError


class PatchSampler:
    """Draws patches; batch k is the same whatever was drawn before, so a run can be resumed.

    Parameters
    ----------
    images
        What patches are cut from, see `Pool`. One without objects is left out, unless it says by
        `known` that its background is worth learning.
    size
        Side of a patch in pixels.
    channels
        Channels of the network: grey images are repeated, colour needs three.
    augment, targets
        How patches are changed, and which maps are made of their labels.
    touching
        Share of patches whose middle lies near a place where two objects touch.
    seed
        Patches of the same seed are the same.
    types
        Names of the object classes in the order of the network, if it tells any apart.
    replay
        Further images, of which a share of the patches are.
    replay_share
        That share.

    Raises
    ------
    DataError
        If no image holds an object, or one has other channels than the network.
    """

    def __init__(
        self,
        images: Sequence[LabelledImage],
        size: int,
        channels: int,
        augment: AugmentParams,
        targets: TargetParams,
        touching: float,
        seed: int,
        types: Sequence[str] = (),
        replay: Sequence[LabelledImage] = (),
        replay_share: float = 0.0,
    ) -> None:
        if not any(image.labels.any() for image in images):
            raise DataError("No training image holds a labelled object. Add images with labels.")
        usable = [image for image in images if image.labels.any() or _is_known(image)]
        wrong = [i for i in [*usable, *replay] if i.image.shape[2] not in (1, channels)]
        if wrong:
            count = wrong[0].image.shape[2]
            raise DataError(
                f"'{wrong[0].name}' has {count} channels but the model takes {channels}. Train on "
                "images of one kind, or let a new model take as many with the setting "
                f"model_params.in_channels={count}."
            )
        self._size, self._channels, self._seed = size, channels, seed
        self._augment, self._targets, self._types = augment, targets, types
        self._own = Pool(usable, touching)
        self._replay = Pool(replay, touching) if replay and replay_share else None
        self._replay_share = replay_share

    def patch(self, number: int) -> Patch:
        """Return patch `number`, augmented."""
        return self._draw(number)[0]

    def _draw(self, number: int) -> tuple[Patch, LabelledImage]:
        rng = np.random.default_rng((self._seed, number))
        pool = self._own
        if self._replay is not None and rng.random() < self._replay_share:
            pool = self._replay
        source, center = pool.place(self._size, rng)
        patch = cut_patch(
            source.image, source.labels, center, self._size, self._augment, rng, source.known
        )
        image = patch.image
        if len(image) < self._channels:
            image = np.repeat(image, self._channels, axis=0)
        image = change_intensities(image, self._augment, rng)
        return Patch(image, patch.labels, patch.known), source

    def batch(self, number: int, size: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return batch `number` of `size` patches.

        Returns
        -------
        image
            float32 ``(B, C, Y, X)``, channels last in memory.
        targets
            By map name, float32 ``(B, 1, Y, X)``; ``"classes"`` is int64. `UNKNOWN` where the truth
            is not known.
        """
        drawn = [self._draw(number * size + k) for k in range(size)]
        image = torch.from_numpy(np.stack([patch.image for patch, _ in drawn]))
        maps = [
            make_targets(patch.labels, self._targets, source.classes, self._types, patch.known)
            for patch, source in drawn
        ]
        return image.contiguous(memory_format=torch.channels_last), {
            name: torch.from_numpy(np.stack([m[name] for m in maps]))[:, None] for name in maps[0]
        }


def _is_known(image: LabelledImage) -> bool:
    return image.known is not None and bool(image.known.any())
