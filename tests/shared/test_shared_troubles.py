"""Clients that share through a real Redis, when something ends, changes or fails at a bad time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis_server import RedisServer, running_redis
from server import Place

from aioconnections import AuthenticationError, Bearer, RedisShared, Share, SharedStoreError, Timeouts, UsageError
from aioconnections.reference import Fault
from aioconnections.shared.store import Store

SECRET = "a secret of all processes"


@pytest.fixture
def shared(redis: RedisServer, namespace: str) -> RedisShared:
    return RedisShared(redis.url, namespace, secret=SECRET)


def pairs_of(place: Place, count: int) -> list[Any]:
    return [(place.person(0), place.person(number)) for number in range(1, count + 1)]


@pytest.mark.slow
def test_the_event_loop_is_free_while_a_run_waits_for_redis(tmp_path: Path) -> None:
    place = Place()

    async def main(redis: RedisServer) -> None:
        options: dict[str, Any] = {"max_per_second": 50, "timeouts": Timeouts(outage=5)}
        async with place.client(0, shared=RedisShared(redis.url), **options) as client:
            run = asyncio.create_task(client.check_many(pairs_of(place, 50)).collect())
            await asyncio.sleep(0.5)
            state: Any = client._caller.server.shared
            turns, end_waits = 0, state._end_waits

            def counted(here: object) -> None:
                nonlocal turns
                turns += 1
                end_waits(here)

            state._end_waits = counted
            redis.stop()
            await asyncio.sleep(4)
            assert 0 < turns < 200  # some at each attempt to reach Redis; tens of thousands without a pause between
            await run

    with running_redis(tmp_path) as redis:
        asyncio.run(main(redis))


@pytest.mark.slow
def test_a_client_is_closed_while_it_proves_a_login(shared: RedisShared) -> None:
    place = Place(faults=[Fault("delay", operation="service document", seconds=2.0, times=1)])

    async def main() -> None:
        async with place.client(0, shared=shared, max_per_second=500) as client:
            call = asyncio.create_task(client.me())
            await asyncio.sleep(1)
            assert place.doors[0].asked
        await asyncio.wait({call}, timeout=10)
        assert call.done()
        call.exception()
        control = Store(shared)
        assert await control._redis.keys(f"{{{shared.namespace}}}:login:*") == []
        await control.aclose()

    asyncio.run(main())


def test_calls_that_wait_for_a_start_end_with_the_client(shared: RedisShared) -> None:
    place = Place()

    async def main() -> None:
        async with place.client(0, shared=shared, max_per_second=1) as client:
            await client.me()
            calls = [asyncio.create_task(client.check(place.person(1), place.person(n))) for n in (2, 3)]
            await asyncio.sleep(0.05)
        for ended in await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 10):
            assert isinstance(ended, UsageError)
            assert "closed" in str(ended)

    asyncio.run(main())


@pytest.mark.slow
def test_a_run_that_begins_while_redis_restarts_waits_for_it_also_with_a_secret(tmp_path: Path) -> None:
    place = Place()

    async def main(redis: RedisServer) -> None:
        shared = RedisShared(redis.url, secret=SECRET)
        async with place.client(0, shared=shared, max_per_second=50) as client:
            redis.stop()
            asyncio.get_running_loop().call_later(3, redis.start)
            run = client.check_many(pairs_of(place, 5))
            call = asyncio.create_task(client.me())  # a single call gives up earlier, and takes no run with it
            await run.collect()
            assert run.stopped is None
            assert run.tally.checked == 5
            await asyncio.wait({call})
            call.exception()

    with running_redis(tmp_path) as redis:
        asyncio.run(main(redis))


def test_an_idle_client_tells_that_it_allows_less(shared: RedisShared) -> None:
    place = Place()

    async def main() -> None:
        async with place.client(0, shared=shared, max_per_second=500) as client:
            client.max_per_second = 10
            await asyncio.sleep(0.2)
            control = Store(shared)
            assert (await control.lease(0, 1 / 500, 1)).grant.interval == pytest.approx(0.1)
            client.max_per_second = 100
            await asyncio.sleep(0.2)
            assert (await control.lease(0, 1 / 500, 1)).grant.interval == pytest.approx(0.01)
            await control.aclose()

    asyncio.run(main())


@pytest.mark.slow
def test_a_refusal_is_told_however_much_else_is_to_be_told(tmp_path: Path) -> None:
    place = Place()

    async def main(redis: RedisServer) -> None:
        shared = RedisShared(redis.url, secret=SECRET, fallback=Share(1))
        wrong = (place.person(0).userid.value, "wrong")
        async with place.client(0, auth=wrong, shared=shared, max_per_second=500) as client:
            redis.stop()
            with pytest.raises(AuthenticationError):
                await client.me()
            state: Any = client._caller.server.shared
            for _ in range(1_100):
                state.pause(0.01)
                state.settle(state.name_of("another"), proved=True)
            redis.start()
            await asyncio.sleep(2)
            async with place.client(0, auth=wrong, shared=shared, max_per_second=500) as other:
                with pytest.raises(AuthenticationError, match="in another process"):
                    await other.me()
        assert place.doors[1].asked == []

    with running_redis(tmp_path) as redis:
        asyncio.run(main(redis))


def test_a_proof_holds_for_the_others_for_seconds_only(shared: RedisShared) -> None:
    place = Place()

    async def main() -> None:
        async with place.client(0, shared=shared, max_per_second=500) as client:
            await client.me()
            await asyncio.sleep(0.1)
            control = Store(shared)
            key = f"{{{shared.namespace}}}:login:{client._caller.here().shared_name()}"
            assert await control._redis.get(key) in {b"proved", "proved"}
            assert await control._redis.pttl(key) <= 10_000
            await control.aclose()

    asyncio.run(main())


def test_very_many_silent_clients_are_forgotten(shared: RedisShared) -> None:
    async def main() -> None:
        store = Store(shared)
        clients, rates = (f"{{{shared.namespace}}}:{name}" for name in ("clients", "rates"))
        silent = [f"silent-{number}" for number in range(9_000)]  # Lua unpacks fewer at once
        await store._redis.zadd(clients, dict.fromkeys(silent, 1))
        await store._redis.hset(rates, mapping=dict.fromkeys(silent, "1000000:1"))
        for _ in range(9):
            await store.lease(0, 0.01, 1)
        reply = await store.lease(0, 0.01, 1)
        assert reply.grant.interval == pytest.approx(0.01)
        assert await store._redis.zcard(clients) == 1
        await store.aclose()

    asyncio.run(main())


def test_a_client_whose_replies_are_late_gets_starts_that_it_can_use(shared: RedisShared) -> None:
    async def main() -> None:
        store = Store(shared)
        await store.lease(1, 0.01, 1)
        await asyncio.sleep(0.4)
        reply = await store.lease(3, 0.01, 1, 0.1)
        assert len(reply.grant.starts) == 3
        assert all(reply.grant.now + 0.1 - 1e-6 <= start <= reply.grant.now + 0.2 for start in reply.grant.starts)
        await store.give_back([reply.grant.now + 0.05], 0.01)
        assert min((await store.lease(9, 0.01, 1, 0.1)).grant.starts) >= reply.grant.now + 0.1
        await store.aclose()

    asyncio.run(main())


def test_an_error_of_the_task_itself_ends_all_waits(shared: RedisShared, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place()

    async def main() -> None:
        async with place.client(0, shared=shared, max_per_second=100) as client:
            await client.me()

            async def broken(*_: object) -> None:
                raise ZeroDivisionError

            monkeypatch.setattr(Store, "lease", broken)
            ends: list[BaseException | None] = []
            for number in range(1, 6):  # a start that was granted before may serve the first ones
                call = asyncio.create_task(client.check(place.person(0), place.person(number)))
                await asyncio.wait({call}, timeout=10)
                ends.append(call.exception())
            for error in ends[-2:]:
                assert isinstance(error, SharedStoreError)
                assert "because of ZeroDivisionError" in str(error)
                assert not error.temporary

    asyncio.run(main())


def test_a_refusal_of_a_token_that_can_be_renewed_is_not_shared(shared: RedisShared) -> None:
    place = Place(auth="oauth")

    async def fails() -> str:
        raise ValueError("no token today")

    async def renews() -> str:
        return "token-0"

    async def main() -> None:
        one = place.client(0, auth=Bearer("outdated", renew=fails), shared=shared, max_per_second=100)
        other = place.client(0, auth=Bearer("outdated", renew=renews), shared=shared, max_per_second=100)
        async with one, other:
            with pytest.raises(AuthenticationError):
                await one.me()
            assert (await other.me()).userid == place.person(0).userid

    asyncio.run(main())
