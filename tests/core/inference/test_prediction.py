"""Maps in memory and on disk."""

import errno
import gc
import os
import tempfile

import numpy as np
import pytest

from napari_cellseg.core.errors import OutputError
from napari_cellseg.core.inference import prediction
from napari_cellseg.core.inference.prediction import allocate_maps


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(prediction, "IN_MEMORY_BYTES", 1000)
    return tmp_path


def test_small_maps_are_in_memory(scratch):
    maps = allocate_maps(("foreground", "contour"), (10, 50))
    assert list(maps) == ["foreground", "contour"]
    assert not any(isinstance(array, np.memmap) for array in maps.values())


def test_large_maps_are_in_a_file_that_leaves_nothing_behind(scratch):
    maps = allocate_maps(("foreground", "contour"), (3, 20, 50))
    for value, array in enumerate(maps.values()):
        assert isinstance(array, np.memmap)
        array[...] = value
    assert [int(array.sum()) for array in maps.values()] == [0, 3000]
    del maps, array
    gc.collect()
    assert list(scratch.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs posix_fallocate")
def test_a_full_disk_is_told_before_anything_is_computed(scratch, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OutputError, match=r"No space left.*Free some space"):
        allocate_maps(("foreground",), (100, 100))
    assert list(scratch.iterdir()) == []
