"""Export a model for other programs that read BioImage.IO; it comes back by a plain install.

The zip holds the network as ONNX, which gives the probability maps, and beside it the files of the
bundle itself. The separation of objects, rescaling to the model's object size and tiling cannot be
said in the format: other programs show the maps. Models of others cannot be imported: their
networks are code (Python, TorchScript) that is not run here.
"""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cellseg.core._torch import torch
from napari_cellseg.core.errors import ModelError
from napari_cellseg.core.files import atomic_file
from napari_cellseg.core.inference.preparation import normalize, percentile_limits
from napari_cellseg.core.models.registry import DenseModel
from napari_cellseg.core.zoo.bioimageio_description import OPSET, describe, readme
from napari_cellseg.core.zoo.bundle import Model, load_untested
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.contents import THUMBNAIL_FILE, write_zip
from napari_cellseg.core.zoo.export import complete_contents, zip_path
from napari_cellseg.core.zoo.sample import sample_tile
from napari_cellseg.core.zoo.store import find_model
from napari_cellseg.core.zoo.thumbnail import draw_thumbnail

_PACKAGES = ("onnx", "onnxscript")

Arrays = dict[str, npt.NDArray[np.float32]]


def export_bioimageio(name_or_path: str | Path, target: Path, *, replace: bool = False) -> Path:
    """Write a model as a BioImage.IO zip, with test tensors, cover and documentation.

    Parameters
    ----------
    name_or_path
        Which model.
    target
        The zip, or a folder to put ``NAME.zip`` in.
    replace
        Whether an existing file may be replaced.

    Returns
    -------
    The zip.

    Raises
    ------
    ModelError
        If a package of the extra ``bioimageio`` is missing, or the model is damaged or cannot be
        written as ONNX.
    OutputError
        If the zip is there already or cannot be written.
    """
    for package in _PACKAGES:
        if find_spec(package) is None:
            raise ModelError(
                f"BioImage.IO needs one more package ({package}): run "
                "'pip install \"napari-cellseg[bioimageio]\"'."
            )
    entry = find_model(name_or_path)
    path = zip_path(entry.card.name, target, replace)
    contents = complete_contents(entry)
    model = load_untested(entry.folder)
    network = model.network
    if not isinstance(network, DenseModel):
        raise ModelError(
            f"'{model.card.name}' finds objects instead of maps: BioImage.IO cannot describe that. "
            "Export it without --format."
        )
    inputs, tensors = _tensors(model, network)
    if THUMBNAIL_FILE not in contents:
        maps = {
            name: np.rint(value[0, 0] * 255).astype(np.uint8) for name, value in tensors.items()
        }
        picture = inputs["image"][0].transpose(1, 2, 0)
        contents[THUMBNAIL_FILE] = draw_thumbnail(picture, maps, model.card)
    attachments = sorted(contents)
    contents["weights.onnx"] = _onnx(network, model.card)
    contents |= {f"test_{name}.npy": _npy(array) for name, array in (inputs | tensors).items()}
    contents["README.md"] = readme(model.card).encode()
    contents["bioimageio.yaml"] = describe(model.card, network.params, network.stride, attachments)
    with atomic_file(path) as stream:
        write_zip(stream, contents)
    return path


class _Maps(torch.nn.Module):
    """The network as other programs run it: a normalised image in, probabilities out."""

    def __init__(self, network: DenseModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        maps = self.network.forward_padded(image)
        return tuple(
            maps[name].softmax(1) if name == "classes" else maps[name].sigmoid()
            for name in self.network.params.map_channels
        )


def _tensors(model: Model, network: DenseModel) -> tuple[Arrays, Arrays]:
    """Return the test image (1, C, Y, X), as it comes from a file, and the maps (1, K, Y, X)."""
    card = model.card
    tile = sample_tile(card)
    pixels = tile[..., None] if tile.ndim == 2 else tile
    side = min(pixels.shape[:2]) // network.stride * network.stride
    pixels = np.repeat(pixels, card.in_channels // pixels.shape[2], axis=2)
    pixels = pixels[:side, :side]
    limits = percentile_limits(
        pixels, card.normalization.low, card.normalization.high, "rgb" in card.channels
    )
    image = normalize(pixels, limits).transpose(2, 0, 1)[None]
    with torch.inference_mode():
        maps = _Maps(network)(torch.from_numpy(np.ascontiguousarray(image)))
    raw = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32)
    outputs = zip(network.params.map_channels, maps, strict=True)
    return {"image": raw}, {name: value.numpy() for name, value in outputs}


def _onnx(network: DenseModel, card: Card) -> bytes:
    """Return the network as ONNX, for images of any size that is a multiple of its stride."""
    stride = network.stride
    sides = [stride * torch.export.Dim(f"k{axis}", min=1, max=512) for axis in "yx"]
    batch = torch.export.Dim("batch", min=1, max=64)
    sample = torch.rand(2, card.in_channels, 3 * stride, 4 * stride)
    try:
        program: Any = torch.onnx.export(
            _Maps(network).eval(),
            (sample,),
            dynamo=True,
            input_names=["image"],
            output_names=list(network.params.map_channels),
            dynamic_shapes={"image": {0: batch, 2: sides[0], 3: sides[1]}},
            opset_version=OPSET,
            verbose=False,
        )
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"The network '{card.architecture}' cannot be written as ONNX "
            f"({str(error).splitlines()[0]}): export the model without --format."
        ) from error
    content: bytes = program.model_proto.SerializeToString()
    return content


def _npy(array: npt.NDArray[np.float32]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()
