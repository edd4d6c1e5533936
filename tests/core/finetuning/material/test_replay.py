"""Replay sets: whole through their file, thinned fairly, found by their hash, never trusted."""

from __future__ import annotations

import io
import math
import zipfile
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cellseg.core.errors import ModelError
from napari_cellseg.core.finetuning.material import replay as module
from napari_cellseg.core.finetuning.material.patches import SIDE, UNKNOWN, ReplayPatch
from napari_cellseg.core.finetuning.material.replay import (
    ReplaySet,
    add_replay,
    load_replay,
    quotas,
    shared_file,
)
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.contents import CARD_FILE, REPLAY_FILE, write_folder
from napari_cellseg.core.zoo.store import included_folder


def patch(number=0, group="kind", part="train", channels=1) -> ReplayPatch:
    rng = np.random.default_rng(number)
    image = np.full((SIDE, SIDE, channels), number, np.uint8)
    image[:9, :9] = rng.integers(0, 256, (9, 9, channels))
    labels = np.zeros((SIDE, SIDE), np.uint16)
    labels[5:9, 5:9], labels[20:30, 5:9], labels[40:] = 1, 2, UNKNOWN
    return ReplayPatch(f"image {number}", group, part, image, labels)


def same(one: ReplayPatch, other: ReplayPatch) -> bool:
    return (
        (one.name, one.group, one.part) == (other.name, other.group, other.part)
        and np.array_equal(one.image, other.image)
        and np.array_equal(one.labels, other.labels)
    )


@pytest.fixture
def some() -> ReplaySet:
    return ReplaySet((patch(1), patch(2, "rare", "held-out"), patch(3, channels=3)))


@pytest.fixture
def bundle(tmp_path):
    card = Card(name="tiny", architecture="attention-linknet")
    write_folder(tmp_path / "tiny", {CARD_FILE: card.to_json().encode()})
    return tmp_path / "tiny"


def test_patches_come_back_from_their_file_as_they_were(some):
    back = ReplaySet.from_content(some.content)
    assert len(back.patches) == 3
    assert all(map(same, some.patches, back.patches))
    assert back.content == some.content  # so that a hash tells a set


def test_the_file_tells_the_parts_by_name(some):
    with np.load(io.BytesIO(some.content), allow_pickle=False) as stored:
        assert stored["parts_1"].tolist() == ["train", "held-out"]
        assert stored["parts_3"].tolist() == ["train"]
        assert stored["images_1"].dtype == np.uint8
        assert stored["labels_1"].dtype == np.uint16


def test_parts_serve_what_they_are_for(some):
    assert [one.name for one in some.learnt] == ["image 1", "image 3"]
    assert [one.name for one in some.judged(rehearsed=True)] == ["image 2"]
    (case,) = some.judged(rehearsed=True)
    assert not case.known[40:].any()
    assert case.known[:40].all()
    assert some.learnt[0].to_train().known is not None


def test_a_third_of_what_could_be_rehearsed_is_judged_by(some):
    one, held_out, _ = some.patches
    groups = ["a"] * 7 + ["b"] * 2
    every = [replace(one, name=f"{n}", group=group) for n, group in enumerate(groups)]
    patches = ReplaySet((*every, held_out))
    assert [patch.name for patch in patches.learnt] == ["0", "1", "3", "4", "6", "7", "8"]
    assert [case.name for case in patches.judged(rehearsed=True)] == ["2", "5", held_out.name]
    assert len(patches.judged(rehearsed=False)) == 10


def test_an_empty_set_is_a_set():
    empty = ReplaySet.from_content(ReplaySet(()).content)
    assert empty.patches == ()
    assert (*empty.learnt, *empty.judged(rehearsed=True)) == ()


def changed(content: bytes, **arrays) -> bytes:
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        values = {**{name: stored[name] for name in stored.files}, **arrays}
    stream = io.BytesIO()
    np.savez(stream, **{name: value for name, value in values.items() if value is not None})
    return stream.getvalue()


@pytest.mark.parametrize(
    "arrays",
    [
        {"labels_1": None},
        {"labels_1": np.zeros((1, SIDE, SIDE), np.uint16)},
        {"labels_1": np.zeros((2, SIDE, SIDE), np.int32)},
        {"labels_1": np.zeros((2, 8, 8), np.uint16)},
        {"images_1": np.zeros((2, 1, 8, 8), np.uint8)},
        {"images_1": np.zeros((2, 1, SIDE, SIDE), np.float32)},
        {"parts_1": np.array(["train", "test"])},
        {"names_1": np.array([print, print], object)},
    ],
)
def test_what_is_no_replay_is_refused_in_words(some, arrays):
    with pytest.raises(ModelError, match="install the model again"):
        ReplaySet.from_content(changed(some.content, **arrays))


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 cut off"])
def test_damaged_files_are_refused_in_words(content):
    with pytest.raises(ModelError, match="install the model again"):
        ReplaySet.from_content(content)


def test_a_file_that_unfolds_without_end_is_refused(monkeypatch, some):
    monkeypatch.setattr(module, "_LARGEST_ARRAYS", 1000)
    with pytest.raises(ModelError, match="damaged"):
        ReplaySet.from_content(some.content)


