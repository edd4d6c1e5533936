"""napari-cellseg, through the functions that dock, API and command line call."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cells import packed_cells, packed_picture
from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.editing.delete import delete
from napari_cellseg.core.editing.merge import merge
from napari_cellseg.core.editing.shape import smooth
from napari_cellseg.core.editing.split import split_along
from napari_cellseg.core.errors import ModelError
from napari_cellseg.core.measure.measure import measure
from napari_cellseg.core.measure.settings import MeasureSettings
from napari_cellseg.core.postprocess.params import PostParams
from napari_cellseg.core.postprocess.postprocessor import PostProcessor
from napari_cellseg.core.progress import finish
from napari_cellseg.session.corrections.document import Document

MORPHOLOGY = {"opening": 1, "closing": 1, "growth": 1, "min_area": 30, "edge_objects": "remove"}


def ways(task: str, side: int, folder: Path) -> dict[str, Callable[[], Any]]:
    """Return the timed functions of one task."""
    make = {
        "labels": _labels,
        "maps": _maps,
        "memory": _memory,
        "training": _training,
        "editing": _editing,
        "measuring": _measuring,
    }[task]
    return make(side, folder)


def _labels(side: int, folder: Path) -> dict[str, Callable[[], Any]]:
    """One move of a slider: the maps are kept, one parameter alternates between two values."""
    maps = {name: np.load(folder / f"{name}_{side}.npy") for name in ("foreground", "contour")}

    def slider(
        name: str,
        values: tuple[float, float] = (0.5, 0.48),
        region: Any = None,
        *,
        compiled: bool = True,
        **others: Any,
    ) -> Callable[[], Any]:
        # a processor of its own: no way profits from another's kept stages
        processor = PostProcessor(maps, compiled=compiled)
        steps = cycle([PostParams(**{name: value}, **others) for value in values])
        return lambda: processor.run(next(steps), region).labels

    found = {
        "foreground threshold": slider("foreground_threshold"),
        "split strength": slider("contour_threshold"),
        "threshold + morphology + clean-up": slider("foreground_threshold", **MORPHOLOGY),
        "least area alone": slider("min_area", (16, 30)),
        "foreground threshold, without numba": slider("foreground_threshold", compiled=False),
    }
    if side > 2048:
        middle = slice(side // 2 - 512, side // 2 + 512)
        found["foreground threshold, view of 1 MPix"] = slider(
            "foreground_threshold", region=(middle, middle)
        )
    return found


def _editing(side: int, _folder: Path) -> dict[str, Callable[[], Any]]:
    """Corrections of labels with all that belongs to them: locks, history, index; no window."""
    document = Document(packed_cells(side))
    columns = side // 20
    ids = iter([k for k in range(1, columns * columns, 3) if k % columns])

    def each(name: str, tool: Callable[[Any, Any, int], Any]) -> Callable[[], Any]:
        def step() -> None:
            edits = tool(document.plane(()), document.objects(()), next(ids))
            document.edit(name, (), edits)

        return step

    def cut(plane: Any, objects: Any, label: int) -> Any:
        rows, across = objects.box(label)
        middle = (across.start + across.stop) / 2
        line = [(rows.start - 3, middle), (rows.stop + 3, middle)]
        return split_along(plane, objects, line, document.new_id, label)

    def thousand() -> None:
        some = document.objects(()).ids[-10_000::10]
        document.edit("Delete", (), delete(document.plane(()), document.objects(()), some))

    return {
        "merge two": each("Merge", lambda plane, objects, k: merge(plane, objects, [k, k + 1])),
        "delete one": each("Delete", lambda plane, objects, k: delete(plane, objects, [k])),
        "split by a line": each("Split", cut),
        "smooth": each("Smooth", smooth),
        "undo": lambda: document.undo(),
        "delete 1,000": thousand,
        "undo that": lambda: document.undo(),
    }


def _measuring(side: int, _folder: Path) -> dict[str, Callable[[], Any]]:
    """Measure shape, neighbours and one channel."""
    cells = packed_cells(side)
    labels, image = Labels(cells, "YX", (0.5, 0.5)), Image(packed_picture(cells), "YX")

    def way(speed: str) -> Callable[[], Any]:
        settings = MeasureSettings().replace(speed=speed)
        return lambda: finish(measure(labels, image, settings))

    return {"fast set": way("fast"), "slow set": way("slow")}


def _model() -> Any:
    """Return the included model, or one with random weights (which costs the same) without it."""
    from napari_cellseg.core._torch import torch
    from napari_cellseg.core.models.registry import build_model
    from napari_cellseg.core.zoo.bundle import Model, load_bundle
    from napari_cellseg.core.zoo.card import Card
    from napari_cellseg.core.zoo.store import find_model

    torch.set_num_threads(1)
    try:
        return load_bundle(find_model("nuclei").folder)
    except ModelError:
        torch.manual_seed(0)
        network = build_model("attention-unet", {}).eval().requires_grad_(False)
        return Model(Card(name="random", architecture="attention-unet"), network)


def _maps(side: int, folder: Path) -> dict[str, Callable[[], Any]]:
    from napari_cellseg.core._torch import torch
    from napari_cellseg.core.inference.acceleration import accelerate
    from napari_cellseg.core.inference.predict import predict
    from napari_cellseg.core.inference.preparation import Preparation
    from napari_cellseg.core.inference.tiling import Tiling, fit_grid

    model, tiling = _model(), Tiling()
    image = Image(np.load(folder / f"image_{side}.npy"), "YX")
    grid = fit_grid((side, side), tiling)
    network = accelerate(model.network, model.card.in_channels, "cpu")
    first = next(network.parameters())
    tile = torch.rand(1, model.card.in_channels, *grid.shape).to(first.dtype)
    tile = tile.contiguous(memory_format=torch.channels_last)

    def forward_only() -> None:
        with torch.inference_mode():
            for _ in grid.tiles:
                network(tile)

    def image_to_maps() -> None:
        finish(predict(model, image, Preparation(), tiling, "cpu"))

    redundancy = grid.pixels / side**2
    return {
        "predict": image_to_maps,
        f"forward pass of its tiles alone ({redundancy:.2f} network px / image px)": forward_only,
    }


def _memory(side: int, folder: Path) -> dict[str, Callable[[], Any]]:
    from napari_cellseg.core.inference.preparation import Preparation
    from napari_cellseg.core.recipe import Recipe
    from napari_cellseg.core.workflows.segment import segment

    model = _model()
    recipe = Recipe.for_model(model.card).replace(preparation=Preparation(rescale="off"))

    def image_to_labels() -> None:
        image = Image(np.load(folder / f"image_{side}.npy", mmap_mode="r"), "YX")
        finish(segment(image, recipe, model=model, device="cpu"))

    return {f"image to labels, {model.card.name} weights": image_to_labels}


def _training(side: int, _folder: Path) -> dict[str, Callable[[], Any]]:
    from napari_cellseg.core._torch import torch
    from napari_cellseg.core.training.config import TrainConfig
    from napari_cellseg.core.training.trainer import Trainer

    torch.set_num_threads(1)
    torch.manual_seed(0)
    image = torch.rand(8, 3, side, side).contiguous(memory_format=torch.channels_last)
    targets = {
        name: (torch.rand(8, 1, side, side) > 0.5).float() for name in ("foreground", "contour")
    }

    class Fixed:
        """Always the same batch: augmentation is not part of what the peers' figures hold."""

        def batch(self, _step: int, _size: int) -> Any:
            return image, targets

    def step(width: str, precision: str, **others: Any) -> Callable[[], Any]:
        config = TrainConfig(
            patch_size=side, precision=precision, model_params={"width": width}, **others
        )
        return Trainer(config, Fixed(), "cpu").step

    frozen = {"freeze": "encoder", "batch_norm": "keep"}
    return {
        "attention-unet, float32": step("base", "float32"),
        "attention-unet, bfloat16": step("base", "bfloat16"),
        "attention-unet, bfloat16, frozen encoder": step("base", "bfloat16", **frozen),
        "as included (small), bfloat16": step("small", "bfloat16"),
        "as included (small), bfloat16, frozen encoder": step("small", "bfloat16", **frozen),
    }
