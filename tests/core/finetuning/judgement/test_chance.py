"""Differences of two models: as large as chance says, however few units there are."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cellseg.core.finetuning.judgement import chance
from napari_cellseg.core.finetuning.judgement.chance import Tallied, difference
from napari_cellseg.core.finetuning.judgement.counts import scores_of


def rows(hits) -> np.ndarray:
    """Counts of objects that are found perfectly, or not at all."""
    hits = np.asarray(hits, float)
    whole = np.ones((len(hits), 13, 2))
    whole[:, 10, 1] = 0.5 + hits / 2  # PQ counts half an object that is missed
    whole[..., 0] = hits[:, None]
    return whole


def image(before, after, *, spread=False) -> Tallied:
    n = len(before)
    block = np.arange(n) if spread else np.zeros(n, np.int64)
    return Tallied(rows(before), rows(after), block, n)


def test_few_objects_are_the_units_of_a_single_image():
    found = difference([image([1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0])])
    assert (found.level, found.units) == ("objects", 6)
    np.testing.assert_allclose(found.parent[0], 2 / 6)
    np.testing.assert_allclose(found.child[0], 5 / 6)


@pytest.mark.parametrize(("n", "level", "units"), [(7, "objects", 7), (8, "blocks", 8)])
def test_blocks_are_drawn_where_there_are_enough_of_them(n, level, units):
    found = difference([image([0] * n, [1] * n, spread=True)])
    assert (found.level, found.units) == (level, units)


def test_blocks_of_different_images_are_different_units():
    two = [image([0, 1] * 4, [1] * 8, spread=True), image([1] * 4, [0] * 4, spread=True)]
    assert difference(two).units == 12


@pytest.mark.parametrize("spread", [True, False])
def test_scores_of_few_images_are_those_of_all_objects_together(spread):
    two = [image([0] * 9, [1] * 9, spread=spread), image([1], [0], spread=spread)]
    found = difference(two)
    assert found.child[0] == pytest.approx(0.9)
    assert found.parent[0] == pytest.approx(0.1)
    whole = np.concatenate([one.child for one in two]).sum(axis=0)
    np.testing.assert_array_equal(found.child, scores_of(whole))


def test_many_images_count_alike_whatever_they_hold():
    images = [image([0] * 50, [1] * 50), *[image([1], [1])] * 7]
    found = difference(images)
    assert (found.level, found.units) == ("images", 8)
    assert found.parent[0] == pytest.approx(7 / 8)
    assert found.child[0] == 1


def test_one_object_proves_nothing():
    found = difference([image([0], [1])])
    np.testing.assert_array_equal(found.low, -1)
    np.testing.assert_array_equal(found.high, 1)
    assert found.chance > 0.4


@pytest.mark.parametrize(("n", "proof"), [(3, False), (5, False), (6, True), (12, True)])
@pytest.mark.parametrize("spread", [True, False])
def test_no_gain_of_five_units_is_beyond_chance(n, proof, spread):
    found = difference([image([0] * n, [1] * n, spread=spread)])
    assert (found.chance < 0.025) is proof
    assert found.chance == pytest.approx(2.0**-n, rel=0.25, abs=3e-4)


@pytest.mark.parametrize("count", [6, 8])
def test_gains_of_a_few_among_many_that_stay_the_same_are_chance(count):
    """Four better and none worse: one time in sixteen."""
    before = [image([0, 1], [0, 1])] * (12 - 4) + [image([0, 1], [1, 1])] * 4
    images = before if count >= 8 else [image(*np.repeat([[0], [1]], 4, 1))]
    if count < 8:
        images = [image([0] * 4 + [1] * 8, [1] * 12)]
    assert difference(images).chance == pytest.approx(1 / 16, rel=0.2)


def test_the_same_model_twice_shows_no_difference():
    found = difference([image([0, 1, 1, 0, 1, 1], [0, 1, 1, 0, 1, 1])])
    np.testing.assert_array_equal(found.low, 0)
    np.testing.assert_array_equal(found.high, 0)
    assert found.chance == 1


def test_exchanging_the_models_turns_the_interval_round():
    rng = np.random.default_rng(1)
    before, after = rng.random((2, 60)) < [[0.4], [0.7]]
    one = difference([image(before, after, spread=True)])
    other = difference([image(after, before, spread=True)])
    np.testing.assert_allclose(one.low, -other.high, atol=0.02)
    np.testing.assert_allclose(one.high, -other.low, atol=0.02)
    assert np.all(one.low < one.child - one.parent)
    assert np.all(one.child - one.parent < one.high)
    assert one.chance + other.chance == pytest.approx(1, abs=0.05)


def test_the_same_seed_gives_the_same_interval():
    images = [image([0, 1, 0, 1, 0, 1, 0, 0, 1], [1, 1, 0, 1, 1, 1, 0, 1, 0])]
    first, second, third = difference(images, 1), difference(images, 1), difference(images, 2)
    np.testing.assert_array_equal(first.low, second.low)
    assert first.chance == second.chance
    assert not (np.array_equal(first.low, third.low) and first.chance == third.chance)


@pytest.mark.parametrize("n", [8, 30])
def test_the_interval_covers_the_true_gain_as_often_as_it_says(n, monkeypatch):
    """Images whose gain is normal around 0.05: the interval should miss it 1 time in 20."""
    monkeypatch.setattr(chance, "_ROUNDS", 1000)
    rng = np.random.default_rng(n)
    missed = 0
    repeats = 150
    for _ in range(repeats):
        gains = np.clip(rng.normal(0.05, 0.1, n), -0.5, 0.5)
        images = [Tallied(share(0.5), share(0.5 + g), np.zeros(1, np.int64), 1) for g in gains]
        found = difference(images)
        missed += not found.low[0] <= 0.05 <= found.high[0]
    assert 1 <= missed <= 0.09 * repeats


def share(value: float) -> np.ndarray:
    whole = np.ones((1, 13, 2))
    whole[..., 0] = value
    return whole


def test_correlated_objects_do_not_make_the_interval_narrow():
    """Blocks that fare alike as a whole are as good as one object each."""
    rng = np.random.default_rng(4)
    better = rng.random(12) < 0.6
    before, after = np.repeat([~better, better], 10, axis=1)
    alike = Tallied(rows(before), rows(after), np.repeat(np.arange(12), 10), 120)
    apart = Tallied(rows(before), rows(after), np.arange(120), 120)
    width = [difference([one]).high[0] - difference([one]).low[0] for one in (alike, apart)]
    assert width[0] > 2.5 * width[1]
