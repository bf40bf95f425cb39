"""Bulk operations on IBM / HCL Connections: check, invite and answer colleague connections, thousands at a time."""

from aioconnections._version import __version__

__all__ = ["__version__"]
