"""The report of an agreement: one HTML page that needs nothing else and opens anywhere."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from napari_cellseg import __version__
from napari_cellseg.core.agreement.object_errors import LEAST_IOU, ErrorKind
from napari_cellseg.core.agreement.report.curve import curve_svg
from napari_cellseg.core.agreement.report.gallery import ErrorPicture, Gallery, PlanePicture
from napari_cellseg.core.agreement.report.pictures import LABELS, REFERENCE, TINTS
from napari_cellseg.core.agreement.result import SHOWN, Agreements

_STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em;
  color: #222; background: #fff; }
h1 { font-size: 1.6em; } h2 { font-size: 1.25em; margin-top: 2em; }
table { border-collapse: collapse; } th, td { padding: 0.2em 0.8em; text-align: right;
  border-bottom: 1px solid #ddd; } th:first-child, td:first-child { text-align: left; }
th.words, td.words { text-align: left; }
td:first-child { min-width: 9em; overflow-wrap: anywhere; } .wide { overflow-x: auto; }
.gallery { display: flex; flex-wrap: wrap; gap: 1em; } figure { margin: 0; max-width: 100%; }
.gallery figure { width: 228px; } figcaption { font-size: 0.85em; overflow-wrap: anywhere; }
img { display: block; max-width: 100%; image-rendering: pixelated; }
.swatch { display: inline-block; width: 1.6em; height: 0; border-top: 4px solid; }
footer { margin-top: 3em; font-size: 0.85em; color: #555; }
"""

# Even a name that slipped through as markup could load nothing and run nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_EXPLANATIONS = {
    "ap50": "matches / (matches + objects of both sides without one), at IoU ≥ 0.5",
    "ap75": "the same at IoU ≥ 0.75",
    "map": "mean over the IoU thresholds 0.50, 0.55, …, 0.95",
    "f1_50": "2 matches / (objects of both sides), at IoU ≥ 0.5",
    "pq": "panoptic quality: F1 × mean IoU of the matches (IoU > 0.5)",
    "aji": "aggregated Jaccard index: summed intersections / summed unions",
    "dice": "of the pixels, cell against background",
    "iou": "of the pixels, cell against background",
}

_DEFINITIONS = (
    "Merged and split are looked for first: an object belongs to that object of the other side in "
    "which more than half of it lies. The others are partners where their IoU reaches {iou:g}, one "
    "to one, as for AP and F1; what is left is paired from the highest IoU down to {least:g}. An "
    "outline is poor where partners are no match or have an IoU of less than {outline:g}. Severity "
    "is wrong pixels / (wrong pixels + area of a typical object). Wrong are all pixels of a missed "
    "or extra object, all but the largest part of a merged or split one, and those in only one of "
    "the two objects of a poor outline. Stacks are compared slice by slice, and what is counted "
    "is added up. A score of nothing against nothing is 1."
)


def report_html(result: Agreements, gallery: Gallery, labels: str, reference: str) -> str:
    """Write the page.

    Parameters
    ----------
    result
        Scores and errors of at least one image.
    gallery
        Pictures.
    labels, reference
        What was compared with what, for the title.

    Returns
    -------
    HTML with its pictures, drawing and style in it; names are escaped.
    """
    title = escape(f"{labels} compared with {reference}")
    parts = [
        f"<h1>{title}</h1>",
        f"<p>{result.n_labels} objects against {result.n_reference} of the reference, in "
        f"{_count(len(result.images), 'image')}.</p>",
        "<h2>Scores</h2>",
        _scores(result),
        *(f"<p>{escape(note)}</p>" for note in result.notes()),
        f"<figure>{curve_svg(result.summary)}</figure>",
        "<h2>Errors</h2>",
        _errors(result),
        "<details><summary>How errors are defined</summary>",
        f"<p>{_definitions(result)}</p></details>",
        *_images(result),
        *_planes(gallery.planes),
        *_galleries(result, gallery),
        f"<footer>napari-cellseg {escape(__version__)}, "
        f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}; bootstrap seed {result.seed}</footer>",
    ]
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
            *parts,
            "</body>\n</html>\n",
        ]
    )


