"""Sources become what training, validation and comparison take."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.data.sources import LabelledImage
from napari_cellseg.core.errors import ChannelError, DataError
from napari_cellseg.core.finetuning.material.material import prepare, set_apart
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.finetuning.material.split import Strip
from napari_cellseg.core.inference.preparation import normalize, percentile_limits
from napari_cellseg.core.progress import finish
from napari_cellseg.core.training.config import TrainConfig
from napari_cellseg.core.zoo.card import Card

PARENT = Card(name="p", architecture="unet")
CONFIG = TrainConfig(patch_size=32)
STRIP = Strip(1, (0, 80), (112, 160))


def source(known=None, **more):
    rng = np.random.default_rng(3)
    labels = np.zeros((40, 160), np.int32)
    for number, x in enumerate(range(4, 150, 16), 1):
        labels[8:18, x : x + 8] = 10 * number
    # bright on the right: scaled alone, the left part would look different
    data = rng.integers(0, 99, labels.shape) + 40 * np.arange(160) + 50 * (labels > 0)
    return Source("s", Image(data.astype(np.uint16), "YX"), labels, known, **more)


def made(one, split=STRIP, parent=PARENT, config=CONFIG):
    sources = one if isinstance(one, list) else [one]
    return finish(
        prepare(sources, dict.fromkeys((s.sha256 for s in sources), split), parent, config)
    )


def test_intensities_are_those_of_the_whole_picture():
    one = source()
    plane = one.image.plane()
    seen = normalize(plane, percentile_limits(plane, 1, 99.8)).astype(np.float16)
    material = made(one)
    assert np.array_equal(material.train[0].image, seen[:, :80])
    assert np.array_equal(material.held_out[0].image, seen[:, 112:])


def test_objects_are_the_same_and_those_cut_by_the_border_unknown():
    one = source()
    train = made(one).train[0]
    assert train.labels.shape == (40, 80)
    assert len(np.unique(train.labels)) == 6  # five objects and background
    material = made(one, Strip(1, (0, 72), (112, 160)))
    cut = one.labels[:, :72] == one.labels[10, 69]
    assert not material.train[0].known[cut].any()
    assert not material.train[0].labels[cut].any()


def test_a_comparison_sees_the_whole_picture_and_counts_its_part():
    one = source()
    material = made(one)
    for part, columns in (
        (material.fitted[0], slice(0, 80)),
        (material.judged[0], slice(112, 160)),
    ):
        assert part.image is one.image
        inside = np.zeros((40, 160), bool)
        inside[:, columns] = True
        assert not part.known[~inside].any()
        assert np.array_equal(part.labels, np.where(part.known, one.labels, 0))
        assert part.objects


@pytest.mark.parametrize(("diameter", "height"), [(None, 54), (20.0, 80)])
def test_pictures_of_small_objects_are_enlarged_unless_all_get_one_scale(diameter, height):
    material = made(source(), config=CONFIG.replace(smallest_diameter=11.0, diameter=diameter))
    height_now = material.train[0].labels.shape[0]
    assert height_now == pytest.approx(height, abs=2)
    assert material.train[0].image.shape[0] == height_now
    assert material.fitted[0].labels.shape == (40, 160)


def test_only_what_is_near_the_known_area_is_kept():
    known = np.zeros((40, 160), bool)
    known[10:12, 2:4] = True
    one = source(known)
    labels = np.zeros_like(one.labels)
    labels[10, 2:4] = 1
    image = made(replace(one, labels=labels), "train").train[0]
    assert image.known.sum() == 4
    assert image.labels.shape == (40, 4 + 64)


def test_for_detectors_what_is_unknown_is_blank():
    known = np.zeros((40, 160), bool)
    known[:, :60] = True
    one = source(known, channels=None)
    parent = PARENT.replace(architecture="mask-rcnn", maps=("instances",))
    blank, plain = made(one, "train", parent).train[0], made(one, "train").train[0]
    assert np.unique(blank.image[~blank.known]).size == 1
    assert np.unique(plain.image[~plain.known]).size > 100
    assert np.array_equal(blank.image[blank.known], plain.image[plain.known])


def test_everything_is_shown_at_the_networks_scale():
    material = made(source(), config=CONFIG.replace(diameter=2 * 10.0925))
    assert material.scale == pytest.approx(2, rel=0.01)
    assert material.train[0].labels.shape == pytest.approx((80, 160), abs=2)
    assert material.train[0].diameter == pytest.approx(20.2, abs=0.3)
    assert material.judged[0].labels.shape == (40, 160)


def test_with_nothing_held_out_training_images_are_validated():
    material = made(source(), "train")
    assert material.held_out == material.train
    assert not material.judged


def test_classes_follow_their_objects():
    parent = PARENT.replace(
        maps=("foreground", "classes"), params={"maps": ("foreground", "classes"), "types": ["a"]}
    )
    one = source(classes={10: "a", 20: "a"})
    train = made(one, parent=parent).train[0]
    assert {int(one.labels[10, 6]), int(one.labels[10, 22])} == {10, 20}
    assert train.classes == {int(train.labels[10, 6]): "a", int(train.labels[10, 22]): "a"}
    with pytest.raises(DataError, match="class 'b'"):
        made(source(classes={10: "b"}), parent=parent)
    assert made(source(classes={10: "b"})).train  # the parent tells no classes apart


def test_what_cannot_be_used_is_said():
    with pytest.raises(DataError, match="left to train on"):
        made(source(), "validation")
    two = Source("c", Image(np.zeros((40, 160, 2), np.uint8), "YXC"), source().labels)
    with pytest.raises(ChannelError, match="2 channel"):
        made(two)


def test_a_tenth_of_many_images_is_kept_for_the_choice_of_weights():
    def image(name, objects=1):
        labels = np.full((4, 4), objects, np.int32)
        return LabelledImage(name, "", np.zeros((4, 4, 1), np.float16), labels, 4.0)

    few = [image(f"{n}") for n in range(9)] + [image("empty", 0)]
    assert set_apart(few) == (few, [])
    many = [image("empty", 0), *(image(f"{n}") for n in range(25))]
    learnt, choosing = set_apart(many)
    assert [one.name for one in choosing] == ["4", "14", "24"]
    assert [one.name for one in learnt] == [o.name for o in many if o not in choosing]
