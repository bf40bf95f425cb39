"""Bulk runs: the job that is done with each item, and the run that feeds items to a few workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioconnections.lazy import all_names, imported

if TYPE_CHECKING:
    from aioconnections.bulk.flows import CheckJob, FlowJob, pair_of
    from aioconnections.bulk.job import Backlog, Job, WorkItem, digest_of
    from aioconnections.bulk.lists import ListJob
    from aioconnections.bulk.run import Outcomes

__all__ = ["Backlog", "CheckJob", "FlowJob", "Job", "ListJob", "Outcomes", "WorkItem", "digest_of", "pair_of"]

_FLOWS, _JOB = "aioconnections.bulk.flows", "aioconnections.bulk.job"
_LAZY = {
    "Backlog": _JOB,
    "CheckJob": _FLOWS,
    "FlowJob": _FLOWS,
    "Job": _JOB,
    "ListJob": "aioconnections.bulk.lists",
    "Outcomes": "aioconnections.bulk.run",
    "WorkItem": _JOB,
    "digest_of": _JOB,
    "pair_of": _FLOWS,
}


def __getattr__(name: str) -> object:
    return imported(__name__, name, _LAZY)


def __dir__() -> list[str]:
    return all_names(__name__, _LAZY)
