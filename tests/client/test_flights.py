"""Single-flight: what several callers ask at the same time is sent once, and each caller remains its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

import anyio
import anyio.lowlevel
import httpx
import pytest
import trio
from colleague_answers import entry
from doors import Script, answered, client_of, connected, no_connection, on_virtual_time, pairs, refusal, status
from server import DIRECTORY

from aioconnections import (
    AuthenticationError,
    BadRequestError,
    Client,
    ConnectionsError,
    DeadlineError,
    Email,
    Headers,
    Key,
    Send,
    ServerUnavailableError,
    Status,
    Timeouts,
    Userid,
)
from aioconnections.reference import app
from aioconnections.reference.server import listening_in_thread

A, B, C, D = (Userid(name) for name in "abcd")
A_MAIL = Email("a@example.com")


class Held(Script):
    """Answers once `release` was called; a request that began before counts as `begun`."""

    def __init__(self, response: httpx.Response | None = None) -> None:
        super().__init__(self._held)
        self.response = response or status("accepted")
        self.go = anyio.Event()

    async def _held(self, request: httpx.Request) -> httpx.Response:
        if request.method != "HEAD":
            return await answered(httpx.Response(201))
        await self.go.wait()
        return await answered(self.response)


async def settle() -> None:
    await anyio.wait_all_tasks_blocked()


def flights(client: Client) -> int:
    session = client._caller.session
    assert session is not None
    return len(session._flights._under_way)


@pytest.mark.anyio
async def test_two_hundred_requests_for_ten_pairs_send_ten() -> None:
    wanted, statuses = list(pairs(10)), []
    script = Script(connected)
    async with client_of(script, max_connections=4) as client, anyio.create_task_group() as tasks:

        async def visit(number: int) -> None:
            pair = wanted[number % 10]
            statuses.append(await client.check(pair.source, pair.target))

        for number in range(200):
            tasks.start_soon(visit, number)
    assert statuses == [Status.ACCEPTED] * 200
    assert len(script.asked) == len(set(script.asked)) == 10
    assert client.stats().joined == 190
    assert "0 under way" in repr(client._caller.session._flights)  # type: ignore[union-attr] # entered


@pytest.mark.anyio
async def test_the_request_is_sent_in_the_context_of_the_first_caller() -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="none")
    go, asked, attempts = anyio.Event(), list[str](), list[str]()

    async def answer(_: httpx.Request) -> httpx.Response:
        asked.append(tenant.get())
        await go.wait()
        return await answered(status("accepted"))

    async with (
        client_of(Script(answer), on_attempt=lambda _: attempts.append(tenant.get())) as client,
        anyio.create_task_group() as tasks,
    ):

        async def visit(name: str) -> None:
            _ = tenant.set(name)
            assert await client.check(A, B) is Status.ACCEPTED
            assert tenant.get() == name

        tasks.start_soon(visit, "first")
        await settle()
        tasks.start_soon(visit, "second")
        await settle()
        go.set()
    assert client.stats().joined == 1
    assert asked == ["first"]
    assert {*attempts} == {"first"}


@pytest.mark.anyio
async def test_what_is_asked_one_after_the_other_is_sent_each_time() -> None:
    script = Script(connected)
    async with client_of(script) as client:
        for _ in range(3):
            await client.check(A, B)
    assert len(script.asked) == 3
    assert client.stats().joined == 0


@pytest.mark.anyio
async def test_it_is_shared_over_a_real_connection() -> None:
    one, other = DIRECTORY.people[:2]
    with listening_in_thread(app(DIRECTORY)) as url:
        async with Client(url, auth=("admin", "secret"), max_per_second=None) as client:
            found: list[object] = []

            async def ask(call: Callable[[], Awaitable[object]]) -> None:
                found.append(await call())

            for call in (
                lambda: client.check(one, other),
                lambda: client.profile(one),
                lambda: client.connection(one, other),
            ):
                found.clear()
                before = client.stats().attempts
                async with anyio.create_task_group() as tasks:
                    for _ in range(20):
                        tasks.start_soon(ask, call)
                assert found == [found[0]] * 20
                assert client.stats().attempts - before <= 2  # one of them proves the login


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("calls", "sent"),
    [
        ([lambda it: it.check(A, B), lambda it: it.check(B, A)], 2),
        ([lambda it: it.check(A_MAIL, B), lambda it: it.check(Email("A@EXAMPLE.com"), B)], 1),
        ([lambda it: it.check(Key("a"), B), lambda it: it.check(A, B)], 2),
        ([lambda it: it.connection(A, B), lambda it: it.connection((A, B))], 1),
        ([lambda it: it.connection(A, B), lambda it: it.connection(A, B, include_message=True)], 2),
        ([lambda it: it.connection(A, B), lambda it: it.check(A, B)], 2),
        ([lambda it: it.connection("c0"), lambda it: it.connection("c0"), lambda it: it.connection("c1")], 2),
        ([lambda it: it.profile(A), lambda it: it.profile(A), lambda it: it.profile(B)], 2),
    ],
)
async def test_what_the_same_question_is(calls: list[Callable[[Client], Awaitable[object]]], sent: int) -> None:
    async def missing(_: httpx.Request) -> httpx.Response:
        return await answered(no_connection())

    script = Script(missing)
    async with client_of(script) as client, anyio.create_task_group() as tasks:

        async def ask(call: Callable[[Client], Awaitable[object]]) -> None:
            assert await call(client) is None

        for call in calls:
            tasks.start_soon(ask, call)
    assert len(script.asked) == sent


@pytest.mark.anyio
@pytest.mark.parametrize("leaver", [0, 1])
async def test_a_caller_that_leaves_takes_nothing_from_the_others(leaver: int) -> None:
    script, found = Held(), []
    async with client_of(script) as client, anyio.create_task_group() as tasks:
        scopes = [anyio.CancelScope() for _ in range(3)]

        async def ask(scope: anyio.CancelScope) -> None:
            with scope:
                found.append(await client.check(A, B))

        for scope in scopes:
            tasks.start_soon(ask, scope)
            await settle()
        scopes[leaver].cancel()
        await settle()
        assert (script.under_way, flights(client)) == (1, 1)
        script.go.set()
    assert found == [Status.ACCEPTED] * 2
    assert len(script.asked) == 1


@pytest.mark.anyio
async def test_the_last_caller_that_leaves_cancels_the_request_and_waits_for_its_end() -> None:
    script = Held()
    async with client_of(script) as client, anyio.create_task_group() as tasks:
        scopes = [anyio.CancelScope() for _ in range(2)]

        async def ask(scope: anyio.CancelScope) -> None:
            with scope:
                await client.check(A, B)
            seen.append((script.under_way, client.stats().under_way))

        seen: list[tuple[int, int]] = []
        for scope in scopes:
            tasks.start_soon(ask, scope)
        await settle()
        scopes[0].cancel()
        await settle()
        scopes[1].cancel()
        await settle()
        assert seen == [(1, 1), (0, 0)]
        script.go.set()
        assert await client.check(A, B) is Status.ACCEPTED
    assert len(script.asked) == 2


@pytest.mark.asyncio
async def test_a_caller_whose_coroutine_is_closed_leaves_too() -> None:
    script = Held()
    async with client_of(script, auth=None) as client:
        call = client.check(A, B)
        call.send(None)
        await settle()
        assert script.under_way == 1
        call.close()
        for _ in range(10):
            await asyncio.sleep(0)
        assert (script.under_way, flights(client)) == (0, 0)


@pytest.mark.asyncio
async def test_a_flight_that_other_code_cancels_costs_no_caller_its_answer() -> None:
    """As programs do that cancel all tasks but their own."""
    script = Held()
    async with client_of(script) as client:
        callers = [asyncio.ensure_future(client.check(A, B)) for _ in range(2)]
        await settle()
        for task in asyncio.all_tasks() - {asyncio.current_task(), *callers}:
            task.cancel()
        script.go.set()
        assert await asyncio.gather(*callers) == [Status.ACCEPTED] * 2
    assert len(script.asked) == 3


def waits(
    name: str, seen: dict[str, tuple[object, float]], call: Callable[[], Awaitable[object]]
) -> Callable[[], Awaitable[None]]:
    """A call whose end, and time of end, are recorded."""

    async def wait() -> None:
        result: object
        try:
            result = await call()
        except ConnectionsError as error:
            result = type(error)
        seen[name] = result, round(trio.current_time() - began, 3)

    began = trio.current_time()
    return wait


@pytest.mark.parametrize(("response", "second"), [(12.0, (Status.ACCEPTED, 12.0)), (99.0, (DeadlineError, 15.0))])
def test_each_caller_has_its_own_deadline_and_the_flight_that_of_the_latest(
    response: float, second: tuple[object, float]
) -> None:
    seen: dict[str, tuple[object, float]] = {}

    async def slow(_: httpx.Request) -> httpx.Response:
        await trio.sleep(response)
        return status("accepted")

    async def main() -> None:
        script, timeouts = Script(slow), Timeouts(attempt=30, item=10)
        async with client_of(script, timeouts=timeouts, auth=None) as client, trio.open_nursery() as nursery:
            first = waits("first", seen, lambda: client.check(A, B))
            last = waits("second", seen, lambda: client.check(A, B))
            nursery.start_soon(first)
            await trio.sleep(5)
            nursery.start_soon(last)
        assert len(script.asked) == 1
        assert client.stats().failures == ({} if response == 12.0 else {"DeadlineError": 1})

    on_virtual_time(main)
    assert seen == {"first": (DeadlineError, 10.0), "second": second}


def test_if_the_latest_caller_leaves_the_others_keep_their_deadlines() -> None:
    seen: dict[str, tuple[object, float]] = {}

    async def main() -> None:
        script, timeouts = Held(), Timeouts(attempt=30, item=10)
        async with client_of(script, timeouts=timeouts, auth=None) as client, trio.open_nursery() as nursery:
            for name, pause in (("first", 3), ("second", 3), ("third", 0)):
                nursery.start_soon(waits(name, seen, lambda: client.check(A, B)))
                await trio.sleep(pause)
            with trio.move_on_after(1):
                await client.check(A, B)
        assert flights(client) == 0
        assert len(script.asked) == 1

    on_virtual_time(main)
    # each clock starts with its own call
    assert seen == {"first": (DeadlineError, 10.0), "second": (DeadlineError, 10.0), "third": (DeadlineError, 10.0)}


def test_the_time_in_a_queue_counts_against_no_deadline() -> None:
    seen: dict[str, tuple[object, float]] = {}

    async def slow(_: httpx.Request) -> httpx.Response:
        await trio.sleep(9)
        return status("accepted")

    async def main() -> None:
        script, timeouts = Script(slow), Timeouts(attempt=30, item=10)
        async with (
            client_of(script, timeouts=timeouts, auth=None, max_connections=1) as client,
            trio.open_nursery() as nursery,
        ):
            for name, pair, pause in (("one", (C, D), 0.1), ("two", (D, C), 0.1), ("a", (A, B), 5), ("b", (A, B), 0)):
                nursery.start_soon(waits(name, seen, lambda pair=pair: client.check(*pair)))  # type: ignore[misc] # a lambda with a default
                await trio.sleep(pause)

    on_virtual_time(main)
    assert seen == {name: (Status.ACCEPTED, at) for name, at in (("one", 9.0), ("two", 17.9), ("a", 26.8), ("b", 21.8))}


def test_the_time_that_a_server_is_away_counts_and_a_later_caller_waits_longer() -> None:
    seen: dict[str, tuple[object, float]] = {}

    async def main() -> None:
        back = trio.current_time() + 14

        async def away(_: httpx.Request) -> httpx.Response:
            if trio.current_time() < back:
                raise httpx.ConnectError("refused")
            return await answered(status("accepted"))

        def canary(_: httpx.Request) -> httpx.Response:
            if trio.current_time() < back:
                raise httpx.ConnectError("refused")
            return httpx.Response(200, headers={"content-type": "application/atom+xml"}, content=b"<feed/>")

        timeouts = Timeouts(attempt=5, item=10)
        async with client_of(Script(away, canary), timeouts=timeouts, auth=None) as client:
            async with client.check_many(pairs(16)):
                await trio.sleep(1)  # that many failures begin an outage
            async with trio.open_nursery() as nursery:
                nursery.start_soon(waits("first", seen, lambda: client.check(A, B)))
                await trio.sleep(8)
                nursery.start_soon(waits("second", seen, lambda: client.check(A, B)))

    on_virtual_time(main)
    assert seen["first"] == (ServerUnavailableError, 10.0)
    assert seen["second"][0] is Status.ACCEPTED


@pytest.mark.anyio
async def test_each_caller_gets_an_exception_of_its_own() -> None:
    script = Held(refusal(400))
    caught: list[BadRequestError] = []
    async with client_of(script) as client, anyio.create_task_group() as tasks:

        async def ask() -> None:
            try:
                await client.check(A, B)
            except BadRequestError as error:
                error.add_note(f"caller {len(caught)}")
                caught.append(error)

        for _ in range(3):
            tasks.start_soon(ask)
        await settle()
        script.go.set()
    assert len(script.asked) == 1
    assert len({id(error) for error in caught}) == 3
    assert [error.__notes__ for error in caught] == [[f"caller {number}"] for number in range(3)]
    assert {str(error) for error in caught} == {"HTTP 400: No."}
    heads = {id(error.__traceback__) for error in caught}
    assert len(heads) == 3


class Broken(Exception):  # noqa: N818 # of the caller's own code, in which such names occur
    """An exception that cannot be copied."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(one + other)