def test_a_bundle_brings_its_patches(bundle, some):
    assert load_replay(bundle) is None
    card = add_replay(bundle, some)
    assert card == Card.load(bundle)
    assert card.replay_sha256 == some.sha256
    assert all(map(same, some.patches, load_replay(bundle).patches))
    (bundle / REPLAY_FILE).write_bytes(ReplaySet((patch(9),)).content)
    with pytest.raises(ModelError, match="damaged"):
        load_replay(bundle)


def test_a_bundles_zip_brings_them_too(bundle, some, tmp_path):
    add_replay(bundle, some)
    with zipfile.ZipFile(tmp_path / "tiny.zip", "w") as archive:
        for file in bundle.iterdir():
            archive.write(file, file.name)
    assert len(load_replay(tmp_path / "tiny.zip").patches) == 3


def test_included_models_share_a_file_found_by_its_hash(bundle, some, tmp_path, monkeypatch):
    card = Card.load(bundle).replace(replay_sha256=some.sha256)
    (bundle / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    monkeypatch.setattr(module, "included_folder", lambda: tmp_path / "bundles")
    assert load_replay(bundle) is None  # of another version of the package
    shared = shared_file(some.sha256)
    assert shared == tmp_path / "replay" / f"{some.sha256[:12]}.npz"
    shared.parent.mkdir()
    shared.write_bytes(some.content)
    assert len(load_replay(bundle).patches) == 3
    shared.write_bytes(some.content[:-1] + b"?")
    with pytest.raises(ModelError, match="damaged"):
        load_replay(bundle)


def test_the_included_nuclei_models_bring_patches_of_every_kind():
    bundles = sorted(included_folder().glob("nuclei*"))
    sets = {Card.load(one).replay_sha256 for one in bundles}
    assert len(bundles) >= 5
    assert len(sets) == 1
    replay = load_replay(bundles[0])
    parts = Counter(one.part for one in replay.patches)
    assert parts == {"train": 40, "held-out": 16}
    groups = {part: Counter(o.group for o in replay.patches if o.part == part) for part in parts}
    assert len(groups["train"]) == len(groups["held-out"]) == 5
    names = {part: {o.name for o in replay.patches if o.part == part} for part in parts}
    assert len(names["train"]) + len(names["held-out"]) == 56  # each of an image of its own
    assert not names["train"] & names["held-out"]
    assert shared_file(replay.sha256).stat().st_size < 3_000_000
    assert min(one.objects.max() for one in replay.patches) >= 3


def test_patches_of_the_included_models_are_not_of_the_val_parts(shared_data):
    import json

    val = set()
    for name in ("nuclei_dsb2018", "nuclei_bbbc039"):
        val |= set(json.loads((shared_data / name / "split.json").read_text())["val"])
    replay = load_replay(included_folder() / "nuclei")
    assert not val & {one.name for one in replay.patches}


def test_later_rounds_add_patches(some):
    more = [patch(5, "mine"), patch(6, "mine", "held-out")]
    merged = some.merged(more)
    assert len(merged.patches) == 5
    assert all(map(same, merged.patches, [*some.patches, *more]))


def test_too_many_are_thinned_by_part_and_kind():
    old = [patch(k, "old", "held-out" if k % 4 == 0 else "train") for k in range(36)]
    new = [patch(k, "new", "held-out" if k % 4 == 0 else "train") for k in range(4)]
    merged = ReplaySet(tuple(old)).merged(new, limit=12)
    counts = Counter((one.part, one.group) for one in merged.patches)
    assert sum(counts.values()) == 12
    assert counts["held-out", "old"] + counts["held-out", "new"] == 3
    assert counts["held-out", "new"] == 1
    assert counts["train", "new"] == 2  # by the roots of 27 and 3, one to three
    numbers = [int(one.name.split()[1]) for one in merged.patches if one.group == "old"]
    assert min(numbers) <= 1
    assert max(numbers) >= 32


def test_a_file_that_grows_too_large_holds_fewer(monkeypatch):
    many = ReplaySet(tuple(patch(k) for k in range(20)))
    monkeypatch.setattr(module, "MOST_BYTES", len(many.content) // 2)
    kept = many.merged([])
    assert 4 <= len(kept.patches) < 20
    assert len(kept.content) <= module.MOST_BYTES


@settings(max_examples=60)
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(1, 50), st.integers(0, 20))),
    st.integers(0, 60),
)
def test_quotas_use_what_there_is_and_give_the_heavier_more(groups, limit):
    weights = {name: math.sqrt(weight) for name, (weight, _) in groups.items()}
    available = {name: count for name, (_, count) in groups.items()}
    given_ = quotas(weights, limit, available)
    assert sum(given_.values()) == min(limit, sum(available.values()))
    for one in weights:
        assert 0 <= given_[one] <= available[one]
        for other in weights:
            if weights[one] >= weights[other] and given_[one] < given_[other]:
                assert given_[one] in (available[one], given_[other] - 1)
    stocked = [name for name in weights if available[name]]
    if limit >= len(stocked):
        assert all(given_[name] for name in stocked)
