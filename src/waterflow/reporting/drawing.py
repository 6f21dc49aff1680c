"""Two small pictures as SVG: intervals around zero, and a histogram. They need no library and stay sharp."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTH, LABELS, LINE = 720, 200, 28
GREY, PALE = "#9aa5ad", "#e3e7ea"


@dataclass(frozen=True)
class Mark:
    """A value with its interval, on a line of its own."""

    label: str
    value: float
    low: float
    high: float
    colour: str


def draw_intervals(marks: Sequence[Mark], worthwhile: float, sides: tuple[str, str]) -> str:
    """Draw marks around zero; `worthwhile` is a dashed line, `sides` say what left and right of zero mean."""
    ends = [end for mark in marks for end in (mark.low, mark.high)] + [0.0, worthwhile]
    low, high = min(ends), max(ends)
    room = (high - low) * 0.08 or 1.0
    left, right = LABELS, WIDTH - 20
    scale = (right - left) / (high - low + 2 * room)

    def place(value: float) -> float:
        return left + (value - low + room) * scale

    bottom = 30 + LINE * len(marks)
    parts = [_line(place(0), 22, place(0), bottom, GREY)]
    parts += [_text(place(0) - 8, 14, f"← {sides[0]}", "end"), _text(place(0) + 8, 14, f"{sides[1]} →", "start")]
    if worthwhile:
        parts.append(_line(place(worthwhile), 22, place(worthwhile), bottom, GREY, dashed=True))
        parts.append(_text(place(worthwhile), bottom + 30, "min_gain", "middle"))
    for position, mark in enumerate(marks):
        height = 22 + LINE * (position + 0.5)
        parts.append(_text(left - 12, height + 4, _short(mark.label), "end"))
        parts.append(_line(place(mark.low), height, place(mark.high), height, mark.colour, width=3))
        parts.append(f'<circle cx="{place(mark.value):.1f}" cy="{height:.1f}" r="5" fill="{mark.colour}"/>')
    ticks = _ticks(low - room, high + room)
    parts.append(_line(left, bottom, right, bottom, PALE))
    parts += [_text(place(tick), bottom + 16, f"{tick:.4g}", "middle") for tick in ticks]
    return _svg(WIDTH, bottom + 36, parts, "difference with its interval")


def draw_histogram(counts: NDArray[np.int_], edges: NDArray[np.float64], highest: int) -> str:
    """Draw counts between `edges`, shape (bins + 1,), to the scale of the `highest` count of all pictures."""
    width, height, left = 340, 180, 10
    step = (width - 2 * left) / len(counts)
    bars = [
        f'<rect x="{left + step * place:.1f}" y="{height - 160 * count / max(highest, 1):.1f}" '
        f'width="{step - 0.5:.1f}" height="{160 * count / max(highest, 1):.1f}" fill="#1f6f8b"/>'
        for place, count in enumerate(counts)
        if count
    ]
    span = edges[-1] - edges[0]
    ticks = [tick for tick in _ticks(edges[0], edges[-1]) if span]
    labels = [
        _text(left + (tick - edges[0]) / span * (width - 2 * left), height + 16, f"{tick:.4g}", "middle")
        for tick in ticks
    ]
    axis = _line(left, height, width - left, height, GREY)
    return _svg(width, height + 24, [*bars, axis, *labels], "histogram of the residuals")


def _ticks(low: float, high: float) -> list[float]:
    """Choose about five round numbers: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / 5
    if not np.isfinite(rough) or rough <= 0:
        return [low]
    power = 10 ** np.floor(np.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = np.ceil(low / step), np.floor(high / step)
    return [float(number * step) + 0.0 for number in np.arange(first, last + 1)]  # -0 becomes 0


def _short(label: str) -> str:
    return label if len(label) <= 28 else f"{label[:27]}…"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, width: int = 1, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"{dash}/>'


def _text(x: float, y: float, content: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(content)}</text>'


def _svg(width: float, height: float, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img"><title>{title}</title>{"".join(parts)}</svg>'
    )
