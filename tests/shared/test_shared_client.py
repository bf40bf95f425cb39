"""Clients that share through a real Redis, as their callers see it."""

from __future__ import annotations

import asyncio
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
from redis_server import RedisServer, running_redis
from server import Place

from aioconnections import (
    AuthenticationError,
    DeadlineError,
    InvalidInputError,
    RedisShared,
    ServerUnavailableError,
    Share,
    SharedStoreError,
    ThrottledError,
    Timeouts,
    Unprocessed,
    UsageError,
    http_status,
)
from aioconnections.reference import Fault
from aioconnections.shared.store import Store

SECRET = "a secret of all processes"


@pytest.fixture
def shared(redis: RedisServer, namespace: str) -> RedisShared:
    return RedisShared(redis.url, namespace, secret=SECRET)


def wrong(place: Place, shared: RedisShared, **options: Any) -> Any:
    user = place.person(0).userid.value
    return place.client(0, auth=(user, "wrong"), shared=shared, max_per_second=500, **options)


def test_a_login_that_one_client_saw_refused_is_not_sent_by_another(shared: RedisShared) -> None:
    place = Place()

    async def main() -> None:
        async with wrong(place, shared) as one, wrong(place, shared) as other:
            with pytest.raises(AuthenticationError):
                await one.me()
            with pytest.raises(AuthenticationError, match="in another process") as caught:
                await other.me()
            assert caught.value.status == 401
            assert http_status(caught.value) == 401
        assert [len(door.asked) for door in place.doors] == [1, 0]

    asyncio.run(main())


def test_without_a_secret_each_client_finds_out_itself(redis: RedisServer, namespace: str) -> None:
    place, shared = Place(), RedisShared(redis.url, namespace)

    async def main() -> None:
        async with wrong(place, shared) as one, wrong(place, shared) as other:
            for client in (one, other):
                with pytest.raises(AuthenticationError):
                    await client.me()
        assert [len(door.asked) for door in place.doors] == [1, 1]

    asyncio.run(main())


def test_a_good_login_of_the_same_user_is_another_login(shared: RedisShared) -> None:
    place = Place()

    async def main() -> None:
        async with wrong(place, shared) as one, place.client(0, shared=shared, max_per_second=500) as other:
            with pytest.raises(AuthenticationError):
                await one.me()
            assert (await other.me()).userid == place.person(0).userid

    asyncio.run(main())


def test_a_login_that_is_refused_later_is_refused_everywhere(shared: RedisShared) -> None:
    place = Place()

    async def main() -> None:
        async with (
            place.client(0, shared=shared, max_per_second=500) as one,
            place.client(0, shared=shared, max_per_second=500) as other,
        ):
            await one.me()
            await other.me()
            before = [len(door.asked) for door in place.doors]
            place.server.faults = [Fault("refuse", status=401, operation="check", times=1)]
            with pytest.raises(AuthenticationError):
                await one.check(place.person(1), place.person(2))
            await asyncio.sleep(0.05)  # the news may be on its way
            with pytest.raises(AuthenticationError, match="in another process"):
                await other.check(place.person(1), place.person(2))
            assert [len(door.asked) for door in place.doors] == [before[0] + 1, before[1]]

    asyncio.run(main())


def test_a_canary_whose_holder_died_is_sent_by_the_next(shared: RedisShared) -> None:
    place = Place()

    async def main() -> None:
        async with place.client(0, shared=shared, max_per_second=500) as client:
            state: Any = client._caller.server.shared
            session = client._caller.here()
            dead = Store(shared)
            assert (await dead.claim(session.shared_name() or "", 0.5))[0]
            await dead.aclose()
            begun = time.monotonic()
            await client.me()
            assert time.monotonic() - begun >= 0.4
            assert not state._claims

    asyncio.run(main())


@pytest.mark.slow
def test_the_lease_of_a_canary_is_renewed_while_it_is_under_way(shared: RedisShared) -> None:
    place = Place(faults=[Fault("delay", operation="service document", seconds=2.0, times=1)])

    async def main() -> None:
        options: dict[str, Any] = {"shared": shared, "max_per_second": 500, "timeouts": Timeouts(attempt=1.0)}
        async with place.client(0, **options) as one, place.client(0, **options) as other:
            first, second = asyncio.create_task(one.me()), asyncio.create_task(other.me())
            while not all(door.asked for door in place.doors):  # noqa: ASYNC110 # a door only records
                await asyncio.sleep(0.001)
            assert (
                max(len(door.asked) for door in place.doors) >= 2
            )  # the canary that took too long, and its repetition
            await first
            await second

    asyncio.run(main())


@pytest.mark.slow
def test_a_pause_holds_for_the_other_client(shared: RedisShared) -> None:
    place = Place(faults=[Fault("refuse", status=429, retry_after=1, operation="check", times=1)])

    async def main() -> None:
        options: dict[str, Any] = {"shared": shared, "max_per_second": 500}
        async with place.client(0, max_attempts=1, **options) as one, place.client(1, **options) as other:
            await other.me()
            with pytest.raises(ThrottledError):
                await one.check(place.person(1), place.person(2))
            begun = time.monotonic()
            await asyncio.sleep(0.05)
            with pytest.raises((DeadlineError, ServerUnavailableError)):  # the second if it has heard of the pause
                await other.check(place.person(1), place.person(2), timeout=0.2)
            await other.check(place.person(1), place.person(3))
            assert time.monotonic() - begun >= 0.95

    asyncio.run(main())


