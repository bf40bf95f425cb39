"""The summary of a long run on a terminal: a small table, and for the commonest failures what to do about them."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import field, frozen

from aioconnections.cli.meter import Meter
from aioconnections.cli.reasons import Reason
from aioconnections.cli.terminal import amount, brief, clock, duration, per_second, wrapped

__all__ = ["Facts", "table"]

_NOTICED = 0.001  # seconds of mean wait that are worth a line
_AGAIN = "try again later with --retry and this result"
_ADVICE = {
    "BadRequestError": "correct the people in these rows",
    "InvalidInputError": "correct these rows",
    "NotFoundError": "the server does not know them; correct these rows",
    "ForbiddenError": "sign in as a user who has this right",
    "DeadlineError": "raise --attempt-timeout or lower --max-connections, and use --retry with this result",
    "ConnectFailedError": "check the network, and use --retry with this result",
    "ProtocolError": "check the network and proxies, and use --retry with this result",
    "ForeignResponseError": "a gateway responded in place of the application; ask its administrator",
    "UnexpectedResponseError": "check that --url is the address of Connections",
    "AtomError": "check that --url is the address of Connections",
    "InDoubtError": "the change may have been made; look for it before you repeat it",
}


@frozen(kw_only=True)
class Facts:
    """What the summary says.

    Attributes:
        done: number of good outcomes, with a participle.
        seconds: duration of the run.
        rate: good outcomes per second; None without any.
        good: counts of good outcomes by label.
        others: other counts by label.
        remarks: sentences about the input.
        reasons: the commonest reasons of failures.
        requests: number of requests, with those for the login; None if it is not known.
        retries: number of repeated requests among them.
        meter: measures of the run.
    """

    done: str
    seconds: float
    rate: float | None = None
    good: tuple[tuple[str, int], ...] = ()
    others: tuple[tuple[str, int], ...] = ()
    remarks: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    requests: int | None = None
    retries: int = 0
    meter: Meter = field(factory=Meter)


def table(facts: Facts, columns: int) -> list[str]:
    """The lines of the table, for a terminal of this width."""
    rate = "" if facts.rate is None else f" ({per_second(facts.rate)})"
    rows: list[tuple[str, str]] = [(label, amount(count)) for label, count in (*facts.good, *facts.others) if count]
    if facts.requests is not None:
        rows.append(("requests", amount(facts.requests)))
        rows.extend([("retries", amount(facts.retries))] * bool(facts.retries))
    rows.extend(_measured(facts.meter))
    labels = max((len(label) for label, _ in rows), default=0)
    values = max((len(value) for _, value in rows), default=0)
    lines = wrapped(f"{facts.done} in {duration(facts.seconds)}{rate}", columns)
    lines += [f"  {label:<{labels}}  {value:>{values}}" for label, value in rows]
    for reason in facts.reasons:
        lines += _indented(f"{amount(reason.count)} {reason.text}", 2, columns)
        if reason.error is not None:
            lines += _indented(f"What to do: {_ADVICE.get(reason.error, _AGAIN)}.", 4, columns)
    for remark in facts.remarks:
        lines += _indented(remark, 2, columns)
    return lines


def _measured(meter: Meter) -> Iterator[tuple[str, str]]:
    times = meter.times.overall(0.5, 0.95)
    if times:
        half, most = times
        yield "time per item, p50", brief(half)
        yield "time per item, p95", brief(most)
    if meter.waited >= _NOTICED * meter.sent > 0:
        yield "mean wait for limits", brief(meter.waited / meter.sent)
    if meter.held >= 0.5:
        yield "waited for the server", clock(meter.held)


def _indented(text: str, indent: int, columns: int) -> list[str]:
    return [" " * indent + line for line in wrapped(text, max(columns - indent, 1))]
