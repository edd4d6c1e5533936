"""A network over whole images: sizes, kinds, tiles, memory, cancelling."""

import dataclasses
import gc
import weakref

import numpy as np
import pytest

from napari_cellseg.core._torch import torch
from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import DeviceError, ImageError
from napari_cellseg.core.inference import predict as predict_module
from napari_cellseg.core.inference.predict import predict, scale_for
from napari_cellseg.core.inference.preparation import Preparation
from napari_cellseg.core.inference.tiling import Tiling, fit_grid
from napari_cellseg.core.progress import finish

SMALL_TILES = Tiling(tile=128)


def run(model, image, tiling=SMALL_TILES, preparation=None, **options):
    return finish(predict(model, image, preparation or Preparation(), tiling, **options))


def assert_close_inside(actual, expected):
    """Compare maps but for the rim, where a tile may end with the image or go on, reflected."""
    for name, array in expected.maps.items():
        inner = (..., slice(6, -6), slice(6, -6))
        np.testing.assert_allclose(actual.maps[name][inner].astype(int), array[inner], atol=2)


@pytest.fixture
def direct(monkeypatch):
    """Predict with the model's own float32 network, so that a test can look into it."""
    monkeypatch.setattr(predict_module, "accelerate", lambda network, channels, device: network)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (17, 33), (513, 1025)])
def test_any_size(disc_model, discs, shape):
    prediction = run(disc_model, Image(discs(*shape), "YX"))
    assert prediction.axes == "YX"
    assert set(prediction.maps) == {"foreground", "contour"}
    for array in prediction.maps.values():
        assert array.shape == shape
        assert array.dtype == np.uint8


def test_maps_are_probabilities_times_255(disc_model, discs, direct):
    plane = discs(64, 96)
    prediction = run(disc_model, Image(plane, "YX"), Tiling())
    low, high = np.percentile(plane, (1, 99.8))
    scaled = np.clip((plane.astype(float) - low) / (high - low), 0, 1).astype(np.float32)
    with torch.inference_mode():
        logits = disc_model.network(torch.from_numpy(scaled).expand(1, 3, -1, -1))
    for name, array in prediction.maps.items():
        expected = torch.sigmoid(logits[name][0, 0]) * 255
        np.testing.assert_allclose(array, expected, atol=0.51)


@pytest.mark.parametrize("shape", [(500, 700), (129, 640), (513, 300)])
def test_tiled_equals_untiled(disc_model, discs, direct, shape):
    image = Image(discs(*shape), "YX")
    tiled, whole = run(disc_model, image), run(disc_model, image, Tiling())
    assert_close_inside(tiled, whole)


def test_slices_are_independent_and_time_comes_first(disc_model, discs):
    planes = np.stack([discs(40, 50, d) * (i + 1) for i, d in enumerate((8, 12, 16, 20, 24, 28))])
    stack = planes.reshape(2, 3, 40, 50).swapaxes(0, 1)  # ZTYX
    prediction = run(disc_model, Image(stack, "ZTYX"))
    assert prediction.axes == "TZYX"
    assert prediction.maps["foreground"].shape == (2, 3, 40, 50)
    for t in range(2):
        for z in range(3):
            alone = run(disc_model, Image(stack[z, t], "YX"))
            for name, array in alone.maps.items():
                np.testing.assert_array_equal(prediction.maps[name][t, z], array)


def test_a_chosen_channel_counts_alone(disc_model, discs):
    signal = discs(60, 60)
    both = np.stack([np.zeros_like(signal), signal])
    chosen = run(disc_model, Image(both, "CYX"), preparation=Preparation(channels=(1,)))
    alone = run(disc_model, Image(signal, "YX"))
    np.testing.assert_array_equal(chosen.maps["foreground"], alone.maps["foreground"])


