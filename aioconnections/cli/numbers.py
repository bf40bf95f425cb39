"""Options whose values are numbers: how they are parsed, and the errors for invalid ones."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from cyclopts import Parameter, Token

__all__ = ["AGE", "COUNT", "END", "OUTAGE", "PAUSE", "PORT", "RATE", "TIMEOUT", "Seconds"]

Seconds: TypeAlias = float | Literal["none"]


def _number(text: str, *, least: float, above: bool = False) -> float | None:
    """Parse a finite number that is at least `least`, or above it if `above` is True; None for other text."""
    try:
        number = float(text)
    except ValueError:
        return None
    passes = number > least if above else number >= least
    return number if passes and math.isfinite(number) else None


def _count(text: str) -> int | None:
    try:
        number = int(text)
    except ValueError:
        return None
    return number if number >= 1 else None


def _port(text: str) -> int | None:
    return int(text) if text.isdecimal() and int(text) <= 65_535 else None


def _or_none(text: str, *, above: bool) -> Seconds | None:
    return "none" if text == "none" else _number(text, least=0, above=above)


_AGE = r"(\d+(?:\.\d+)?)\s*([smhd]?)"  # compiled at its first use, which is not help
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _age(text: str) -> float | None:
    """Parse a number with an optional unit, and return seconds."""
    found = re.fullmatch(_AGE, text, re.ASCII)
    seconds = float(found[1]) * _UNITS[found[2]] if found else math.inf
    return seconds if math.isfinite(seconds) else None


def _option(parse: Callable[[str], Seconds | None], expected: str) -> Parameter:
    """An option whose value `parse` converts; a result of None means that the value is invalid."""

    def convert(kind: object, tokens: Sequence[Token]) -> Seconds:
        del kind
        value = parse(tokens[0].value.strip())
        if value is None:
            raise ValueError(f"it must be {expected}; got {tokens[0].value!r}.")
        return value

    return Parameter(converter=convert)


AGE: Parameter = _option(_age, "a number of seconds, or one with the unit s, m, h or d, such as 90m")
COUNT: Parameter = _option(_count, "a whole number, at least 1")
PORT: Parameter = _option(_port, "a port number, 0 to 65535")
RATE: Parameter = _option(lambda text: _number(text, least=0), "a positive number, or 0 for no limit")
PAUSE: Parameter = _option(lambda text: _number(text, least=0), "a number of seconds, 0 or more")
OUTAGE: Parameter = _option(
    lambda text: _or_none(text, above=False), "a number of seconds, 0 or more, or none for no limit"
)
TIMEOUT: Parameter = _option(lambda text: _number(text, least=0, above=True), "a positive number of seconds")
END: Parameter = _option(lambda text: _or_none(text, above=True), "a positive number of seconds, or none for no limit")
