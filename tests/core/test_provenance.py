"""The record of a run."""

import json
from pathlib import Path

import numpy as np

from napari_cellseg import __version__
from napari_cellseg.core.arrays import Image
from napari_cellseg.core.provenance import RunRecord, installed_versions, now
from napari_cellseg.core.recipe import Recipe


def test_a_record_is_plain_values_and_complete():
    image = Image(np.zeros((2, 2)), "YX", name="cells", source=Path("a") / "cells.tif")
    recipe = Recipe(weights_sha256="ab").with_setting("post.min_area", 30)
    record = RunRecord.of(
        image, recipe, device="cpu", objects=3, seconds=1.5, started=now(), steps=("halved",)
    )
    values = json.loads(json.dumps(record.to_dict()))
    assert values["image"] == "cells"
    assert values["source"].endswith("cells.tif")
    assert values["weights_sha256"] == "ab"
    assert values["steps"] == ["halved"]
    assert Recipe.parse(values["recipe"]) == recipe


def test_versions_name_what_computed():
    versions = installed_versions()
    assert versions["napari-cellseg"] == __version__
    assert {"python", "numpy", "torch"} <= versions.keys()
