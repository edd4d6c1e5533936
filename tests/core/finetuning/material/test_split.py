"""Splits stay as they were, and nothing that judges is ever trained on."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_cellseg.core.errors import ChannelError, DataError
from napari_cellseg.core.finetuning.jobs.rounds import (
    GAP,
    earlier_splits,
    network_gap,
    planned_splits,
    split_from_json,
    split_record,
    split_to_json,
)
from napari_cellseg.core.finetuning.material.split import Strip, parts, split_sources
from napari_cellseg.core.finetuning.settings import FineTuneSettings

from .._pictures import entry, grid, source, squares

SETTINGS = FineTuneSettings()

maps = arrays(
    np.int32,
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    elements=st.sampled_from([0, 0, 0, 1, 2, 3, 5, 2**31 - 1]),
    fill=st.just(0),
)


def blocks(draw_from):
    """Return labels of a random size with rectangles here and there."""
    rng = np.random.default_rng(draw_from)
    labels = np.zeros(rng.integers(20, 90, 2), np.int32)
    for number in range(1, int(rng.integers(1, 15))):
        y, x = rng.integers(0, labels.shape)
        labels[y : y + rng.integers(1, 12), x : x + rng.integers(1, 12)] = number
    return labels


labelled = st.one_of(maps, st.integers(0, 10**6).map(blocks))


class TestOneImage:
    @settings(max_examples=60)
    @given(labelled, st.integers(0, 9), st.integers(1, 20))
    def test_no_pixel_trains_and_judges_and_the_gap_holds(self, labels, seed, gap):
        one = source(labels)
        split = split_sources([one], {}, seed, gap)[one.sha256]
        train, validation = parts(one, split)
        if split == "train":
            assert train is one
            assert validation is None
            return
        assert isinstance(split, Strip)
        trained = train.image.data
        judging = one.image.data[block(split.axis, split.validation)]
        assert not np.isin(trained, judging).any()
        apart = np.abs(places(trained, one, split.axis)[:, None] - places(judging, one, split.axis))
        assert apart.min() == gap + 1
        assert trained.base is None  # not a view: it holds no other pixel in memory either
        if validation is not None:
            np.testing.assert_array_equal(validation.image.data, judging)

    @settings(max_examples=60)
    @given(labelled, arrays(np.bool_, (40, 40)), st.integers(0, 3))
    def test_objects_that_are_cut_count_in_neither_part(self, labels, known, seed):
        known = None if seed % 2 else np.resize(known, labels.shape)
        one = source(labels, known=known)
        split = split_sources([one], {}, seed, 4)[one.sha256]
        if split == "train":
            return
        for part, span in zip(parts(one, split), (split.train, split.validation), strict=True):
            if part is None:
                continue
            window = block(split.axis, span)
            sizes = {n: (labels == n).sum() for n in np.unique(labels) if n}
            whole = [n for n, size in sizes.items() if (labels[window] == n).sum() == size]
            np.testing.assert_array_equal(
                part.labels, np.where(np.isin(labels[window], whole), labels[window], 0)
            )
            sure = (labels[window] == 0) | np.isin(labels[window], whole)
            expected = sure if known is None else sure & known[window]
            if part.known is None:
                assert expected.all()
            else:
                np.testing.assert_array_equal(part.known, expected)

    @pytest.mark.parametrize("seed", range(6))
    def test_about_a_quarter_of_the_objects_judges(self, seed):
        one = source(grid((200, 260)))
        train, validation = parts(one, split_sources([one], {}, seed, 32)[one.sha256])
        assert 0.2 < validation.objects / (train.objects + validation.objects) < 0.3
        assert train.objects + validation.objects > 0.75 * one.objects

    def test_every_side_can_judge(self):
        one = source(grid((126, 126)))
        found = {split_sources([one], {}, seed, 10)[one.sha256] for seed in range(30)}
        assert len(found) == 4
        for split in found:
            train, validation = parts(one, split)
            assert validation.objects in (16, 8)
            assert train.objects in (40, 48)

    def test_ten_cells_in_a_corner_are_parted(self):
        corners = [(5 + 12 * (k // 4), 5 + 40 * (k % 4)) for k in range(10)]
        one = source(squares((512, 512), corners))
        train, validation = parts(one, split_sources([one], {}, 0, 32)[one.sha256])
        assert train.objects >= 6
        assert validation.objects in (2, 3)

    def test_two_objects_are_enough_if_they_lie_apart(self):
        one = source(squares((100, 100), [(5, 5), (90, 20)]))
        train, validation = parts(one, split_sources([one], {}, 0, 32)[one.sha256])
        assert (train.objects, validation.objects) == (1, 1)

    def test_room_is_kept_for_objects_of_later_rounds(self):
        one = source(squares((100, 100), [(50, 5)]))
        split = split_sources([one], {}, 0, 32)[one.sha256]
        train, validation = parts(one, split)
        assert train.objects == 1
        assert validation is None
        later = source(grid((100, 100)))
        assert later.sha256 == one.sha256
        again = split_sources([later], {one.sha256: split}, 5, 32)
        assert again == {one.sha256: split}
        assert parts(later, split)[1].objects > 0

    @pytest.mark.parametrize("shape", [(33, 20), (1, 1), (20, 33), (6, 6)])
    def test_images_smaller_than_the_gap_train_whole(self, shape):
        one = source(np.ones(shape, np.int32))
        assert split_sources([one], {}, 0, 32) == {one.sha256: "train"}

    def test_an_object_from_edge_to_edge_trains_whole(self):
        labels = np.zeros((100, 100), np.int32)
        labels[50], labels[:, 50] = 1, 1
        one = source(labels)
        assert split_sources([one], {}, 0, 32) == {one.sha256: "train"}

    def test_empty_images_do_not_hinder(self):
        one, empty = source(grid()), source(np.zeros((9, 9), np.int32), 1)
        splits = split_sources([one, empty], {}, 0, 10)
        assert isinstance(splits[one.sha256], Strip)
        assert splits[empty.sha256] == "train"

    def test_the_same_image_twice_is_cut_once(self):
        labels = grid()
        one, other = source(labels), source(np.where(labels % 2, labels, 0), name="b")
        splits = split_sources([one, other], {}, 0, 10)
        assert set(splits) == {one.sha256}
        assert splits == split_sources([one], {}, 0, 10)


def block(axis, span):
    """Return the index of a strip."""
    return (slice(None),) * axis + (slice(*span),)


def places(pixels, one, axis):
    """Return where pixels lie in their picture; each has a value of its own there."""
    return np.unique(np.unravel_index(pixels.ravel(), one.labels.shape)[axis])


counts = st.lists(st.integers(0, 40), min_size=2, max_size=9)


def images(numbers):
    """Return a source with each number of objects."""
    return [
        source(squares((10, 100), [(1, 2 * k) for k in range(n)], 1), 1 + i)
        for i, n in enumerate(numbers)
    ]


class TestImages:
    @settings(max_examples=60)
    @given(counts, st.integers(0, 5), st.randoms())
    def test_whole_images_judge_whatever_their_order(self, numbers, seed, random):
        sources = images(numbers)
        splits = split_sources(sources, {}, seed, 4)
        shuffled = random.sample(sources, len(sources))
        assert split_sources(shuffled, {}, seed, 4) == splits
        with_objects = [splits[s.sha256] for s in sources if s.objects]
        if len(with_objects) > 1:
            assert set(with_objects) == {"train", "validation"}
        assert all(splits[s.sha256] == "train" for s in sources if not s.objects)

    def test_about_a_fifth_judges(self):
        sources = images([10] * 20)
        for seed in range(3):
            splits = split_sources(sources, {}, seed, 4)
            assert list(splits.values()).count("validation") == 4
        chosen = {tuple(sorted(split_sources(sources, {}, seed, 4).items())) for seed in range(9)}
        assert len(chosen) > 1

    @settings(max_examples=60)
    @given(counts, st.integers(1, 8), st.integers(0, 5), st.integers(0, 5))
    def test_later_rounds_keep_what_was_fixed(self, numbers, first, seed, other):
        sources = images(numbers)
        fixed = split_sources(sources[:first], {}, seed, 4)
        later = split_sources(sources, fixed, other, 4)
        assert {sha: later[sha] for sha in fixed} == fixed
        with_objects = [s for s in sources if s.objects]
        if len(with_objects) > 1 and len(sources) > first:
            judged = [parts(s, later[s.sha256])[1] for s in sources]
            trained = [parts(s, later[s.sha256])[0] for s in sources]
            assert any(judged)
            assert any(part and part.objects for part in trained)

    def test_all_that_was_fixed_for_validation_leaves_a_new_one_to_train(self):
        one, two = images([30, 2])
        assert split_sources([one, two], {one.sha256: "validation"}, 0, 4)[two.sha256] == "train"

    def test_a_new_one_trains_where_enough_judges(self):
        one, two, three = images([40, 45, 10])
        fixed = {one.sha256: "validation", two.sha256: "train"}
        assert split_sources([one, two, three], fixed, 0, 4)[three.sha256] == "train"

    def test_a_new_one_judges_where_nothing_did(self):
        one, two = images([30, 2])
        later = split_sources([one, two], {one.sha256: "train"}, 0, 4)
        assert later[two.sha256] == "validation"


class TestParts:
    def test_of_whole_images(self):
        one = source(grid())
        assert parts(one, "train") == (one, None)
        assert parts(one, "validation") == (None, one)

    def test_keep_all_else(self):
        labels = grid((60, 60))
        one = source(labels, channels=3, classes={1: "x"})
        train, validation = parts(one, Strip(0, (0, 30), (40, 60)))
        np.testing.assert_array_equal(train.image.data, one.image.data[:30])
        np.testing.assert_array_equal(validation.image.data, one.image.data[40:])
        assert (train.name, train.classes, train.image.axes) == (one.name, {1: "x"}, "YXC")
        assert train.known is None

    def test_without_anything_known_there_is_none(self):
        labels, known = grid((60, 60)), np.zeros((60, 60), bool)
        known[:20] = True
        one = source(np.where(known, labels, 0), known=known)
        train, validation = parts(one, Strip(0, (30, 60), (0, 20)))
        assert train is None
        assert validation.area == 20 * 60
        assert parts(one, Strip(0, (0, 20), (30, 60)))[1] is None
        nothing = source(np.zeros((9, 9), np.int32), known=np.zeros((9, 9), bool))
        assert parts(nothing, "train") == (None, None)
        assert parts(nothing, "validation") == (None, None)

    @pytest.mark.parametrize("strip", [Strip(0, (0, 30), (40, 61)), Strip(1, (50, 90), (0, 20))])
    def test_of_another_size_are_refused(self, strip):
        with pytest.raises(DataError, match="'a' was divided as a picture of another size"):
            parts(source(grid((60, 60))), strip)


class TestRounds:
    @pytest.mark.parametrize("split", ["train", "validation", Strip(1, (40, 90), (0, 8))])
    def test_json_and_back(self, split):
        assert split_from_json(split_to_json(split)) == split

    @pytest.mark.parametrize(
        "value", ["test", None, {"axis": 2, "train": [0, 1], "validation": [2, 3]}, 7]
    )
    def test_what_is_no_split_is_refused(self, value):
        with pytest.raises(DataError, match="does not say what is for training"):
            split_from_json(value)

    def test_a_card_remembers_all_rounds(self):
        card, fixed = entry().card, {}
        pictures = images([9, 8, 7])
        for one in pictures:
            splits = planned_splits(SETTINGS, card, [one])
            fixed |= splits
            record = split_record(card, [("new", one.sha256, splits[one.sha256])])
            card = card.replace(recipe={"finetuning": {"sources": record}})
        assert earlier_splits(card) == fixed
        assert len(fixed) == 3
        again = split_record(card, [("renamed", pictures[0].sha256, "train")])
        assert [one["name"] for one in again] == ["new", "new", "renamed"]
        assert planned_splits(SETTINGS.replace(seed=9), card, pictures) == fixed

    @pytest.mark.parametrize(
        "noted",
        [7, {"sources": 7}, {"sources": [7]}, {"sources": [{"sha256": "x"}]}, {"sources": None}],
    )
    def test_an_unclear_card_is_refused(self, noted):
        card = entry(recipe={"finetuning": noted}).card
        with pytest.raises(DataError, match="card of 'parent' does not say clearly"):
            earlier_splits(card)

    def test_the_gap_is_one_of_network_pixels(self):
        card, sources = entry(object_diameter=20.0).card, [source(grid(side=10, step=20))]
        assert (
            network_gap(SETTINGS, card, sources)
            == network_gap(SETTINGS.replace(diameter=50), card, sources)
            == GAP
        )
        typical = 2 * 10 / np.pi**0.5
        halved = SETTINGS.replace(diameter=typical / 2)
        assert network_gap(halved, card, sources) == 2 * GAP

    def test_channels_of_another_kind_are_refused(self):
        sources = [source(grid()), source(grid(), 1, channels=2, name="b")]
        with pytest.raises(ChannelError, match="'b' gives 2 channel"):
            planned_splits(SETTINGS, entry().card, sources)


def test_seventy_thousand_objects_are_fast():
    labels = grid((4096, 4096), 15, 9)
    assert labels.max() > 70_000
    one = source(labels)
    assert one.sha256
    start = time.process_time()
    split = split_sources([one], {}, 0, 32)[one.sha256]
    assert time.process_time() - start < 2.0
    train, validation = parts(one, split)
    assert train.objects + validation.objects > 68_000
