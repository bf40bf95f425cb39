"""What the report of an invented run says, with friendly and with hostile names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import evolve

from aioconnections.outcomes import Tally
from aioconnections.policy.timeline import Timeline, TimelineBucket
from aioconnections.report import FailureLog, RunFacts

__all__ = ["BEGUN", "HOSTILE", "WALL", "facts", "failures", "timeline"]

BEGUN = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
WALL = int(BEGUN.timestamp())
HOSTILE = [
    "</script><script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</style></title></table>&lt;b&gt;&amp;",
    "\u202eevil\u2066\u200f",
    "nul \x00 bell \x07 escape \x1b[31m line\u2028end",
    "surrogate \ud800 alone",
    "é" * 10_000,
    "'" * 10_000,
]


def timeline(seconds: int = 60, *, begin: int = WALL, paused: dict[int, str] | None = None) -> Timeline:
    found = Timeline()
    for second in range(seconds):
        bucket = TimelineBucket(1.0, done=10, requests=10, limited=1.0, limit=12.0, under_way=2.0, bound=8.0)
        reason = (paused or {}).get(second)
        if reason is not None:
            bucket = TimelineBucket(1.0, paused={reason: 1.0})
        else:
            bucket.time(0.02)
        found.add(begin + second, bucket)
    return found


def failures(*texts: str, count: int = 0) -> FailureLog:
    log = FailureLog()
    for number, text in enumerate(texts or ("no",) * count):
        log.add(number=number + 1, who=text, outcome="rejected", error="BadRequestError", text=text, at=BEGUN)
    return log


def facts(**changes: Any) -> RunFacts:
    plain = RunFacts(
        verb="check",
        origin="https://connections.example.com",
        user="ajones",
        begun=BEGUN,
        finished=BEGUN + timedelta(seconds=61),
        tally=Tally(read=610, checked=600, status_accepted=400, status_none=200, rejected=10),
        failures=FailureLog(),
        timeline=timeline(),
    )
    return evolve(plain, **changes)