@pytest.mark.anyio
@pytest.mark.parametrize("error", [Broken("no", "token"), LookupError("no token"), asyncio.CancelledError()])
async def test_an_exception_of_the_callers_own_login_reaches_every_caller(
    error: BaseException, anyio_backend: str
) -> None:
    if isinstance(error, asyncio.CancelledError) and anyio_backend == "trio":
        pytest.skip("trio has no such exception")
    go = anyio.Event()

    class Login:
        async def headers(self, send: Send, refused: Headers | None) -> Headers:
            del send, refused
            await go.wait()
            raise error

    caught: list[BaseException] = []
    async with client_of(Script(connected), auth=Login(), verify_login=False) as client:

        async def ask() -> None:
            try:
                await client.check(A, B)
            except (Exception, asyncio.CancelledError) as found:  # noqa: BLE001 # it is what is looked at
                caught.append(found)

        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(ask)
            await settle()
            go.set()
    assert [type(found) for found in caught] == [type(error)] * 2
    assert any(found is error for found in caught)


@pytest.mark.anyio
async def test_a_login_that_is_refused_in_a_flight_is_refused_once() -> None:
    script, caught = Held(httpx.Response(401)), []
    async with client_of(script) as client, anyio.create_task_group() as tasks:

        async def ask() -> None:
            with pytest.raises(AuthenticationError) as error:
                await client.check(A, B)
            caught.append(error.value)

        for _ in range(5):
            tasks.start_soon(ask)
        await settle()
        script.go.set()
        await settle()
        assert len(script.asked) == 1
        assert len({id(error) for error in caught}) == 5
        await ask()
    assert len(script.asked) == 1


