"""Invites people with a journal, as a script would; the argument names a file that says whom, where and how.

On demand the library is broken first, in the ways that the crash test has to notice.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TextIO

import anyio

from aioconnections import Client, Journal, Userid
from aioconnections.journal import StoredOutcome, reading
from aioconnections.journal.stored import ItemHistory
from aioconnections.protocol import colleagues


async def main(plan: dict[str, Any], told: TextIO) -> None:
    people: Any = (Userid(item) if item else item for item in plan["items"])
    client = Client(
        plan["url"],
        auth=(plan["user"], "secret"),
        max_per_second=None,
        max_connections=plan["max_connections"],
        headers={"X-Life": plan["life"]},
    )
    run = client.invite_many
    async with client, run(people, journal=Journal(plan["journal"]), settle=plan["settle"]) as outcomes:
        async for outcome in outcomes:
            told.write(f"{outcome.index} {outcome.as_dict()['outcome']}\n")
    if outcomes.stopped is not None:
        raise SystemExit(f"{type(outcomes.stopped).__name__}: {outcomes.stopped}")


def no_intent() -> None:
    """Nothing is recorded before it is sent."""

    async def intent(*_: object, **__: object) -> None:
        pass

    Journal.intent = intent  # type: ignore[method-assign]


def resend_blindly() -> None:
    """What is in doubt is sent again, and nothing is asked before."""

    def check(*_: object, **__: object) -> Generator[Any, Any, None]:
        return
        yield

    vars(colleagues)["check"] = check


def forget_doubt() -> None:
    """What was begun and not finished counts as never begun."""
    ItemHistory.in_doubt = property(lambda _: False)  # type: ignore[assignment,method-assign] # the defect to detect


def skip_in_doubt() -> None:
    """What is in doubt is taken for done."""
    real = Journal.history

    async def past(self: Journal, index: int, item: str) -> ItemHistory | None:
        found = await real(self, index, item)
        return (
            ItemHistory(StoredOutcome("invited", '{"connection_id":null}'))
            if found is not None and found.in_doubt
            else found
        )

    Journal.history = past  # type: ignore[method-assign]


def hurry() -> None:
    """What is in doubt is asked after at once."""
    real = vars(colleagues)["check"]

    def check(*arguments: Any, delay: float = 0.0, **options: Any) -> Any:
        del delay
        return real(*arguments, **options)

    vars(colleagues)["check"] = check


def ignore_log() -> None:
    """A journal that lost its log is taken for all there is."""
    vars(reading)["check_log"] = lambda *_, **__: False


BREAKAGES: dict[str, Callable[[], None]] = {
    each.__name__: each for each in (no_intent, resend_blindly, forget_doubt, skip_in_doubt, hurry, ignore_log)
}

if __name__ == "__main__":
    given: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    if given["breakage"]:
        BREAKAGES[given["breakage"]]()
    with Path(given["told"]).open("w", buffering=1) as file:  # each line with one write, so that it survives
        anyio.run(main, given, file)
