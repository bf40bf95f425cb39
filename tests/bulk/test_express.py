"""Checks in express chains: the same outcomes as one by one, whatever the server does, and every end of a run."""

from __future__ import annotations

import asyncio
import gc
import random
import sqlite3
import time
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from aioconnections import (
    Attempt,
    AuthenticationError,
    Checked,
    Client,
    Failed,
    InvalidInputError,
    Journal,
    JournalDiskError,
    JournalMismatchError,
    Pair,
    Rejected,
    Status,
    Timeouts,
    Unprocessed,
    Userid,
)
from aioconnections.journal import database, report, writer
from aioconnections.protocol.messages import Response
from aioconnections.session.express import Express
from aioconnections.transport import socketwire

pytestmark = pytest.mark.asyncio

T = TypeVar("T")

HEADS = {
    "accepted": "HTTP/1.1 200 OK\r\nX-Profiles-Connection-Status: accepted",
    "pending": "HTTP/1.1 200 OK\r\nX-Profiles-Connection-Status: PENDING",
    "twice": "HTTP/1.1 200 OK\r\nX-Profiles-Connection-Status: accepted\r\nX-Profiles-Connection-Status: accepted",
    "none": "HTTP/1.1 404 Not Found\r\nContent-Type: text/xml;charset=UTF-8\r\nX-Profiles-Version: 1",
    "unknown": "HTTP/1.1 200 OK\r\nX-Profiles-Connection-Status: engaged",
    "refused": "HTTP/1.1 403 Forbidden\r\nContent-Type: text/xml",
    "invalid": "HTTP/1.1 400 Bad Request\r\nContent-Type: text/xml",
    "busy": "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html",
    "closes": "HTTP/1.1 200 OK\r\nX-Profiles-Connection-Status: accepted\r\nConnection: close",
    "page": "HTTP/1.1 404 Not Found\r\nContent-Type: text/html",
    "last": "HTTP/1.1 200 OK\r\nX-Profiles-Connection-Status: accepted\r\nKeep-Alive: timeout=10, max=0",
}
GOOD = ("accepted", "pending", "none", "twice")
ODD = (*(kind for kind in HEADS if kind != "page"), "surplus", "cut", "reset", "split")
SERVICE = (
    '<service xmlns="http://www.w3.org/2007/app"><workspace><collection href="http://h/x">'
    '<snx:userid xmlns:snx="http://www.ibm.com/xmlns/prod/sn">me</snx:userid></collection></workspace></service>'
)


class Server(asyncio.Protocol):
    """One connection; the response depends on the pair, and on how often it was asked for."""

    asked: Counter[str]
    kind_of: Any

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.count = 0

    def data_received(self, data: bytes) -> None:
        target = data.split(b" ", 2)[1].decode()
        self.count += 1
        if "connection.do" not in target:
            kind = "atomsvc" if "profileService" in target else "atom"
            body = SERVICE if kind == "atomsvc" else "<feed xmlns='http://www.w3.org/2005/Atom'/>"
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/{kind}+xml\r\nContent-Length: {len(body)}\r\n\r\n"
            self.transport.write(f"{head}{body}".encode())
            return
        self.asked[target] += 1
        kind = self.kind_of(target, self.asked[target])
        head = HEADS.get(kind, HEADS["accepted"])
        cookie = f"Set-Cookie: LtpaToken2={random.getrandbits(64):x}; Path=/\r\nDate: Sat, 28 Nov 2026 20:36:04 GMT"
        response = f"{head}\r\n{cookie}\r\nContent-Length: 0\r\n\r\n".encode()
        match kind:
            case "surplus":
                self.transport.write(response + HEADS["pending"].encode() + b"\r\n\r\n")
            case "cut":
                self.transport.write(response[:40])
                self.transport.close()
            case "reset":
                self.transport.abort()
            case "split":
                self.transport.write(response[:50])
                asyncio.get_running_loop().call_soon(self.transport.write, response[50:])
            case _:
                self.transport.write(response)
        if kind == "closes":
            self.transport.close()


