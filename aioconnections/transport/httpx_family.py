"""httpx, and its successor httpx2, whose classes have the same names and meanings.

The adapters are written for httpx. An object that a caller brings decides for its family; a class of httpx is then
replaced by the class of the same name. httpx2 is not imported here: a caller who has an object of it has imported it.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

import httpx

from aioconnections.reprs import safe_repr

if TYPE_CHECKING:
    import httpx2

    AnyClient: TypeAlias = httpx.AsyncClient | httpx2.AsyncClient
    AnyTransport: TypeAlias = httpx.AsyncBaseTransport | httpx2.AsyncBaseTransport

__all__ = ["HTTPX", "Family", "either", "family_of"]

T = TypeVar("T")


class Family:
    """The classes of httpx, or those of httpx2."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __call__(self, kind: type[T]) -> type[T]:
        """The class of this family that has the name of `kind`, a class of httpx."""
        return cast("type[T]", getattr(self._module, kind.__name__))

    @property
    def name(self) -> str:
        """``httpx`` or ``httpx2``."""
        return self._module.__name__

    @safe_repr
    def __repr__(self) -> str:
        return f"Family({self.name})"


HTTPX = Family(httpx)
_families: dict[ModuleType, Family] = {httpx: HTTPX}


def _loaded() -> list[Family]:
    """Each family whose module was imported."""
    successor = sys.modules.get("httpx2")
    if successor is None:
        return [HTTPX]
    return [HTTPX, _families.setdefault(successor, Family(successor))]


def family_of(value: object, *kinds: type[object]) -> Family | None:
    """The family of an object of one of these classes of httpx, or their counterparts; None for another object."""
    return next((family for family in _loaded() if isinstance(value, tuple(map(family, kinds)))), None)


def either(*kinds: type[Exception]) -> tuple[type[Exception], ...]:
    """These exceptions of httpx and their counterparts, for ``isinstance`` and ``except``."""
    return tuple(family(kind) for family in _loaded() for kind in kinds)