@pytest.mark.anyio
async def test_users_share_nothing_and_equal_credentials_do() -> None:
    """One of the users may see the connection, and the other may not."""
    go = anyio.Event()

    async def by_user(request: httpx.Request) -> httpx.Response:
        await go.wait()
        return (
            no_connection() if request.headers.get("authorization", "").startswith("Basic Ym9i") else status("pending")
        )

    script, found = Script(by_user), []
    async with client_of(script) as client, anyio.create_task_group() as tasks:

        async def ask(user: Client) -> None:
            found.append(await user.check(A, B))

        users = [client.as_user((name, "secret")) for name in ("ann", "bob", "ann")] + [client.as_user(None)] * 2
        for user in users:
            tasks.start_soon(ask, user)
            await settle()
        assert len(script.asked) == 3
        go.set()
    assert found.count(None) == 1
    assert found.count(Status.PENDING) == 4


CHANGES: list[tuple[Callable[[Client], Awaitable[object]], bool]] = [
    (lambda it: it.admin.connect(A, B), True),
    (lambda it: it.admin.connect(B, C), True),
    (lambda it: it.admin.connect(C, D), False),
    (lambda it: it.admin.connect(A_MAIL, D), True),  # it may be the same person
    (lambda it: it.admin.connect_many([(A, C)]).collect(), True),
    (lambda it: it.admin.connect_many([(C, D)]).collect(), False),
    (lambda it: it.invite(B), True),
    (lambda it: it.invite_many([B], journal=None).collect(), True),
    (lambda it: it.remove("c0ffee"), True),
    (lambda it: it.accept_many(["c0ffee"]).collect(), False),  # there is none, so nothing was sent
    (lambda it: it.community("u1").invite(B), False),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("change", "concerned"), CHANGES)
