"""Dry runs: write the request that each row would cause, without sending it, and estimate the requests of checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from attrs import frozen

from aioconnections.cli.progress import say
from aioconnections.cli.server import ServerOptions
from aioconnections.cli.terminal import duration, per_second
from aioconnections.cli.verbs import BulkVerb
from aioconnections.cli.writing import Writing, same_person
from aioconnections.errors import InvalidInputError
from aioconnections.files.rows import BadRowError, InputRow, Item, RowPerson
from aioconnections.policy.estimate import Estimate, Estimator
from aioconnections.policy.plan import Plan
from aioconnections.policy.prices import Prices
from aioconnections.protocol.address import Address
from aioconnections.protocol.messages import Request
from aioconnections.records import Identity

__all__ = ["PLAN", "Forecast", "plan"]

ItemT = TypeVar("ItemT", bound=Item)

PLAN = ("method", "url", "body", "then", "error")


@frozen
class Forecast:
    """What a dry run of checks prints: how many requests each plan takes, and for how long.

    Attributes:
        estimator: follows the pairs.
        rate: requests per second; 0 for no limit.
        recorded: whether there is a journal, which may have recorded some of the pairs.
    """

    estimator: Estimator
    rate: float
    recorded: bool

    @classmethod
    def at(cls, server: ServerOptions, *, recorded: bool) -> Forecast:
        """The forecast for the speed that these options allow."""
        rate = server.max_per_second
        prices = Prices(lambda: 1 / rate if rate else 0.0, server.max_connections)
        return cls(Estimator(Plan(), prices.page), rate, recorded)

    def lines(self, unreadable: int) -> Iterator[str]:
        """The number of pairs, a table of the plans, and what its figures mean.

        Args:
            unreadable: number of rows that cannot be read.
        """
        found = self.estimator.end()
        yield "; ".join(_counts(found, unreadable))
        requests = {"head": found.head, "auto": found.auto}
        width = max(len("requests"), len(f"{max(requests.values()):,}"))
        times = {name: duration(count / self.rate) if self.rate else "" for name, count in requests.items()}
        head = f"time at {per_second(self.rate)}" if self.rate else ""
        yield f"plan  {'requests':>{width}}  {head}".rstrip()
        for name, count in requests.items():
            yield f"{name}  {count:>{width},}  {times[name]:>{len(head)}}".rstrip()
        yield "head is exact unless requests are repeated; auto is estimated from lists of usual length"
        if not self.rate:
            yield "without a limit of requests per second, the time depends on the server"
        if self.recorded:
            yield "pairs that the journal has recorded are counted too"


def _counts(found: Estimate, unreadable: int) -> Iterator[str]:
    yield f"{found.pairs:,} pair{'s' * (found.pairs != 1)}"
    if found.repeated:
        repeat = "repeats" if found.repeated == 1 else "repeat"
        which = "an earlier one" if found.pairs <= found.window else f"one of the {found.window:,} before"
        yield f"{found.repeated:,} of them {repeat} {which}"
    if unreadable:
        yield f"{unreadable:,} unreadable"


def plan(
    verb: BulkVerb[ItemT],
    rows: Iterator[ItemT | BadRowError],
    address: Address | None,
    writing: Writing[ItemT],
    forecast: Forecast | None,
) -> None:
    """Write the request for each row, and print the forecast.

    Args:
        verb: the bulk verb.
        rows: the rows.
        address: address of the server; None to write no requests.
        writing: writes the result.
        forecast: the forecast, if the verb has one.
    """
    seen: dict[Identity, int] = {}
    for item in rows:
        if isinstance(item, BadRowError):
            writing.refuse(item)
            continue
        if forecast is not None and verb.ends is not None:
            forecast.estimator.add(*verb.ends(item))
        if address is None or verb.plan is None:
            continue
        line = item.line
        first = seen.setdefault(item.identity, line) if verb.once and isinstance(item, RowPerson) else line
        try:
            request = next(verb.plan(address, item))
            columns: InputRow = _columns(address, request) | {"then": verb.then}
            writing.plan(item, columns if first == line else {"error": same_person(first)}, good=True)
        except InvalidInputError as error:
            writing.plan(item, {"error": f"{type(error).__name__}: {error}"}, good=False)
    if forecast is not None:
        say(*forecast.lines(writing.unreadable + writing.omitted))
    say("; ".join(["nothing was sent", *writing.skipped()]))


def _columns(address: Address, request: Request) -> InputRow:
    body = None if request.body is None else request.body.decode()
    return {"method": request.method, "url": f"{address.origin}{request.target}", "body": body}
