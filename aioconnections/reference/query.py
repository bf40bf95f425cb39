"""A query string as a servlet container reads it: percent-encoded UTF-8, with ``+`` for a blank."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

__all__ = ["Parameters", "parse_query"]

Parameters: TypeAlias = dict[str, list[str]]
"""Every value of each name, in the order in which they came."""

_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})|[^!-~]")


def parse_query(query: bytes) -> Parameters | None:
    """The parameters of `query`; None if it has a broken escape, a byte that no URL has, or is not UTF-8."""
    if _BROKEN.search(query):
        return None
    parameters: Parameters = {}
    try:
        for part in query.split(b"&"):
            name, _, value = part.partition(b"=")
            parameters.setdefault(_name(name), []).append(_decoded(value))
    except UnicodeDecodeError:
        return None
    return parameters


def _decoded(text: bytes) -> str:
    if b"+" in text:
        text = text.replace(b"+", b" ")
    return (unquote_to_bytes(text) if b"%" in text else text).decode()


_name = lru_cache(256)(_decoded)  # the same few in every request
