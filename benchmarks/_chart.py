"""A bar chart as SVG with a logarithmic scale: one bar per name, shorter is better."""

from __future__ import annotations

from collections.abc import Mapping
from math import log10
from xml.sax.saxutils import escape

__all__ = ["chart"]

_WIDTH, _LABELS, _ROW, _TOP = 720, 190, 30, 44


def chart(values: Mapping[str, float], ours: str) -> str:
    """The chart as SVG; the bar named `ours` is highlighted."""
    floor = 10 ** int(log10(min(values.values())))
    scale = (_WIDTH - _LABELS - 90) / log10(max(values.values()) / floor)
    height = _TOP + _ROW * len(values) + 12
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    title = "CPU microseconds per checked pair, 64 connections (logarithmic; shorter is better)"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif" font-size="14">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="26" font-weight="600" fill="#222222">{title}</text>',
    ]
    for row, (name, value) in enumerate(sorted(values.items(), key=lambda item: item[1])):
        y = _TOP + _ROW * row
        length = max(2.0, scale * log10(value / floor))
        colour = "#0b6e4f" if name == ours else "#b8c4bb"
        parts.append(f'<text x="{_LABELS - 10}" y="{y + 19}" text-anchor="end" fill="#222222">{escape(name)}</text>')
        parts.append(f'<rect x="{_LABELS}" y="{y + 4}" width="{length:.0f}" height="{_ROW - 9}" fill="{colour}"/>')
        parts.append(f'<text x="{_LABELS + length + 8:.0f}" y="{y + 19}" fill="#222222">{value:,.0f}</text>')
    return "\n".join([*parts, "</svg>", ""])