@asynccontextmanager
async def serving(kind_of: Any) -> AsyncIterator[tuple[str, Counter[str]]]:
    """A server that responds as `kind_of(target, times)` says, and how often each target was asked for."""
    asked: Counter[str] = Counter()
    handler = type("Handler", (Server,), {"asked": asked, "kind_of": staticmethod(kind_of)})
    server = await asyncio.get_running_loop().create_server(handler, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()


def item_of(number: int) -> tuple[Userid, Userid]:
    return Userid(f"a{number}"), Userid(f"b{number}")


def pairs(count: int, start: int = 0) -> Iterator[tuple[Userid, Userid]]:
    return map(item_of, range(start, start + count))


async def in_a_task(items: Iterable[T]) -> AsyncIterator[T]:
    """The same items from an async source."""
    for item in items:
        yield item


def client_of(url: str, **options: Any) -> Client:
    return Client(url, auth=("ajones", "secret"), max_per_second=None, **{"max_connections": 8, **options})


def random_kind(target: str, times: int) -> str:
    chance = random.Random(target)
    if chance.random() < 0.02 and times == 1:
        return chance.choice(ODD)
    return chance.choice(GOOD)


def rarely_busy(target: str, times: int) -> str:
    """The same, with one refusal in about 40,000 pairs: after more, the pace alone would take hours for a million."""
    kind = random_kind(target, times)
    return "split" if kind == "busy" and int(target.rpartition("b")[2]) % 50 else kind


@pytest.fixture
def chained(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the requests that followed another in a chain, and those that its worker sent at a later start."""
    counts: Counter[str] = Counter()
    next_request = Express.next_request

    def counting(self: Express) -> Any:
        request = next_request(self)
        current: Any = self._items  # the pair under way, which the chain may have left to its worker
        counts["followed" if request is not None else "left" if current.is_left else "ended"] += 1
        return request

    monkeypatch.setattr(Express, "next_request", counting)
    return counts


@pytest.mark.parametrize(
    ("asynchronous", "journalled", "count"),
    [
        *((asynchronous, journalled, 10_000) for asynchronous in (False, True) for journalled in (False, True)),
        pytest.param(False, False, 1_000_000, marks=[pytest.mark.full, pytest.mark.timeout(3600)]),
        pytest.param(True, True, 100_000, marks=[pytest.mark.full, pytest.mark.timeout(3600)]),
    ],
)
async def test_chains_and_single_checks_have_the_same_outcomes(
    count: int, chained: Counter[str], tmp_path: Path, *, asynchronous: bool, journalled: bool
) -> None:
    def note(attempt: Attempt) -> None:
        """A hook, with which no chain begins."""

    found: list[dict[int, tuple[object, ...]]] = []
    recorded: list[dict[int, tuple[object, ...]]] = []
    for options in ({}, {"on_attempt": note}):
        chained.clear()
        path = tmp_path / f"{len(found)}.sqlite"
        kind_of = random_kind if count < 1_000_000 else rarely_busy
        async with serving(kind_of) as (url, _), client_of(url, **options) as client:
            outcomes: dict[int, tuple[object, ...]] = {}
            source = in_a_task(pairs(count)) if asynchronous else pairs(count)
            async with client.check_many(source, journal=Journal(path) if journalled else None) as run:
                async for outcome in run:
                    assert outcome.index not in outcomes
                    assert (outcome.recorded_at is not None) is journalled
                    error = getattr(outcome, "error", None)
                    outcomes[outcome.index] = type(outcome), getattr(outcome, "status", None), str(error), outcome.pair
            assert run.stopped is None
            assert run.tally.read == len(outcomes) == count
        # After a refusal the server gets fewer requests per second, and a worker waits for the start of each.
        assert (chained["followed"] + chained["left"] > count * 0.9) is not bool(options)
        found.append(outcomes)
        if journalled:
            recorded.append(rows_of(path))
            assert len(recorded[-1]) == count
    assert found[0] == found[1]
    assert not journalled or recorded[0] == recorded[1]


def rows_of(path: Path) -> dict[int, tuple[object, ...]]:
    """Outcome, details, attempts and reference of each item in a journal."""
    with report(path) as run:
        return {
            row.index: (row.outcome, row.stored.detail, row.stored.attempts, row.item)
            for row in run.rows()
            if row.stored is not None
        }


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("ordered", [False, True])
async def test_each_pair_gets_its_own_status(chained: Counter[str], *, asynchronous: bool, ordered: bool) -> None:
    def own(target: str, times: int) -> str:
        assert times == 1
        return GOOD[int(target.rpartition("b")[2]) % 3]

    expected = [Status.ACCEPTED, Status.PENDING, None]
    async with serving(own) as (url, asked), client_of(url) as client:
        source = in_a_task(pairs(3000)) if asynchronous else pairs(3000)
        found = await client.check_many(source, ordered=ordered).collect()
    assert all(isinstance(outcome, Checked) for outcome in found)
    assert [getattr(outcome, "status", 0) for outcome in sorted(found, key=lambda it: it.index)] == expected * 1000
    assert not ordered or [outcome.index for outcome in found] == list(range(3000))
    assert (len(asked), client.stats().responses[200] + client.stats().responses[404]) == (3000, 3001)
    assert chained["followed"] > 2500


async def test_good_responses_after_a_refusal_are_settled_in_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many chains a refusal ends is for the learned bound to say, and depends on how many it finds under way."""
    responses: Counter[tuple[int, bool]] = Counter()
    settle = Express.settle

    def counting(self: Express, response: Response) -> bool:
        is_settled = settle(self, response)
        responses[response.status, is_settled] += 1
        return is_settled

    def busy_at_times(target: str, times: int) -> str:
        return "busy" if times == 1 and target.endswith("77") else "accepted"

    monkeypatch.setattr(Express, "settle", counting)
    async with serving(busy_at_times) as (url, _), client_of(url) as client:
        found = await client.check_many(pairs(5000)).collect()
    assert {outcome.status for outcome in found if isinstance(outcome, Checked)} == {Status.ACCEPTED}
    assert len(found) == 5000
    assert responses == {(200, True): 4950, (503, False): 50}, "the other 50 good responses are to repeated requests"


async def test_a_single_page_of_a_front_end_does_not_end_the_chains(chained: Counter[str]) -> None:
    def paged(target: str, times: int) -> str:
        return "page" if times <= 2 and target.endswith("b100") else "accepted"

    async with serving(paged) as (url, _), client_of(url) as client:
        found = await client.check_many(pairs(5000)).collect()
    assert {outcome.status for outcome in found if isinstance(outcome, Checked)} == {Status.ACCEPTED}
    assert len(found) == 5000
    assert chained["followed"] > 4500


async def test_surplus_data_is_never_the_response_to_the_next_request() -> None:
    def some(target: str, times: int) -> str:
        return "surplus" if times == 1 and target.endswith("7") else "accepted"

    async with serving(some) as (url, _), client_of(url) as client:
        found = await client.check_many(pairs(2000)).collect()
    assert {outcome.status for outcome in found if isinstance(outcome, Checked)} == {Status.ACCEPTED}
    assert len(found) == 2000


async def test_invalid_items_within_a_chain_fail_alone(chained: Counter[str]) -> None:
    items: list[Any] = [*pairs(400)]
    for place in range(0, 400, 10):
        items[place : place + 2] = [("a", "b"), InvalidInputError("line 7: bad")]
    async with serving(lambda *_: "accepted") as (url, _), client_of(url) as client:
        found = await client.check_many(items).collect()
    failed = {outcome.index for outcome in found if isinstance(outcome, Failed)}
    assert failed == {place + more for place in range(0, 400, 10) for more in (0, 1)}
    assert len(found) == 400
    assert chained["followed"] > 200


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("error", [ValueError("row 300"), asyncio.CancelledError("row 300")])
async def test_an_exception_of_the_source_is_raised_after_the_outcomes_before_it(
    error: BaseException, *, asynchronous: bool
) -> None:
    def source() -> Iterator[tuple[Userid, Userid]]:
        yield from pairs(300)
        raise error

    found: list[Any] = []
    async with serving(lambda *_: "accepted") as (url, _), client_of(url) as client:
        with pytest.raises(type(error), match="row 300"):
            await client.check_many(in_a_task(source()) if asynchronous else source()).drain(found.append)
    assert sorted(outcome.index for outcome in found) == list(range(300))


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_run_that_is_left_accounts_for_every_item(chained: Counter[str], *, asynchronous: bool) -> None:
    async with serving(lambda *_: "accepted") as (url, _), client_of(url) as client:
        for leave_after in range(1, 200, 13):
            items = pairs(10_000, start=10_000 * leave_after)
            async with client.check_many(in_a_task(items) if asynchronous else items) as run:
                delivered = []
                async for outcome in run:
                    delivered.append(outcome)
                    if len(delivered) == leave_after:
                        break
            rest = run.undelivered
            assert sorted(it.index for it in (*delivered, *rest)) == list(range(run.tally.read))
            assert all(isinstance(it, Checked | Unprocessed) for it in rest)
            assert next(items) == item_of(10_000 * leave_after + run.tally.read)
        assert client.stats().under_way == 0
    assert chained["followed"]


async def test_a_cancelled_run_leaves_no_slot_and_no_request_behind() -> None:
    async with serving(lambda *_: "accepted") as (url, _), client_of(url) as client:
        for number in range(30):
            task = asyncio.create_task(client.check_many(pairs(10_000, start=10_000 * number)).drain())
            await asyncio.sleep(0.001 * (number % 7))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert client.stats().under_way == 0
        assert len(await client.check_many(pairs(100, start=10**6)).collect()) == 100


async def test_a_single_call_gets_a_slot_while_chains_run(chained: Counter[str]) -> None:
    async with serving(lambda *_: "accepted") as (url, _), client_of(url, max_connections=2) as client:
        async with client.check_many(pairs(1_000_000)) as run:
            seen = 0
            call: asyncio.Task[Status | None] | None = None
            async for _ in run:
                seen += 1
                if seen == 100:
                    call = asyncio.create_task(client.check(Userid("x"), Userid("y")))
                if call is not None and call.done():
                    break
        assert call is not None
        assert await call is Status.ACCEPTED
        assert seen < 1000
    assert chained["followed"]


async def test_the_rate_limit_holds(chained: Counter[str]) -> None:
    began = asyncio.get_running_loop().time()
    async with serving(lambda *_: "accepted") as (url, _), client_of(url, burst=1) as client:
        client.max_per_second = 400
        await client.check_many(pairs(200)).drain()
    assert asyncio.get_running_loop().time() - began >= 199 / 400
    assert chained["ended"]


async def test_the_source_runs_in_the_context_of_the_run() -> None:
    from contextvars import ContextVar

    tenant: ContextVar[str] = ContextVar("tenant", default="none")
    seen: Counter[str] = Counter()

    def source() -> Iterator[tuple[Userid, Userid]]:
        for pair in pairs(500):
            seen[tenant.get()] += 1
            yield pair

    async with serving(lambda *_: "accepted") as (url, _), client_of(url) as client:
        tenant.set("acme")
        await client.check_many(source()).drain()
    assert seen == {"acme": 500}


async def test_a_pair_object_stays_what_it_was() -> None:
    items = [Pair(Userid(f"a{number}"), Userid(f"b{number}")) for number in range(200)]
    async with serving(lambda *_: "accepted") as (url, _), client_of(url) as client:
        for outcome in await client.check_many(items).collect():
            assert outcome.item is outcome.pair is items[outcome.index]
            assert outcome.attempts == 1
            assert 0 <= outcome.elapsed < 60
            assert outcome.waited == 0


async def test_a_refused_login_stops_every_lane_of_the_same_moment() -> None:
    """Accounts are locked after a few wrong passwords."""
    waiting: list[asyncio.Transport] = []

    class AtOnce(Server):
        def data_received(self, data: bytes) -> None:
            if b"connection.do" not in data or len(asked) < 200:
                if b"connection.do" in data:
                    asked.append(data)
                super().data_received(data)
                return
            refused.append(data)
            waiting.append(self.transport)
            if len(waiting) == 16:  # all lanes wait: one is refused, among good responses
                good = f"{HEADS['accepted']}\r\nContent-Length: 0\r\n\r\n".encode()
                for place, transport in enumerate(waiting):
                    transport.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n" if place == 8 else good)

    asked: list[bytes] = []
    refused: list[bytes] = []
    AtOnce.asked, AtOnce.kind_of = Counter(), staticmethod(lambda *_: "accepted")
    server = await asyncio.get_running_loop().create_server(AtOnce, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    # the run has 16 of the lanes
    async with client_of(url, max_connections=17) as client, client.check_many(pairs(5000)) as run:
        async for _ in run:
            pass
    assert isinstance(run.stopped, AuthenticationError)
    assert len(refused) == 16
    server.close()


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_the_rate_is_used(*, asynchronous: bool) -> None:
    async with serving(lambda *_: "accepted") as (url, _), client_of(url, max_connections=1) as client:
        await client.check(Userid("x"), Userid("y"))
        client.max_per_second = 100  # few per second, so that a busy machine does not matter
        outcomes = await client.check_many(in_a_task(pairs(60)) if asynchronous else pairs(60)).collect()
    assert sum(outcome.waited for outcome in outcomes) < 2 * 60 / 100


class ShiftedClock:
    """The clock of the event loop, `ahead` seconds later."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_at(self, when: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_at(when - self.ahead, callback)


async def test_a_slow_source_counts_neither_as_elapsed_nor_past_the_end_of_the_run() -> None:
    def source() -> Iterator[tuple[Userid, Userid]]:
        yield from pairs(50)
        clock.ahead += 200
        yield from pairs(50, start=50)

    clock, timeouts = ShiftedClock(), Timeouts(run=100)
    async with (
        serving(lambda *_: "accepted") as (url, asked),
        client_of(url, timeouts=timeouts, clock=clock, max_connections=1) as client,
    ):
        found = await client.check_many(source()).collect()
    assert sum(asked.values()) == 50
    assert all(outcome.elapsed < 100 for outcome in found)


async def test_requests_chosen_before_the_source_blocked_are_not_sent_past_the_end_of_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The responses to 16 requests arrive together, and the source blocks when a few of the next are chosen."""
    waiting: list[asyncio.Transport] = []
    late: list[bytes] = []

    class Together(Server):
        def data_received(self, data: bytes) -> None:
            if b"connection.do" not in data:
                super().data_received(data)
                return
            if clock.ahead:
                late.append(data)
            waiting.append(self.transport)
            if len(waiting) == 16:
                for transport in waiting:
                    transport.write(f"{HEADS['accepted']}\r\nContent-Length: 0\r\n\r\n".encode())
                waiting.clear()

    def source() -> Iterator[tuple[Userid, Userid]]:
        yield from pairs(166)
        time.sleep(0.02)
        clock.ahead = 200.0
        yield from pairs(50, start=166)

    monkeypatch.setattr(socketwire, "_LONGEST_BATCH", 10.0)
    clock, timeouts = ShiftedClock(), Timeouts(run=100)
    server = await asyncio.get_running_loop().create_server(Together, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with client_of(
        url, timeouts=timeouts, clock=clock, max_connections=17
    ) as client:  # one is left to single calls
        found = await client.check_many(source()).collect()
    server.close()
    assert not late
    assert Counter(type(outcome) for outcome in found) == {Checked: 160, Unprocessed: 7}


async def test_nothing_of_a_run_is_kept_after_it() -> None:
    class Source:
        def __iter__(self) -> Iterator[tuple[Userid, Userid]]:
            yield from pairs(500)

    async with serving(lambda *_: "accepted") as (url, _), client_of(url) as client:
        source = Source()
        kept = weakref.ref(source)
        run = client.check_many(source.__iter__())
        kept_run = weakref.ref(run)
        await run.drain()
        del source, run
        gc.collect()
        assert (kept(), kept_run()) == (None, None)


async def test_an_item_that_cannot_even_be_read_is_accounted_for() -> None:
    class Odd(tuple[Any, ...]):
        __slots__ = ()

        def __len__(self) -> int:
            raise LookupError("odd")

    items: list[Any] = [*pairs(40), Odd(), *pairs(40, start=40)]
    delivered: list[Any] = []
    async with serving(lambda *_: "accepted") as (url, _), client_of(url) as client:
        run = client.check_many(items)
        with pytest.raises(LookupError, match="odd"):
            await run.drain(delivered.append)
    assert sorted(it.index for it in (*delivered, *run.undelivered)) == list(range(run.tally.read))


async def test_what_is_recorded_is_not_asked_again_and_chains_take_the_rest(
    chained: Counter[str], tmp_path: Path
) -> None:
    path = tmp_path / "run.sqlite"
    async with serving(random_kind) as (url, asked), client_of(url) as client:
        async with client.check_many(pairs(3000), journal=Journal(path)) as run:
            for _ in range(1000):
                await anext(run)
        before = rows_of(path)
        finished = {index for index, row in before.items() if row[0] in {"checked", "rejected"}}
        assert len(finished) > 900
        asked.clear()
        chained.clear()
        again = await client.check_many(pairs(3000), journal=Journal(path)).collect()
        assert {outcome.index for outcome in again if outcome.replayed} == finished
        replayed = {f"=b{index}" for index in finished}
        assert not {target for target in asked if target[target.rindex("=b") :] in replayed}
        assert sorted(outcome.index for outcome in again) == list(range(3000))
        assert len(rows_of(path)) == 3000
        assert {index: row for index, row in rows_of(path).items() if index in finished} == {
            index: before[index] for index in finished
        }
    assert chained["followed"] > 1000


async def test_a_chain_does_not_pass_an_item_that_differs_from_the_recorded_one(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    async with serving(lambda *_: "refused") as (url, asked), client_of(url) as client:
        kinds = Counter(
            type(outcome) for outcome in await client.check_many(pairs(200), journal=Journal(path)).collect()
        )
        assert kinds == {Rejected: 200}
        asked.clear()
        changed = [*pairs(150), *pairs(2000, start=151)]
        run = client.check_many(changed, journal=Journal(path, max_age=3600))
        found = await run.collect()
    assert isinstance(run.stopped, JournalMismatchError)
    assert run.stopped.index == 150
    assert not asked
    assert len(found) == run.tally.read < 250


async def test_a_full_backlog_loses_no_row(
    chained: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BACKLOG", 20)
    path = tmp_path / "run.sqlite"
    async with serving(lambda *_: "accepted") as (url, _), client_of(url) as client:
        found = await client.check_many(pairs(2000), journal=Journal(path)).collect()
    assert len(found) == len(rows_of(path)) == 2000
    assert all(outcome.recorded_at for outcome in found)
    assert 0 < chained["followed"] < 1990


class FullDisk:
    """A database whose disk is full after some rows."""

    rows = 500

    def __init__(self, path: Path, mode: database.Mode) -> None:
        self.db = CONNECT(path, mode)
        self.close = self.db.close

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> Any:
        if sql.startswith("INSERT INTO entry"):
            FullDisk.rows -= sql.count("(")
            if FullDisk.rows < 0:
                raise sqlite3.OperationalError("database or disk is full")
        return self.db.execute(sql, values)


CONNECT = database.connect


async def test_a_full_disk_ends_a_run_of_chains(
    chained: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.sqlite"
    FullDisk.rows = 9_000  # more than the queue can hold, and so more than one commit
    monkeypatch.setattr(database, "connect", FullDisk)
    async with serving(lambda *_: "accepted") as (url, _), client_of(url) as client:
        run = client.check_many(pairs(1_000_000), journal=Journal(path))
        found = await run.collect()
    monkeypatch.undo()
    assert isinstance(run.stopped, JournalDiskError)
    assert len(found) == run.tally.read < 100_000
    assert chained["followed"] > 500
    assert 0 < len(rows_of(path)) <= 9_000
    assert any(outcome.recorded_at is None for outcome in found)


async def test_invalid_items_in_a_chain_are_recorded(chained: Counter[str], tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    items: list[Any] = [*pairs(400)]
    for place in range(0, 400, 10):
        items[place : place + 2] = [("a", "b"), InvalidInputError("line 7: bad")]
    journal = Journal(path, max_age=3600)
    async with serving(lambda *_: "accepted") as (url, _), client_of(url) as client:
        first = await client.check_many(items, ordered=True, journal=journal).collect()
        again = await client.check_many(items, ordered=True, journal=journal).collect()
    assert chained["followed"] > 200
    assert [(type(it), it.recorded_at) for it in first] == [(type(it), it.recorded_at) for it in again]
    assert Counter(row[0] for row in rows_of(path).values()) == {"checked": 320, "failed": 80}
