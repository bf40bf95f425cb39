"""Bulk runs: what is done with each item, and how thousands of items flow through a few connections."""

from aioconnections.bulk.checks import CheckJob
from aioconnections.bulk.run import Job, Outcomes

__all__ = ["CheckJob", "Job", "Outcomes"]
