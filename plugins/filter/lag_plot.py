# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import html
import json
import time
import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: lag_plot
short_description: Plot the history of a pair's lag as SVG
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Returns an C(svg) element for a page whose style sheet has the classes C(axis), C(grid), C(limit), C(lag), C(dot)
    and C(late).
  - What is beyond the limit is marked by its shape, not by colour alone. Where the lag was not known the line has a
    gap.
positional: _input
options:
  _input:
    description: The text that P(zfsops.zrep.lag_history#filter) returned.
    type: str
    required: true
  pair:
    description: The name of the pair.
    type: str
    required: true
  max_lag:
    description: The limit in seconds, if there is one.
    type: int
"""

EXAMPLES = r"""
- name: Plot it
  ansible.builtin.debug:
    msg: "{{ history | zfsops.zrep.lag_plot('prodfs', 300) }}"
"""

RETURN = r"""
_value:
  description: The element, with everything in it escaped.
  type: str
"""

WIDTH = 640
HEIGHT = 180
LEFT = 64
RIGHT = 16
TOP = 22
BOTTOM = 26
DOTS = 60
"""Beyond so many samples dots would be a line of their own."""

Point = t.Tuple[float, t.Optional[int]]


def lag_plot(text: t.Any, pair: str, max_lag: int | None = None) -> str:
    """The plot of a pair's lag."""
    if not isinstance(text, str):
        raise AnsibleFilterError("lag_plot expects the text that lag_history returned")
    points = _points(text, pair)
    known = [lag for _moment, lag in points if lag is not None]
    if not known:
        return '<p class="none">No lag is known yet.</p>'
    top, step = _scale(max([*known, max_lag or 0]))
    first, last = points[0][0], points[-1][0]

    def x(moment: float) -> float:
        share = (moment - first) / (last - first) if last > first else 1.0
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(lag: float) -> float:
        return round(HEIGHT - BOTTOM - lag / top * (HEIGHT - TOP - BOTTOM), 1)

    title = f"Lag of {pair}: now {_span(points[-1][1])}, at most {_span(max(known))}, {len(points)} samples"
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{_escaped(title)}">',
        f"<title>{_escaped(title)}</title>",
    ]
    parts += _axes(top, step, first, last, x, y)
    if max_lag:
        parts.append(f'<path class="limit" d="M{LEFT} {y(max_lag)}H{WIDTH - RIGHT}"/>')
        label = _escaped(f"max_lag {_span(max_lag)}")
        parts.append(f'<text class="axis" x="{LEFT + 4}" y="{y(max_lag) - 5}">{label}</text>')
    parts += _curve(points, max_lag, x, y)
    parts.append("</svg>")
    return "".join(parts)


def _points(text: str, pair: str) -> list[Point]:
    found = []
    for line in text.splitlines():
        sample = json.loads(line)
        if sample["pair"] == pair:
            found.append((sample["time"], sample["lag"]))
    return sorted(found, key=lambda point: point[0])


def _scale(most: int) -> tuple[int, int]:
    """The end of the axis in seconds, and the distance of its lines."""
    for step in (1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400):
        if most < 4 * step:
            break
    else:
        step = 86400 * max(1, -(-most // (4 * 86400)))
    return step * (most // step + 1), step


def _axes(
    top: int, step: int, first: float, last: float, x: t.Callable[[float], float], y: t.Callable[[float], float]
) -> list[str]:
    parts = []
    for lag in range(0, top + 1, step):
        parts.append(f'<path class="grid" d="M{LEFT} {y(lag)}H{WIDTH - RIGHT}"/>')
        parts.append(
            f'<text class="axis" x="{LEFT - 8}" y="{y(lag) + 4}" text-anchor="end">{_span(lag, exact=True)}</text>'
        )
    pattern = "%H:%M" if last - first < 86400 else "%m-%d %H:%M"
    shown = [(first, "start"), ((first + last) / 2, "middle"), (last, "end")] if last > first else [(last, "end")]
    for moment, anchor in shown:
        text = time.strftime(pattern, time.gmtime(moment)) + (" UTC" if anchor == "end" else "")
        parts.append(f'<text class="axis" x="{x(moment)}" y="{HEIGHT - 6}" text-anchor="{anchor}">{text}</text>')
    return parts


def _curve(
    points: t.Sequence[Point], limit: int | None, x: t.Callable[[float], float], y: t.Callable[[float], float]
) -> list[str]:
    drawn, pen = [], "M"
    marks = []
    for number, (moment, lag) in enumerate(points):
        if lag is None:
            pen = "M"
            continue
        drawn.append(f"{pen}{x(moment)} {y(lag)}")
        pen = "L"
        if limit and lag > limit:
            marks.append(f'<path class="late" d="M{x(moment)} {y(lag) - 5}l5 9h-10z"/>')
        elif len(points) <= DOTS or number == len(points) - 1:
            marks.append(f'<circle class="dot" cx="{x(moment)}" cy="{y(lag)}" r="2.5"/>')
    return ['<path class="lag" d="{}"/>'.format("".join(drawn)), *marks]


def _span(value: int | None, exact: bool = False) -> str:
    """A number of seconds, for people."""
    if value is None:
        return "unknown"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if value >= (size if exact and value % size == 0 else 2 * size):
            return f"{value // size} {unit}"
    return f"{value} s"


def _escaped(text: str) -> str:
    return html.escape(text, quote=True)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"lag_plot": lag_plot}
