"""Names of a package that are imported at their first use (PEP 562), so that importing the package is fast."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module

__all__ = ["all_names", "imported"]


def imported(package: str, name: str, modules: Mapping[str, str]) -> object:
    """The value of ``package.name``, for the package's ``__getattr__``.

    Args:
        package: name of the package.
        name: the name in it that was looked up.
        modules: for each name, the module that defines it.

    Raises:
        AttributeError: the package has no such name.
    """
    if name not in modules:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    value: object = getattr(import_module(modules[name]), name)
    setattr(sys.modules[package], name, value)
    return value


def all_names(package: str, modules: Mapping[str, str]) -> list[str]:
    """The names of the package, imported or not, for its ``__dir__``."""
    return sorted({*vars(sys.modules[package]), *modules})