async def test_what_begins_after_a_change_does_not_join_what_began_before(
    change: Callable[[Client], Awaitable[object]], *, concerned: bool
) -> None:
    go, heads = anyio.Event(), 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal heads
        if request.method == "HEAD":
            heads += 1
            await go.wait()
            return await answered(status("accepted"))
        missing = request.url.params.get("connectionId") == "c0ffee" and change is CHANGES[9][0]
        if request.method == "GET" and not missing:
            headers = {"content-type": "application/atom+xml"}
            return await answered(httpx.Response(200, headers=headers, content=entry("accepted").body))
        return await answered(
            no_connection() if missing else httpx.Response(204 if request.method == "DELETE" else 201)
        )

    async with client_of(Script(answer)) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.check, A, B)
        await settle()
        await change(client)
        tasks.start_soon(client.check, A, B)
        await settle()
        assert heads == 1 + concerned
        tasks.start_soon(client.check, A, B)
        await settle()
        assert heads == 1 + concerned
        go.set()


@pytest.mark.anyio
async def test_a_change_that_is_cancelled_after_it_was_sent_counts() -> None:
    go, seen = anyio.Event(), []

    async def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        await go.wait()
        return await answered(status("accepted"))

    async with client_of(Script(answer)) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.check, A, B)
        await settle()
        with anyio.move_on_after(0.01):
            await client.admin.connect(A, B)
        tasks.start_soon(client.check, A, B)
        await settle()
        assert seen == ["HEAD", "PUT", "HEAD"]
        go.set()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "count", [pytest.param(10_000, marks=pytest.mark.slow), pytest.param(100_000, marks=pytest.mark.full)]
)
async def test_many_callers_that_are_cancelled_leave_nothing(count: int, anyio_backend: str) -> None:
    """At any moment, and on few questions, so that many of them are the last caller of a flight."""
    script, wanted = Script(connected), list(pairs(7))
    async with client_of(script, max_connections=4) as client:
        await client.check(A, B)
        live = len(asyncio.all_tasks()) if anyio_backend == "asyncio" else 0

        async def visit(number: int, turns: int) -> None:
            with anyio.CancelScope() as scope:
                hurry.append((turns, scope))
                pair = wanted[number % 7]
                await client.check(pair.source, pair.target)

        hurry: list[tuple[int, anyio.CancelScope]] = []
        for begin in range(0, count, 500):
            hurry.clear()
            async with anyio.create_task_group() as tasks:
                for number in range(begin, begin + 500):
                    tasks.start_soon(visit, number, number * 13 % 11)
                for turn in range(11):
                    await anyio.lowlevel.checkpoint()
                    for turns, scope in hurry:
                        if turns == turn:
                            scope.cancel()
            assert (flights(client), client.stats().under_way, script.under_way) == (0, 0, 0)
        assert await client.check(A, B) is Status.ACCEPTED
        assert live == (len(asyncio.all_tasks()) if anyio_backend == "asyncio" else 0)


