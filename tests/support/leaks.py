"""Inspects values that must not reveal a secret."""

from __future__ import annotations

import copy
import pickle
from typing import Any

__all__ = ["leaks"]


def leaks(value: object) -> list[str]:
    """Texts from all ways of inspecting a value, errors included."""
    found: list[str] = []
    ways: list[Any] = [
        repr,
        str,
        format,
        vars,
        copy.copy,
        copy.deepcopy,
        pickle.dumps,
        lambda it: it.__reduce_ex__(4),
        lambda it: it.__getstate__(),
        lambda it: [getattr(it, name) for name in dir(it) if not name.startswith("__")],
    ]
    for look in ways:
        try:
            found.append(repr(look(value)))
        except (TypeError, AttributeError) as error:
            found.append(str(error))
    return found
