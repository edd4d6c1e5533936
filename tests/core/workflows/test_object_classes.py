"""Object classes from the folder to the scores: training, prediction, assignment, evaluation."""

import csv
import json

import numpy as np
import pytest
import tifffile

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.arrays import Image
from napari_cellseg.core.classify import classify
from napari_cellseg.core.data.sources import find_pairs, load_pairs
from napari_cellseg.core.errors import DataError, SettingsError
from napari_cellseg.core.export.result import save_result
from napari_cellseg.core.inference.predict import predict
from napari_cellseg.core.inference.preparation import Normalization, Preparation
from napari_cellseg.core.inference.tiling import Tiling
from napari_cellseg.core.progress import finish
from napari_cellseg.core.reading import read_image, read_labels
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.training.object_types import with_object_types
from napari_cellseg.core.workflows.evaluate import evaluate, evaluate_labels
from napari_cellseg.core.workflows.segment import segment
from napari_cellseg.core.workflows.train import train
from napari_cellseg.core.zoo.bundle import Model, load_bundle
from napari_cellseg.core.zoo.card import Card

TINY = TrainConfig(
    model_params={"width": 0.1}, patch_size=32, batch_size=2, steps=2, epoch_steps=2, seed=3
)
STILL = ("elastic", "gamma", "contrast", "noise", "blur", "invert", "stain", "to_gray")
MAPS = ("foreground", "contour", "classes")


