"""Checks on many machines. The packages that this needs are imported when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioconnections.lazy import all_names, imported

if TYPE_CHECKING:
    from aioconnections.cluster.dask import check_many, check_many_async
    from aioconnections.cluster.settings import ClusterProgress, ClusterResult
    from aioconnections.cluster.shards import Shard

__all__ = ["ClusterProgress", "ClusterResult", "Shard", "check_many", "check_many_async"]

_LAZY = {
    "ClusterProgress": "aioconnections.cluster.settings",
    "ClusterResult": "aioconnections.cluster.settings",
    "Shard": "aioconnections.cluster.shards",
    "check_many": "aioconnections.cluster.dask",
    "check_many_async": "aioconnections.cluster.dask",
}


def __getattr__(name: str) -> object:
    return imported(__name__, name, _LAZY)


def __dir__() -> list[str]:
    return all_names(__name__, _LAZY)
