"""Decorators by which ``repr`` never raises, even for an object whose ``__init__`` has not run or has not finished.

Debuggers, logs and tracebacks with locals show objects in any state. An error of ``repr`` would take the place of the
one that is looked for.

`define` and `frozen` are those of attrs with a safe ``repr``; `safe_repr` is for methods.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["define", "frozen", "safe_repr"]

SelfT = TypeVar("SelfT")


def safe_repr(method: Callable[[SelfT], str]) -> Callable[[SelfT], str]:
    """A ``__repr__`` that shows the class alone if an attribute is missing."""

    @wraps(method)
    def shown(self: SelfT) -> str:
        try:
            return method(self)
        except AttributeError:
            return f"<{type(self).__qualname__}, incomplete>"

    return shown


if TYPE_CHECKING:
    from attrs import define, frozen
else:
    import attrs

    def _with_safe_repr(make: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(make)
        def decorator(maybe_class: type | None = None, **options: object) -> Any:
            def made(cls: type) -> type:
                cls = make(cls, **options)
                if "__repr__" in vars(cls):
                    cls.__repr__ = safe_repr(cls.__repr__)
                return cls

            return made if maybe_class is None else made(maybe_class)

        return decorator

    define = _with_safe_repr(attrs.define)
    frozen = _with_safe_repr(attrs.frozen)
