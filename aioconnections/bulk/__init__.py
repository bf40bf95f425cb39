"""Bulk runs: what is done with each item, and how thousands of items flow through a few connections."""

from aioconnections.bulk.checks import CheckJob, pair_of
from aioconnections.bulk.flows import FlowJob, Subject
from aioconnections.bulk.run import Job, Outcomes

__all__ = ["CheckJob", "FlowJob", "Job", "Outcomes", "Subject", "pair_of"]
