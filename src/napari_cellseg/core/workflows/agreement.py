"""Compare label images with references, as arrays or files, and make the report."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_cellseg.core.agreement.agreement import Agreement, compare_planes, same_shape
from napari_cellseg.core.agreement.object_errors import ErrorSettings
from napari_cellseg.core.agreement.pairs import LabelPair
from napari_cellseg.core.agreement.result import Agreements
from napari_cellseg.core.errors import DataError, ImageError
from napari_cellseg.core.files import make_folder, write_text
from napari_cellseg.core.progress import Progress

if TYPE_CHECKING:
    from napari_cellseg.core.agreement.report.gallery import Gallery


@dataclass(frozen=True, eq=False)
class Report:
    """Scores, errors and pictures, ready to be written.

    Attributes
    ----------
    result
        Scores and errors.
    gallery
        Pictures of the worst.
    labels, reference
        What was compared with what, for the title.
    """

    result: Agreements
    gallery: Gallery
    labels: str
    reference: str

    def html(self) -> str:
        """Return the page."""
        from napari_cellseg.core.agreement.report.page import report_html

        return report_html(self.result, self.gallery, self.labels, self.reference)

    def save(self, path: Path, *, tables: bool = False) -> list[Path]:
        """Write the page, and with `tables` ``NAME_images.csv`` and ``NAME_errors.csv`` beside it.

        Returns
        -------
        The files written.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        make_folder(path.parent)
        texts = {path: self.html()}
        if tables:
            texts[path.with_name(f"{path.stem}_images.csv")] = self.result.to_csv()
            texts[path.with_name(f"{path.stem}_errors.csv")] = self.result.errors_csv()
        for file, text in texts.items():
            write_text(file, text)
        return list(texts)


def compare_labels(
    pair: LabelPair,
    report: Path | None = None,
    *,
    settings: ErrorSettings | None = None,
    seed: int = 0,
) -> Generator[Progress, None, Agreement]:
    """Compare one pair, and write the report if a file is named for it.

    Raises
    ------
    DataError, ImageError
        If the two cannot be compared, or the image does not fit.
    OutputError
        If the report cannot be written.
    """
    if report is None:
        labels, reference, _ = pair.read()
        run = compare_planes(labels, reference, settings=settings, name=pair.name, seed=seed)
        return (yield from run)
    made = yield from make_report([pair], settings=settings, seed=seed, keep_maps=True)
    made.save(report)
    return made.result.images[0]


def make_report(
    pairs: Iterable[LabelPair],
    *,
    labels: str = "labels",
    reference: str = "reference",
    settings: ErrorSettings | None = None,
    skipped: Mapping[str, str] | None = None,
    seed: int = 0,
    keep_maps: bool = False,
) -> Generator[Progress, None, Report]:
    """Compare all pairs and take pictures of the worst errors.

    Parameters
    ----------
    pairs
        What to compare.
    labels, reference
        What the two sides are called in the report.
    settings
        What counts as an error.
    skipped
        What was left out before, and why.
    seed
        Of the bootstrap.
    keep_maps
        Keep the error map of every image in memory.

    Yields
    ------
    Progress
        Done and total count images, or the planes of a single one.

    Raises
    ------
    DataError, ImageError
        If nothing can be compared, that of the first pair. Else such a pair is left out and named.
    """
    from napari_cellseg.core.agreement.report.gallery import Gallery

    pairs, left_out = list(pairs), dict(skipped or {})
    settings, gallery, images = settings or ErrorSettings(), Gallery(), []
    first: DataError | ImageError | None = None
    for done, pair in enumerate(pairs):
        yield Progress("Comparing", done, len(pairs))
        try:
            run = _pictured(pair, gallery, settings, seed)
            agreement = yield from _counted(run, done, len(pairs))
        except (DataError, ImageError) as error:
            first = first or error
            left_out[pair.name] = str(error)
            if len(pairs) > 1:
                yield Progress("Comparing", done, len(pairs), f"{pair.name}: {error}")
        else:
            images.append(agreement if keep_maps else replace(agreement, error_map=None))
    if not images:
        raise first or DataError("There is nothing to compare: choose labels and their reference.")
    yield Progress("Comparing", len(pairs), len(pairs))
    result = Agreements(tuple(images), left_out, settings, seed)
    return Report(result, gallery, labels, reference)


def _counted(
    run: Generator[Progress, None, Agreement], done: int, total: int
) -> Generator[Progress, None, Agreement]:
    """Pass the steps of one image on, as steps of all images where there are several."""
    with closing(run):
        while True:
            try:
                step = next(run)
            except StopIteration as stop:
                agreement: Agreement = stop.value
                return agreement
            yield step if total == 1 else Progress(step.stage, done, total)


def _pictured(
    pair: LabelPair, gallery: Gallery, settings: ErrorSettings, seed: int
) -> Generator[Progress, None, Agreement]:
    from napari_cellseg.core.agreement.report.pictures import Views

    labels, reference, image = pair.read()
    labels, reference = same_shape(labels, reference, pair.name)
    views = Views(labels, reference, image)
    agreement = yield from compare_planes(
        labels, reference, settings=settings, name=pair.name, seed=seed
    )
    gallery.offer(agreement, views)
    return agreement
