"""The included model on a real image: where tiles end must not show in the objects."""

import numpy as np
import pytest
from scipy import sparse

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.inference.tiling import Tiling, fit_grid
from napari_cellseg.core.progress import finish
from napari_cellseg.core.reading import read_image
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.segment import segment
from napari_cellseg.core.zoo.bundle import load_bundle
from napari_cellseg.core.zoo.store import find_model, included_folder


def best_overlaps(labels, others):
    """Return for each object the IoU with the other object that fits it best."""
    shape = (labels.max() + 1, others.max() + 1)
    pixels = np.ones(labels.size)
    table = sparse.coo_matrix((pixels, (labels.ravel(), others.ravel())), shape).toarray()
    union = table.sum(1, keepdims=True) + table.sum(0, keepdims=True) - table
    return (table / union)[1:, 1:].max(axis=1)


@pytest.mark.slow
def test_tiled_equals_untiled(shared_data):
    if not (included_folder() / "nuclei" / "card.json").exists():
        pytest.skip("the included model is not built")
    path = sorted((shared_data / "nuclei_bbbc039" / "images").iterdir())[3]
    pixels = np.asarray(read_image(path).data)
    image = Image(np.pad(pixels, [(0, n) for n in pixels.shape], mode="symmetric"), "YX")
    entry = find_model("nuclei")
    model, results = load_bundle(entry.folder), []
    for tile, tiles in ((8192, 1), (1344, 2)):
        assert len(fit_grid(image.shape, Tiling(tile=tile)).tiles) == tiles
        recipe = Recipe.for_model(entry.card).with_setting("tiling.tile", tile)
        results.append(finish(segment(image, recipe, model=model, device="cpu")).labels.data)
    whole, tiled = results
    assert len(np.unique(whole)) > 200
    for overlaps in (best_overlaps(whole, tiled), best_overlaps(tiled, whole)):
        assert overlaps.mean() >= 0.99