@pytest.mark.slow
def test_the_beginning_of_an_outage_is_told(shared: RedisShared) -> None:
    place = Place(faults=[Fault("refuse", status=503, operation="check", times=8)])

    async def main() -> None:
        options: dict[str, Any] = {"shared": shared, "max_per_second": 500}
        async with place.client(0, max_attempts=1, **options) as one, place.client(1, **options) as other:
            await other.me()
            await asyncio.gather(
                *(one.check(place.person(1), place.person(number)) for number in range(2, 10)), return_exceptions=True
            )
            assert one.stats().waiting_for_server
            await asyncio.sleep(0.05)
            assert await other.check(place.person(1), place.person(2)) is place.status(place.person(1), place.person(2))
            assert other.stats().probes == 1

    asyncio.run(main())


def test_redis_is_away_at_the_start(tmp_path: Path) -> None:
    place = Place()
    nothing = RedisServer(tmp_path)

    async def main() -> None:
        with pytest.raises(SharedStoreError, match=f"127.0.0.1:{nothing.port} is away") as caught:
            async with place.client(0, shared=RedisShared(nothing.url), max_per_second=100):
                raise AssertionError("the client is open")
        assert caught.value.temporary
        assert http_status(caught.value) == 503
        shared = RedisShared(nothing.url, fallback=Share(4))
        async with place.client(0, shared=shared, max_per_second=100) as client:
            pairs = [(place.person(0), place.person(number)) for number in range(1, 9)]
            begun = time.monotonic()
            assert (await client.check_many(pairs).collect())[-1].pair is not None
            assert time.monotonic() - begun >= 8 * 0.04 * 0.99  # a quarter of the rate
        assert [line for line in place.doors[0].lines() if line] == []

    asyncio.run(main())


def test_a_redis_that_refuses_us_is_an_error_also_with_a_fallback(tmp_path: Path) -> None:
    place = Place()

    async def main(url: str) -> None:
        for fallback in (None, Share(2)):
            with pytest.raises(SharedStoreError, match="refuses the login") as caught:
                async with place.client(0, shared=RedisShared(url, fallback=fallback), max_per_second=100):
                    raise AssertionError("the client is open")
            assert not caught.value.temporary
            assert "hunter2" not in str(caught.value)

    with running_redis(tmp_path, "--requirepass", "letmein") as redis:
        for url in (redis.url, redis.url.replace("://", "://:hunter2@")):
            asyncio.run(main(url))

        async def good() -> None:
            shared = RedisShared(redis.url.replace("://", "://:letmein@"))
            async with place.client(0, shared=shared, max_per_second=100) as client:
                await client.me()

        asyncio.run(good())


