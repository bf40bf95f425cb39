"""Journalled runs on virtual time that can die at any point, against a server with scripted responses.

A death simulates SIGKILL: the files of the journal remain as they are, nothing more is sent, and the server completes
what it has begun. So the files are copied, and the next run uses the copy.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable
from copy import copy
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar, get_args
from unittest.mock import patch

import httpx
import trio
import trio.testing
from attrs import define, field, frozen
from server import Place

from aioconnections import Client, ConnectionsError, Journal, Outcome, Outcomes, Timeouts
from aioconnections.journal import file, holding, journal
from aioconnections.journal.writer import ThreadReply, Writer

__all__ = ["FATES", "LATEST", "Asked", "Death", "Fate", "Life", "World", "in_time"]

Fate: TypeAlias = Literal[
    "fine",
    "response lost",
    "never done",
    "done late",
    "done later",
    "silent",
    "not sent",
    "busy",
    "away",
    "done and away",
    "login refused",
]
"""The fate of a request; ``silent`` and ``done late`` are done and get no response."""
FATES: tuple[Fate, ...] = get_args(Fate)
LATEST = 29.0  # seconds until the latest request is done
NOT_MADE = frozenset({"not sent", "busy", "login refused"})
"""Fates after which the client knows that nothing was done."""
_LATE: dict[str, float] = {"done late": 5.0, "done later": LATEST}
_STATUS = {"busy": 429, "away": 503, "done and away": 503, "login refused": 401}
_DONE = frozenset({"fine", "response lost", "silent", "done and away"})

T = TypeVar("T")


class Death(NamedTuple):
    """When a run dies: before or after its n-th request is done, or after n seconds; see `World.live`."""

    when: Literal["before", "after", "seconds"]
    number: float


@frozen
class Asked:
    """One request.

    Attributes:
        at: true time, in seconds.
        wall: time by the clock of the run, in seconds.
        epoch: number of the journal, see `World`.
    """

    method: str
    person: str | None
    fate: Fate | Literal["died"]
    at: float
    wall: float
    epoch: int


@define
class Life:
    """Result of a run: its outcomes, why it stopped, and whether it died."""

    outcomes: list[Outcome] = field(factory=list)
    stopped: ConnectionsError | None = None
    died: bool = False


def in_time(main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` on virtual time, with a result that does not depend on the speed of the disk."""

    async def wait(reply: ThreadReply[Any]) -> Any:
        _until(lambda: reply.done)
        await trio.lowlevel.checkpoint()
        if reply.failure is not None:
            raise copy(reply.failure)
        return reply.value

    def call(reply: ThreadReply[Any], function: Callable[[], object]) -> None:
        _until(lambda: reply.done)
        trio.lowlevel.current_trio_token().run_sync_soon(function)

    def settle(_: Writer, reply: ThreadReply[Any]) -> None:
        reply.done = True

    def hurry(db: Any) -> None:
        list(db.execute("PRAGMA synchronous=OFF"))  # the power stays on

    with (
        patch.object(ThreadReply, "wait", wait),
        patch.object(ThreadReply, "call", call),
        patch.object(Writer, "_settle", settle),
        patch.object(journal, "_soon", lambda: lambda call: call()),  # the loop does not turn during `wait`
        patch.object(file, "make_durable", hurry),
        patch.object(holding, "make_durable", hurry),
    ):
        return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def _until(condition: Callable[[], bool]) -> None:
    """Block the loop until the thread of the journal is done, so that no virtual time passes."""
    while not condition():
        time.sleep(0)


