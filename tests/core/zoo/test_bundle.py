"""Bundles: what is saved comes back, and nothing damaged or foreign gets in."""

import errno
import hashlib
import json
import os
import pickle

import pytest
from safetensors.torch import load_file, save_file

from napari_cellseg.core._torch import torch
from napari_cellseg.core.errors import ModelError, OutputError
from napari_cellseg.core.zoo.bundle import WEIGHTS_FILE, load_bundle, save_bundle


def tamper(folder, change):
    """Change the tensors and make the card's hash fit again."""
    path = folder / WEIGHTS_FILE
    state = load_file(path)
    change(state)
    save_file(state, path)
    edit_card(folder, weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def edit_card(folder, **changes):
    path = folder / "card.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**values, **changes}), encoding="utf-8")


def test_what_is_saved_comes_back(bundle, tiny_network):
    model = load_bundle(bundle)
    assert model.card.name == "tiny"
    assert not model.network.training
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, actual = tiny_network(image), model.network(image)
    for name in expected:
        assert actual[name].dtype == torch.float32
        scale = expected[name].abs().max()
        assert (actual[name] - expected[name]).abs().max() < 0.02 * scale


def test_float16_halves_the_file_and_spares_vectors(bundle, tiny_network, tiny_card, tmp_path):
    save_bundle(tmp_path / "full", tiny_network, tiny_card.replace(weights_dtype="float32"))
    full, half = ((folder / WEIGHTS_FILE).stat().st_size for folder in (tmp_path / "full", bundle))
    assert half < 0.6 * full
    stored = load_file(bundle / WEIGHTS_FILE)
    for name, tensor in tiny_network.state_dict().items():
        if tensor.ndim <= 1:
            torch.testing.assert_close(stored[name], tensor)
        else:
            assert stored[name].dtype == torch.float16
    exact = load_bundle(tmp_path / "full").network.state_dict()
    for name, tensor in tiny_network.state_dict().items():
        torch.testing.assert_close(exact[name], tensor, rtol=0, atol=0)


def test_the_card_is_completed(bundle, tiny_card):
    card = load_bundle(bundle).card
    content = (bundle / WEIGHTS_FILE).read_bytes()
    assert card.weights_sha256 == hashlib.sha256(content).hexdigest()
    assert card.created
    assert card.replace(weights_sha256="", created="") == tiny_card


def test_saving_again_replaces_and_leaves_no_scraps(bundle, tiny_network, tiny_card):
    save_bundle(bundle, tiny_network, tiny_card.replace(title="Second"))
    assert load_bundle(bundle).card.title == "Second"
    assert [path.name for path in bundle.parent.iterdir()] == ["tiny"]


def test_a_full_disk_leaves_the_old_bundle_whole(bundle, tiny_network, tiny_card, monkeypatch):
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}

    def full(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        save_bundle(bundle, tiny_network, tiny_card)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before
    assert [path.name for path in bundle.parent.iterdir()] == ["tiny"]


def test_a_failed_swap_puts_the_old_bundle_back(bundle, tiny_network, tiny_card, monkeypatch):
    replace, calls = os.replace, []

    def second_fails(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise PermissionError(errno.EACCES, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(OutputError, match="Permission denied"):
        save_bundle(bundle, tiny_network, tiny_card.replace(title="Second"))
    monkeypatch.undo()
    assert load_bundle(bundle).card.title == "Tiny"


def test_a_path_that_is_a_file_cannot_be_written(tmp_path, tiny_network, tiny_card):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be saved"):
        save_bundle(tmp_path / "file" / "tiny", tiny_network, tiny_card)


def test_weights_that_are_not_finite_are_not_saved(tmp_path, tiny_card):
    network = torch.nn.Conv2d(1, 1, 3)
    network.weight.data[:] = 1e6  # finite, but not as float16
    with pytest.raises(ModelError, match="float16"):
        save_bundle(tmp_path / "bad", network, tiny_card)
    assert not (tmp_path / "bad").exists()


class Bomb:
    """Would create a file if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_is_never_opened(bundle, tmp_path):
    content = pickle.dumps(Bomb(tmp_path / "exploded"))
    (bundle / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(ModelError, match="damaged or were changed"):
        load_bundle(bundle)
    edit_card(bundle, weights_sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ModelError, match="not in safetensors format"):
        load_bundle(bundle)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("keep", [0, 5, 1000, -1])
def test_truncated_weights(bundle, keep):
    path = bundle / WEIGHTS_FILE
    content = path.read_bytes()[:keep]
    path.write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        load_bundle(bundle)
    edit_card(bundle, weights_sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ModelError, match=r"[iI]nstall the model again"):
        load_bundle(bundle)


def test_one_flipped_bit(bundle):
    path = bundle / WEIGHTS_FILE
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="hash differs"):
        load_bundle(bundle)


def test_missing_weights(bundle):
    (bundle / WEIGHTS_FILE).unlink()
    (bundle / "weights.pt").write_bytes(b"what another program pickled")
    with pytest.raises(ModelError, match=f"holds no {WEIGHTS_FILE}.*not opened"):
        load_bundle(bundle)


def test_a_missing_tensor(bundle):
    tamper(bundle, lambda state: state.pop("head.weight"))
    with pytest.raises(ModelError, match=r"1 missing, 0 foreign, 0 of another shape.*head.weight"):
        load_bundle(bundle)


def test_a_foreign_tensor(bundle):
    tamper(bundle, lambda state: state.update(extra=torch.zeros(1)))
    with pytest.raises(ModelError, match="0 missing, 1 foreign"):
        load_bundle(bundle)


def test_a_tensor_of_another_shape(bundle):
    tamper(bundle, lambda state: state.update({"head.weight": state["head.weight"][:1].clone()}))
    with pytest.raises(ModelError, match="1 of another shape"):
        load_bundle(bundle)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_numbers(bundle, value):
    tamper(bundle, lambda state: state["head.bias"].fill_(value))
    with pytest.raises(ModelError, match="not usable numbers"):
        load_bundle(bundle)


def test_integers_in_place_of_weights(bundle):
    tamper(bundle, lambda state: state.update({"head.bias": state["head.bias"].int()}))
    with pytest.raises(ModelError, match="not usable numbers"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": "transmogrifier"}, "Update napari-cellseg"),
        ({"params": {"width": -1}}, "cannot be built"),
        ({"params": {"encoder": "os.system"}}, "cannot be built"),
        ({"params": {"width": 0.05, "maps": ["foreground"]}}, "contradicts itself"),
        ({"architecture": "attention-unet"}, "do not belong to 'attention-unet'"),
    ],
)
def test_a_card_that_does_not_fit(bundle, changes, words):
    edit_card(bundle, **changes)
    with pytest.raises(ModelError, match=words):
        load_bundle(bundle)
