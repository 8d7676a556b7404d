"""Plots as inline SVG, for pages that load nothing and run nothing; the styles are in `STYLE`.

Two kinds of plot on a page without a script are less than a plotting library brings along; each value can be read as
the title of its mark, and stands in a table beside.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

STYLE = """
.plot { display: block; max-width: 100%; height: auto; margin: .5rem 0 1rem; font-size: 12px }
.plot text { fill: currentColor } .plot .axis { stroke: #8888 } .plot .grid { stroke: #8883 }
.plot .a { fill: #2563eb; stroke: #2563eb } .plot .b { fill: #d97706; stroke: #d97706 }
.plot .c { fill: #8888; stroke: #8888 } .plot polyline[class] { fill: none; stroke-width: 2 }
"""

_WIDTH, _HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 36, 28, 40
_KINDS = ("a", "b", "c")


@dataclass(frozen=True, slots=True)
class Point:
    """A named point of a scatter plot."""

    name: str
    x: float
    y: float
    minor: bool = False
    """Whether it is one of many: small, and its name is only the title of its mark."""


@dataclass(frozen=True, slots=True)
class Series:
    """A value for each day, or None where there is none."""

    name: str
    values: Sequence[float | None]


def scatter(points: Sequence[Point], *, title: str, x: str, y: str) -> str:
    """Returns a scatter plot whose axes begin at 0; `y` is a share, in [0, 1].

    Args:
        points: The points.
        title: Name of the plot for those who do not see it.
        x: Label of the horizontal axis.
        y: Label of the vertical axis.
    """
    across = _ticks(max((point.x for point in points), default=0.0))
    to_x, to_y = _scales(across[-1], 1.0)
    parts = [_grid([0.0, 0.25, 0.5, 0.75, 1.0], to_y, lambda share: f"{share:.0%}")]
    parts += [_text(to_x(tick), _HEIGHT - _BOTTOM + 16, _figure(tick), "middle") for tick in across]
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, x, "middle"))
    parts.append(_text(4, 12, y, "start"))
    for point in sorted(points, key=lambda point: not point.minor):
        at, up = to_x(point.x), to_y(point.y)
        told = escape(f"{point.name}: {_figure(point.x)} {x}, {point.y:.0%} {y}")
        kind, size = ("c", 4) if point.minor else ("a", 7)
        parts.append(
            f'<circle class="{kind}" cx="{at:.1f}" cy="{up:.1f}" r="{size}"><title>{told}</title></circle>'
        )
        if not point.minor:
            right = at > _WIDTH * 0.6
            beside = at - 12 if right else at + 12
            parts.append(_text(beside, max(up, _TOP) + 4, point.name, "end" if right else "start"))
    return _svg(title, parts)


def by_day(days: Sequence[str], series: Sequence[Series], *, title: str, unit: str) -> str:
    """Returns a line for each series over the days, which are at even distances; a gap where a value is missing.

    Args:
        days: The days in order, as `2026-03-01`.
        series: At most three.
        title: Name of the plot, above it.
        unit: Unit of the values.
    """
    most = max((value for one in series for value in one.values if value is not None), default=0.0)
    upwards = _ticks(most)
    to_x, to_y = _scales(max(len(days) - 1, 1), upwards[-1])
    parts = [_grid(upwards, to_y, _figure)]
    step = max(1, math.ceil(len(days) / 8))
    parts += [
        _text(to_x(place), _HEIGHT - _BOTTOM + 16, days[place], "middle")
        for place in range(0, len(days), step)
    ]
    parts.append(_text(4, 12, unit, "start"))
    for place, (kind, one) in enumerate(zip(_KINDS, series, strict=False)):
        at = _LEFT + 60 + 150 * place
        parts.append(f'<rect class="{kind}" x="{at}" y="4" width="10" height="10"/>')
        parts.append(_text(at + 16, 13, one.name, "start"))
        for run in _runs(one.values):
            line = " ".join(f"{to_x(day):.1f},{to_y(value):.1f}" for day, value in run)
            parts.append(f'<polyline class="{kind}" points="{line}"/>')
            parts += [
                f'<circle class="{kind}" cx="{to_x(day):.1f}" cy="{to_y(value):.1f}" r="3">'
                f"<title>{escape(f'{days[day]}: {one.name} {_figure(value)} {unit}')}</title></circle>"
                for day, value in run
            ]
    return f"<h3>{escape(title)}</h3>{_svg(title, parts)}"


def _runs(values: Sequence[float | None]) -> Iterator[list[tuple[int, float]]]:
    """Yields the stretches of days that have a value."""
    run: list[tuple[int, float]] = []
    for day, value in enumerate(values):
        if value is not None:
            run.append((day, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _scales(most_x: float, most_y: float) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """Returns functions that give the place of a value across and upwards."""
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    return (lambda value: _LEFT + width * value / most_x), (
        lambda value: _HEIGHT - _BOTTOM - height * value / most_y
    )


def _ticks(most: float) -> list[float]:
    """Returns three to six round values from 0 to at least `most`."""
    if not 0 < most < math.inf:
        return [0.0, 1.0]
    power = 10 ** math.floor(math.log10(most / 4))
    step = next(step * power for step in (1, 2, 5, 10) if step * power * 5 >= most)
    return [round(step * place, 12) for place in range(math.ceil(most / step - 1e-9) + 1)]


def _grid(ticks: Sequence[float], to_y: Callable[[float], float], told: Callable[[float], str]) -> str:
    lines = "".join(
        f'<line class="{"axis" if tick == 0 else "grid"}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{to_y(tick):.1f}" '
        f'y2="{to_y(tick):.1f}"/>'
        for tick in ticks
    )
    return lines + "".join(_text(_LEFT - 6, to_y(tick) + 4, told(tick), "end") for tick in ticks)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _figure(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _svg(title: str, parts: Iterable[str]) -> str:
    return (
        f'<svg class="plot" role="img" aria-label="{escape(title)}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}">{"".join(parts)}</svg>'
    )
