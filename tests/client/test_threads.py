"""Real programs: worker threads of web frameworks, forking servers, several event loops."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
from doors import Script, answered, client_of, connected, everything, pairs, refusal, status
from server import DIRECTORY

from aioconnections import (
    Administration,
    BadRequestError,
    Client,
    Community,
    CommunityInvitations,
    Invitation,
    Journal,
    Outcomes,
    Status,
    Stream,
    UsageError,
    Userid,
)
from aioconnections.client import server as server_module
from aioconnections.reference import app
from aioconnections.reference.server import listening_in_thread

A, B = Userid("a"), Userid("b")
UUID = "9b8f4c2e-6f0d-4a53-8f1b-0d5c3a1e7b42"
INVITATION = Invitation(None, UUID, edit_href="https://connections.example.com/communities/service/atom/x")


def in_a_thread(function: Callable[[], object]) -> object:
    """The result of a function in a thread that no event loop knows, such as one that serves metrics."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 -- raised by the caller
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]


def synchronous(kind: type[object]) -> set[str]:
    """The public methods and properties that are no coroutine functions."""
    return {
        name
        for name, member in inspect.getmembers(kind)
        if not name.startswith("_") and (isinstance(member, property) or inspect.isfunction(member))
        if not inspect.iscoroutinefunction(member)
    }


def of_client(client: Client) -> dict[str, Callable[[], object]]:
    return {
        "accept_many": lambda: client.accept_many(["c0ffee"]),
        "admin": lambda: client.admin,
        "as_user": lambda: client.as_user(("ann", "secret")),
        "check_many": lambda: client.check_many([(A, B)]),
        "colleagues": lambda: client.colleagues(A),
        "colleagues_in_common": lambda: client.colleagues_in_common(A, B),
        "colleagues_many": lambda: client.colleagues_many([A]),
        "network": lambda: client.network([A, B]),
        "community": lambda: client.community(UUID),
        "community_invitations": lambda: client.community_invitations,
        "invite_many": lambda: client.invite_many([A], journal=None),
        "max_per_second": lambda: client.max_per_second,
        "remove_many": lambda: client.remove_many(["c0ffee"]),
        "resolve_many": lambda: client.resolve_many([A]),
        "search": lambda: client.search(name="a*"),
        "stats": client.stats,
    }


def of_resources(client: Client) -> dict[type[object], dict[str, Callable[[], object]]]:
    admin, community, invitations = client.admin, client.community(UUID), client.community_invitations
    return {
        Client: of_client(client),
        Administration: {
            "connect_many": lambda: admin.connect_many([(A, B)]),
            "disconnect_many": lambda: admin.disconnect_many([(A, B)]),
        },
        Community: {
            "invitations": community.invitations,
            "invite_many": lambda: community.invite_many([A], journal=None),
        },
        CommunityInvitations: {
            "accept_many": lambda: invitations.accept_many([INVITATION]),
            "decline_many": lambda: invitations.decline_many([INVITATION]),
            "received": invitations.received,
            "revoke_many": lambda: invitations.revoke_many([INVITATION]),
        },
    }


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore:a bulk run was never entered")
async def test_all_that_builds_or_reads_values_works_in_any_thread() -> None:
    """Such as the thread of a plain `def` dependency of FastAPI."""
    async with client_of(Script(connected)) as client:
        for kind, calls in of_resources(client).items():
            assert set(calls) == synchronous(kind), "a new method needs its line here"
            for call in calls.values():
                in_a_thread(call)
                in_a_thread(lambda call=call: repr(call()))  # type: ignore[misc] # mypy cannot infer it


@pytest.mark.anyio
async def test_runs_that_another_thread_reads(tmp_path: Path) -> None:
    async with client_of(Script(connected)) as client:
        journal = Journal(tmp_path / "check.sqlite")
        async with client.check_many(pairs(50), journal=journal) as run:
            async for _ in run:
                tally = in_a_thread(lambda: run.tally)
                assert tally.read >= tally.checked > 0  # type: ignore[attr-defined]
                in_a_thread(
                    lambda: (run.avoidable, run.stopped, run.undelivered, repr(run), journal.path, journal.last_index)
                )
        assert synchronous(Outcomes) == {
            "arrow_batches",
            "avoidable",
            "batches",
            "record_timeline",
            "tally",
            "timeline",
            "undelivered",
            "unread",
        }
        with pytest.raises(UsageError, match="entered only once"):
            await run.collect()


