"""AP and F1 over the IoU that a match must reach, as an SVG drawing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from napari_cellseg.core.agreement.intervals import Interval, Intervals
from napari_cellseg.core.agreement.tally import AP_NAMES, F1_NAMES
from napari_cellseg.core.metrics import THRESHOLDS

WIDTH, HEIGHT = 520, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 500, 16, 262
_SERIES = (("AP", AP_NAMES, "#0072b2", ""), ("F1", F1_NAMES, "#d55e00", "6 3"))


def curve_svg(scores: Intervals) -> str:
    """Draw AP in a full line and F1 in a dashed one, with their intervals as bands."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12" role="img" '
        'aria-label="AP and F1 over the IoU threshold">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *_grid(),
    ]
    for place, (title, names, colour, dash) in enumerate(_SERIES):
        lines += _series(title, [scores[name] for name in names], colour, dash)
        lines += _key(title, colour, dash, place)
    return "\n".join([*lines, "</svg>"])


def _x(threshold: float) -> float:
    share = (threshold - THRESHOLDS[0]) / (THRESHOLDS[-1] - THRESHOLDS[0])
    return _LEFT + share * (_RIGHT - _LEFT)


def _y(score: float) -> float:
    return _BOTTOM - score * (_BOTTOM - _TOP)


def _grid() -> list[str]:
    lines = []
    for score in (0, 0.2, 0.4, 0.6, 0.8, 1):
        lines.append(_line(_LEFT, _y(score), _RIGHT, _y(score)))
        lines.append(_text(_LEFT - 8, _y(score) + 4, f"{score:g}", "end"))
    for threshold in THRESHOLDS[::2]:
        lines.append(_line(_x(threshold), _TOP, _x(threshold), _BOTTOM))
        lines.append(_text(_x(threshold), _BOTTOM + 18, f"{threshold:g}", "middle"))
    middle = (_LEFT + _RIGHT) / 2
    return [*lines, _text(middle, HEIGHT - 16, "IoU that a match must reach", "middle")]


def _series(title: str, values: Sequence[Interval], colour: str, dash: str) -> list[str]:
    places = [_x(threshold) for threshold in THRESHOLDS]
    lines = []
    low = [one.low for one in values if one.low is not None]
    high = [one.high for one in values if one.high is not None]
    if len(low) == len(high) == len(places):
        edge = [*zip(places, high, strict=True), *reversed(list(zip(places, low, strict=True)))]
        lines.append(f'<polygon points="{_points(edge)}" fill="{colour}" fill-opacity="0.18"/>')
    middle = [(x, one.value) for x, one in zip(places, values, strict=True)]
    lines.append(
        f'<polyline points="{_points(middle)}" fill="none" stroke="{colour}" stroke-width="2" '
        f'stroke-dasharray="{dash}"/>'
    )
    for threshold, x, one in zip(THRESHOLDS, places, values, strict=True):
        lines.append(
            f'<circle cx="{x:.1f}" cy="{_y(one.value):.1f}" r="3" fill="{colour}">'
            f"<title>{title} at IoU {threshold:g}: {escape(str(one))}</title></circle>"
        )
    return lines


def _key(title: str, colour: str, dash: str, place: int) -> list[str]:
    y = _TOP + 14 + 18 * place
    return [
        f'<line x1="{_RIGHT - 74}" y1="{y}" x2="{_RIGHT - 40}" y2="{y}" stroke="{colour}" '
        f'stroke-width="2" stroke-dasharray="{dash}"/>',
        _text(_RIGHT - 32, y + 4, title, "start"),
    ]


def _points(corners: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{_y(score):.1f}" for x, score in corners)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#333">{text}</text>'
