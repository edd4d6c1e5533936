"""The mirrored image is predicted alike, and its maps come back to where things are."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cellseg.core._torch import torch
from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import DataError, ModelError
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.postprocess.instances import Instances
from napari_cellseg.core.progress import finish
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.review.risk import object_risks
from napari_cellseg.core.workflows.flips import flipped_maps
from napari_cellseg.core.workflows.segment import segment
from napari_cellseg.core.zoo.bundle import Model
from napari_cellseg.core.zoo.card import Card


class Leaning(torch.nn.Module):
    """Sees bright things, by `lean` px to the right of where they are."""

    def __init__(self, lean: int) -> None:
        super().__init__()
        self.look = torch.nn.Conv2d(3, 1, 9, padding=4, bias=False)
        torch.nn.init.zeros_(self.look.weight)
        with torch.no_grad():
            self.look.weight[0, :, 4, 4 - lean] = 1 / 3

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        foreground = self.look(image) * 12 - 6
        return {"foreground": foreground, "contour": torch.full_like(foreground, -8)}


def model(lean: int, sha: str = "0" * 64) -> Model:
    card = Card(name="lean", architecture="by-hand", diameter_range=(2, 200), weights_sha256=sha)
    return Model(card, Leaning(lean).eval())


def field(*leading: int) -> np.ndarray:
    image = np.full((*leading, 96, 130), 20, np.uint8)
    image[..., 10:30, 12:40] = 200
    image[..., 50:70, 80:96] = 220
    image[..., 1::7, ::5] += 10  # nothing is alike on both sides
    return image


def both(image, network, region=None):
    recipe = Recipe(model="lean").with_setting("tiling.tile", 128)
    once = finish(segment(image, recipe, model=network, device="cpu", region=region))
    again = finish(flipped_maps(image, once.recipe, once.prediction, model=network, region=region))
    return once, again


@pytest.mark.parametrize("region", [None, (slice(5, 80), slice(20, 101))])
@pytest.mark.parametrize("leading", [(), (3,)])
def test_a_network_without_a_side_changes_nothing(region, leading):
    image = Image(field(*leading), "Z" * len(leading) + "YX")
    once, (foreground, contour) = both(image, model(0), region)
    assert foreground.shape == once.labels.data.shape
    difference = foreground.astype(int) - once.prediction.maps["foreground"]
    assert np.abs(difference).max() <= 1, "tiles end elsewhere, which rounds otherwise"
    assert np.abs(contour.astype(int) - once.prediction.maps["contour"]).max() <= 1
    assert not object_risks(once.labels.data, foreground).parts["changed"].any()


def test_a_network_with_a_side_errs_to_the_other_one():
    once, (foreground, _) = both(Image(field(), "YX"), model(3))
    expected = once.prediction.maps["foreground"] > 127
    np.testing.assert_array_equal(foreground[:, :-6] > 127, expected[:, 6:])
    maps = once.prediction.maps
    flipped = (foreground, None)
    risks = object_risks(once.labels.data, maps["foreground"], maps["contour"], flipped)
    assert (risks.parts["changed"] > 0).all()


def test_what_is_not_there_any_more_is_named():
    image = Image(field(), "YX")
    once, _ = both(image, model(0))
    with pytest.raises(ModelError, match="other weights"):
        finish(flipped_maps(image, once.recipe, once.prediction, model=model(0, "1" * 64)))
    with pytest.raises(ModelError):
        finish(flipped_maps(image, once.recipe, once.prediction))
    part = Image(field()[:50], "YX")
    with pytest.raises(DataError, match="another size"):
        finish(flipped_maps(part, once.recipe, once.prediction, model=model(0)))
    none = np.zeros((0, 4), np.float32)
    lone = Instances((96, 130), none, none[:, 0], np.zeros((0, 2, 2), np.uint8))
    detected = Prediction({}, "YX", instances={(): lone})
    with pytest.raises(DataError, match="one by one"):
        finish(flipped_maps(image, once.recipe, detected, model=model(0)))
