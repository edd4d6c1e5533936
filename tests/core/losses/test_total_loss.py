"""The losses of all maps and of all supervised outputs are put together."""

import pytest

from napari_cellseg.core._torch import torch
from napari_cellseg.core.losses import Loss, total_loss


class Distance(Loss):
    def __call__(self, logits, target, name):
        return (logits - target).abs().mean() * (2 if name == "contour" else 1)


def maps(foreground, contour=None):
    made = {"foreground": torch.full((1, 1, 2, 2), float(foreground))}
    return made if contour is None else made | {"contour": torch.full((1, 1, 2, 2), float(contour))}


@pytest.mark.parametrize(("weight", "expected"), [(0.0, 3.5), (1.0, 3.5 + 9.0), (0.5, 3.5 + 4.5)])
def test_auxiliary_outputs_are_weighted(weight, expected):
    """The prediction: (3 + 2 x 2) / 2; the auxiliary outputs: 5 and (0 + 2 x 4) / 2."""
    outputs = [maps(3, 2), maps(5), maps(0, 4)]
    assert total_loss(Distance(), outputs, maps(0, 0), weight).item() == pytest.approx(expected)
