"""Detection over tiles: every object once, whole, where it is; cancel, memory, live settings."""

import numpy as np
import pytest

pytest.importorskip("torch")
from scipy import ndimage

from napari_cellseg.core._torch import torch
from napari_cellseg.core.arrays import Image
from napari_cellseg.core.inference.predict import predict
from napari_cellseg.core.inference.preparation import Preparation
from napari_cellseg.core.inference.tiling import Tiling
from napari_cellseg.core.models.detector import Detections, Detector, DetectorParams
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.postprocessor import PostProcessor
from napari_cellseg.core.postprocess.stack import postprocess_stack
from napari_cellseg.core.progress import finish
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.segment import segment
from napari_cellseg.core.zoo.bundle import Model
from napari_cellseg.core.zoo.card import Card

SIDE = 8
TILES = Tiling(tile=256, margin=32)
POST = PostParams(min_area=0)
AS_IT_IS = Preparation(low=0, high=100, rescale="off")


class Finder(Detector):
    """Finds bright rectangles by connected components, with an error that differs by tile."""

    def __init__(self, channels: int = 1, error: float = 0.0) -> None:
        super().__init__(DetectorParams(in_channels=channels))
        self.backbone = torch.nn.Sequential(torch.nn.Conv2d(channels, 1, 1))
        self.error, self.calls, self.seen = error, 0, []

    def forward(self, image):
        self.calls += 1
        self.seen.append(tuple(image.shape))
        return [self.find(plane) for plane in image[:, -1].numpy()]

    def find(self, plane):
        parts, _ = ndimage.label(plane > 0.5)
        boxes = [(c.start, r.start, c.stop, r.stop) for r, c in ndimage.find_objects(parts)]
        moved = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4) + self.error * (
            1 if self.calls % 2 else -1
        )
        scores = torch.full((len(boxes),), 0.9 - 0.01 * (self.calls % 7))
        return Detections(moved, scores, torch.ones(len(boxes), SIDE, SIDE))


def card(channels: int = 1) -> Card:
    kinds = ("gray",) if channels == 1 else ("gray", "rgb")
    return Card(
        name="finder", architecture="none", maps=("instances",), in_channels=channels,
        channels=kinds, object_diameter=20, diameter_range=(1, 200),
    )  # fmt: skip


def model_of(finder: Finder, channels: int = 1) -> Model:
    return Model(card(channels), finder, {"cpu": finder})


