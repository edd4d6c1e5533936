"""What a network run leaves: named probability maps, or objects one by one, kept compactly."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.errors import OutputError
from napari_cellseg.core.postprocess.instances import Instances

IN_MEMORY_BYTES = 2**28
"""Maps that take more than this together are kept in a temporary file."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Probability maps of an image, or the objects that a detection network found in it.

    Attributes
    ----------
    maps
        For each map's name uint8 ``(T?, Z?, Y, X)``: the probability times 255, rounded. Empty
        where objects were found one by one.
    axes
        Axes of the maps, such as ``"TYX"``.
    scale
        Network pixels per image pixel at which the network ran.
    device
        Where it ran at last.
    steps
        What was changed on the way, one sentence each (for instance that the batch was halved).
    instances
        By plane index, the candidates for objects; empty where there are maps.
    classes
        For each object class that the network tells apart, its probability, as `maps`.
    """

    maps: Mapping[str, npt.NDArray[np.uint8]]
    axes: str
    scale: float = 1.0
    device: str = "cpu"
    steps: tuple[str, ...] = ()
    instances: Mapping[tuple[int, ...], Instances] = field(default_factory=dict)
    classes: Mapping[str, npt.NDArray[np.uint8]] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (T?, Z?, Y, X) of the labels that come of it."""
        if self.maps:
            return next(iter(self.maps.values())).shape
        last = max(self.instances)
        return (*(n + 1 for n in last), *self.instances[last].shape)

    def plane(self, index: tuple[int, ...]) -> Mapping[str, npt.NDArray[np.uint8]] | Instances:
        """Return the maps (Y, X) of one plane, or its candidates."""
        if self.instances:
            return self.instances[index]
        return {name: stack[index] for name, stack in self.maps.items()}

    @property
    def nbytes(self) -> tuple[int, int]:
        """Bytes that it takes in memory, and in temporary files."""
        memory = disk = 0
        for array in (*self.maps.values(), *self.classes.values()):
            if isinstance(array, np.memmap):
                disk += array.nbytes
            else:
                memory += array.nbytes
        for one in self.instances.values():
            memory += one.boxes.nbytes + one.scores.nbytes + one.masks.nbytes
        return memory, disk

    def on_disk(self) -> Prediction:
        """Return the same prediction with its maps in temporary files, which vanish with it.

        Raises
        ------
        OutputError
            If the temporary folder has no room.
        """
        maps, classes = (
            {name: _copy_on_disk(array) for name, array in stacks.items()}
            for stacks in (self.maps, self.classes)
        )
        return replace(self, maps=maps, classes=classes)


def _copy_on_disk(array: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if isinstance(array, np.memmap) or not array.size:
        return array
    copy = _on_disk(array.shape, array.nbytes)
    copy[...] = array
    return copy


def allocate_maps(
    names: tuple[str, ...], shape: tuple[int, ...]
) -> dict[str, npt.NDArray[np.uint8]]:
    """Return an empty uint8 map for each name; in temporary files where they are large.

    The file vanishes with the array, or when the process ends, however it ends.

    Raises
    ------
    OutputError
        If the temporary folder has no room.
    """
    size = math.prod(shape)
    if size * len(names) <= IN_MEMORY_BYTES:
        return {name: np.empty(shape, np.uint8) for name in names}
    return {name: _on_disk(shape, size) for name in names}


def _on_disk(shape: tuple[int, ...], size: int) -> npt.NDArray[np.uint8]:
    try:
        with tempfile.TemporaryFile(prefix="napari-cellseg-") as file:
            # Reserve the space now: a full disk must be an error here, not a crash while writing.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            return np.memmap(file, np.uint8, "r+", shape=shape)
    except OSError as error:
        raise OutputError(
            f"The probability maps need {size / 2**20:.0f} MB in the temporary folder "
            f"'{tempfile.gettempdir()}' ({error.strerror or error}). Free some space, or set the "
            "environment variable TMPDIR to a folder on a larger disk."
        ) from error
