"""Forty thousand objects in 4096 × 4096 pixels are written and read in seconds."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_cellseg.core.arrays import Labels
from napari_cellseg.core.export.registry import EXPORTERS, importer_of

SECONDS = 20.0  # of the processor; it takes 5 where nothing else runs


@pytest.mark.slow
@pytest.mark.parametrize("name", ["coco", "geojson", "imagej-roi", "kaggle", "outlines-text"])
def test_many_objects(tmp_path, name):
    y, x = np.mgrid[:4096, :4096]
    near = np.hypot(y % 20 - 9.5, x % 20 - 9.5) < 6 + (y // 20 * 7 + x // 20 * 3) % 3
    data = np.where(near, y // 20 * 205 + x // 20 + 1, 0).astype(np.int32)
    path = tmp_path / f"a{EXPORTERS[name].suffix}"
    start = time.process_time()
    EXPORTERS[name]().write(Labels(data, "YX"), path)
    written = time.process_time() - start
    found = importer_of(path).read(path, None)
    read = time.process_time() - start - written
    np.testing.assert_array_equal(found.labels.data, data)
    assert max(written, read) < SECONDS
