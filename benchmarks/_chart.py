"""A bar chart as SVG with a logarithmic scale: one bar per name, shorter is better."""

from __future__ import annotations

from collections.abc import Container, Mapping
from math import log10
from xml.sax.saxutils import escape

__all__ = ["chart"]

_WIDTH, _ROW, _TOP = 720, 30, 44
_CHARACTER = 7.5  # width of a character in a label


def chart(title: str, values: Mapping[str, float], ours: Container[str]) -> str:
    """The chart as SVG, with bars from top to bottom; those named in `ours` are highlighted."""
    labels = max(map(len, values)) * _CHARACTER + 30
    floor = 10 ** int(log10(min(values.values())))
    scale = (_WIDTH - labels - 90) / log10(max(values.values()) / floor)
    height = _TOP + _ROW * len(values) + 12
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif" font-size="14">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="26" font-weight="600" fill="#222222">{escape(title)}</text>',
    ]
    for row, (name, value) in enumerate(values.items()):
        y = _TOP + _ROW * row
        length = max(2.0, scale * log10(value / floor))
        colour = "#0b6e4f" if name in ours else "#b8c4bb"
        parts.append(f'<text x="{labels - 10:.0f}" y="{y + 19}" text-anchor="end" fill="#222222">{escape(name)}</text>')
        parts.append(f'<rect x="{labels:.0f}" y="{y + 4}" width="{length:.0f}" height="{_ROW - 9}" fill="{colour}"/>')
        parts.append(f'<text x="{labels + length + 8:.0f}" y="{y + 19}" fill="#222222">{value:,.0f}</text>')
    return "\n".join([*parts, "</svg>", ""])
