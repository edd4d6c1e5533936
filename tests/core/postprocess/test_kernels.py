"""Components, bits and runs against scipy; compiled loops against plain ones."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_cellseg.core.postprocess import _kernels
from napari_cellseg.core.postprocess._kernels import bits, plain
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.postprocessor import PostProcessor, warm_up

MASKS = hnp.arrays(
    bool,
    st.tuples(st.integers(1, 12), st.integers(1, 12) | st.integers(60, 135)),
    fill=st.booleans(),
)
CROSS, SQUARE = ndimage.generate_binary_structure(2, 1), np.ones((3, 3), bool)


@settings(max_examples=50)
@given(mask=MASKS)
def test_packing_is_lossless(mask) -> None:
    words = bits.pack_above(mask, 0)
    np.testing.assert_array_equal(bits.unpack(words, mask.shape[1]), mask)
    np.testing.assert_array_equal(
        bits.unpack(bits.inverse(words, mask.shape[1]), mask.shape[1]), ~mask
    )


def test_packing_of_a_tall_picture_keeps_every_row() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (1500, 700), np.uint8)  # several blocks
    np.testing.assert_array_equal(bits.unpack(bits.pack_above(picture, 99), 700), picture > 99)


@settings(max_examples=60)
@given(nodes=st.integers(0, 40), data=st.data())
def test_few_and_many_nodes_are_connected_alike(nodes, data) -> None:
    node = st.integers(0, max(nodes - 1, 0))
    pairs = data.draw(st.lists(st.tuples(node, node), max_size=60 if nodes else 0))
    ends = np.array(pairs, np.int64).reshape(-1, 2).T
    found = []
    for limit in (10**6, -1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plain, "_FEW_NODES", limit if nodes else 10**6)
            found.append(plain._connect(nodes, *ends))
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])


@settings(max_examples=50)
@given(mask=MASKS, radius=st.integers(0, 4))
def test_morphology_equals_scipy(mask, radius) -> None:
    width, words = mask.shape[1], bits.pack_above(mask, 0)
    grown, shrunk = mask, mask
    for step in range(radius):
        shape = SQUARE if step % 2 else CROSS
        grown = ndimage.binary_dilation(grown, shape)
        shrunk = ndimage.binary_erosion(shrunk, shape, border_value=1)
    np.testing.assert_array_equal(bits.unpack(bits.dilate(words, width, radius), width), grown)
    np.testing.assert_array_equal(bits.unpack(bits.erode(words, width, radius), width), shrunk)


@settings(max_examples=80)
@given(mask=MASKS, diagonal=st.booleans())
@example(mask=np.ones((4, 64), bool), diagonal=True)  # runs that fill their words
def test_components_equal_scipy(mask, diagonal, compiled) -> None:
    kernels = _kernels.choose(0, compiled)
    runs = kernels.components(bits.pack_above(mask, 0), mask.shape[1], diagonal)
    painted = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), np.int32)
    words = np.zeros_like(bits.pack_above(mask, 0))
    kernels.paint(painted, words, runs, np.arange(runs.count + 1, dtype=np.int32))
    expected, count = ndimage.label(mask, SQUARE if diagonal else CROSS)
    np.testing.assert_array_equal(painted[1:-1, 1:-1], expected)
    assert not painted[[0, -1]].any()
    assert not painted[:, [0, -1]].any()
    np.testing.assert_array_equal(bits.unpack(words, mask.shape[1]), mask)
    np.testing.assert_array_equal(runs.areas(), np.bincount(expected[mask], minlength=count + 1))


@pytest.mark.parametrize("rounds", [0, 1, 2, 5])
@pytest.mark.parametrize("octagon", [False, True])
def test_spread_takes_synchronous_rounds(rounds, octagon, compiled) -> None:
    rng = np.random.default_rng(rounds)
    seeds = np.zeros((20, 140), np.int32)
    seeds[rng.integers(0, 20, 12), rng.integers(0, 140, 12)] = np.arange(12, 0, -1)
    mask = (rng.random(seeds.shape) < 0.8) | (seeds > 0)
    expected, nothing = seeds, np.iinfo(np.int32).max
    for step in range(rounds or 400):
        shape = CROSS if octagon and step % 2 == 0 else SQUARE
        known = np.where(expected > 0, expected, nothing)
        lowest = ndimage.minimum_filter(known, footprint=shape, mode="constant", cval=nothing)
        won = mask & (expected == 0) & (lowest < nothing)
        expected = np.where(won, lowest, expected)
    labels, done = np.pad(seeds, 1), bits.pack_above(seeds, 0)
    free = bits.pack_above(mask, 0) & ~done
    areas = np.bincount(seeds[seeds > 0], minlength=13)
    _kernels.choose(0, compiled).spread(labels, free, done, areas, rounds, octagon)
    np.testing.assert_array_equal(labels[1:-1, 1:-1], expected)
    np.testing.assert_array_equal(bits.unpack(done, 140), expected > 0)
    np.testing.assert_array_equal(areas, np.bincount(expected[expected > 0], minlength=13))


def test_spread_waits_for_the_round_that_reaches_corners(compiled) -> None:
    labels = np.zeros((8, 8), np.int32)
    labels[1, 1] = 1
    done, chain = bits.pack_above(labels[1:-1, 1:-1], 0), bits.pack_above(np.eye(6), 0)
    areas = np.array([0, 1])
    _kernels.choose(0, compiled).spread(labels, chain & ~done, done, areas, 0, True)
    np.testing.assert_array_equal(labels[1:-1, 1:-1], np.eye(6))
    assert areas.tolist() == [0, 6]


@pytest.mark.parametrize(
    ("y", "x"), [(a, b) for a in (1, 2, 3) for b in (1, 2, 3) if (a, b) != (2, 2)]
)
def test_owners_look_at_the_4_neighbours_of_a_hole(y, x, compiled) -> None:
    kernels, labels = _kernels.choose(0, compiled), np.zeros((7, 7), np.int32)
    labels[1:-1, 1:-1] = 1
    labels[3, 3] = 0
    labels[y + 1, x + 1] = 2
    runs = kernels.components(bits.pack_above(labels[1:-1, 1:-1] == 0, 0), 5, False)
    at_a_side = y == 2 or x == 2
    assert kernels.owners(labels, runs).tolist() == [0, 0 if at_a_side else 1]


@pytest.mark.parametrize(("y", "x"), [(0, 2), (4, 2), (2, 0), (2, 4)])
def test_a_notch_in_the_border_of_the_picture_has_no_owner(y, x, compiled) -> None:
    kernels, labels = _kernels.choose(0, compiled), np.zeros((7, 7), np.int32)
    labels[1:-1, 1:-1] = 1
    labels[y + 1, x + 1] = 0
    runs = kernels.components(bits.pack_above(labels[1:-1, 1:-1] == 0, 0), 5, False)
    assert kernels.owners(labels, runs).tolist() == [0, 0]


CHANGES = st.fixed_dictionaries(
    {
        "split": st.sampled_from(["contour", "distance", "none"]),
        "foreground_threshold": st.sampled_from([0.3, 0.5, 0.6]),
        "contour_threshold": st.sampled_from([0.3, 0.5, 0.6]),
        "split_strength": st.sampled_from([0.0, 0.5, 0.8, 1.0]),
        "opening": st.integers(0, 2),
        "closing": st.integers(0, 2),
        "fill_holes": st.booleans(),
        "growth": st.integers(-3, 4),
        "min_seed_area": st.sampled_from([0, 1, 16, 60]),
        "min_area": st.sampled_from([0, 1, 16, 60]),
        "max_area": st.sampled_from([0, 200, 1000]),
        "edge_objects": st.sampled_from(["keep", "remove"]),
    }
)


@settings(max_examples=40)
@given(seed=st.integers(0, 5), changes=CHANGES)
def test_compiled_and_plain_give_the_same(seed, changes, smooth_maps) -> None:
    pytest.importorskip("numba")
    maps, params = smooth_maps(seed, (70, 131)), PostParams(**changes)
    fast = PostProcessor(maps, compiled=True).run(params)
    slow = PostProcessor(maps, compiled=False).run(params)
    np.testing.assert_array_equal(fast.labels, slow.labels)
    assert fast.count == slow.count
    assert fast.removed.keys() == slow.removed.keys()
    for rule, gone in fast.removed.items():
        np.testing.assert_array_equal(gone.pixels, slow.removed[rule].pixels)
        np.testing.assert_array_equal(gone.bounds, slow.removed[rule].bounds)


def test_without_numba_everything_works(monkeypatch, smooth_maps) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, f"{_kernels.__name__}.compiled", raising=False)
    monkeypatch.setattr(_kernels, "_compiled", None)
    monkeypatch.setattr(_kernels, "_broken", False)
    assert warm_up() is False
    assert _kernels.choose(10**9) is plain
    assert PostProcessor(smooth_maps(0, (40, 40))).run(PostParams()).count > 0


def test_small_pictures_do_not_wait_for_the_compiler(monkeypatch) -> None:
    monkeypatch.setattr(_kernels, "_compiled", None)
    assert _kernels.choose(1024 * 1024) is plain


def test_settings_open_without_heavy_imports() -> None:
    code = (
        "import sys; import napari_cellseg.core.postprocess.params as p; p.PostParams();"
        "import napari_cellseg.core.postprocess.postprocessor;"
        "print([m for m in ('numba', 'scipy', 'skimage', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
