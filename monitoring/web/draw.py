"""Pictures as SVG, drawn on the server: strips of days, sparklines, charts of a trend, and the lineage.

Every picture has a text for screen readers, and none says anything by colour alone. Colours are CSS classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta

from markupsafe import Markup, escape

from ingestion.printable import shown
from monitoring.findings import Level
from monitoring.lineage import Graph, Node
from monitoring.run_views import StripDay

_CELL, _HEIGHT = 6, 18
_HEIGHTS = {Level.OK: 8, Level.UNKNOWN: 5, Level.WARNING: 13, Level.CRITICAL: 18}
"""A cell is the higher the worse its day was, so that a strip can be read without colours."""


def strip(days: Sequence[StripDay], last: date, length: int) -> Markup:
    """Draw a cell for each of the `length` days that end with `last`; a day without a check is a dot."""
    found = {day.day: _level(day) for day in days}
    paths: dict[str, list[str]] = {}
    for index in range(length):
        level = found.get(last - timedelta(days=length - 1 - index))
        high = 2 if level is None else _HEIGHTS[level]
        name = "none" if level is None else level.label.lower()
        paths.setdefault(name, []).append(f"M{index * _CELL} {_HEIGHT - high}h4v{high}h-4z")
    drawn = "".join(f'<path class="s-{name}" d="{"".join(cells)}"/>' for name, cells in sorted(paths.items()))
    size = f'width="{length * _CELL}" height="{_HEIGHT}" viewBox="0 0 {length * _CELL} {_HEIGHT}"'
    return _svg(size, "strip", _counts(found, length), drawn)


_DAY = 18
_SIDES = {Level.OK: 7, Level.UNKNOWN: 4, Level.WARNING: 10, Level.CRITICAL: 14}
"""A day's square is the larger the worse the day was."""