class World:
    """A server, the time, and the journal of a run that is repeated.

    Attributes:
        place: the server.
        asked: every request of the runs.
        epoch: number of the journal; a new journal is a deliberate new run.
        set_back: whether the clock was set back since this journal was begun.
    """

    def __init__(self, folder: Path, *, max_connections: int = 1) -> None:
        self.asked: list[Asked] = []
        self.epoch = 0
        self.set_back = False
        self._folder = folder
        self._copies = 0
        self._max_connections = max_connections
        self._start, self._skew = 1_000_000_000.0, 0.0
        self._late_since: float | None = None  # due time of the late request in progress
        self.place = Place(dedup=False, clock=self._server_time)
        self._late: list[tuple[float, httpx.Request]] = []
        self._server = httpx.ASGITransport(self.place.server)

    def now(self) -> float:
        """The true time, in seconds."""
        return self._start + (trio.current_time() if trio.lowlevel.in_trio_run() else 0.0)

    def _server_time(self) -> float:
        return self.now() if self._late_since is None else self._late_since

    def wall(self) -> float:
        """Time by the clock of the runs, in seconds."""
        return self.now() + self._skew

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._start += seconds

    def set_clock_back(self, seconds: float) -> None:
        """Set the clock of the runs back."""
        self._skew -= seconds
        self.set_back = True

    def begin_anew(self) -> None:
        """Start over with an empty journal."""
        self.epoch += 1
        self.set_back = False

    @property
    def journal(self) -> Path:
        """Current path of the journal."""
        return self._folder / f"{self.epoch}-{self._copies}.sqlite"

    def copy_journal(self) -> None:
        """Continue with a copy of the files as they are now."""
        was = self.journal
        self._copies += 1
        for rest in ("", "-wal"):
            if Path(f"{was}{rest}").exists():
                shutil.copy(f"{was}{rest}", f"{self.journal}{rest}")

    async def do(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the server."""
        response = await self._server.handle_async_request(request)
        await response.aread()
        return response

    def do_later(self, seconds: float, request: httpx.Request) -> None:
        """Have the server process a request after a delay."""
        self._late.append((self.now() + seconds, request))

    async def catch_up(self) -> None:
        """Have the server process the late requests that are due."""
        for each in sorted(self._late, key=lambda each: each[0]):
            if each[0] <= self.now() and each in self._late:
                self._late.remove(each)
                self._late_since = each[0]
                await self.do(each[1])
                self._late_since = None

    def act(self, who: int | None, action: Callable[[Client], Awaitable[object]]) -> None:
        """Perform an action as person `who`, without faults."""

        async def main() -> None:
            await self.catch_up()
            async with self.place.client(who) as client:
                await action(client)
            self._start += trio.current_time()

        in_time(main)

    def live(
        self,
        who: int | None,
        begin: Callable[[Client, Journal], Outcomes[Any]],
        fates: Iterable[Fate] = (),
        death: Death | None = None,
    ) -> Life:
        """Run once with the journal.

        Args:
            who: number of the signed-in person; None is the administrator.
            begin: begins the run.
            fates: fates of its requests in order, canaries excluded; further requests are fine.
            death: when the run dies, unless it ends before.
        """
        journal = Journal(self.journal)
        journal._wall = self.wall
        life = Life()

        async def main() -> None:
            with trio.CancelScope() as scope:
                door = _Door(self, fates, death, life, scope)
                options: Any = {
                    "max_connections": self._max_connections,
                    "timeouts": Timeouts(outage=60),
                    "rng": random.Random(0),
                }
                client = self.place.client(who, transport=door, **options)
                async with trio.open_nursery() as nursery:
                    if death is not None and death.when == "seconds":
                        nursery.start_soon(door.die_after, death.number)
                    async with client, begin(client, journal) as outcomes:
                        async for outcome in outcomes:
                            life.outcomes.append(outcome)
                        life.stopped = outcomes.stopped
                    nursery.cancel_scope.cancel()
            if not life.died:
                self._start += trio.current_time()

        in_time(main)
        return life


class _Door(httpx.AsyncBaseTransport):
    """Transport of a run, which lets the run die and gives each request its fate."""

    def __init__(
        self, world: World, fates: Iterable[Fate], death: Death | None, life: Life, scope: trio.CancelScope
    ) -> None:
        self._world = world
        self._fates = iter(fates)
        self._death = death
        self._life = life
        self._scope = scope
        self._count = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        await self._if_alive()
        self._count += 1
        dies = self._is_time("before")
        canary = request.url.path.endswith("profileService.do")
        fate = "died" if dies else "fine" if canary else next(self._fates, "fine")
        self._note(request, fate)
        if dies:
            self._die()
        await self._world.catch_up()
        await self._if_alive()
        response = await self._world.do(request) if fate in _DONE else None
        if self._is_time("after"):
            self._die()
        await self._if_alive()
        return await self._respond(request, fate, response)

    async def _respond(self, request: httpx.Request, fate: str, response: httpx.Response | None) -> httpx.Response:
        if fate in _STATUS:
            return httpx.Response(_STATUS[fate], request=request)
        if fate == "not sent":
            raise httpx.ConnectError("refused", request=request)
        if fate in _LATE:
            self._world.do_later(_LATE[fate], request)
        if fate == "silent":
            await trio.sleep_forever()
        if response is None or fate == "response lost":
            raise httpx.ReadError("reset", request=request)
        return response

    def _note(self, request: httpx.Request, fate: Any) -> None:
        world, query = self._world, request.url.params
        person = query.get("userid", query.get("targetUserid"))
        world.asked.append(Asked(request.method, person, fate, world.now(), world.wall(), world.epoch))

    def _is_time(self, when: str) -> bool:
        return self._death is not None and self._death == (when, self._count)

    async def _if_alive(self) -> None:
        if self._life.died:
            await trio.sleep_forever()

    async def die_after(self, seconds: float) -> None:
        await trio.sleep(seconds)
        self._die()

    def _die(self) -> None:
        if not self._life.died:
            self._life.died = True
            self._world.copy_journal()
            self._world.wait(trio.current_time())
            self._scope.cancel()
