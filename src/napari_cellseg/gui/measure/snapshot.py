"""What a worker needs of layers: views that nobody writes to, and how they become labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from napari.layers import Labels as LabelsLayer

from napari_cellseg.core.arrays import Image, Labels
from napari_cellseg.core.measure.decisions import Decisions
from napari_cellseg.gui import features
from napari_cellseg.gui.conversion import METADATA_KEY, to_image, to_labels
from napari_cellseg.gui.correct.binding import Binding
from napari_cellseg.gui.geometry import Box
from napari_cellseg.gui.measure.images import FittingImage


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One labels layer with its images.

    Attributes
    ----------
    data, attributes
        Of the layer, as `conversion.to_labels` takes them; the data are not copied before.
    images
        Cut to the labels; lazy.
    decisions
        What is known of the objects.
    """

    data: Any
    attributes: Mapping[str, Any]
    images: tuple[Image, ...] = ()
    decisions: Decisions | None = None

    def labels(self) -> Labels:
        """Return a copy of the labels as they are now; for a worker.

        Raises
        ------
        ImageError
            If the layer does not hold labels.
        """
        return to_labels(self.data, self.attributes)


def attributes_of(layer: LabelsLayer) -> dict[str, Any]:
    """Return what must be known of a layer besides its data."""
    own = layer.metadata.get(METADATA_KEY, {})
    return {
        "name": layer.name,
        "scale": tuple(layer.scale),
        "units": tuple(layer.units),
        "axis_labels": tuple(layer.axis_labels),
        "multiscale": layer.multiscale,
        "metadata": {METADATA_KEY: dict(own) if isinstance(own, Mapping) else {}},
    }


def data_of(layer: LabelsLayer, box: Box | None = None, axes: str = "") -> Any:
    """Return the data of a layer, or the part `box` of them, as a view not to be written to."""
    data = layer.data[0] if layer.multiscale else layer.data
    if box is not None:
        data = data[tuple(box.get(axis, slice(None)) for axis in axes)]
    if isinstance(data, np.ndarray):
        data = data.view()
        data.flags.writeable = False
    return data


def snapshot_of(
    layer: LabelsLayer, images: tuple[FittingImage, ...] = (), binding: Binding | None = None
) -> Snapshot:
    """Return what a worker needs of a layer; quick, nothing is copied or loaded."""
    attributes = {**attributes_of(layer), "multiscale": False}
    pixels = tuple(to_image(one.layer, one.axes, one.box) for one in images)
    return Snapshot(
        data_of(layer), attributes, _told_apart(pixels), decisions_of(layer, attributes, binding)
    )


def decisions_of(
    layer: LabelsLayer, attributes: Mapping[str, Any], binding: Binding | None
) -> Decisions:
    """Return what model and person said about the objects of a layer."""
    table = features.columns_of(layer)
    ids = table[features.INDEX].tolist()
    known: dict[str, Any] = {}
    for name in ("score", "margin"):
        if name in table and table[name].dtype.kind in "fiu":
            known[name] = dict(zip(ids, table[name].tolist(), strict=True))
    if "class" in table:
        named = zip(ids, table["class"].tolist(), strict=True)
        known["classes"] = {i: str(name) for i, name in named if isinstance(name, str) and name}
    if binding is None:
        told = Decisions.of_provenance(attributes["metadata"][METADATA_KEY])
        return replace(told, **{k: v for k, v in known.items() if v})
    states = binding.document.states
    return Decisions(
        **{k: v for k, v in known.items() if v},
        locked=states.locked,
        edited=states.where("edited"),
        accepted=states.where("accepted"),
    )


def _told_apart(images: tuple[Image, ...]) -> tuple[Image, ...]:
    """Name the channels of several images after these, so that no two columns have one name."""
    if len(images) < 2:
        return images
    named, taken = [], set[str]()
    for number, image in enumerate(images):
        title = "_".join(image.name.split()) or f"I{number}"
        title = f"{title}_{number}" if title in taken else title
        taken.add(title)
        own = ("R", "G", "B") if image.rgb else image.channel_names
        own = own or tuple(f"C{k}" for k in range(image.size("C")))
        names = (title,) if image.size("C") == 1 else tuple(f"{title}_{name}" for name in own)
        named.append(replace(image, channel_names=names, rgb=False))
    return tuple(named)
