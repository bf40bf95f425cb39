"""Dry runs: write the request that each row would cause, without sending it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from aioconnections.cli.progress import say
from aioconnections.cli.rows import BadRowError, InputRow, Item, RowPerson
from aioconnections.cli.verbs import BulkVerb
from aioconnections.cli.writing import Writing, same_person
from aioconnections.errors import InvalidInputError
from aioconnections.protocol.address import Address
from aioconnections.protocol.messages import Request
from aioconnections.records import Identity

__all__ = ["PLAN", "plan"]

ItemT = TypeVar("ItemT", bound=Item)

PLAN = ("method", "url", "body", "then", "error")


def plan(verb: BulkVerb[ItemT], rows: Iterator[ItemT | BadRowError], address: Address, writing: Writing[ItemT]) -> None:
    """Write the request for each row."""
    seen: dict[Identity, int] = {}
    for item in rows:
        if isinstance(item, BadRowError):
            writing.refuse(item)
            continue
        line = item.line
        first = seen.setdefault(item.identity, line) if verb.once and isinstance(item, RowPerson) else line
        try:
            request = next(verb.plan(address, item))
            columns: InputRow = _columns(address, request) | {"then": verb.then}
            writing.plan(item, columns if first == line else {"error": same_person(first)}, good=True)
        except InvalidInputError as error:
            writing.plan(item, {"error": f"{type(error).__name__}: {error}"}, good=False)
    say("; ".join(["nothing was sent", *writing.skipped()]))


def _columns(address: Address, request: Request) -> InputRow:
    body = None if request.body is None else request.body.decode()
    return {"method": request.method, "url": f"{address.origin}{request.target}", "body": body}
