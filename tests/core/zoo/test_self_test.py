"""The self-test of a bundle: rounding passes, a changed network does not."""

import hashlib
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image as Picture

from napari_cellseg.core._torch import torch
from napari_cellseg.core.errors import ChannelError, ImageError, ModelError
from napari_cellseg.core.inference import acceleration
from napari_cellseg.core.models.detector import build_network
from napari_cellseg.core.models.registry import build_model
from napari_cellseg.core.zoo import self_test, store
from napari_cellseg.core.zoo.bundle import WEIGHTS_FILE, load_bundle, load_untested, save_bundle
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.contents import CARD_FILE, SELF_TEST_FILE, THUMBNAIL_FILE, write_folder
from napari_cellseg.core.zoo.record import RECORD_FILE
from napari_cellseg.core.zoo.sample import sample_tile
from napari_cellseg.core.zoo.self_test import add_self_test, check


@pytest.fixture
def tile():
    return np.random.default_rng(0).integers(0, 4000, (300, 32)).astype(">u2")


@pytest.fixture
def tested(bundle, tile):
    add_self_test(bundle, tile)
    return bundle


def spoil(folder):
    """Give the bundle intact weights of which the self-test knows nothing."""
    card = Card.load(folder)
    model = load_untested(folder)
    model.network.head.bias[0] += 1
    self_tested = (folder / SELF_TEST_FILE).read_bytes()
    written = save_bundle(folder, model.network, card)
    (folder / SELF_TEST_FILE).write_bytes(self_tested)
    written = written.replace(self_test_sha256=card.self_test_sha256)
    (folder / CARD_FILE).write_text(written.to_json(), encoding="utf-8")


def test_what_is_added(tested, tile):
    card = Card.load(tested)
    content = (tested / SELF_TEST_FILE).read_bytes()
    assert card.self_test_sha256 == hashlib.sha256(content).hexdigest()
    arrays = self_test._read(tested, card)
    np.testing.assert_array_equal(arrays["tile"], tile[22:278])
    assert set(arrays) == {"tile", "foreground", "contour"}
    assert arrays["contour"].shape == (256, 32)
    picture = Picture.open(io.BytesIO((tested / THUMBNAIL_FILE).read_bytes()))
    assert (picture.mode, picture.size) == ("RGB", (32, 256))
    deviation = check(load_untested(tested), tested)
    assert (deviation.mean, deviation.share) == (0, 0)
    assert "mean difference 0.0000 of at most 0.01" in str(deviation)


def test_an_older_bundle_has_none_and_loads(bundle):
    values = json.loads((bundle / CARD_FILE).read_text())
    for name in ("axes", "self_test_sha256"):
        del values[name]
    (bundle / CARD_FILE).write_text(json.dumps({**values, "schema_version": 1}))
    model = load_bundle(bundle)
    assert model.card.schema_version == 2
    assert check(model, bundle) is None
    assert add_self_test(bundle).self_test_sha256
    assert check(load_bundle(bundle), bundle).accepted


def test_saving_anew_forgets_the_self_test_of_other_weights(tested, tiny_network):
    card = save_bundle(tested, tiny_network, Card.load(tested))
    assert card.self_test_sha256 == ""
    assert sorted(path.name for path in tested.iterdir()) == [CARD_FILE, WEIGHTS_FILE]


@pytest.mark.bfloat16
@pytest.mark.parametrize("fast", [False, True])
def test_rounding_is_no_failure(bundle, tile, monkeypatch, fast):
    monkeypatch.setattr(acceleration, "has_fast_bfloat16", lambda device: not fast)
    add_self_test(bundle, tile)
    monkeypatch.setattr(acceleration, "has_fast_bfloat16", lambda device: fast)
    assert check(load_untested(bundle), bundle).accepted


def test_a_changed_network_fails(tested):
    spoil(tested)
    with pytest.raises(ModelError, match=r"does not find .* self-test \(mean difference 0\.\d+"):
        check(load_untested(tested), tested)


@pytest.mark.parametrize("name", ["mask-rcnn", "mask-rcnn-msfl-csam"])
def test_networks_that_find_objects_are_tested_too(name, tmp_path, tile):
    """By the map of score times mask; another score is a failure, rounding is none."""
    torch.manual_seed(0)
    params = {"width": 0.05, "in_channels": 1}
    card = Card(
        name="finder",
        architecture=name,
        params=params,
        in_channels=1,
        channels=("gray",),
        maps=("instances",),
    )
    folder = tmp_path / "finder"
    save_bundle(folder, build_network(name, params), card)
    add_self_test(folder, tile[:64])
    found = self_test._read(folder, Card.load(folder))["foreground"]
    assert found.shape == (64, 32)
    assert found.any()
    model = load_untested(folder)
    assert check(model, folder).mean == 0
    for weights in model.network.parameters():
        weights.mul_(1 + 1e-6)
    assert check(model, folder).accepted
    model.network.roi_heads.box_predictor.cls_score.bias[1] += 1
    with pytest.raises(ModelError, match="does not find"):
        check(model, folder)