@pytest.mark.anyio
async def test_runs_and_listings_from_a_thread_are_used_in_the_event_loop() -> None:
    """An async source too, which needs a lock of the event loop."""

    async def source() -> AsyncIterator[object]:
        for pair in pairs(20):
            yield pair

    with listening_in_thread(app(DIRECTORY)) as url:
        person = DIRECTORY.people[0]
        async with Client(url, auth=("admin", "secret"), max_per_second=None) as client:
            for make in (lambda: client.check_many(pairs(20)), lambda: client.check_many(source())):  # type: ignore[arg-type]
                run: Any = await anyio.to_thread.run_sync(make)
                assert len(await everything(run)) == 20
            make_user: Any = lambda: client.as_user((str(person.userid), "secret"))  # noqa: E731
            user: Client = await anyio.to_thread.run_sync(make_user)
            assert (await user.me()).identity == person.userid
            stream: Any = in_a_thread(lambda: user.colleagues(person))
            assert isinstance(stream, Stream)
            assert len([connection async for connection in stream]) > 0


@pytest.mark.anyio
async def test_what_needs_the_event_loop_is_refused_elsewhere_with_the_recipe(anyio_backend: str) -> None:
    async with client_of(Script(connected), max_per_second=50) as client:
        with pytest.raises(UsageError, match=r"max_per_second .* loop\.call_soon_threadsafe or anyio\.from_thread"):
            in_a_thread(lambda: setattr(client, "max_per_second", 5))
        assert client.max_per_second == 50
        await anyio.to_thread.run_sync(anyio.from_thread.run_sync, setattr, client, "max_per_second", 5)
        assert client.max_per_second == 5
        if anyio_backend == "asyncio":
            loop = asyncio.get_running_loop()
            in_a_thread(lambda: loop.call_soon_threadsafe(setattr, client, "max_per_second", 6))
            await anyio.wait_all_tasks_blocked()
            assert client.max_per_second == 6
        stream = client.colleagues(A)

        async def listed() -> None:
            await anext(stream)

        def begin(call: Callable[[], Any]) -> None:
            call().send(None)

        calls: list[Callable[[], Any]] = [
            *(
                lambda: client.check(A, B),
                lambda: client.check_outcome(A, B),
                client.me,
                lambda: client.check_many(pairs(3)).collect(),
                listed,
            ),
            *(lambda: client.admin.connect(A, B), lambda: client.community(UUID).invite(A)),
            lambda: client.community_invitations.accept(INVITATION),
        ]
        for call in calls:
            for backend in ("asyncio", "trio"):
                with pytest.raises(UsageError, match=r"another event loop.*asyncio\.run_coroutine_threadsafe"):
                    in_a_thread(partial(anyio.run, call, backend=backend))
            with pytest.raises(UsageError, match="another event loop"):
                in_a_thread(partial(begin, call))