@pytest.mark.anyio
async def test_a_hidden_address_and_an_unknown_person_are_told_apart_for_each_caller() -> None:
    async def missing(_: httpx.Request) -> httpx.Response:
        return await answered(no_connection())

    script, found = Script(missing), []
    async with client_of(script) as client, anyio.create_task_group() as tasks:

        async def ask() -> None:
            found.append(await client.profile(A_MAIL))

        for _ in range(5):
            tasks.start_soon(ask)
    assert found == [None] * 5
    assert len(script.asked) == 1
    assert script.seen["/profiles/serviceconfigs"] == 1


def test_a_task_that_is_cancelled_before_its_first_step_leaves_no_caller_waiting() -> None:
    """As at the end of `asyncio.run`, which cancels all tasks."""

    async def main() -> None:
        script = Script(lambda _: answered(status("accepted")))
        async with client_of(script, verify_login=False) as client:
            asking = asyncio.create_task(client.check(A, B))
            await asyncio.sleep(0)
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert len(others) == 2
            for task in others:
                task.cancel()
            await asyncio.wait([asking], timeout=10)
            assert asking.cancelled()
            assert flights(client) == 0
            assert await client.check(A, B) is Status.ACCEPTED

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks start eagerly since Python 3.12")
def test_eager_tasks_may_end_before_their_callers_wait() -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009 # not in 3.11
        script = Script(lambda _: answered(httpx.Response(401)))
        async with client_of(script) as client:
            for _ in range(2):
                with pytest.raises(AuthenticationError):
                    await asyncio.wait_for(client.check(A, B), 10)

    asyncio.run(main())