def test_gray_is_the_same_as_three_equal_colours(disc_model, discs):
    gray = discs(60, 60, dtype="uint8")
    rgb = Image(np.repeat(gray[..., None], 3, axis=2), "YXC", rgb=True)
    for name, array in run(disc_model, rgb).maps.items():
        np.testing.assert_array_equal(array, run(disc_model, Image(gray, "YX")).maps[name])


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "int32", "float32", "float64"])
def test_dtype_and_byte_order_do_not_matter(disc_model, discs, dtype):
    expected = run(disc_model, Image(discs(50, 60), "YX")).maps["foreground"]
    actual = run(disc_model, Image(discs(50, 60).astype(dtype), "YX")).maps["foreground"]
    np.testing.assert_allclose(actual.astype(int), expected, atol=1)


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_nothing_is_found_in_an_even_image(disc_model, value):
    prediction = run(disc_model, Image(np.full((70, 70), value), "YX"))
    assert prediction.maps["foreground"].max() < 128


@pytest.mark.parametrize("diameter", [7, 16, 40])
def test_a_given_diameter_rescales_and_maps_keep_the_shape(disc_model, discs, direct, diameter):
    image = Image(discs(201, 330, diameter), "YX")
    prediction = run(disc_model, image, preparation=Preparation(diameter=diameter))
    assert prediction.scale == pytest.approx(16 / diameter)
    found = prediction.maps["foreground"] >= 128
    assert found.shape == (201, 330)
    true = np.asarray(image.data) > 110
    assert (found & true).sum() / (found | true).sum() > 0.85
    tiles = {shape[2:] for shape in disc_model.network.seen}
    assert tiles == {
        fit_grid((round(201 * 16 / diameter), round(330 * 16 / diameter)), SMALL_TILES).shape
    }


def test_rescaled_tiles_equal_the_rescaled_whole(disc_model, discs, direct):
    image = Image(discs(400, 300, 24), "YX")
    wanted = Preparation(diameter=24)
    tiled, whole = (run(disc_model, image, t, wanted) for t in (SMALL_TILES, Tiling()))
    assert_close_inside(tiled, whole)


def test_scales_are_bounded(disc_model):
    assert scale_for(0.01, disc_model.card) == 4
    assert scale_for(1e4, disc_model.card) == 1 / 16


def test_objects_below_the_range_get_the_size_that_the_card_names(disc_model):
    card = disc_model.card.replace(
        diameter_range=(11.8, 80.0), object_diameter=18.4, enlarged_diameter=14.2
    )
    assert scale_for(10, card) == pytest.approx(1.42)
    assert scale_for(11.8, card) == pytest.approx(18.4 / 11.8)
    assert scale_for(160, card) == pytest.approx(18.4 / 160)
    assert scale_for(10, card.replace(enlarged_diameter=None)) == pytest.approx(1.84)


def test_a_region_is_scaled_by_the_intensities_of_the_whole(disc_model, discs, direct):
    plane = discs(160, 160)
    plane[:64, :64] = 20 + plane[:64, :64] % 3  # no disc in the region, faint noise only
    image = Image(plane, "YX")
    part = run(disc_model, image, region=(slice(0, 48), slice(0, 40)))
    assert part.maps["foreground"].shape == (48, 40)
    assert part.maps["foreground"].max() < 128
    whole = run(disc_model, image).maps["foreground"][:40, :32]
    np.testing.assert_allclose(part.maps["foreground"][:40, :32].astype(int), whole, atol=1)
    with pytest.raises(ImageError, match="outside"):
        run(disc_model, image, region=(slice(200, 300), slice(0, 40)))


def test_progress_counts_every_tile_of_every_plane(disc_model, discs):
    stack = Image(np.stack([discs(200, 200)] * 3), "TYX")
    told = list(predict(disc_model, stack, Preparation(), SMALL_TILES))
    assert {p.stage for p in told} == {"Predicting"}
    done = [p.done for p in told]
    assert done == sorted(done)
    assert told[-1].done == told[-1].total == 3 * 9
    assert np.diff(done).max() == 1, "cancelling must be possible after each tile"


class Hungry(torch.nn.Module):
    """Runs out of memory when it is asked for more than it can take."""

    def __init__(self, inner, batch, side, error):
        super().__init__()
        self.inner, self.batch, self.side, self.error = inner, batch, side, error

    def forward(self, image):
        if image.shape[0] > self.batch or max(image.shape[2:]) > self.side:
            raise self.error
        return self.inner(image)


ERRORS = [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()]


