"""BioImage.IO: what other programs read, and that it comes back as the very same model."""

import io
import zipfile

import numpy as np
import pytest
import yaml

from napari_cellseg.core._torch import torch
from napari_cellseg.core.errors import ModelError
from napari_cellseg.core.models.registry import build_model
from napari_cellseg.core.progress import finish
from napari_cellseg.core.zoo import bioimageio
from napari_cellseg.core.zoo.bioimageio import export_bioimageio
from napari_cellseg.core.zoo.bioimageio_description import describe
from napari_cellseg.core.zoo.bundle import load_bundle, load_untested, save_bundle
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.install import install_model


@pytest.fixture
def exported(bundle, tmp_path, monkeypatch):
    """Everything but the ONNX, which takes packages and time."""
    monkeypatch.setattr(bioimageio, "_PACKAGES", ())
    monkeypatch.setattr(bioimageio, "_onnx", lambda network, card: b"onnx")
    return export_bioimageio(bundle, tmp_path)


def test_it_comes_back_as_the_same_model(exported, bundle):
    entry = finish(install_model(exported, name="back"))
    before, after = (load_bundle(path) for path in (bundle, entry.folder))
    assert after.card.weights_sha256 == before.card.weights_sha256
    assert after.card.self_test_sha256


def test_the_description_names_every_file(exported):
    with zipfile.ZipFile(exported) as archive:
        names = set(archive.namelist())
        said = yaml.safe_load(archive.read("bioimageio.yaml"))
        image, maps = (
            np.load(io.BytesIO(archive.read(f"test_{name}.npy")), allow_pickle=False)
            for name in ("image", "foreground")
        )
    named = {one["source"] for one in said["attachments"]} | set(said["covers"])
    named |= {said["documentation"], said["weights"]["onnx"]["source"], "bioimageio.yaml"}
    named |= {one["test_tensor"]["source"] for one in said["inputs"] + said["outputs"]}
    assert names == named
    assert [one["id"] for one in said["outputs"]] == ["foreground", "contour"]
    assert image.shape == (1, 3, 160, 160)
    assert image.max() > 1, "raw intensities: normalising is part of the description"
    assert maps.shape == (1, 1, 160, 160)
    assert 0 <= maps.min() <= maps.max() <= 1


def test_the_test_maps_are_those_of_the_network(bundle):
    model = load_untested(bundle)
    inputs, maps = bioimageio._tensors(model, model.network)
    raw = inputs["image"]
    low, high = np.percentile(raw, (1, 99.8))
    image = torch.from_numpy(np.clip((raw - low) / (high - low), 0, 1).astype(np.float32))
    with torch.inference_mode():
        expected = model.network(image)["contour"].sigmoid().numpy()
    np.testing.assert_allclose(maps["contour"], expected, atol=1e-4)


def test_a_map_of_classes_names_them(tiny_card):
    params = {"maps": ("foreground", "classes"), "types": ("round", "long"), "width": 0.05}
    network = build_model("attention-linknet", params)
    card = tiny_card.replace(params=params, maps=params["maps"], title="A, b: c/d", licence="MIT")
    said = yaml.safe_load(describe(card, network.params, network.stride, []))
    assert said["outputs"][1]["axes"][1]["channel_names"] == ["background", "round", "long"]
    assert said["name"] == "A b c d"
    image = torch.rand(1, 3, 64, 64)
    maps = dict(
        zip(("foreground", "classes"), bioimageio._Maps(network.eval())(image), strict=True)
    )
    torch.testing.assert_close(maps["classes"].sum(1), torch.ones(1, 64, 64))


def test_without_the_packages_it_says_what_to_install(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(bioimageio, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install \"napari-cellseg\[bioimageio\]\""):
        export_bioimageio(bundle, tmp_path)
    assert not list(tmp_path.glob("*.zip"))


@pytest.mark.slow
def test_onnx_gives_the_same_maps_at_any_size(tiny_network, tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    card = Card(name="tiny", architecture="attention-linknet", params={"width": 0.05})
    save_bundle(tmp_path / "tiny", tiny_network, card.replace(weights_dtype="float32"))
    path = export_bioimageio(tmp_path / "tiny", tmp_path)
    with zipfile.ZipFile(path) as archive:
        session = runtime.InferenceSession(archive.read("weights.onnx"))
    image = torch.rand(2, 3, 160, 64)
    found = session.run(["foreground"], {"image": image.numpy()})[0]
    with torch.inference_mode():
        expected = tiny_network(image)["foreground"].sigmoid().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
