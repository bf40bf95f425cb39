"""Bulk runs: what is done with each item, and how thousands of items flow through a few connections."""

from aioconnections.bulk.checks import CheckJob, checked, pair_of
from aioconnections.bulk.flows import FlowJob
from aioconnections.bulk.job import Job, Subject, digest_of
from aioconnections.bulk.run import Outcomes

__all__ = ["CheckJob", "FlowJob", "Job", "Outcomes", "Subject", "checked", "digest_of", "pair_of"]
