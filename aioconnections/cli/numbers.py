"""Numbers on the command line. What is wrong with one is said in the words of the command line, not of the library."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from cyclopts import Parameter, Token

__all__ = ["AGE", "COUNT", "END", "PATIENCE", "PAUSE", "RATE", "Seconds"]

Seconds: TypeAlias = float | Literal["none"]


def _number(text: str, *, least: float, above: bool = False) -> float | None:
    """The finite number that a text is, if it is at least `least` or, with `above`, more than that; else None."""
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


def _or_none(text: str, *, above: bool) -> Seconds | None:
    return "none" if text == "none" else _number(text, least=0, above=above)


_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)", re.ASCII)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _age(text: str) -> float | None:
    """Seconds, of a number with or without a unit."""
    found = _AGE.fullmatch(text)
    seconds = float(found[1]) * _UNITS[found[2]] if found else math.inf
    return seconds if math.isfinite(seconds) else None


def _option(read: Callable[[str], Seconds | None], must: str) -> Parameter:
    """An option whose value `read` reads; None: it cannot be one."""

    def convert(kind: object, tokens: Sequence[Token]) -> Seconds:
        del kind
        value = read(tokens[0].value.strip())
        if value is None:
            raise ValueError(f"it must be {must}.")
        return value

    return Parameter(converter=convert)


AGE: Parameter = _option(_age, "a number of seconds, or one with the unit s, m, h or d, such as 90m")
COUNT: Parameter = _option(_count, "a whole number, at least 1")
RATE: Parameter = _option(lambda text: _number(text, least=0), "a positive number, or 0 for no limit")
PAUSE: Parameter = _option(lambda text: _number(text, least=0), "a number of seconds, 0 or more")
PATIENCE: Parameter = _option(
    lambda text: _or_none(text, above=False), "a number of seconds, 0 or more, or none for no end"
)
END: Parameter = _option(lambda text: _or_none(text, above=True), "a positive number of seconds, or none for no end")
