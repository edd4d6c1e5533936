"""The page and its pictures."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image as Pillow

from napari_cellseg.core.agreement.intervals import Interval
from napari_cellseg.core.agreement.object_errors import ErrorKind, ErrorSettings
from napari_cellseg.core.agreement.pairs import ArrayPair
from napari_cellseg.core.agreement.report.curve import curve_svg
from napari_cellseg.core.agreement.report.gallery import ERRORS_A_KIND, OVERVIEWS
from napari_cellseg.core.agreement.report.pictures import (
    CROP_SIDE,
    LABELS,
    OVERVIEW_SIDE,
    REFERENCE,
    TINTS,
    Views,
    draw_error,
    draw_plane,
    window,
)
from napari_cellseg.core.agreement.tally import METRICS
from napari_cellseg.core.arrays import Image
from napari_cellseg.core.errors import DataError, ImageError
from napari_cellseg.core.progress import finish
from napari_cellseg.core.workflows.agreement import compare_labels, make_report


class Page(HTMLParser):
    """Collects tags, and complains about what is not closed."""

    VOID = ("meta", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def pair(name="field", n=1, image=True, missing=1):
    """Return n rows of 10 squares of growing size; of each row `missing` are not found."""
    labels, reference = np.zeros((2, 24 * n, 240), np.int32)
    for row in range(n):
        for k in range(10):
            side = 4 + k
            box = slice(24 * row + 3, 24 * row + 3 + side), slice(24 * k + 3, 24 * k + 3 + side)
            reference[box] = 10 * row + k + 1
            labels[box] = 10 * row + k + 1 if k >= missing else 0
    shown = Image(reference * 100 + 7, "YX", name=name) if image else None
    return ArrayPair(name, labels, reference, shown)


def test_page_is_whole_and_loads_nothing():
    report = finish(make_report([pair("a", 2), pair("b", missing=0)], labels="x", reference="y"))
    page = Page(report.html())
    sources = [attrs["src"] for tag, attrs in page.tags if "src" in attrs]
    assert len(sources) == 2 + 2  # two missed objects, two images
    for source in sources:
        assert source.startswith("data:image/png;base64,")
        Pillow.open(io.BytesIO(base64.b64decode(source.split(",")[1]))).verify()
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "a"}
    assert not any(name in attrs for _, attrs in page.tags for name in ("href", "onload", "srcset"))
    assert "url(" not in report.html()
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
    for part in ("x compared with y", "Missed: 2 of 2", "AP at IoU 0.5", "seed 0", "rough"):
        assert part in page.text
    assert "0.950 [0.900, 1.000]" in page.text


def test_names_are_escaped():
    bad = '<script>alert("&")</script>'
    html = finish(
        make_report([pair(bad), pair("b")], labels=bad, reference=bad, skipped={bad: bad})
    ).html()
    assert "<script" not in html
    assert bad in Page(html).text


def test_gallery_keeps_the_worst_of_all_images():
    pairs = [pair(f"image {n}", 2, missing=n) for n in (2, 4, 6, 3, 5)]
    gallery = finish(make_report(pairs)).gallery
    missed = gallery.errors[ErrorKind.MISSED]
    assert len(missed) == ERRORS_A_KIND
    sizes = [one.error.pixels for one in missed]
    assert max(sizes) == 81
    assert {one.name for one in missed} <= {"image 4", "image 5", "image 6"}
    severity = [one.error.severity for one in missed]
    assert severity == sorted(severity, reverse=True)
    assert [one.name for one in gallery.planes] == [f"image {n}" for n in (6, 5, 4, 3)]
    assert len(gallery.planes) == OVERVIEWS


def test_bad_pairs_are_left_out_and_named():
    bad = ArrayPair("odd", np.zeros((3, 3), int), np.zeros((4, 4), int))
    steps, report = [], None
    run = make_report([bad, pair()], skipped={"c.tif": "It is alone."})
    while report is None:
        try:
            steps.append(next(run))
        except StopIteration as stop:
            report = stop.value
    assert len(report.result.images) == 1
    assert list(report.result.skipped) == ["c.tif", "odd"]
    assert any("odd" in step.message for step in steps)
    assert "(3, 3)" in report.html()
    with pytest.raises(DataError, match="odd"):
        finish(make_report([bad]))
    with pytest.raises(DataError, match="nothing to compare"):
        finish(make_report([]))


def test_an_image_that_does_not_fit_is_refused():
    other = Image(np.zeros((5, 5)), "YX", name="other")
    labels = np.zeros((4, 4), int)
    with pytest.raises(ImageError, match="other"):
        finish(make_report([ArrayPair("x", labels, labels, other)]))


def test_stack_with_image_of_one_dimension_more():
    one = pair()
    labels = np.stack([one.reference, one.labels])
    reference = np.stack([one.reference] * 2)
    pixels = np.stack([one.reference, one.reference * 3])[None].astype(float)
    pixels[0, 0, 0, 0] = np.nan
    stack = ArrayPair("stack", labels, reference, Image(pixels, "TZYX"))
    report = finish(make_report([stack], keep_maps=True))
    assert report.result.images[0].error_map.shape == (2, 24, 240)
    assert [one.plane for one in report.gallery.planes] == [(1,)]
    assert "stack, slice 1" in report.html()


def test_errors_are_drawn_with_both_outlines():
    labels, reference = np.zeros((2, 60, 60), np.int32)
    reference[20:30, 20:30], labels[22:32, 22:32] = 5, 6
    reference[50:, 50:] = 7
    found = finish(compare_labels(ArrayPair("x", labels, reference)))
    poor = next(one for one in found.errors if one.kind == ErrorKind.POOR_OUTLINE)
    picture = draw_error(poor, Views(labels, reference))
    times = CROP_SIDE // 36
    y0, x0, _, _ = window(poor.box, (60, 60))
    assert picture.shape == (36 * times, 36 * times, 3)
    corner = picture[(20 - y0) * times, (20 - x0) * times]
    assert tuple(corner) == REFERENCE
    bottom = picture[(32 - y0) * times - 1, (22 - x0) * times : (32 - x0) * times]
    blue = (bottom == LABELS).all(axis=1)
    assert 0.3 < blue.mean() < 0.7  # dashed
    inside = picture[(26 - y0) * times, (26 - x0) * times]
    assert tuple(inside) == (110, 110, 110)  # in both objects


def test_large_and_small_windows_lie_in_the_image():
    assert window((0, 0, 1, 1), (100, 100)) == (0, 0, 36, 36)
    assert window((99, 50, 100, 51), (100, 100)) == (64, 32, 100, 68)
    assert window((10, 10, 12, 12), (20, 90)) == (0, 0, 20, 36)
    labels = np.ones((1000, 300), np.int32)
    found = finish(compare_labels(ArrayPair("x", labels, labels * 0)))
    picture = draw_error(found.errors[0], Views(labels, labels * 0))
    assert max(picture.shape) <= CROP_SIDE


def test_planes_are_reduced_without_losing_small_errors():
    labels = np.zeros((2000, 1500), np.int32)
    labels[1001, 777] = 1
    found = finish(compare_labels(ArrayPair("x", labels, labels * 0)))
    image = Image(np.full((3, 2000, 1500), 9, np.uint16), "CYX")
    picture = draw_plane(Views(labels, labels * 0, image), found.error_map, ())
    assert max(picture.shape) <= OVERVIEW_SIDE
    tinted = picture[1001 // 3, 777 // 3].astype(float)
    np.testing.assert_allclose(tinted, 0.65 * np.array(TINTS[ErrorKind.EXTRA]), atol=1)
    assert np.count_nonzero(picture.any(axis=2)) == 1


def test_colour_images_stay_in_colour():
    pixels = np.zeros((30, 30, 3), np.uint8)
    pixels[:, 15:, 0] = 200
    one = np.zeros((30, 30), np.int32)
    views = Views(one, one, Image(pixels, "YXC", rgb=True))
    part = views.part((), np.arange(30)[:, None], np.arange(30)[None])
    assert part[3, 20].tolist() == [255, 0, 0]


def test_curve_is_svg_with_every_value():
    scores = {name: Interval(0.5, 0.4, 0.6) for name in METRICS}
    tree = ET.fromstring(curve_svg(scores))
    titles = [one.text for one in tree.iter() if one.tag.endswith("title")]
    assert len(titles) == 20
    assert "AP at IoU 0.5: 0.500 [0.400, 0.600]" in titles
    assert len([one for one in tree.iter() if one.tag.endswith("polygon")]) == 2
    bare = ET.fromstring(curve_svg({name: Interval(0.5) for name in METRICS}))
    assert not [one for one in bare.iter() if one.tag.endswith("polygon")]


def test_tables():
    report = finish(make_report([pair("a", 2), pair("b", missing=0)], settings=ErrorSettings()))
    result = report.result
    rows = result.to_csv().splitlines()
    assert rows[0].startswith("name,n_reference,n_labels,n_missed")
    assert rows[1].startswith("a,20,18,2,0,0,0,0,")
    errors = result.errors_csv().splitlines()
    assert errors[0].split(",")[:4] == ["name", "error", "plane", "reference_ids"]
    assert [line.split(",")[:2] for line in errors[1:]] == [["a", "missed"]] * 2
    assert result.as_dict()["errors"]["missed"] == 2
    assert result.pooled["ap50"].value == pytest.approx(28 / 30)
    assert re.search(r"AP at IoU 0.5 +0.950 \[0.900, 1.000\]", result.text())