def field(shape=(420, 640), step=44, seed=0) -> np.ndarray:
    """Rectangles of 8 to 38 px that do not touch; many lie across seams."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    for y in range(2, shape[0] - step, step):
        for x in range(2, shape[1] - step, step):
            height, width = rng.integers(8, 39, 2)
            labels[y : y + height, x : x + width] = labels.max() + 1
    return labels


def found_in(labels, finder, tiling=TILES, **options):
    image = Image((labels > 0).astype(np.float32), "YX")
    return finish(predict(model_of(finder), image, AS_IT_IS, tiling, "cpu", **options))


def same_objects(one, other) -> bool:
    pairs = np.unique(np.stack([one, other], -1).reshape(-1, 2), axis=0)
    return len(pairs) == one.max() + 1 == other.max() + 1


def test_an_object_across_a_seam_is_found_once_and_whole():
    truth, finder = field(), Finder()
    prediction = found_in(truth, finder)
    assert finder.calls > 3
    assert max(finder.seen)[-2:] <= (256, 256)
    labels = postprocess_stack(prediction, POST).labels
    assert same_objects(truth, labels)
    np.testing.assert_array_equal(truth > 0, labels > 0)


def test_tiles_that_do_not_quite_agree_give_no_duplicates():
    truth = field(seed=1)
    prediction = found_in(truth, Finder(error=1.5))
    loose = POST.replace(nms_threshold=0.8, min_visible=0.0)
    assert postprocess_stack(prediction, loose).count == truth.max()


def test_neighbours_across_a_seam_both_stay():
    truth = np.zeros((420, 640), np.int32)
    truth[180:200, 100:120], truth[202:222, 100:120] = 1, 2
    for row in range(0, 60, 7):  # whatever the seam cuts
        shifted = np.roll(truth, row, axis=0)
        assert len(found_in(shifted, Finder()).instances[()]) == 2


def test_a_large_image_takes_small_tiles_whatever_is_asked():
    finder = Finder()
    found_in(field((1100, 600)), finder, Tiling(tile=4096))
    assert finder.calls > 1
    assert max(max(shape[-2:]) for shape in finder.seen) <= 512


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_boxes_come_back_in_pixels_of_the_image(scale):
    truth = field((200, 300))
    prediction = found_in(truth, Finder(), scale=scale)
    labels = postprocess_stack(prediction, POST).labels
    assert labels.shape == truth.shape
    assert labels.max() == truth.max()
    overlap = ((labels > 0) & (truth > 0)).sum() / ((labels > 0) | (truth > 0)).sum()
    assert overlap > 0.85


def test_a_region_is_found_as_in_the_whole():
    truth = field()
    region = (slice(46, 134), slice(46, 222))
    prediction = found_in(truth, Finder(), region=region)
    assert prediction.shape == (88, 176)
    labels = postprocess_stack(prediction, POST).labels
    np.testing.assert_array_equal(labels > 0, truth[region] > 0)


def test_planes_of_a_stack_are_found_one_by_one():
    truth = np.stack([field((90, 90), seed=k) for k in range(3)])
    image = Image((truth > 0).astype(np.float32), "TYX")
    prediction = finish(predict(model_of(Finder()), image, AS_IT_IS, TILES))
    assert prediction.axes == "TYX"
    result = postprocess_stack(prediction, POST)
    np.testing.assert_array_equal(result.labels > 0, truth > 0)
    assert len(np.unique(result.labels)) == result.count + 1


def test_a_grey_image_fills_all_channels():
    finder = Finder(3)
    image = Image((field((90, 90)) > 0).astype(np.float32), "YX")
    prediction = finish(predict(model_of(finder, 3), image, AS_IT_IS, TILES))
    assert finder.seen[0][1] == 3
    assert len(prediction.instances[()]) == field((90, 90)).max()


def test_cancelling_stops_between_two_tiles():
    finder = Finder()
    image = Image((field() > 0).astype(np.float32), "YX")
    run = predict(model_of(finder), image, AS_IT_IS, TILES)
    while next(run).done < 2:
        pass
    run.close()
    assert finder.calls == 2


def test_when_memory_runs_out_tiles_become_smaller(monkeypatch):
    truth, finder = field(), Finder()
    find = Finder.find

    def hungry(self, plane):
        if max(plane.shape) > 200:
            raise torch.OutOfMemoryError("no memory")
        return find(self, plane)

    monkeypatch.setattr(Finder, "find", hungry)
    prediction = found_in(truth, finder)
    assert any("tile was halved" in step for step in prediction.steps)
    assert same_objects(truth, postprocess_stack(prediction, POST).labels)


def test_segmenting_and_live_settings_need_the_network_once():
    truth, finder = field((150, 150)), Finder()
    image = Image((truth > 0).astype(np.float32), "YX")
    recipe = Recipe(model="finder", preparation=AS_IT_IS, tiling=TILES, post=POST)
    result = finish(segment(image, recipe, model=model_of(finder), device="cpu"))
    assert result.record.objects == truth.max()
    calls = finder.calls
    processor = PostProcessor(result.prediction.plane(()))
    assert processor.run(POST.replace(score_threshold=0.95)).count == 0
    assert processor.run(POST).count == truth.max()
    assert finder.calls == calls


def test_objects_of_an_unexpected_size_are_measured_and_looked_at_again():
    truth, finder = field((150, 150)), Finder()
    small = card().replace(object_diameter=10, diameter_range=(8, 12))
    image = Image((truth > 0).astype(np.float32), "YX")
    recipe = Recipe(model="finder", preparation=Preparation(low=0, high=100), post=POST)
    result = finish(segment(image, recipe, model=Model(small, finder, {"cpu": finder})))
    assert result.prediction.scale < 0.6
    assert result.record.objects == truth.max()


@pytest.mark.parametrize("error", [-1.5, 0.0, 1.5])
def test_an_object_cut_by_any_border_is_found(error):
    truth = np.zeros((200, 210), np.int32)  # not a whole number of strides: tiles are filled up
    for start in range(20, 170, 30):
        for edge in (np.s_[:14], np.s_[-14:]):
            truth[edge, start : start + 16] = truth.max() + 1
            truth[start : start + 16, edge] = truth.max() + 1
    truth[188:196, 3:11] = truth.max() + 1  # its reflection is no object
    prediction = found_in(truth, Finder(error=error))
    assert len(prediction.instances[()]) == len(np.unique(truth)) - 1


class Outliner(Finder):
    """Finds bright objects of any shape, with their masks."""

    def find(self, plane):
        parts, count = ndimage.label(plane > 0.5)
        boxes, masks = [], []
        for number, (rows, columns) in enumerate(ndimage.find_objects(parts), 1):
            boxes.append((columns.start, rows.start, columns.stop, rows.stop))
            mask = torch.from_numpy(parts[rows, columns] == number).float()[None, None]
            masks.append(torch.nn.functional.interpolate(mask, (28, 28), mode="bilinear")[0, 0])
        scores = torch.linspace(0.9, 0.6, count)
        return Detections(torch.tensor(boxes).reshape(-1, 4).float(), scores, torch.stack(masks))


def test_a_cell_within_the_box_of_a_slanting_one_stays_wherever_the_seam_lies():
    y, x = np.mgrid[:420, :240]
    for shift in range(0, 100, 10):
        slanting = (np.abs((y - 140 - shift) - (x - 60)) < 8) & (x > 60) & (x < 120)
        small = (y - 186 - shift) ** 2 + (x - 74) ** 2 < 8**2
        tile = Tiling(tile=256, margin=64)
        found = found_in((slanting | small).astype(int), Outliner(), tile).instances[()]
        assert len(found) == 2, f"shift {shift}: {found.boxes}"