def calendar(days: Sequence[StripDay], last: date, length: int) -> Markup:
    """Draw a square for each of the `length` days that end with `last`: a column per week, Monday on top."""
    found = {day.day: _level(day) for day in days}
    first = last - timedelta(days=length - 1)
    monday = first - timedelta(days=first.weekday())
    drawn, left, top = [], 34, 18
    for each in (first + timedelta(days=back) for back in range(length)):
        level = found.get(each)
        side, name = (2, "none") if level is None else (_SIDES[level], level.label.lower())
        x = left + (each - monday).days // 7 * _DAY + (_DAY - side) / 2
        y = top + each.weekday() * _DAY + (_DAY - side) / 2
        told = f"{each} {'not checked' if level is None else level.label}"
        drawn.append(
            f'<rect class="s-{name}" x="{x:g}" y="{y:g}" width="{side}" height="{side}"><title>{told}</title></rect>'
        )
        if each.day == 1:
            drawn.append(f'<text class="axis" x="{x - (_DAY - side) / 2:g}" y="11">{each:%b}</text>')
    drawn += [f'<text class="axis" x="0" y="{top + row * _DAY + 13}">{name}</text>' for row, name in _WEEKDAYS.items()]
    width, height = left + ((last - monday).days // 7 + 1) * _DAY, top + 7 * _DAY
    return _svg(
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"',
        "calendar",
        _counts(found, length),
        "".join(drawn),
    )


_WEEKDAYS = {0: "Mon", 2: "Wed", 4: "Fri", 6: "Sun"}


def _counts(found: Mapping[date, Level], length: int) -> str:
    """Return how many of the last `length` days had each level, for screen readers."""
    counts = [f"{sum(of is level for of in found.values())} {level.label}" for level in Level]
    return f"Last {length} days: {', '.join(text for text in counts if not text.startswith('0 ')) or 'none checked'}"


def _level(day: StripDay) -> Level:
    """Return the worst of a day's checks and loads; UNKNOWN if it was only loaded."""
    if day.failed_loads and day.failed_loads == day.loads:
        return Level.CRITICAL
    worst = Level.UNKNOWN if day.worst is None else Level(day.worst)
    return max(worst, Level.WARNING) if day.failed_loads else worst


def spark(values: Sequence[float | None], told: str) -> Markup:
    """Draw a line through the values, scaled to its own range; None interrupts it."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return Markup("")
    low, high = min(known), max(known)
    width, height = 96, 24
    step = width / (len(values) - 1)

    def y(value: float) -> float:
        return height - 2 - (height - 4) * ((value - low) / (high - low) if high > low else 0.5)

    drawn = f'<path class="line" d="{_line(values, lambda index: index * step, y)}"/>'
    return _svg(f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"', "spark", told, drawn)


def _line(values: Sequence[float | None], x: Callable[[int], float], y: Callable[[float], float]) -> str:
    parts, is_up = [], True
    for index, value in enumerate(values):
        if value is not None:
            parts.append(f"{'M' if is_up else 'L'}{x(index):.1f} {y(value):.1f}")
        is_up = value is None
    return "".join(parts)


def trend(series: Mapping[str, Sequence[float | None]], days: Sequence[date], told: str, *, unit: str = "") -> Markup:
    """Draw up to six named series over days or moments, from zero up; the ranges of both are written on it."""
    width, height, left, bottom, top = 720, 220, 56, 26, 12
    known = [value for values in series.values() for value in values if value is not None]
    if not known or len(days) < 2:
        return Markup('<p class="empty">Not measured on two days yet.</p>')
    high, low = max(known), min(0.0, *known)
    span = (high - low) or 1.0
    step = (width - left - 12) / (len(days) - 1)
    spelling = "%H:%M" if isinstance(days[0], datetime) and days[-1] - days[0] < timedelta(days=1) else "%d %b"

    def x(index: int) -> float:
        return left + index * step

    def y(value: float) -> float:
        return top + (height - top - bottom) * (1 - (value - low) / span)

    marks = "".join(
        f'<line class="grid" x1="{left}" x2="{width - 12}" y1="{y(at):.1f}" y2="{y(at):.1f}"/>'
        f'<text class="axis" x="{left - 8}" y="{y(at) + 4:.1f}" text-anchor="end">{short(at)}{unit}</text>'
        for at in (low, low + span / 2, low + span)
    )
    marks += "".join(
        f'<text class="axis" x="{x(index):.1f}" y="{height - 8}" text-anchor="{anchor}">{days[index]:{spelling}}</text>'
        for index, anchor in ((0, "start"), (len(days) - 1, "end"))
    )
    lines = "".join(_one(name, values, index, x, y) for index, (name, values) in enumerate(series.items()))
    chart = _svg(f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"', "trend", told, marks + lines)
    keys = Markup("").join(Markup('<li class="l{}">{}</li>').format(index, name) for index, name in enumerate(series))
    return Markup('<figure>{}<ul class="keys">{}</ul></figure>').format(chart, keys)


def _one(
    name: str, values: Sequence[float | None], of: int, x: Callable[[int], float], y: Callable[[float], float]
) -> str:
    line = f'<path class="line l{of}" d="{_line(values, x, y)}"><title>{_text(name)}</title></path>'
    return line + _ends(values, x, y, of)


def _ends(values: Sequence[float | None], x: Callable[[int], float], y: Callable[[float], float], of: int) -> str:
    """Draw a dot at each value that has no neighbour, which no line would show."""
    padded = [None, *values, None]
    alone = [
        (index, value)
        for index, value in enumerate(values)
        if value is not None and padded[index] is None and padded[index + 2] is None
    ]
    return "".join(f'<circle class="l{of}" cx="{x(index):.1f}" cy="{y(value):.1f}" r="2.5"/>' for index, value in alone)


def short(value: float) -> str:
    """Return a number in few characters, e.g. 1.2k."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


_BOX, _ROW, _GAP = 138, 46, 32


def lineage(graph: Graph, levels: Mapping[str, Level], focus: str | None, url: Callable[[Node], str]) -> Markup:
    """Draw a graph in columns from left to right; each node is a link. `levels` are by contract's id or model."""
    columns = graph.columns()
    tallest = max((len(column) for column in columns), default=0)
    width, height = len(columns) * (_BOX + _GAP) - _GAP + 12, tallest * _ROW + 30
    places = {
        node.id: (4 + at * (_BOX + _GAP), 26 + (tallest - len(column)) * _ROW / 2 + row * _ROW)
        for at, column in enumerate(columns)
        for row, node in enumerate(column)
    }
    edges = "".join(_edge(places[a], places[b]) for a, b in sorted(graph.edges))
    boxes = "".join(
        _box(node, places[node.id], levels.get(node.name), node.id == focus, url(node))
        for column in columns
        for node in column
    )
    size = f'viewBox="0 0 {width} {height:.0f}" width="{width}" height="{height:.0f}"'
    told = f"{len(graph.nodes)} steps of the data and {len(graph.edges)} ways between them"
    return _svg(size, "lineage", told, edges + boxes, is_group=True)


def _edge(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1, x2, y2 = start[0] + _BOX, start[1] + 17, end[0], end[1] + 17
    bend = max((x2 - x1) / 2, 20)
    curve = f"C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
    return f'<path class="edge" d="M{x1:.0f} {y1:.0f}{curve}"/>'


def _fitting(name: str, width: int) -> str:
    """Return a name, cut to about so many pixels in the bold 12-pixel font of the boxes."""
    room = float(width)
    for at, character in enumerate(name):
        room -= 8.8 if character.isupper() else 7.2
        if room < 0:
            return f"{name[: at - 1]}…"
    return name


def _box(node: Node, place: tuple[float, float], level: Level | None, is_focus: bool, url: str) -> str:
    x, y = place
    state = "" if level is None else f" n-{level.label.lower()}"
    told = f"{node.kind} {node.name}{'' if level is None else ', ' + level.label}"
    name = _fitting(node.name, _BOX - 20)
    mark = (
        ""
        if level is None or level is Level.OK
        else f'<text class="mark" x="{x + _BOX - 8:.0f}" y="{y + 14:.0f}" text-anchor="end">{MARKS[level]}</text>'
    )
    return (
        f'<a href="{_text(url)}" class="node k-{node.kind}{state}{" focus" if is_focus else ""}">'
        f"<title>{_text(told)}</title>"
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{_BOX}" height="34" rx="6"/>'
        f'<text class="kind" x="{x + 10:.0f}" y="{y + 13:.0f}">{node.kind}</text>'
        f'<text class="name" x="{x + 10:.0f}" y="{y + 27:.0f}">{_text(name)}</text>{mark}</a>'
    )


MARKS = {Level.OK: "●", Level.UNKNOWN: "?", Level.WARNING: "▲", Level.CRITICAL: "■"}
"""The sign of each level, so that colour is never alone."""


def _text(of_data: str) -> Markup:
    return escape(shown(of_data))


def _svg(size: str, name: str, told: str, drawn: str, *, is_group: bool = False) -> Markup:
    role = "group" if is_group else "img"
    return Markup(f'<svg class="{name}" role="{role}" aria-label="{_text(told)}" {size}>{drawn}</svg>')  # noqa: S704
