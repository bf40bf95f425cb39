"""Journalled runs on virtual time that can die at any point, against a server whose answers are decided beforehand.

Dying is what SIGKILL does: the files of the journal are what they are at that moment, nothing more is sent, and what
the server is doing already, it does. So the files are copied aside, and the next run goes on with the copy.
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

from aioconnections import Client, ConnectionsError, Journal, Outcome, Outcomes
from aioconnections.journal import file, holding
from aioconnections.journal.writer import Reply, Writer

__all__ = ["FATES", "LATEST", "Asked", "Death", "Fate", "Life", "World", "in_time"]

Fate: TypeAlias = Literal[
    "fine",
    "answer lost",
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
"""What becomes of a request; ``silent`` is done and never answered, ``done late`` is not answered either."""
FATES: tuple[Fate, ...] = get_args(Fate)
LATEST = 29.0  # seconds until even the latest is done
NOT_MADE = frozenset({"not sent", "busy", "login refused"})
"""After these everybody knows that nothing was done."""
_LATE: dict[str, float] = {"done late": 5.0, "done later": LATEST}
_STATUS = {"busy": 429, "away": 503, "done and away": 503, "login refused": 401}
_DONE = frozenset({"fine", "answer lost", "silent", "done and away"})

T = TypeVar("T")


class Death(NamedTuple):
    """When a run dies: before its n-th request is done, after it, or after n seconds; see `World.live`."""

    when: Literal["before", "after", "seconds"]
    number: float


@frozen
class Asked:
    """One request.

    Attributes:
        at: when.
        wall: when, by the clock of who asked.
        epoch: which journal the run had.
    """

    method: str
    person: str | None
    fate: Fate | Literal["died"]
    at: float
    wall: float
    epoch: int


@define
class Life:
    """What became of a run: its outcomes, why it stopped, and whether it died."""

    outcomes: list[Outcome] = field(factory=list)
    stopped: ConnectionsError | None = None
    died: bool = False


def in_time(main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` where pauses take no time, though the disk takes its own; it comes out the same each time."""

    async def wait(reply: Reply[Any]) -> Any:
        _until(lambda: reply.done)
        await trio.lowlevel.checkpoint()
        if reply.failure is not None:
            raise copy(reply.failure)
        return reply.value

    def settle(_: Writer, reply: Reply[Any]) -> None:
        reply.done = True

    def hurry(db: Any) -> None:
        list(db.execute("PRAGMA synchronous=OFF"))  # the power stays on

    with (
        patch.object(Reply, "wait", wait),
        patch.object(Writer, "_settle", settle),
        patch.object(file, "make_durable", hurry),
        patch.object(holding, "make_durable", hurry),
    ):
        return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def _until(condition: Callable[[], bool]) -> None:
    """Have the whole loop wait for the thread of the journal, so that no time passes meanwhile."""
    while not condition():
        time.sleep(0)


class World:
    """A server, the time, and the journal of a run that is begun again and again.

    Attributes:
        place: the server.
        asked: every request of the runs.
        epoch: number of the journal; a new one is a new run, begun on purpose.
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
        self._late_since: float | None = None  # when that was due which the server is doing now
        self.place = Place(dedup=False, clock=self._server_time)
        self._late: list[tuple[float, httpx.Request]] = []
        self._server = httpx.ASGITransport(self.place.server)

    def now(self) -> float:
        """The true time."""
        return self._start + (trio.current_time() if trio.lowlevel.in_trio_run() else 0.0)

    def _server_time(self) -> float:
        return self.now() if self._late_since is None else self._late_since

    def wall(self) -> float:
        """What the clock of the runs says."""
        return self.now() + self._skew

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._start += seconds

    def set_clock_back(self, seconds: float) -> None:
        """Set the clock of the runs back."""
        self._skew -= seconds
        self.set_back = True

    def begin_anew(self) -> None:
        """Begin another run, with a journal that knows nothing."""
        self.epoch += 1
        self.set_back = False

    @property
    def journal(self) -> Path:
        """Where the journal is now."""
        return self._folder / f"{self.epoch}-{self._copies}.sqlite"

    def copy_journal(self) -> None:
        """Go on with what is on the disk now."""
        was = self.journal
        self._copies += 1
        for rest in ("", "-wal"):
            if Path(f"{was}{rest}").exists():
                shutil.copy(f"{was}{rest}", f"{self.journal}{rest}")

    async def do(self, request: httpx.Request) -> httpx.Response:
        """Have the server do it."""
        answer = await self._server.handle_async_request(request)
        await answer.aread()
        return answer

    def do_later(self, seconds: float, request: httpx.Request) -> None:
        """Have the server do it when that much time has passed."""
        self._late.append((self.now() + seconds, request))

    async def catch_up(self) -> None:
        """Have the server do what is due."""
        for each in sorted(self._late, key=lambda each: each[0]):
            if each[0] <= self.now() and each in self._late:
                self._late.remove(each)
                self._late_since = each[0]
                await self.do(each[1])
                self._late_since = None

    def act(self, who: int | None, action: Callable[[Client], Awaitable[object]]) -> None:
        """Somebody does something, and nothing goes wrong."""

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
        """A run with the journal.

        Args:
            who: signs in; None is the administrator.
            begin: begins it.
            fates: of its requests but the canaries, in turn; then everything is fine.
            death: when it dies, if it has not ended by then.
        """
        journal = Journal(self.journal)
        journal._wall = self.wall
        life = Life()

        async def main() -> None:
            with trio.CancelScope() as scope:
                door = _Door(self, fates, death, life, scope)
                options: Any = {"max_connections": self._max_connections, "max_outage": 60, "rng": random.Random(0)}
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
    """Through it a run reaches its server, until it is dead."""

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
        answer = await self._world.do(request) if fate in _DONE else None
        if self._is_time("after"):
            self._die()
        await self._if_alive()
        return await self._answer(request, fate, answer)

    async def _answer(self, request: httpx.Request, fate: str, answer: httpx.Response | None) -> httpx.Response:
        if fate in _STATUS:
            return httpx.Response(_STATUS[fate], request=request)
        if fate == "not sent":
            raise httpx.ConnectError("refused", request=request)
        if fate in _LATE:
            self._world.do_later(_LATE[fate], request)
        if fate == "silent":
            await trio.sleep_forever()
        if answer is None or fate == "answer lost":
            raise httpx.ReadError("reset", request=request)
        return answer

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