@contextmanager
def switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@pytest.mark.slow
@pytest.mark.anyio
async def test_threads_that_make_users_and_read_figures_while_the_event_loop_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The registry of users is full all the time, so that every thread also removes the oldest."""
    monkeypatch.setattr(server_module, "_MOST_SESSIONS", 20)
    failures: list[BaseException] = []
    done = threading.Event()
    answers = itertools.cycle([*(status(word) for word in Status), refusal(400)])

    async def answer(_: httpx.Request) -> httpx.Response:
        return await answered(next(answers))

    def forever(call: Callable[[int], object]) -> None:
        number = 0
        while not done.is_set():
            number += 1
            try:
                call(number)
            except BaseException as error:  # noqa: BLE001 -- the test shows it
                failures.append(error)
                return

    async with client_of(Script(answer)) as client:
        run = client.check_many(pairs(300))

        def figures(_: int) -> None:
            stats = client.stats()
            assert stats.attempts == sum(stats.responses.values()) + sum(stats.failures.values())
            tally = run.tally
            assert tally.in_flight >= 0
            assert tally.read == sum(v for k, v in tally.as_dict().items() if k != "read" and "status_" not in k)
            repr(client)

        def users(number: int) -> None:
            client.as_user((f"user{number % 97}", "secret"))

        calls = [figures, users, users]
        threads = [threading.Thread(target=forever, args=(call,)) for call in calls]
        with switching_often():
            for thread in threads:
                thread.start()
            try:
                await everything(run)
                for number in range(60):
                    with suppress(BadRequestError):
                        await client.as_user((f"user{number % 97}", "secret")).check(A, B)
            finally:
                done.set()
                for thread in threads:
                    thread.join()
        assert not failures
        assert run.tally.read == 300
        assert len(client._caller.server._sessions) == 20


@pytest.mark.anyio
async def test_two_hundred_requests_of_a_web_application_whose_dependency_is_a_plain_function() -> None:
    """Equal credentials still share one login, whichever thread came first."""
    script = Script(connected)
    async with client_of(script) as client, anyio.create_task_group() as tasks:
        statuses: list[Status | None] = []

        def dependency(number: int) -> Client:
            client.stats()
            return client.as_user((f"user{number % 10}", "secret"))

        async def request(number: int) -> None:
            user = await anyio.to_thread.run_sync(dependency, number)
            statuses.append(await user.check(A, B))

        for number in range(200):
            tasks.start_soon(request, number)
    assert statuses == [Status.ACCEPTED] * 200
    assert script.seen["/profiles/atom/profileService.do"] == 10


@pytest.mark.anyio
async def test_a_client_that_is_entered_twice_or_after_its_end_says_what_to_do() -> None:
    client = client_of(Script(connected))
    async with client:
        with pytest.raises(UsageError, match="entered only once, and this one is open already: use it as it is"):
            await client.__aenter__()
        user = client.as_user(("ann", "secret"))
        async with user:
            pass
        with pytest.raises(UsageError, match="this client is closed"):
            await user.__aenter__()
        other = client.as_user(("ann", "secret"))
    with pytest.raises(UsageError, match="entered only once, and this one is closed; create another one"):
        await client.__aenter__()
    with pytest.raises(UsageError, match="closed"):
        await other.__aenter__()
    never = client_of(Script(connected))
    await never.aclose()
    with pytest.raises(UsageError, match="this client is closed; create another one"):
        await never.__aenter__()


@pytest.mark.parametrize("first", ["asyncio", "trio"])
@pytest.mark.parametrize("second", ["asyncio", "trio"])
def test_a_client_made_in_one_event_loop_and_entered_in_another(first: str, second: str) -> None:
    """And used in a third, where it can only be closed."""

    async def make() -> Client:
        return Client(url, auth=("admin", "secret"))

    async def enter() -> None:
        await client.__aenter__()
        await client.check(*DIRECTORY.people[:2])

    async def close() -> None:
        with pytest.raises(UsageError, match="another event loop"):
            await client.check(A, B)
        await client.aclose()
        assert "closed" in repr(client)

    with listening_in_thread(app(DIRECTORY)) as url:
        client = anyio.run(make, backend=first)
        anyio.run(enter, backend=second)
        assert client.stats().attempts == 2
        anyio.run(close, backend=first)


def in_a_child(function: Callable[[], str]) -> str:
    """The result of a function in a forked process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, function().encode())
        except BaseException as error:  # noqa: BLE001 -- the child must not return to pytest
            os.write(writing, repr(error).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_client_made_at_import_is_entered_after_the_fork(backend: str) -> None:
    """As with gunicorn's --preload, and Celery. The processes draw different numbers for their pauses and runs."""
    ids: list[str] = []

    class Ids(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            ids.append(record.getMessage())

    async def use() -> str:
        async with client:
            outcomes = await client.check_many(pairs(3)).collect()
            await client.as_user(("admin", "secret")).me()
        return f"{len(outcomes)} outcomes, {ids[0]}"

    with listening_in_thread(app(DIRECTORY)) as url:
        client = Client(url, auth=("admin", "secret"), max_per_second=None)
        logger = logging.getLogger("aioconnections")
        logger.addHandler(handler := Ids())
        logger.setLevel("INFO")
        try:
            seen = [in_a_child(lambda: anyio.run(use, backend=backend)) for _ in range(3)]
            assert all(text.startswith("3 outcomes, run ") for text in seen), seen
            assert len(set(seen)) == 3
            anyio.run(use, backend=backend)  # the parent has not used it either
        finally:
            logger.removeHandler(handler)
            logger.setLevel("NOTSET")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.asyncio
async def test_a_client_that_was_used_before_the_fork_belongs_to_the_parent() -> None:
    async with client_of(Script(connected)) as client:

        def try_it() -> str:
            messages = set()
            for call in (
                lambda: client.check_many(pairs(1)),
                lambda: client.as_user(None),
                lambda: client.colleagues(A),
            ):
                with pytest.raises(UsageError) as caught:
                    call()
                messages.add(str(caught.value))
            client.stats()
            return messages.pop() if len(messages) == 1 else repr(messages)

        assert in_a_child(try_it) == (
            "this client was used before the process was forked; create one in each process, or use it only after the "
            "fork"
        )
        assert await client.check(A, B) is Status.ACCEPTED
