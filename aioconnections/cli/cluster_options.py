"""The options of ``aioconnections check`` for a cluster."""

from __future__ import annotations

from typing import Annotated, Literal

from attrs import frozen
from cyclopts import Parameter

from aioconnections.cli.numbers import COUNT

__all__ = ["CLUSTER", "ClusterOptions"]


@Parameter(name="*", group="Cluster")
@frozen(kw_only=True)
class ClusterOptions:
    """A Dask cluster whose workers do the checks."""

    cluster: str | None = None
    """Address of the scheduler, such as tcp://scheduler:8786. PAIRS is then a file of CSV, JSON lines or Parquet, or a
    quoted pattern such as 'pairs-*.csv', and --output a folder for the parts of the result; all workers must have both
    under the same path. --max-per-second is for all workers together, and --max-connections for each. The same command
    does what is missing."""
    auth: str | None = None
    """Function that gives the login on a worker, as module:function. By default workers use the login in their own
    environment."""
    rows_per_partition: Annotated[int, COUNT] = 50_000
    """Number of rows that a worker checks at a time, and of a part of the result."""
    parts: Literal["csv", "parquet"] = "csv"
    """Format of the parts of the result."""


CLUSTER = ClusterOptions()