def _scores(result: Agreements) -> str:
    several = len(result.images) > 1
    head = ["score", "mean of the images [95 %]", "all objects together [95 %]", "meaning"]
    rows = []
    for key, title in SHOWN.items():
        pooled = [str(result.pooled[key])] if several else []
        rows.append([title, str(result.summary[key]), *pooled, _EXPLANATIONS[key]])
    return _table(head if several else ["score", "value [95 %]", "meaning"], rows, words=1)


def _errors(result: Agreements) -> str:
    counts = result.counts()
    rows = [[kind.title, str(counts[kind]), kind.meaning] for kind in ErrorKind]
    return _table(["error", "how many", "meaning"], rows, words=1)


def _definitions(result: Agreements) -> str:
    return escape(_DEFINITIONS.format(least=LEAST_IOU, **result.settings.model_dump()))


def _images(result: Agreements) -> list[str]:
    if len(result.images) < 2:
        return []
    head = ["image", "reference", "labels", *(kind.title for kind in ErrorKind)]
    head += ["AP 0.5", "mAP", "PQ", "AJI", "Dice"]
    rows = []
    for one in sorted(result.images, key=lambda one: one.scores["ap50"]):
        counts = [one.n_reference, one.n_labels, *one.errors.counts().values()]
        scores = [f"{one.scores[key]:.3f}" for key in ("ap50", "map", "pq", "aji", "dice")]
        rows.append([one.name, *map(str, counts), *scores])
    return ["<h2>Images, worst first</h2>", f'<div class="wide">{_table(head, rows)}</div>']


def _planes(planes: Sequence[PlanePicture]) -> list[str]:
    if not planes:
        return []
    legend = " ".join(
        f'<span class="swatch" style="border-color: {_css(TINTS[kind])}"></span> {kind.title}'
        for kind in ErrorKind
    )
    figures = [
        _figure(one.png, f"Errors of {_place(one.name, one.plane)}, F1 {one.f1:.3f}")
        for one in planes
    ]
    return ["<h2>Where the errors are</h2>", f"<p>{legend}</p>", *figures]


def _galleries(result: Agreements, gallery: Gallery) -> list[str]:
    if not any(gallery.errors.values()):
        return []
    legend = (
        f'<span class="swatch" style="border-color: {_css(REFERENCE)}"></span> reference '
        f'<span class="swatch" style="border-color: {_css(LABELS)}; border-top-style: dashed">'
        "</span> segmentation; objects that the error is not about are fainter."
    )
    parts = ["<h2>The worst errors</h2>", f"<p>{legend}</p>"]
    counts = result.counts()
    for kind, pictures in gallery.errors.items():
        if pictures:
            parts.append(f"<h3>{kind.title.capitalize()}: {len(pictures)} of {counts[kind]}</h3>")
            figures = "\n".join(_figure(one.png, _caption(one)) for one in pictures)
            parts.append(f'<div class="gallery">\n{figures}\n</div>')
    return parts


def _caption(picture: ErrorPicture) -> str:
    error = picture.error
    ids = [
        f"{side} {_some(numbers)}"
        for side, numbers in (
            ("reference", error.reference_ids),
            ("segmentation", error.label_ids),
        )
        if numbers
    ]
    return (
        f"{_place(picture.name, error.plane)}: {', '.join(ids)}, at row {error.y:.0f}, column "
        f"{error.x:.0f}; {error.pixels} px wrong, IoU {error.iou:.2f}, severity "
        f"{error.severity:.2f}"
    )


def _some(numbers: Sequence[int], most: int = 6) -> str:
    shown = ", ".join(map(str, numbers[:most]))
    return shown + (f" and {len(numbers) - most} more" if len(numbers) > most else "")


def _place(name: str, plane: tuple[int, ...]) -> str:
    return f"{name}, slice {', '.join(map(str, plane))}" if plane else name


def _figure(png: bytes, caption: str) -> str:
    caption = escape(caption)
    data = base64.b64encode(png).decode()
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], words: int = 0) -> str:
    """Lay out cells; the last `words` columns are text, the others but the first are numbers."""
    kinds = [""] * (len(head) - words) + [' class="words"'] * words

    def line(tag: str, cells: Sequence[str]) -> str:
        each = zip(kinds, cells, strict=True)
        inside = "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in each)
        return f"<tr>{inside}</tr>"

    lines = [line("th", head), *(line("td", row) for row in rows)]
    return "\n".join(["<table>", *lines, "</table>"])


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _css(colour: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)
