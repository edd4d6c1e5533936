"""Small pictures with square objects, and a parent, for the tests of this folder."""

import numpy as np

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.finetuning.material.source import Source
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.store import ModelEntry

SHA = "ab" * 32


def squares(shape, corners, side=6):
    """Return labels with one square at each corner, numbered from 1."""
    labels = np.zeros(shape, np.int32)
    for number, (y, x) in enumerate(corners, 1):
        labels[y : y + side, x : x + side] = number
    return labels


def grid(shape=(96, 128), step=16, side=6):
    """Return labels with squares at regular distances, none of them cut off."""
    inside, rows = [], []
    for length in shape:
        number, place = np.divmod(np.arange(length) - 4, step)
        inside.append((place < side) & (number >= 0) & (4 + step * number < length - side))
        rows.append(number)
    columns = int(rows[1][inside[1]].max()) + 1
    labels = rows[0][:, None] * columns + rows[1] + 1
    return np.where(inside[0][:, None] & inside[1], labels, 0).astype(np.int32)


def source(labels, number=0, known=None, name="a", channels=0, **more):
    """Return a source whose pixels say where they come from: no two are equal."""
    data = np.arange(labels.size, dtype=np.int32).reshape(labels.shape) + number * 10**6
    if channels:
        data = np.stack([data + c * 10**8 for c in range(channels)], -1)
    image = Image(data, "YXC" if channels else "YX", name=name)
    return Source(name, image, labels, known, **more)


def entry(folder=None, **more):
    """Return a parent that takes grey and colour."""
    card = Card(name="parent", architecture="unet", weights_sha256=SHA, **more)
    return ModelEntry("parent", "mine", folder, card)
