"""Inspection of a running server, for tests that have only its URL. It is not part of the product.

The resources are below ``/reference/``. They accept the administrator's password, even if the other resources of the
server require another kind of login.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from attrs import frozen

from aioconnections.reference.commits import CommitLog, as_line
from aioconnections.reference.faults import Fault, FaultSchedule
from aioconnections.reference.responses import OperationResult, PlainResult

if TYPE_CHECKING:
    from aioconnections.reference.request import ServerRequest

__all__ = ["InspectionEndpoints"]


@frozen
class InspectionEndpoints:
    """The resources ``/reference/commits`` and ``/reference/faults``."""

    commit_log: CommitLog
    schedule: FaultSchedule

    def commits(self, request: ServerRequest) -> OperationResult:
        """GET all commits as lines of JSON; with ``after=N`` only those with a higher number."""
        after = request.first("after") or "-1"
        try:
            start = int(after) + 1
        except ValueError:
            return _bad_request(f"after must be a number, got {after!r}")
        lines = b"".join(as_line(commit) for commit in self.commit_log.commits[max(0, start) :])
        return PlainResult(200, "application/x-ndjson", lines.decode())

    def faults(self, request: ServerRequest) -> OperationResult:  # noqa: ARG002  # all operations take a request
        """GET the faults as a JSON list, each with its number of strikes as ``struck``."""
        faults = zip(self.schedule.faults, self.schedule.struck, strict=True)
        return _json([{**fault.as_dict(), "struck": struck} for fault, struck in faults])

    def set_faults(self, request: ServerRequest) -> OperationResult:
        """PUT a JSON list of faults, which replaces the current faults and resets all counts."""
        try:
            given = json.loads(request.body)
            self.schedule.faults = [
                Fault.from_dict({name: value for name, value in fault.items() if name != "struck"}) for fault in given
            ]
        except (ValueError, TypeError, AttributeError) as error:
            return _bad_request(str(error))
        return self.faults(request)


def _json(value: object) -> PlainResult:
    return PlainResult(200, "application/json", json.dumps(value, ensure_ascii=False))


def _bad_request(text: str) -> PlainResult:
    return PlainResult(400, "text/plain; charset=UTF-8", f"{text}\n")