@pytest.mark.parametrize("error", ERRORS, ids=["torch", "python"])
def test_out_of_memory_halves_batch_then_tile_and_says_so(disc_model, discs, direct, error):
    image = Image(discs(500, 500), "YX")
    expected = run(disc_model, image, Tiling())
    hungry = dataclasses.replace(
        disc_model, network=Hungry(disc_model.network, 1, 150, error), variants={}
    )
    told = []
    generator = predict(hungry, image, Preparation(), Tiling(tile=256, batch=4))
    try:
        while True:
            told.append(next(generator).message)
    except StopIteration as stop:
        prediction = stop.value
    assert tuple(filter(None, told)) == prediction.steps
    assert [("batch" in s, "tile" in s) for s in prediction.steps] == [(True, False)] * 2 + [
        (False, True)
    ]
    assert_close_inside(prediction, expected)


def test_when_a_gpu_is_too_small_the_cpu_takes_over(disc_model, discs, monkeypatch):
    made = []

    def accelerate(network, channels, device):
        made.append(device)
        batch = 0 if device == "cuda:0" else 9
        return Hungry(network, batch, 9999, torch.OutOfMemoryError("full"))

    monkeypatch.setattr(predict_module, "accelerate", accelerate)
    monkeypatch.setattr(predict_module, "release_memory", lambda device: None)
    forward = predict_module.forward
    monkeypatch.setattr(
        predict_module,
        "forward",
        lambda net, x, channels, device: forward(net, x, channels, "cpu"),
    )
    image = Image(discs(200, 200), "YX")
    prediction = run(disc_model, image, Tiling(tile=256), device="cuda:0")
    assert made == ["cuda:0", "cpu"]
    assert prediction.device == "cpu"
    assert "CPU" in prediction.steps[-1]
    whole = run(disc_model, image, Tiling(tile=256))
    np.testing.assert_array_equal(prediction.maps["foreground"], whole.maps["foreground"])


def test_when_nothing_fits_the_user_is_told_what_to_do(disc_model, discs, direct):
    network = Hungry(disc_model.network, 0, 0, ERRORS[0])
    hungry = dataclasses.replace(disc_model, network=network, variants={})
    with pytest.raises(DeviceError, match="close other programs"):
        run(hungry, Image(discs(300, 300), "YX"), Tiling())


def test_other_errors_are_not_taken_for_lack_of_memory(disc_model, discs, direct):
    broken = Hungry(disc_model.network, 0, 0, RuntimeError("shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="multiplied"):
        run(dataclasses.replace(disc_model, network=broken), Image(discs(50, 50), "YX"))


def test_cancelling_frees_everything(disc_model, discs, tmp_path, monkeypatch):
    from napari_cellseg.core.inference import prediction as prediction_module

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(prediction_module, "IN_MEMORY_BYTES", 0)
    kept = []
    accelerate = predict_module.accelerate

    def watched(*arguments):
        network = accelerate(*arguments)
        kept.append(weakref.ref(network))
        return network

    monkeypatch.setattr(predict_module, "accelerate", watched)
    model = dataclasses.replace(disc_model, variants={})
    generator = predict(model, Image(discs(400, 400), "YX"), Preparation(), SMALL_TILES)
    next(generator)
    next(generator)
    generator.close()
    del generator, model  # the form of the network that was made ready belongs to the model
    gc.collect()
    assert kept[0]() is None
    assert list(tmp_path.iterdir()) == []


def test_the_network_is_made_ready_once(disc_model, discs, monkeypatch):
    made = []
    accelerate = predict_module.accelerate
    monkeypatch.setattr(predict_module, "accelerate", lambda *a: made.append(a) or accelerate(*a))
    model = dataclasses.replace(disc_model, variants={})
    image = Image(discs(100, 120), "YX")
    first, second = (run(model, image) for _ in range(2))
    assert len(made) == 1
    assert np.array_equal(first.maps["foreground"], second.maps["foreground"])


def test_threads_do_not_change_the_maps(disc_model, discs):
    image = Image(discs(300, 333), "YX")
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(run(disc_model, image))
    finally:
        torch.set_num_threads(before)
    for name, array in results[0].maps.items():
        np.testing.assert_array_equal(array, results[1].maps[name])
