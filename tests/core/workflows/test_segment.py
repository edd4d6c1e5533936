"""Images to labels, end to end, with networks made by hand and real ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_cellseg.core._torch import torch
from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import ChannelError, ModelError
from napari_cellseg.core.progress import finish
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows import segment as segment_module
from napari_cellseg.core.workflows.segment import median_diameter, segment
from napari_cellseg.core.zoo.bundle import Model
from napari_cellseg.core.zoo.card import Card


class DiscNet(torch.nn.Module):
    """Foreground where a disc of about its own size is bright; no contours."""

    def __init__(self) -> None:
        super().__init__()
        self.blur = torch.nn.Conv2d(3, 1, 5, padding=2)
        torch.nn.init.constant_(self.blur.weight, 1 / 75)
        torch.nn.init.constant_(self.blur.bias, -0.4)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        foreground = self.blur(image) * 16
        return {"foreground": foreground, "contour": torch.full_like(foreground, -8)}


@pytest.fixture
def model() -> Model:
    card = Card(
        name="discs",
        architecture="by-hand",
        object_diameter=16,
        diameter_range=(10, 30),
        weights_sha256="0" * 64,
    )
    return Model(card, DiscNet().eval())


def discs(height, width, diameter=16):
    pitch = 2 * diameter
    y = (np.arange(height) + 0.5) % pitch - pitch / 2
    x = (np.arange(width) + 0.5) % pitch - pitch / 2
    inside = np.hypot(y[:, None], x[None]) <= diameter / 2
    return np.where(inside, 200, 20).astype(np.uint16)


def run(image, recipe=None, **options):
    recipe = recipe or Recipe(model="discs")
    return finish(segment(image, recipe, device="cpu", **options))


def test_every_disc_becomes_one_object(model):
    plane = discs(192, 256)
    image = Image(plane, "YX", pixel_size=(0.5, 0.25), name="discs")
    result = run(image, model=model)
    expected, count = ndimage.label(plane > 100)
    assert count == 48
    assert result.labels.data.dtype == np.int32
    assert result.labels.pixel_size == (0.5, 0.25)
    assert result.labels.axes == "YX"
    assert result.labels.n_objects == result.record.objects == count
    found = result.labels.data > 0
    assert (found & (expected > 0)).sum() / (found | (expected > 0)).sum() > 0.9
    assert all(
        len(np.unique(result.labels.data[(expected == i) & found])) == 1 for i in range(1, 49)
    )


def test_the_record_tells_what_was_done(model):
    result = run(Image(discs(64, 64), "YX", name="discs"), model=model)
    record = result.record
    assert (record.image, record.device, record.device_reason) == ("discs", "cpu", "chosen by you")
    assert record.weights_sha256 == result.recipe.weights_sha256 == "0" * 64
    assert record.scale == 1
    assert record.seconds > 0
    assert Recipe.parse(record.recipe) == result.recipe


def test_the_same_recipe_gives_the_same_labels_whatever_the_threads(model):
    image = Image(discs(300, 300), "YX")
    recipe = Recipe(model="discs").with_setting("tiling.tile", 128)
    first = run(image, recipe, model=model)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        second = run(image, Recipe.from_json(first.recipe.to_json()), model=model)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(first.labels.data, second.labels.data)


def test_numbers_are_unique_in_a_stack(model):
    result = run(Image(np.stack([discs(64, 64)] * 3), "TYX"), model=model)
    assert result.labels.axes == "TYX"
    numbers = [set(np.unique(plane)) - {0} for plane in result.labels.data]
    assert [len(n) for n in numbers] == [4, 4, 4]
    assert len(set.union(*numbers)) == 12


def test_post_processing_settings_count(model):
    image = Image(discs(64, 64), "YX")
    kept = run(image, Recipe(model="discs").with_setting("post.max_area", 50), model=model)
    assert kept.labels.n_objects == 0
    assert kept.record.removed["max_area"] == 4


def test_small_objects_are_shown_larger_to_the_network(model):
    image = Image(discs(160, 160, diameter=7), "YX")
    told = []
    generator = segment(image, Recipe(model="discs"), model=model, device="cpu")
    try:
        while True:
            told.append(next(generator).message)
    except StopIteration as stop:
        result = stop.value
    assert result.prediction.scale == pytest.approx(2, abs=0.3)
    (message,) = filter(None, told)
    assert "the model is made for 10 to 30 px" in message
    assert result.record.steps == (message,)
    assert result.labels.data.shape == (160, 160)


def test_objects_of_the_right_size_and_rescaling_off_run_once(model):
    fitting = run(Image(discs(128, 128), "YX"), model=model)
    assert fitting.prediction.scale == 1
    assert fitting.record.steps == ()
    recipe = Recipe(model="discs").with_setting("preparation.rescale", "off")
    assert run(Image(discs(160, 160, 7), "YX"), recipe, model=model).prediction.scale == 1


def test_a_given_diameter_is_taken_at_its_word(model):
    recipe = Recipe(model="discs").with_setting("preparation.diameter", 32)
    result = run(Image(discs(160, 160), "YX"), recipe, model=model)
    assert result.prediction.scale == 0.5
    assert result.record.steps == ()


def test_moved_thresholds_do_not_change_the_scale(model):
    image = Image(discs(160, 160, diameter=7), "YX")
    expected = run(image, model=model).prediction
    recipe = Recipe(model="discs").with_setting("post.max_area", 1)
    other = run(image, recipe, model=model).prediction
    assert other.scale == expected.scale
    np.testing.assert_array_equal(other.maps["foreground"], expected.maps["foreground"])


def test_a_large_image_is_measured_by_a_crop_of_its_middle(model, monkeypatch):
    monkeypatch.setattr(segment_module, "SMALL_PIXELS", 300**2)
    small = discs(600, 600, diameter=7)
    first = next(
        p for p in segment(Image(small, "YX"), Recipe(), model=model, device="cpu") if p.total
    )
    assert first.total == 1
    result = run(Image(small, "YX"), model=model)
    assert result.prediction.scale == pytest.approx(2, abs=0.3)
    assert result.labels.data.shape == (600, 600)
    stack = run(Image(np.stack([small[:100, :100]] * 2), "ZYX"), model=model)
    assert stack.prediction.scale == result.prediction.scale


def test_too_few_objects_measure_nothing(model):
    result = run(Image(discs(32, 64), "YX"), model=model)
    assert result.labels.n_objects == 2
    assert median_diameter(result.prediction, model.card) is None
    full = run(Image(discs(128, 128), "YX"), model=model)
    assert median_diameter(full.prediction, model.card) == pytest.approx(16, abs=1)


def test_a_region_is_segmented_alone(model):
    plane = discs(192, 192)
    result = run(Image(plane, "YX"), model=model, region=(slice(32, 96), slice(64, 160)))
    assert result.labels.data.shape == (64, 96)
    assert result.labels.n_objects == 6


@pytest.mark.parametrize("value", [0, np.nan])
def test_an_even_image_has_no_objects(model, value):
    assert run(Image(np.full((50, 40), value), "YX"), model=model).labels.n_objects == 0


def test_other_weights_than_the_recipe_s_are_refused(model):
    recipe = Recipe(model="discs", weights_sha256="1" * 64)
    with pytest.raises(ModelError, match="other weights"):
        run(Image(discs(32, 32), "YX"), recipe, model=model)


def test_unknown_models_and_wrong_channels_are_refused(model):
    with pytest.raises(ModelError, match="no model called 'nothing'"):
        run(Image(discs(32, 32), "YX"), Recipe(model="nothing"))
    with pytest.raises(ChannelError, match="choose one of the channels"):
        run(Image(np.zeros((2, 32, 32)), "CYX"), model=model)
