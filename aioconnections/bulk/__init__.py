"""Bulk runs: the job that is done with each item, and the run that feeds items to a few workers."""

from aioconnections.bulk.flows import CheckJob, FlowJob, checked, pair_of
from aioconnections.bulk.job import Job, WorkItem, digest_of
from aioconnections.bulk.run import Outcomes

__all__ = ["CheckJob", "FlowJob", "Job", "Outcomes", "WorkItem", "checked", "digest_of", "pair_of"]
