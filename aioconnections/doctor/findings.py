"""What one step found: its status, what was tried, what came back, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

from attrs import field

from aioconnections.errors import ConnectionsError, DeadlineError, ServerError, ThrottledError, TransportError
from aioconnections.reprs import frozen

__all__ = ["STEPS", "Detail", "Finding", "FindingStatus", "Findings", "Step", "failed", "milliseconds", "skipped"]

Step: TypeAlias = Literal[
    "proxy",
    "name",
    "tcp",
    "tls",
    "certificate",
    "http",
    "clock",
    "profiles",
    "login",
    "user",
    "communities",
    "emails",
    "administrator",
    "keep_alive",
    "latency",
    "max_connections",
]
STEPS: tuple[Step, ...] = (
    "proxy", "name", "tcp", "tls", "certificate", "http", "clock", "profiles", "login", "user", "communities", "emails",
    "administrator", "keep_alive", "latency", "max_connections",
)  # fmt: skip
"""All steps, in the order in which they are reported."""

FindingStatus: TypeAlias = Literal["ok", "warning", "failed", "skipped"]
Detail: TypeAlias = str | int | float | bool | Sequence[str] | Mapping[str, bool] | None

_NETWORK: frozenset[Step] = frozenset({"name", "tcp", "tls"})
_ASK_FOR_ROUTE = "check the host and the port in the URL, and whether a firewall is in the way"


@frozen(kw_only=True)
class Finding:
    """What one step found.

    Attributes:
        step: name of the step.
        status: ``ok``; ``warning``: usable, but something should be changed; ``failed``: not usable; ``skipped``: not
            tried, because of another step or an option.
        tried: what was tried.
        found: what came back; for a skipped step, why it was not tried.
        advice: what to do; empty if there is nothing to do.
        details: the same as numbers and names, for programs.
        error: for a failed step, the error that the library raises for this; else None.
    """

    step: Step
    status: FindingStatus
    tried: str
    found: str
    advice: str = ""
    details: Mapping[str, Detail] = field(factory=dict[str, Detail])
    error: ConnectionsError | None = field(default=None, repr=False, eq=False)

    def as_dict(self) -> dict[str, object]:
        """The finding as JSON has it; the error is left out."""
        return {
            "name": self.step,
            "status": self.status,
            "tried": self.tried,
            "found": self.found,
            "advice": self.advice,
            "details": dict(self.details),
        }


def failed(
    step: Step,
    tried: str,
    error: ConnectionsError,
    *,
    more: str = "",
    advice: str = "",
    details: Mapping[str, Detail] | None = None,
) -> Finding:
    """The finding for an error of the library, whose text often ends with advice after a semicolon.

    Args:
        step: name of the step.
        tried: what was tried.
        error: the error.
        more: what else was found, besides the text of the error.
        advice: advice that replaces that of the error.
        details: see `Finding`.
    """
    problem, usual = _parts(str(error))
    return Finding(
        step=step,
        status="failed",
        tried=tried,
        found=f"{problem}; {more}" if more else problem,
        advice=advice or usual or _general_advice(step, error),
        details=details or {},
        error=error,
    )


def _parts(text: str) -> tuple[str, str]:
    """The problem and the advice in the text of an error; the advice may be missing."""
    problem, _, rest = text.partition("; ")
    if rest.startswith(("http://", "https://")):  # names what responded
        return text, ""
    before, found, _ = problem.partition(": check the URL")
    return before, rest or (found and "check the URL")


def _general_advice(step: Step, error: ConnectionsError) -> str:
    """Advice for an error whose text has none."""
    advice = _ASK_FOR_ROUTE if step in _NETWORK else "try again later, or ask the administrator of the server"
    if isinstance(error, DeadlineError):
        return f"{advice}, or allow more time with --attempt-timeout"
    if isinstance(error, TransportError | ServerError | ThrottledError):
        return advice
    return "check the URL, or ask the administrator of the server"


def skipped(step: Step, why: str) -> Finding:
    """The finding for a step that was not tried."""
    return Finding(step=step, status="skipped", tried="nothing", found=f"not tried: {why}")


def milliseconds(seconds: float) -> str:
    """A short duration for people: ``12 ms``, and ``0.4 ms`` below 10."""
    shown = seconds * 1_000
    return f"{shown:.1f} ms" if round(shown, 1) < 10 else f"{shown:,.0f} ms"


class Findings:
    """The findings so far, in the order of the steps.

    Args:
        report: called with each finding as soon as it is known.

    Attributes:
        all: the findings.
    """

    def __init__(self, report: Callable[[Finding], object]) -> None:
        self.all: list[Finding] = []
        self._report = report

    def add(self, finding: Finding) -> Finding:
        """Add a finding, and return it."""
        self.all.append(finding)
        self._report(finding)
        return finding

    def skip(self, before: Step | None, why: str) -> None:
        """Add each step before `before` that has no finding as skipped; with None, all that are left."""
        done = {finding.step for finding in self.all}
        for step in STEPS if before is None else STEPS[: STEPS.index(before)]:
            if step not in done:
                self.add(skipped(step, why))
