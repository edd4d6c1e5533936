"""The sample images are there, small, and what they claim to be."""

import json
from pathlib import Path

import numpy as np
import pytest

from napari_cellseg.core import samples
from napari_cellseg.core.errors import UnknownNameError
from napari_cellseg.core.reading import read_image

FOLDER = Path(samples.__file__).parent


@pytest.mark.parametrize(
    ("name", "axes", "dtype"),
    [
        ("fluorescence", "YX", "uint8"),
        ("tissue", "YXC", "uint8"),
        ("16-bit", "YX", "uint16"),
        ("dense", "YX", "uint8"),
    ],
)
def test_each_can_be_loaded(name, axes, dtype):
    image = samples.load_sample(name)
    assert (image.axes, image.dtype, image.rgb) == (axes, dtype, name == "tissue")
    assert image.pixel_size is None
    assert np.ptp(image.plane()) > 50


def test_a_wrong_name_is_answered_with_the_right_ones():
    with pytest.raises(UnknownNameError, match=r"fluorescence, tissue"):
        samples.load_sample("brain")


def test_they_are_small_and_their_sources_are_stated():
    sources = (FOLDER / "SOURCES.md").read_text()
    files = [sample.file for sample in samples.SAMPLES.values()]
    assert sum((FOLDER / file).stat().st_size for file in files) < 2 * 2**20
    assert all(f"`{file}`" in sources for file in files)
    assert "CC0" in sources


def test_the_included_model_was_not_trained_on_them(shared_data):
    sources = (FOLDER / "SOURCES.md").read_text()
    pixels = {
        sample.file: samples.load_sample(name).data for name, sample in samples.SAMPLES.items()
    }
    found = set()
    for dataset in ("nuclei_dsb2018", "nuclei_bbbc039"):
        split = json.loads((shared_data / dataset / "split.json").read_text())
        for identity in [one for one in split["val"] if f"`{one}`" in sources]:
            [path] = (shared_data / dataset / "images").glob(f"{identity}.*")
            original = read_image(path).data
            found |= {file for file, data in pixels.items() if np.array_equal(data, original)}
        assert not [one for one in split["train"] if one in sources]
    assert found == set(pixels)