def test_something_that_is_not_redis() -> None:
    place = Place()

    async def main() -> None:
        async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(web, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(SharedStoreError):
            async with place.client(0, shared=RedisShared(f"redis://127.0.0.1:{port}"), max_per_second=100):
                raise AssertionError("the client is open")
        server.close()

    asyncio.run(main())


@pytest.mark.slow
def test_redis_goes_away_and_comes_back(tmp_path: Path) -> None:
    place = Place()

    async def main(redis: RedisServer) -> None:
        shared = RedisShared(redis.url)
        async with place.client(0, shared=shared, max_per_second=100, timeouts=Timeouts(outage=3)) as client:
            await client.me()
            redis.stop()
            await asyncio.sleep(0.3)
            with pytest.raises(SharedStoreError):
                await client.check(place.person(1), place.person(2))
            pairs = [(place.person(0), place.person(number)) for number in range(1, 40)]
            run = client.check_many(pairs)
            outcomes = await run.collect()
            assert isinstance(run.stopped, SharedStoreError)
            assert run.tally.read == len(outcomes)
            assert all(isinstance(outcome, Unprocessed) for outcome in outcomes)
            redis.start()
            await asyncio.sleep(1.1)  # it is asked once in a second
            assert (await client.check_many(pairs).collect())[0].index == 0
            assert await client.check(place.person(1), place.person(2)) is place.status(
                place.person(1), place.person(2)
            )

    with running_redis(tmp_path) as redis:
        asyncio.run(main(redis))


@pytest.mark.slow
def test_a_run_waits_for_a_redis_that_comes_back(tmp_path: Path) -> None:
    place = Place()

    async def main(redis: RedisServer) -> None:
        async with place.client(0, shared=RedisShared(redis.url), max_per_second=50) as client:
            pairs = [(place.person(0), place.person(number)) for number in range(1, 60)]
            run = client.check_many(pairs)
            async with run:
                async for outcome in run:
                    if outcome.index == 10:
                        await anyio.to_thread.run_sync(redis.stop)
                        asyncio.get_running_loop().call_later(3, redis.start)
            assert run.stopped is None
            assert run.tally.checked == 59

    with running_redis(tmp_path) as redis:
        asyncio.run(main(redis))


def test_a_client_that_is_closed_leaves_nothing_behind(shared: RedisShared, namespace: str) -> None:
    place = Place()

    async def main() -> None:
        async with place.client(0, shared=shared, max_per_second=50) as client:
            await client.check_many([(place.person(0), place.person(number)) for number in range(1, 9)]).collect()
        control = Store(shared)
        assert await control._redis.hlen(f"{{{namespace}}}:rates") == 0
        assert await control._redis.zcard(f"{{{namespace}}}:clients") == 0
        await control.aclose()

    asyncio.run(main())


def test_a_user_of_a_shared_client_shares_too(shared: RedisShared) -> None:
    place = Place()

    async def main() -> None:
        async with place.client(0, shared=shared, max_per_second=500) as client, wrong(place, shared) as other:
            with pytest.raises(AuthenticationError):
                await other.me()
            user = client.as_user((place.person(0).userid.value, "wrong"))
            with pytest.raises(AuthenticationError, match="in another process"):
                await user.me()
            await client.me()

    asyncio.run(main())


def test_on_trio_nothing_is_shared(shared: RedisShared) -> None:
    place = Place()

    async def main() -> None:
        with pytest.raises(UsageError, match="asyncio"):
            async with place.client(0, shared=shared, max_per_second=100):
                raise AssertionError("the client is open")

    trio.run(main)


def test_without_the_package_the_error_names_the_command(shared: RedisShared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "aioconnections.shared.store", raising=False)
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    place = Place()

    async def main() -> None:
        with pytest.raises(UsageError, match=r'pip install "aioconnections\[redis\]"'):
            async with place.client(0, shared=shared, max_per_second=100):
                raise AssertionError("the client is open")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "options", "match"),
    [
        ("http://localhost", {}, "must begin with redis://"),
        ("redis://", {}, "followed by the server"),
        ("redis://host:port", {}, "is invalid"),
        (5, {}, "must be text, got int"),
        ("redis://h", {"namespace": ""}, "namespace"),
        ("redis://h", {"namespace": "a{b"}, "namespace"),
        ("redis://h", {"namespace": "a" * 65}, "namespace"),
        ("redis://h", {"namespace": None}, "namespace"),
        ("redis://h", {"secret": "short"}, "at least 16 characters"),
        ("redis://h", {"secret": b"0123456789abcdef"}, "at least 16 characters"),
        ("redis://h", {"fallback": 3}, "must be a Share or None, got int"),
    ],
)
def test_invalid_settings_are_refused(url: Any, options: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidInputError, match=match):
        RedisShared(url, **options)


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "4", None])
def test_a_share_is_one_of_a_number_of_processes(count: Any) -> None:
    with pytest.raises(InvalidInputError, match="integer of at least 1"):
        Share(count)


def test_what_a_client_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    place, shared = Place(), RedisShared("redis://127.0.0.1:1/0")
    with pytest.raises(InvalidInputError, match="must be a number if the rate is shared"):
        place.client(0, shared=shared, max_per_second=None)
    with pytest.raises(InvalidInputError, match="must be a RedisShared or None, got str"):
        place.client(0, shared="redis://127.0.0.1", max_per_second=5)
    with pytest.raises(InvalidInputError, match="burst"):
        place.client(0, shared=shared, max_per_second=5, burst=0)
    monkeypatch.setenv("AIOCONNECTIONS_SHARED_SECRET", "short")
    with pytest.raises(InvalidInputError, match="AIOCONNECTIONS_SHARED_SECRET"):
        place.client(0, shared=shared, max_per_second=5)


def test_an_option_that_redis_does_not_know(redis: RedisServer) -> None:
    place = Place()

    async def main() -> None:
        with pytest.raises(InvalidInputError, match="URL of Redis is invalid"):
            async with place.client(0, shared=RedisShared(f"{redis.url}?nonsense=1"), max_per_second=5):
                raise AssertionError("the client is open")

    asyncio.run(main())


def test_no_secret_is_shown_and_settings_can_be_pickled() -> None:
    shared = RedisShared("redis://:hunter2@host/1", secret=SECRET)
    assert "hunter2" not in repr(shared)
    assert SECRET not in repr(shared)
    assert shared.place == "host:6379"
    assert RedisShared("unix:///run/redis.sock").place == "/run/redis.sock"
    assert pickle.loads(pickle.dumps(shared)) == shared  # noqa: S301 # our own


def test_a_call_that_is_cancelled_while_another_process_proves_the_login(shared: RedisShared) -> None:
    place = Place()

    async def main() -> None:
        async with place.client(0, shared=shared, max_per_second=500) as client:
            other = Store(shared)
            assert (await other.claim(client._caller.here().shared_name() or "", 5.0))[0]
            with pytest.raises((DeadlineError, ServerUnavailableError)):
                await client.me(timeout=0.2)
            await other.settle(client._caller.here().shared_name() or "", "", 1.0)
            await client.me()
            await other.aclose()

    asyncio.run(main())