def test_a_few_pixels_far_off_fail():
    maps = {"foreground": np.zeros((10, 10), np.uint8)}
    expected = {"foreground": np.zeros((10, 10), np.uint8)}
    expected["foreground"][0, :2] = 50  # mean 0.004, two of a hundred pixels off by 0.2
    assert self_test._worst(maps, expected).accepted
    expected["foreground"][0, 2] = 50
    assert not self_test._worst(maps, expected).accepted
    expected["foreground"][:] = 3  # mean 0.012, none off by 0.1
    assert not self_test._worst(maps, expected).accepted


def test_one_bad_map_is_enough():
    good = np.zeros((10, 10), np.uint8)
    maps = {"foreground": good, "contour": good + 255}
    assert not self_test._worst(maps, {"foreground": good, "contour": good}).accepted


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"),
    ],
)
def test_a_damaged_self_test_is_told(tested, change):
    change(tested / SELF_TEST_FILE)
    with pytest.raises(ModelError, match="self-test of the model 'tiny' is missing or damaged"):
        load_bundle(tested)


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"\x08" + 7 * b"\0" + b'{"a":1} '])
def test_what_is_no_self_test(tested, content):
    (tested / SELF_TEST_FILE).write_bytes(content)
    card = Card.load(tested).replace(self_test_sha256=hashlib.sha256(content).hexdigest())
    (tested / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    with pytest.raises(ModelError, match="missing or damaged"):
        load_bundle(tested)


def test_a_foreign_bundle_is_tested_once(tested, monkeypatch, cellseg_home):
    runs = []
    monkeypatch.setattr(self_test, "check", lambda model, bundle: runs.append(bundle))
    load_bundle(tested)
    load_bundle(tested)
    assert runs == [tested]
    (cellseg_home / RECORD_FILE).write_text("{")
    load_bundle(tested)
    assert len(runs) == 2, "without a readable note it is tested again"


def test_a_foreign_bundle_that_fails_is_refused_every_time(tested):
    spoil(tested)
    for _ in range(2):
        with pytest.raises(ModelError, match="does not find"):
            load_bundle(tested)


def test_an_included_bundle_loads_untested(tested, monkeypatch):
    spoil(tested)
    monkeypatch.setattr(store, "included_folder", lambda: tested.parent)
    assert load_bundle(tested).card.name == "tiny"


def test_a_note_that_cannot_be_written_is_no_error(tested, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv(store.HOME_VARIABLE, str(tmp_path / "file"))
    assert load_bundle(tested).card.name == "tiny"


def test_tiles_that_do_not_fit(bundle):
    before = sorted(path.name for path in bundle.iterdir())
    with pytest.raises(ImageError, match="not an array of shape"):
        add_self_test(bundle, np.zeros((2, 3, 4, 5)))
    with pytest.raises(ChannelError):
        add_self_test(bundle, np.zeros((64, 64, 2)))
    assert sorted(path.name for path in bundle.iterdir()) == before


@pytest.mark.parametrize(
    ("channels", "count", "shape"),
    [
        (("gray", "rgb"), 3, (160, 160)),
        (("rgb",), 3, (160, 160, 3)),
        (("multi",), 2, (160, 160, 2)),
    ],
)
def test_every_kind_of_model_gets_a_sample(channels, count, shape, tmp_path):
    params = {"width": 0.05, "in_channels": count}
    network = build_model("attention-linknet", params)
    card = Card(
        name="any",
        architecture="attention-linknet",
        params=params,
        channels=channels,
        in_channels=count,
    )
    assert sample_tile(card).shape == shape
    save_bundle(tmp_path / "any", network, card)
    add_self_test(tmp_path / "any")
    assert check(load_bundle(tmp_path / "any"), tmp_path / "any").accepted
    assert not (tmp_path / "any" / THUMBNAIL_FILE).exists(), "the sample says nothing of the model"


def test_a_full_disk_keeps_the_bundle(tested, tile, monkeypatch):
    before = {path.name: path.read_bytes() for path in tested.iterdir()}

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        add_self_test(tested, tile)
    assert {path.name: path.read_bytes() for path in tested.iterdir()} == before


def test_a_refusal_keeps_what_was_there(tested, tmp_path):
    before = shutil.copytree(tested, tmp_path / "before")

    def refuse(folder):
        assert (folder / "a").read_bytes() == b"b"
        raise ModelError("no")

    with pytest.raises(ModelError, match="no"):
        write_folder(tested, {"a": b"b"}, refuse)
    assert {p.name for p in tested.iterdir()} == {p.name for p in before.iterdir()}
    assert [p.name for p in tested.parent.iterdir()] != [".bundle-"]
