"""What is trusted of a reviewed picture, and how it is divided."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cellseg.core.errors import DataError
from napari_cellseg.core.fitting import regions
from napari_cellseg.core.fitting.regions import regions_of
from napari_cellseg.core.fitting.reviewed import Reviewed
from napari_cellseg.core.inference.prediction import Prediction

BIG = 2**31 - 1


def prediction(shape, axes="YX"):
    return Prediction({"foreground": np.zeros(shape, np.uint8)}, axes)


@pytest.fixture
def truth():
    """Labels (10, 40): object 5 within columns 0-19, 9 mostly, 7 mostly not, BIG not at all."""
    labels = np.zeros((10, 40), np.int32)
    labels[1:3, 2:6] = 5
    labels[4:6, 16:22] = 9
    labels[7:9, 18:24] = 7
    labels[1:3, 30:36] = BIG
    return labels


@pytest.fixture
def left():
    area = np.zeros((10, 40), bool)
    area[:, :20] = True
    return area


def trusted(truth, **how):
    return Reviewed(prediction(truth.shape), truth, **how).trusted(())


def test_objects_belong_to_the_area_by_majority_and_stay_whole(truth, left):
    objects, known = trusted(truth, area=left)
    assert set(np.unique(truth[objects > 0])) == {5, 9}
    np.testing.assert_array_equal(objects > 0, np.isin(truth, (5, 9)))
    assert set(np.unique(objects)) == {0, 1, 2}
    np.testing.assert_array_equal(known, (left | (truth == 9)) & (truth != 7))


def test_accepted_objects_are_right_outside_of_the_area_too(truth, left):
    objects, known = trusted(truth, area=left, accepted=[BIG, 9])
    assert set(np.unique(truth[objects > 0])) == {5, 9, BIG}
    assert known[truth == BIG].all()
    assert known.sum() == ((left | np.isin(truth, (9, BIG))) & (truth != 7)).sum()


def test_accepted_objects_alone_say_nothing_about_the_rest(truth):
    objects, known = trusted(truth, accepted={5})
    np.testing.assert_array_equal(known, truth == 5)
    np.testing.assert_array_equal(objects, truth == 5)


def test_without_any_word_all_is_right(truth):
    objects, known = trusted(truth)
    assert objects.max() == 4
    assert known.all()


def test_nothing_reviewed_is_refused_with_a_remedy(truth):
    for case in (
        Reviewed(prediction(truth.shape), truth, np.zeros(truth.shape, bool)),
        Reviewed(prediction(truth.shape), np.zeros_like(truth)),
        Reviewed(prediction(truth.shape), truth, accepted=[77]),
    ):
        with pytest.raises(DataError, match="accept some objects, or mark an area"):
            regions_of([case])


def test_wrong_shapes_and_kinds_are_refused(truth, left):
    with pytest.raises(DataError, match=r"reviewed area .* differ"):
        Reviewed(prediction(truth.shape), truth, left[:5])
    with pytest.raises(DataError, match=r"labels .* differ"):
        Reviewed(prediction((9, 9)), truth)
    with pytest.raises(DataError, match="not integers"):
        Reviewed(prediction(truth.shape), truth.astype(float))


def scattered(seed=0):
    rng = np.random.default_rng(seed)
    truth = np.zeros((150, 170), np.int32)
    for number in range(1, 60):
        y, x = rng.integers(0, 140), rng.integers(0, 160)
        truth[y : y + 9, x : x + 9] = number
    return truth


def test_tiles_share_objects_and_known_pixels_out(monkeypatch):
    monkeypatch.setattr(regions, "TILE", 40)
    truth = scattered()
    area = np.zeros(truth.shape, bool)
    area[20:140, 15:160] = True
    case = Reviewed(prediction(truth.shape), truth, area, accepted=[int(truth.max())])
    objects, known = case.trusted(())
    parts = regions_of([case])
    assert len(parts) > 6
    found, times = np.zeros_like(truth), np.zeros(truth.shape, int)
    for number, part in enumerate(parts, 1):
        mine = part.truth > 0
        assert not found[part.box][mine].any()
        found[part.box][mine] = part.truth[mine] + 100 * number
        times[part.box] += part.known
    np.testing.assert_array_equal(times, known)
    # one object in one region is one object in the picture, and the other way round
    pairs = np.unique(np.stack([objects.ravel(), found.ravel()]), axis=1).T
    assert len(pairs) == objects.max() + 1 == len(np.unique(found))


def test_a_very_large_area_is_sampled_evenly(monkeypatch):
    monkeypatch.setattr(regions, "TILE", 40)
    monkeypatch.setattr(regions, "MOST_PIXELS", 40 * 40 * 6)
    truth = scattered()
    parts = regions_of([Reviewed(prediction(truth.shape), truth)])
    assert 3 <= len(parts) < 10
    tops = [part.box[0].start for part in parts]
    assert min(tops) == 0
    assert max(tops) > 80


def test_only_reviewed_planes_of_a_stack_are_looked_at(truth, left):
    stack = np.stack([truth, np.roll(truth, 3, axis=0), truth])
    area = np.zeros(stack.shape, bool)
    area[1] = left
    (part,) = regions_of([Reviewed(prediction(stack.shape, "ZYX"), stack, area)])
    assert part.count == 2
    shown = np.zeros(truth.shape, bool)
    shown[part.box] = part.truth > 0
    np.testing.assert_array_equal(shown, np.isin(stack[1], (5, 9)))


def test_errors_are_put_down_to_the_nearest_object():
    truth = np.zeros((40, 40), np.int32)
    truth[4:8, 4:8], truth[30:36, 30:36] = 3, 8
    (part,) = regions_of([Reviewed(prediction(truth.shape), truth)])
    assert part.nearest[2, 12] == part.truth[5, 5] - 1
    assert part.nearest[39, 20] == part.truth[32, 32] - 1
