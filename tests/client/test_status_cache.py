"""The status cache: what it may answer, for whom, how long, and what removes an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
import trio
from doors import Script, answered, client_of, on_virtual_time, pairs, refusal, status, there
from server import Place, in_time

from aioconnections import (
    AuthenticationError,
    BadRequestError,
    Bearer,
    Checked,
    Client,
    ConnectionsError,
    DeadlineError,
    InvalidInputError,
    Journal,
    ServerUnavailableError,
    Status,
    StatusCache,
    Timeouts,
    Userid,
)

A, B, C = (Userid(name) for name in "abc")
CACHE = StatusCache(ttl=60, negative_ttl=15)


def document(userid: str) -> httpx.Response:
    text = (
        '<service xmlns="http://www.w3.org/2007/app" xmlns:snx="http://www.ibm.com/xmlns/prod/sn"><workspace>'
        f'<collection href="x"><snx:userid>{userid}</snx:userid></collection></workspace></service>'
    )
    return httpx.Response(200, headers={"content-type": "application/atomsvc+xml"}, content=text.encode())


class Server(Script):
    """Says "accepted", and who is signed in: the user whose name the token begins with. It may be `away`, or refuse."""

    def __init__(self) -> None:
        super().__init__(self._says, self._signs_in)
        self.away = False
        self.refuses = False
        self.sent: list[httpx.Request] = []
        self.together = 0  # how many requests are under way before the first response, if they come at all

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("refused")
        return await super().handle_async_request(request)

    async def _says(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        for _ in range(100):
            if len(self.sent) < self.together:
                await anyio.lowlevel.checkpoint()
        if request.method != "HEAD":
            return await answered(httpx.Response(204 if request.method == "DELETE" else 201))
        return await answered(httpx.Response(401) if self.refuses else status("accepted"))

    def _signs_in(self, request: httpx.Request) -> httpx.Response:
        if "authorization" not in request.headers:
            return there(request)
        return document(request.headers["authorization"].removeprefix("Bearer ").partition("-")[0])


def user_of(token: str) -> Bearer:
    return Bearer(token, oauth_paths=False)


async def via(client: Client, *, max_age: float | None = None) -> str:
    return (await client.check_outcome(A, B, max_age=max_age)).via


def test_a_status_is_remembered_for_its_time_and_says_its_age() -> None:
    async def main() -> None:
        place = Place()
        one, colleague = (
            place.person(0),
            next(it for it in place.directory.people if place.status(place.person(0), it) == "accepted"),
        )
        stranger = place.person(place.strangers()[1])
        async with place.client(None, cache=CACHE) as client:
            for person, expected, ttl in ((colleague, Status.ACCEPTED, 60), (stranger, None, 15)):
                before, began = client.stats().attempts, trio.current_time()
                first = await client.check_outcome(one, person)
                assert (first.status, first.via, first.age) == (expected, "head", None)
                assert (first.attempts, first.item) == (1, (one, person))
                await trio.sleep(10)
                again = await client.check_outcome(one, person)
                assert (again.status, again.via, again.attempts) == (expected, "cache", 0)
                assert again.age == pytest.approx(10, abs=0.01)
                assert again.as_dict()["age_ms"] == pytest.approx(10_000, abs=10)
                assert await client.check(one, person) is expected
                assert await client.check(one, person, max_age=5) is expected  # too old: this asks
                assert client.stats().attempts - before <= 3
                await trio.sleep(began + 10 + ttl - trio.current_time())
                assert (await client.check_outcome(one, person)).via == "cache"
                await trio.sleep(0.1)
                assert (await client.check_outcome(one, person)).via == "head"
            stats = client.stats()
            assert (stats.cache_entries, stats.cache_hits, stats.cache_misses, stats.cache_stale) == (2, 6, 6, 0)

    in_time(main)


@pytest.mark.anyio
async def test_without_a_cache_nothing_is_remembered() -> None:
    server = Server()
    async with client_of(server, auth=user_of("ann-1")) as client:
        assert [await via(client), await via(client, max_age=60), await via(client, max_age=0)] == ["head"] * 3
        assert client.stats().cache_misses == 0
    assert len(server.sent) == 3


@pytest.mark.anyio
async def test_a_maximum_age_of_zero_asks_past_all_caches_and_alone() -> None:
    server = Server()
    server.together = 3  # trio runs tasks in any order, and a status that is known by then would be remembered
    async with client_of(server, auth=user_of("ann-1"), cache=CACHE) as client:
        async with anyio.create_task_group() as tasks:
            for max_age in (None, 0, 0):
                tasks.start_soon(lambda max_age=max_age: client.check(A, B, max_age=max_age))  # type: ignore[misc] # a lambda with a default
        assert len(server.sent) == 3
        assert [it.headers.get("cache-control") for it in server.sent].count("no-cache") == 2
        assert await via(client) == "cache"


# Each may be named by any of their identities, also by different ones in the check and in the change.
@pytest.mark.slow
@pytest.mark.parametrize("asked", ["userid", "email", "key"])
@pytest.mark.parametrize("named", ["userid", "email", "key"])
@pytest.mark.parametrize(
    ("by_admin", "connected", "change"),
    [
        (True, False, lambda it, one, other: it.admin.connect(one, other)),
        (True, False, lambda it, one, other: it.admin.connect_many([(one, other)]).collect()),
        (True, True, lambda it, one, other: it.admin.disconnect(one, other)),
        (True, True, lambda it, one, other: it.admin.disconnect_many([(other, one)]).collect()),
        (False, True, lambda it, one, other: it.remove((one, other))),
        (False, True, lambda it, one, other: it.remove_many([(one, other)]).collect()),
        (False, False, lambda it, _, other: it.invite(other, message="x")),
        (False, False, lambda it, _, other: it.invite_many([other], journal=None).collect()),
    ],
)
def test_a_change_removes_the_status_under_any_identity(
    change: Callable[[Client, Any, Any], Awaitable[object]], asked: str, named: str, *, by_admin: bool, connected: bool
) -> None:
    async def main() -> None:
        place = Place()
        one, other = place.strangers()
        async with place.client(None, cache=CACHE) as admin, place.client(one, cache=CACHE) as user:
            if connected:
                await admin.admin.connect(place.person(one, "userid"), place.person(other, "userid"))
            client = admin if by_admin else user
            ends = [(place.person(x, asked), place.person(y, asked)) for x, y in ((one, other), (other, one))]
            for pair in ends:
                await client.check(*pair)
                assert (await client.check_outcome(*pair)).via == "cache"
            await change(client, place.person(one, named), place.person(other, named))
            for pair in ends:
                found = await client.check_outcome(*pair)
                assert (found.via, found.status) == ("head", place.status(*pair))

    in_time(main)


@pytest.mark.anyio
async def test_a_change_removes_the_status_of_a_userid_in_another_case() -> None:
    async with client_of(Server(), auth=user_of("ann-1"), cache=CACHE) as client:
        for asked, named in (("B-1", "b-1"), ("c-1", "C-1")):
            await client.check(A, Userid(asked))
            assert (await client.check_outcome(A, Userid(asked))).via == "cache"
            await client.invite(Userid(named))
            assert (await client.check_outcome(A, Userid(asked))).via == "head"


def test_accepting_by_a_record_and_by_an_id() -> None:
    async def main() -> None:
        place = Place()
        one, other = place.strangers()
        for by_id in (False, True):
            async with place.client(one, cache=CACHE) as inviter, place.client(other, cache=CACHE) as invitee:
                ends = place.person(other, "email"), place.person(one, "email")
                far = place.person(7, "key"), place.person(8, "key")
                await inviter.invite(place.person(other, "userid"))
                assert await invitee.check(*ends) is Status.PENDING
                await invitee.check(*far)
                connection = await invitee.connection(*ends)
                assert connection is not None
                await (invitee.accept(connection.id or "") if by_id else invitee.accept(connection))
                assert await invitee.check(*ends) is Status.ACCEPTED
                await invitee.check(*ends)
                await invitee.remove(connection.id or "" if by_id else connection)
                assert await invitee.check(*ends) is None
                assert (await invitee.check_outcome(*far)).via == "head"  # by key, which the record does not have

    in_time(main)


@pytest.mark.anyio
@pytest.mark.parametrize("ends", ["cancelled", "in doubt", "refused"])
async def test_a_change_that_may_have_been_made_counts_and_one_that_was_not_sent_does_not(ends: str) -> None:
    server, held = Server(), anyio.Event()

    async def put(request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            if ends == "cancelled":
                await held.wait()
            raise httpx.ReadError("reset")
        return await server._says(request)

    script = Script(put, server._signs_in)
    timeouts = Timeouts(attempt=5, item=5)
    async with client_of(script, auth=user_of("ann-1"), cache=CACHE, timeouts=timeouts) as client:
        await client.check(A, B)
        if ends == "refused":
            with pytest.raises(InvalidInputError):
                await client.admin.connect(A, B, message="\0")
        else:
            with anyio.move_on_after(0.01):
                await client.admin.connect(A, B)  # a check settles it
        assert await via(client) == ("cache" if ends == "refused" else "head")


@pytest.mark.anyio
async def test_what_was_asked_before_a_change_is_not_remembered() -> None:
    server, held = Server(), anyio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        if request.method == "HEAD":
            await held.wait()
        return await server._says(request)

    async with client_of(Script(slow, server._signs_in), auth=user_of("ann-1"), cache=CACHE) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.check, A, B)
            await anyio.wait_all_tasks_blocked()
            await client.admin.connect(B, C)
            held.set()
        assert await via(client) == "head"
        assert await via(client) == "cache"


@pytest.mark.anyio
async def test_what_was_asked_while_a_change_was_under_way_is_not_remembered() -> None:
    """The check may have reached the server first, though its request was sent later."""
    server, held = Server(), anyio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            await held.wait()
        return await server._says(request)

    async with client_of(Script(slow, server._signs_in), auth=user_of("ann-1"), cache=CACHE) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.admin.connect, A, B)
            await anyio.wait_all_tasks_blocked()
            assert [await via(client), await via(client)] == ["head", "cache"]
            held.set()
        assert await via(client) == "head"


def test_two_users_who_see_different_things_never_share() -> None:
    async def main() -> None:
        place = Place()
        one, other = place.strangers()
        third = next(n for n in range(20) if n not in (one, other))
        ends = place.person(one), place.person(other)
        async with place.client(one, cache=CACHE) as inviter:
            await inviter.invite(ends[1])
            users = {n: inviter.as_user((str(place.person(n).userid), "secret")) for n in (one, other, third)}
            for expected in ("head", "cache"):
                for number, seen in ((one, Status.UNCONFIRMED), (other, Status.UNCONFIRMED), (third, None)):
                    found = await users[number].check_outcome(*ends)
                    assert (found.status, found.via) == (seen, expected)

    in_time(main)


@pytest.mark.anyio
async def test_whose_logins_share_the_cache() -> None:
    """Those of the same user, whatever the token is; but each token is proved by itself."""
    server = Server()
    async with client_of(server, auth=user_of("ann-1"), cache=CACHE) as client:
        logins: list[Bearer | tuple[str, str] | None] = [user_of("ann-2"), user_of("bob-1"), user_of("ann-2")]
        logins += [("bob", "secret"), None, None]
        seen = [await via(client), *[await via(client.as_user(auth)) for auth in logins]]
        assert seen == ["head", "cache", "head", "cache", "head", "head", "cache"]
        assert server.seen["/profiles/atom/profileService.do"] == 4


@pytest.mark.anyio
async def test_without_a_proof_of_the_login_only_equal_credentials_share() -> None:
    async with client_of(Server(), auth=user_of("ann-1"), cache=CACHE, verify_login=False) as client:
        logins = [user_of("ann-1"), user_of("ann-2"), user_of("ann-2")]
        assert [await via(client), *[await via(client.as_user(auth)) for auth in logins]] == [
            *("head", "cache", "head", "cache")
        ]


@pytest.mark.anyio
async def test_a_refused_login_gets_nothing() -> None:
    server = Server()
    async with client_of(server, auth=user_of("ann-1"), cache=StatusCache(stale_while_unavailable=999)) as client:
        assert await via(client) == "head"
        server.refuses = True
        with pytest.raises(AuthenticationError):
            await client.check(A, C)
        sent = len(server.sent)
        for max_age in (None, 30, 0):
            with pytest.raises(AuthenticationError):
                await client.check(A, B, max_age=max_age)
        server.away = True
        with pytest.raises(AuthenticationError):
            await client.check(A, B)
        run = client.check_many([(A, B)], max_age=60)
        await run.collect()
        assert isinstance(run.stopped, AuthenticationError)
        assert len(server.sent) == sent


def test_an_older_status_while_the_server_is_unavailable() -> None:
    async def main() -> None:
        server, cache = Server(), StatusCache(ttl=60, stale_while_unavailable=600)
        timeouts = Timeouts(attempt=5, item=10)
        async with client_of(server, auth=user_of("ann-1"), cache=cache, timeouts=timeouts) as client:
            began = trio.current_time()
            await client.check(A, B)
            await trio.sleep(100)
            server.away = True
            found = await client.check_outcome(A, B)  # after its attempts
            assert found.via == "cache"
            assert found.age == pytest.approx(trio.current_time() - began, abs=0.01)
            with pytest.raises(ConnectionsError):
                await client.check(A, B, max_age=50)
            async with client.check_many(pairs(16)):
                await trio.sleep(1)  # that many failures begin an outage
            assert client.stats().waiting_for_server
            before = trio.current_time()
            for _ in range(100):
                assert (await client.check_outcome(A, B)).age == pytest.approx(trio.current_time() - began, abs=0.01)
            assert trio.current_time() == before  # without a wait
            with pytest.raises(ServerUnavailableError):
                await client.check(A, C)
            await trio.sleep(before + 40 - trio.current_time())
            async with trio.open_nursery() as nursery:  # a probe is due: one caller waits for it, the others do not
                took: list[float] = []

                async def visit() -> None:
                    start = trio.current_time()
                    assert (await client.check_outcome(A, B)).via == "cache"
                    took.append(round(trio.current_time() - start, 1))

                for _ in range(20):
                    nursery.start_soon(visit)
                    await trio.sleep(0.01)
            assert took.count(0.0) == 19
            assert client.stats().cache_stale == client.stats().cache_hits > 100
            server.away = False
            await trio.sleep(60)
            assert (await client.check_outcome(A, B)).via == "head"
            server.away = True
            await trio.sleep(661)
            with pytest.raises(ConnectionsError):
                await client.check(A, B)

    on_virtual_time(main)


@pytest.mark.anyio
async def test_a_verdict_is_no_outage() -> None:
    server = Server()
    cache = StatusCache(ttl=0, stale_while_unavailable=600)
    answers = iter([status("accepted"), refusal(400), status("strange")])

    async def answer(_: httpx.Request) -> httpx.Response:
        return await answered(next(answers))

    async with client_of(Script(answer, server._signs_in), auth=user_of("ann-1"), cache=cache) as client:
        await client.check(A, B)
        with pytest.raises(BadRequestError):
            await client.check(A, B)
        with pytest.raises(ConnectionsError):
            await client.check(A, B)


@pytest.mark.anyio
async def test_a_run_uses_the_cache_only_with_a_maximum_age() -> None:
    server, wanted = Server(), list(pairs(40))
    async with client_of(server, auth=user_of("ann-1"), cache=CACHE, max_connections=4) as client:
        invalid: Any = "x"

        async def ways(**options: Any) -> list[str]:
            found = await client.check_many([*wanted, invalid], **options).collect()
            assert [it.index for it in found] == list(range(41)) or not options.get("ordered")
            assert len({it.index for it in found}) == 41
            for it in found:
                assert not isinstance(it, Checked) or it.pair == it.item == wanted[it.index]
            return [it.via for it in found if isinstance(it, Checked)]

        assert await ways() == ["head"] * 40
        assert client.stats().cache_entries == 0
        await client.check(wanted[3].source, wanted[3].target)
        first = await ways(max_age=30, ordered=True)
        assert first == ["head"] * 3 + ["cache"] + ["head"] * 36
        assert await ways(max_age=30, ordered=True) == ["cache"] * 40
        assert (await client.check_outcome(wanted[9].source, wanted[9].target)).via == "cache"
        await client.admin.disconnect(wanted[5].source, wanted[6].target)
        assert await ways(max_age=30, ordered=True) == ["head" if n in (5, 6) else "cache" for n in range(40)]
        sent = len(server.sent)
        assert await ways(max_age=0) == ["head"] * 40
        assert {it.headers.get("cache-control") for it in server.sent[sent:]} == {"no-cache"}
        run = client.check_many(wanted, max_age=30)
        await run.drain()
        assert (run.tally.checked, run.tally.via_cache, run.tally.good) == (40, 40, True)


@pytest.mark.anyio
async def test_what_is_refused(tmp_path: Any) -> None:
    async with client_of(Server(), auth=user_of("ann-1")) as client:
        for max_age in (-1, float("nan"), True, "60"):
            with pytest.raises(InvalidInputError, match="max_age must be a number of seconds of at least 0, or None"):
                await client.check(A, B, max_age=max_age)  # type: ignore[arg-type] # that is refused
            with pytest.raises(InvalidInputError, match="max_age must be"):
                client.check_many([], max_age=max_age)  # type: ignore[arg-type] # that is refused
        for options in ({"plan": "auto"}, {"journal": Journal(tmp_path / "j")}):
            with pytest.raises(InvalidInputError, match="together with a plan or a journal"):
                client.check_many([], max_age=60, **options)
    with pytest.raises(InvalidInputError, match="cache must be a StatusCache or None, got dict"):
        client_of(Server(), cache={})


def test_a_call_that_waits_for_the_rate_limit_until_its_timeout_says_nothing_about_the_server() -> None:
    cache = StatusCache(ttl=5, stale_while_unavailable=600)

    async def main() -> None:
        async with client_of(Server(), cache=cache, max_per_second=0.5) as client, anyio.create_task_group() as tasks:
            await client.check(A, B)
            await anyio.sleep(20)
            for number in range(4):
                tasks.start_soon(client.check, Userid(f"x{number}"), B)
            await anyio.sleep(0.1)
            with pytest.raises(DeadlineError):
                await client.check(A, B, timeout=0.5)
            assert client.stats().cache_stale == 0

    on_virtual_time(main)