class Brightness(torch.nn.Module):
    """Foreground above a quarter of the range; "bright" above 0.7, else "dim"."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        value = image.mean(1, keepdim=True)
        classes = [20 * (0.25 - value), 20 * (value - 0.7), 20 * (0.7 - value).clamp(max=0.3) - 2]
        return {
            "foreground": 40 * (value - 0.25),
            "contour": torch.full_like(value, -8),
            "classes": torch.cat(classes, dim=1),
        }


@pytest.fixture
def model() -> Model:
    card = Card(
        name="brightness",
        architecture="by-hand",
        params={"types": ["bright", "dim"]},
        maps=MAPS,
        diameter_range=(2, 200),
        weights_sha256="0" * 64,
    )
    return Model(card, Brightness().eval())


def squares() -> tuple[np.ndarray, np.ndarray]:
    """Return image and labels of twelve squares, of which those in every third column are dim."""
    labels = np.zeros((90, 120), np.uint16)
    image = np.full(labels.shape, 10, np.uint8)
    for number in range(12):
        row, column = divmod(number, 4)
        place = slice(30 * row + 8, 30 * row + 24), slice(30 * column + 8, 30 * column + 24)
        labels[place] = 5 * (number + 1)
        image[place] = 120 if column == 2 else 250
    return image, labels


def kinds(labels: np.ndarray, image: np.ndarray) -> dict[int, str]:
    return {
        int(k): "dim" if image[labels == k][0] < 200 else "bright" for k in np.unique(labels)[1:]
    }


def write(folder, name, image, labels, classes):
    for kind, array in (("images", image), ("labels", labels)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / kind / f"{name}.tif", array)
    path = folder / "classes.csv"
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["id", "label", "class"])
        writer.writerows([name, label, kind] for label, kind in classes.items())


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "squares"
    image, labels = squares()
    for name in "abc":
        write(folder, name, image, labels, kinds(labels, image))
    (folder / "split.json").write_text(json.dumps({"train": ["a", "b"], "val": ["c"]}))
    return folder


def run(model, image, **options):
    return finish(segment(image, Recipe(model="brightness"), model=model, device="cpu", **options))


def test_each_object_gets_its_class(model):
    image, _ = squares()
    result = run(model, Image(image, "YX"))
    found = result.classes
    assert result.labels.n_objects == len(found.ids) == 12
    for label, name, margin in zip(found.ids, found.names(), found.margin, strict=True):
        dim = image[result.labels.data == label].mean() < 200
        assert name == ("dim" if dim else "bright")
        assert margin > 0.5
    assert list(result.prediction.maps) == ["foreground", "contour"]
    assert all(plane.dtype == np.uint8 for plane in result.prediction.classes.values())


def test_probabilities_are_a_softmax_over_background_and_types(model):
    image, _ = squares()
    prediction = finish(predict(model, Image(image, "YX"), Preparation(low=0, high=100), Tiling()))
    scaled = torch.from_numpy((image - 10.0) / 240).float().expand(1, 3, -1, -1)
    expected = torch.softmax(model.network(scaled)["classes"], 1)[0] * 255
    for number, name in enumerate(("bright", "dim"), 1):
        np.testing.assert_allclose(prediction.classes[name], expected[number], atol=0.52)
    total = sum(plane.astype(int) for plane in prediction.classes.values())
    assert total.max() <= 256
    assert total[0, 0] < 100  # background has the rest


def test_tiles_and_slices_keep_the_classes(model):
    image, _ = squares()
    stack = np.stack([image, image[::-1], 260 - image.astype(np.uint16)]).astype(np.uint8)
    whole = finish(predict(model, Image(stack, "ZYX"), Preparation(), Tiling()))
    tiled = finish(predict(model, Image(stack, "ZYX"), Preparation(), Tiling(tile=128, margin=16)))
    for name, planes in whole.classes.items():
        assert planes.shape == stack.shape
        np.testing.assert_allclose(tiled.classes[name].astype(int), planes, atol=2)
        alone = finish(predict(model, Image(stack[1], "YX"), Preparation(), Tiling()))
        np.testing.assert_array_equal(planes[1], alone.classes[name])


def test_evaluation_counts_classes_and_reads_what_segment_wrote(model, data, tmp_path):
    image, labels = squares()
    labels[labels == 5] = 0  # the first square is now spurious
    truth = kinds(labels, image)
    truth[15] = "bright"  # found as dim
    del truth[60]  # nobody knows: not counted
    labels[66:80, 2:5] = 99  # missed
    truth[99] = "dim"
    (data / "classes.csv").unlink()
    write(data, "c", image, labels, truth)
    recipe = Recipe(model="brightness")
    result = finish(evaluate(recipe, [data], model=model, device="cpu"))
    matrix = result.confusion()
    assert matrix.types == ("bright", "dim")
    assert matrix.counts.tolist() == [[7, 1, 0], [0, 2, 1], [1, 0, 0]]
    assert matrix.f1() == pytest.approx({"bright": 14 / 16, "dim": 4 / 6})
    assert "(spurious)" in result.table()
    assert json.loads(result.to_json())["classes"]["f1_50"]["bright"] == pytest.approx(0.875)
    result.save(tmp_path / "out")
    rows = list(csv.reader((tmp_path / "out" / "evaluation_classes.csv").open()))
    assert rows[0] == ["true class", "bright", "dim", "(missed)", "F1"]
    assert rows[2] == ["dim", "0", "2", "1", "0.667"]

    made = run(model, read_image(data / "images" / "c.tif"))
    paths = save_result(made, tmp_path / "files", "c")
    assert paths[2].name == "c_objects.csv"
    again = finish(evaluate_labels(tmp_path / "files", [data])).confusion()
    assert again.counts.tolist() == matrix.counts.tolist()
    table = list(csv.DictReader(paths[2].open()))
    assert [int(row["label"]) for row in table] == made.classes.ids.tolist()
    assert {row["class"] for row in table} == {"bright", "dim"}
    save_result(run_without_classes(made), tmp_path / "files", "c")
    assert not paths[2].exists()  # it belonged to other labels


def run_without_classes(result):
    import dataclasses

    return dataclasses.replace(result, classes=None)


def test_types_come_from_the_data(data):
    pairs = find_pairs(data)
    settled = with_object_types(TINY, pairs)
    assert settled.model_params == {"width": 0.1, "maps": list(MAPS), "types": ["bright", "dim"]}
    assert with_object_types(settled, pairs) == settled
    chosen = TINY.replace(model_params={"types": ["other", "dim", "bright"]})
    assert with_object_types(chosen, pairs).model_params["types"] == ["other", "dim", "bright"]
    plain = TINY.replace(model_params={"maps": ["foreground", "contour"]})
    assert with_object_types(plain, pairs) == plain
    detector = TINY.replace(model="mask-rcnn", model_params={})
    assert with_object_types(detector, pairs) == detector


def test_contradictions_are_refused_before_anything_is_written(data, tmp_path):
    one = TINY.replace(model_params={"width": 0.1, "types": ["bright"]})
    with pytest.raises(DataError, match="class 'dim'"):
        finish(train(one, [data], tmp_path / "out", device="cpu"))
    assert not list(tmp_path.glob("out*"))
    alone = TINY.replace(model_params={"maps": ["classes"]})
    with pytest.raises(SettingsError, match="foreground"):
        with_object_types(alone, find_pairs(data))
    (data / "classes.csv").unlink()
    asked = TINY.replace(model_params={"maps": list(MAPS)})
    with pytest.raises(DataError, match="no data folder has any"):
        with_object_types(asked, find_pairs(data))


def test_a_trained_model_predicts_classes_and_resumes(data, tmp_path):
    result = finish(train(TINY, [data], tmp_path / "out", device="cpu"))
    model = load_bundle(result.folder)
    assert model.card.maps == MAPS
    assert model.card.types == ("bright", "dim")
    assert "class_f1" in result.best
    image = read_image(data / "images" / "c.tif")
    found = finish(segment(image, Recipe.for_model(model.card), model=model, device="cpu"))
    assert set(found.prediction.classes) == {"bright", "dim"}
    stopped = train(TINY, [data], tmp_path / "two", device="cpu")
    while next(stopped).stage != "Training":
        pass
    stopped.close()
    resumed = finish(train(TINY, [data], tmp_path / "two", resume=True, device="cpu"))
    a, b = model.network.state_dict(), load_bundle(resumed.folder).network.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def two_kinds(shared_data, tmp_path):
    """Real nuclei of two kinds, stained and fluorescent: crops of 128 px, classes by kind."""
    source, folder = shared_data / "nuclei_dsb2018", tmp_path / "real"
    groups = json.loads((source / "groups.json").read_text())
    wanted = {"color_bright_background": "stained", "fluorescence_gray": "fluorescent"}
    taken = dict.fromkeys(wanted, 0)
    for pair in find_pairs(source, "train"):
        group = groups.get(pair.name)
        if group not in wanted or taken[group] == 10:
            continue
        labels = read_labels(pair.labels).data[:128, :128]
        if labels.shape != (128, 128) or np.unique(labels).size < 6:
            continue
        pixels = read_image(pair.image).plane((), None)[:128, :128, :3]
        image = np.repeat(pixels, 3 // pixels.shape[2], axis=2)
        classes = dict.fromkeys(np.unique(labels)[1:].tolist(), wanted[group])
        write(folder, f"{group}_{taken[group]}", image, labels.astype(np.uint16), classes)
        taken[group] += 1
    held = [f"{group}_{k}" for group in wanted for k in (8, 9)]
    rest = [f"{group}_{k}" for group in wanted for k in range(8)]
    (folder / "split.json").write_text(json.dumps({"train": rest, "val": held}))
    return folder


@pytest.mark.slow
def test_a_tiny_model_learns_stained_from_fluorescent(two_kinds, tmp_path):
    config = TINY.replace(
        model_params={"width": 0.2},
        loss="bce-dice",
        patch_size=64,
        batch_size=4,
        steps=300,
        epoch_steps=150,
        learning_rate=5e-3,
        ema=0.9,
        augment={**dict.fromkeys(STILL, 0), "scale_min": 1, "scale_max": 1},
    )
    trained = finish(train(config, [two_kinds], tmp_path / "out", device="cpu"))
    model = load_bundle(trained.folder)
    right = total = 0
    for loaded in finish(load_pairs(find_pairs(two_kinds, "val"), Normalization())):
        image = read_image(two_kinds / "images" / f"{loaded.name}.tif")
        maps = finish(predict(model, image, Preparation(), Tiling()))
        given = classify(loaded.labels, maps.classes).by_id()
        right += sum(given[label] == name for label, name in loaded.classes.items())
        total += len(given)
    assert total > 20
    assert right / total > 0.9
