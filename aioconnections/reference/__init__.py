"""A second opinion: a Connections server for tests, demonstrations and benchmarks, written from the protocol alone."""

from aioconnections.reference.directory import Directory
from aioconnections.reference.population import ADMINISTRATOR

__all__ = ["ADMINISTRATOR", "Directory"]
