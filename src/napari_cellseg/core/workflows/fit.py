"""Fit the post-processing to what a person reviewed, on the kept maps, without the network."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_cellseg.core.components import Params
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.fitting.moves import Moves
from napari_cellseg.core.fitting.regions import regions_of
from napari_cellseg.core.fitting.result import FitResult
from napari_cellseg.core.fitting.reviewed import Reviewed
from napari_cellseg.core.fitting.search import Caution, Search
from napari_cellseg.core.fitting.tally import standard_error
from napari_cellseg.core.postprocess.postprocessor import warm_up
from napari_cellseg.core.postprocess.registry import Source
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.reading import read_image, read_labels, stem
from napari_cellseg.core.recipe import Recipe

if TYPE_CHECKING:
    from napari_cellseg.core.workflows.segment import Segmentation
    from napari_cellseg.core.zoo.bundle import Model

__all__ = ["Caution", "FitCase", "FitResult", "Reviewed", "find_cases", "fit", "fit_files"]


def fit(
    cases: Reviewed | Sequence[Reviewed], start: Params, caution: Caution | None = None
) -> Generator[Progress, None, FitResult]:
    """Search the settings under which predictions agree best with what was reviewed.

    The mean of PQ and of AP at IoU 0.5 of the reviewed objects is made as high as possible, one
    setting at a time. Settings have to beat those of the start by more than what chance would
    explain, see `Caution`; of equally good ones those near the start are taken. Of reviewed areas
    of more than `regions.MOST_PIXELS` a part is used.

    Parameters
    ----------
    cases
        Predictions of the same model with what was reviewed of them; they are only read.
    start
        `PostParams` to begin with.
    caution
        What counts as better.

    Yields
    ------
    Progress
        One after every evaluation, so that it can be cancelled there; ``metrics`` has the mean
        score ``before`` and the ``best`` one so far.

    Raises
    ------
    DataError
        If no object was reviewed, or shapes differ.
    SettingsError
        If the start needs a map that the model does not predict.
    """
    yield Progress("Fitting")
    warm_up()
    cases = [cases] if isinstance(cases, Reviewed) else list(cases)
    regions = regions_of(cases)
    areas = np.concatenate([np.bincount(one.truth.reshape(-1))[1:] for one in regions])
    search = Search(regions, _moves(cases, areas), start, caution or Caution())
    best = yield from search.run()
    return FitResult(
        params=best.params,
        start=start,
        before=search.first.score,
        after=best.score,
        error=standard_error(search.first.counts, best.counts) if best.params != start else 0.0,
        objects=len(areas),
        pixels=sum(math.prod(one.truth.shape) for one in regions),
        evaluations=search.evaluations,
    )


def _moves(cases: Sequence[Reviewed], areas: npt.NDArray[np.int64]) -> Moves:
    first = cases[0].prediction
    plane = first.plane((0,) * (len(first.shape) - 2))
    source: Source = "maps" if isinstance(plane, Mapping) else "instances"
    return Moves(source, isinstance(plane, Mapping) and "contour" in plane, areas)


@dataclass(frozen=True)
class FitCase:
    """An image file, its corrected labels, and the part of them that was reviewed.

    Attributes
    ----------
    image, labels
        The files.
    reviewed
        Image of the size of the labels, above 0 where they are right; None: everywhere.
    """

    image: Path
    labels: Path
    reviewed: Path | None = None


def find_cases(
    images: Sequence[Path], labels: Sequence[Path], reviewed: Sequence[Path] = ()
) -> list[FitCase]:
    """Put together the files of each image, by name.

    Parameters
    ----------
    images
        Image files.
    labels
        Label files called like their images, or with ``_labels`` behind.
    reviewed
        Files of reviewed areas called like their images, or with ``_reviewed`` behind. Where some
        are given, images without one are left out.

    Raises
    ------
    DataError
        If an image has no labels, or none has a reviewed area.
    """
    named = {_name(path, "_labels"): path for path in labels}
    areas = {_name(path, "_reviewed"): path for path in reviewed}
    cases = []
    for image in images:
        name = stem(image)
        if reviewed and name not in areas:
            continue
        if name not in named:
            raise DataError(
                f"There are no labels for the image '{image}': name them '{name}.tif' or "
                f"'{name}_labels.tif', or leave the image out."
            )
        cases.append(FitCase(image, named[name], areas.get(name)))
    if not cases:
        raise DataError(
            "None of the images has a reviewed area: name its file like the image, or with "
            "'_reviewed' behind."
        )
    return cases


def _name(path: Path, ending: str) -> str:
    return stem(path).removesuffix(ending)


def fit_files(
    files: Sequence[FitCase], recipe: Recipe, *, model: Model | None = None, device: str = "auto"
) -> Generator[Progress, None, tuple[FitResult, Recipe]]:
    """Segment images as `segment` does, fit the post-processing to their corrected labels.

    Parameters
    ----------
    files
        What to fit to, all together.
    recipe
        What to segment with; its post-processing is the start.
    model
        The recipe's model, if it is loaded already.
    device
        Where to compute.

    Returns
    -------
    FitResult
        As of `fit`.
    Recipe
        `recipe` with the settings that were found and the hash of the weights.

    Raises
    ------
    DataError, ImageError
        If a file cannot be read, or sizes differ.
    ModelError, ChannelError, DeviceError, SettingsError
        As `segment` says.
    """
    from napari_cellseg.core.workflows.segment import segment
    from napari_cellseg.core.zoo.bundle import load_bundle
    from napari_cellseg.core.zoo.store import find_model

    model = model or load_bundle(find_model(recipe.model).folder)
    cases = []
    for one in files:
        with closing(segment(read_image(one.image), recipe, model=model, device=device)) as run:
            found = yield from run
        recipe = found.recipe
        cases.append(_reviewed(one, found))
    result = yield from fit(cases, recipe.post)
    return result, recipe.replace(post=result.params.model_dump())


def _reviewed(files: FitCase, found: Segmentation) -> Reviewed:
    truth = read_labels(files.labels).data
    area = None if files.reviewed is None else read_labels(files.reviewed).data > 0
    try:
        return Reviewed(found.prediction, truth, area)
    except DataError as error:
        raise DataError(f"'{files.image}' cannot be used: {error}") from error
