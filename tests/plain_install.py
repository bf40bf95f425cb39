"""Run by `nox -s plain` where the library is installed without extras: all but the edges must work there."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil

import aioconnections

EDGES = ("aioconnections.cli", "aioconnections.reference")


def main() -> None:
    for name in ("cyclopts", "rich", "uvicorn", "pytest", "trio"):
        assert importlib.util.find_spec(name) is None, f"{name} came along"
    modules = [module.name for module in pkgutil.walk_packages(aioconnections.__path__, "aioconnections.")]
    for name in modules:
        if not name.startswith(EDGES):
            importlib.import_module(name)
    for name in aioconnections.__all__:
        assert getattr(aioconnections, name) is not None


if __name__ == "__main__":
    main()
