"""A scatter plot of score against time as an SVG drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 760, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 730, 30, 400
_LINE = 15  # px from one label to the next
_LETTER = 7  # px, about the width of a letter
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


class Point(NamedTuple):
    """A model with its seconds per megapixel and its score."""

    name: str
    seconds: float
    score: float


def scatter_svg(points: Sequence[Point], x_title: str, y_title: str) -> str:
    """Draw scores against times; the axis of time is logarithmic.

    The labels stand beside their points, moved down where they would cover another label.
    """
    ticks = _time_ticks([one.seconds for one in points])
    low, high = _score_limits([one.score for one in points])

    def x(seconds: float) -> float:
        share = math.log(seconds / ticks[0]) / math.log(ticks[-1] / ticks[0])
        return _LEFT + share * (_RIGHT - _LEFT)

    def y(score: float) -> float:
        return _BOTTOM - (score - low) / (high - low) * (_BOTTOM - _TOP)

    lines = _frame(x_title, y_title)
    for tick in ticks:
        lines.append(_grid(x(tick), _TOP, x(tick), _BOTTOM))
        lines.append(_text(x(tick), _BOTTOM + 18, f"{tick:g}", "middle"))
    for tenth in range(round(low * 10), round(high * 10) + 1):
        lines.append(_grid(_LEFT, y(tenth / 10), _RIGHT, y(tenth / 10)))
        lines.append(_text(_LEFT - 8, y(tenth / 10) + 4, f"{tenth / 10:.1f}", "end"))
    taken: list[tuple[float, float, float]] = []
    for number, point in enumerate(sorted(points, key=lambda one: -one.score)):
        colour = _COLOURS[number % len(_COLOURS)]
        at = x(point.seconds), y(point.score)
        lines.append(
            f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="5" fill="{colour}">'
            f"<title>{escape(point.name)}: {point.score:.3f}, {point.seconds:.3g} s</title>"
            "</circle>"
        )
        lines.append(_label(point.name, at, colour, taken))
    return "\n".join([*lines, "</svg>", ""])


def _time_ticks(values: Sequence[float]) -> list[float]:
    """Return the numbers 1, 2, 5 × 10ⁿ from below the least to above the greatest value."""
    least, greatest = min(values, default=1.0) / 1.2, max(values, default=1.0) * 1.2
    decades = range(math.floor(math.log10(least)), math.ceil(math.log10(greatest)) + 1)
    steps = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    first = max(i for i, step in enumerate(steps) if step <= least)
    last = min(i for i, step in enumerate(steps) if step >= greatest)
    return steps[first : last + 1]


def _score_limits(values: Sequence[float]) -> tuple[float, float]:
    low = math.floor(min(values, default=0.0) * 10) / 10
    high = math.ceil(max(values, default=1.0) * 10) / 10
    return (low, high) if high > low else (max(0.0, low - 0.1), min(1.0, high + 0.1))


def _frame(x_title: str, y_title: str) -> list[str]:
    middle = (_TOP + _BOTTOM) / 2
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text((_LEFT + _RIGHT) / 2, HEIGHT - 18, x_title, "middle"),
        f'<g transform="rotate(-90 22 {middle})">{_text(22, middle, y_title, "middle")}</g>',
    ]


def _grid(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#333") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">'
        f"{escape(text)}</text>"
    )


def _label(
    name: str, at: tuple[float, float], colour: str, taken: list[tuple[float, float, float]]
) -> str:
    """Write a name right of its point, or left where the edge is near, and below what is there."""
    width = _LETTER * len(name)
    fits = at[0] + 10 + width <= WIDTH
    start = at[0] + 10 if fits else at[0] - 10 - width
    y = at[1] + 4
    while any(a < start + width and start < b and abs(y - other) < _LINE for a, b, other in taken):
        y += _LINE
    taken.append((start, start + width, y))
    return _text(at[0] + (10 if fits else -10), y, name, "start" if fits else "end", colour)
