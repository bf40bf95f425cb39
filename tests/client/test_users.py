"""Many signed-in users on one pool: they share connections, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import anyio
import httpx
import pytest
from doors import Script, answered, client_of, on_virtual_time, service_document, status
from server import DIRECTORY

from aioconnections import (
    AuthenticationError,
    Basic,
    Bearer,
    Client,
    Headers,
    InvalidInputError,
    Ltpa,
    OAuth2,
    Send,
    Status,
    UsageError,
    Userid,
)
from aioconnections.auth.credentials import Auth, Secret
from aioconnections.reference import app
from aioconnections.reference.server import listening_in_thread

pytestmark = pytest.mark.anyio
A, B = Userid("a"), Userid("b")


@pytest.mark.slow
@pytest.mark.parametrize("cookies", [False, True])
async def test_users_who_share_one_lane_are_never_taken_for_each_other(*, cookies: bool) -> None:
    people = DIRECTORY.people[:8]
    with listening_in_thread(app(DIRECTORY)) as url:
        async with (
            Client(url, max_connections=1, max_per_second=None, cookies=cookies) as client,
            anyio.create_task_group() as tasks,
        ):

            async def be(number: int) -> None:
                person = people[number]
                user = client.as_user((str(person.userid), "secret"))
                for _ in range(10):
                    assert (await user.me()).userid == person.userid  # so says the server, by cookie or header

            for number in range(len(people)):
                tasks.start_soon(be, number)


def counting(refuses: str = "") -> Script:
    async def answer(_: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        return status("accepted")

    def canary(request: httpx.Request) -> httpx.Response:
        refused = refuses and request.headers["authorization"].startswith(refuses)
        return httpx.Response(401) if refused else service_document()

    return Script(answer, canary)


async def test_equal_credentials_share_what_is_known_of_the_login() -> None:
    script = counting()
    async with client_of(script, auth=("ann", "secret")) as client:
        for auth in (("ann", "secret"), Basic("ann", "secret"), ("bob", "secret"), ("bob", "secret")):
            assert await client.as_user(auth).check(A, B) is Status.ACCEPTED
        assert await client.check(A, B) is Status.ACCEPTED
    assert script.seen["/profiles/atom/profileService.do"] == 2


async def test_a_password_that_was_refused_is_refused_for_every_client_that_has_it_and_for_no_other() -> None:
    script = counting(refuses="Basic Ym9i")  # bob
    async with client_of(script, auth=("ann", "secret")) as client:
        for _ in range(5):
            with pytest.raises(AuthenticationError):
                await client.as_user(("bob", "wrong")).check(A, B)
        assert script.seen.total() == 1
        assert await client.check(A, B) is Status.ACCEPTED


class Strange:
    """A login that does not say whom it is equal to."""

    async def headers(self, send: Send, refused: Headers | None) -> Headers:
        del send, refused
        return Headers([("Authorization", "Strange one")])


def from_gateway(name: str) -> Auth:
    """A login of a class of its own, which has the name of others."""

    class Gateway:
        async def headers(self, send: Send, refused: Headers | None) -> Headers:
            del send, refused
            return Headers([("Authorization", f"Gateway {name}")])

        def credential(self) -> Secret:
            return Secret("what all gateways know")

    return Gateway()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (lambda: Bearer("t"), lambda: Bearer("t"), True),
        (lambda: Bearer("t"), lambda: Bearer("u"), False),
        (lambda: Bearer("t"), lambda: Bearer("t", oauth_paths=False), False),
        (lambda: Bearer("t"), lambda: Ltpa("t"), False),
        (lambda: Ltpa("t"), lambda: Ltpa("t"), True),
        (lambda: OAuth2("id", "s", "r", access_token="a"), lambda: OAuth2("id", "s", "r", access_token="a"), True),
        (lambda: OAuth2("id", "s", "r", access_token="a"), lambda: OAuth2("id", "s", "q", access_token="a"), False),
        (Strange, Strange, False),
        (lambda: from_gateway("one"), lambda: from_gateway("other"), False),
        (lambda: None, lambda: None, True),
    ],
)
async def test_which_logins_are_equal(
    one: Callable[[], Auth | None], other: Callable[[], Auth | None], *, same: bool
) -> None:
    script, first = Script(counting()._answer, canary=lambda _: service_document()), one()
    async with client_of(script) as client:
        for auth in (first, other(), first):
            await client.as_user(auth).check(A, B)
    canaries = sum(count for path, count in script.seen.items() if path.endswith("profileService.do"))
    assert canaries == (0 if first is None else 1 if same else 2)


@pytest.mark.slow
def test_a_login_that_nobody_uses_for_fifteen_minutes_is_forgotten() -> None:
    script = counting()

    async def main() -> None:
        async with client_of(script, auth=None) as client:
            for pause in (0, 599, 901):
                await anyio.sleep(pause)
                await client.as_user(("ann", "secret")).check(A, B)
                client.as_user(("bob", "secret"))
            sessions = client._caller.server._sessions
            assert len(sessions) == 2
            for number in range(10_050):
                client.as_user((f"user{number}", "secret"))
            assert len(sessions) == 10_000

    on_virtual_time(main)
    assert script.seen["/profiles/atom/profileService.do"] == 2


@pytest.mark.slow
def test_a_login_is_forgotten_though_an_older_one_is_in_use() -> None:
    async def main() -> None:
        async with client_of(counting()) as client:
            sessions = client._caller.server._sessions
            for number in range(200):
                client.as_user((f"user{number}", "secret"))
            ann = client.as_user(("ann", "secret"))
            for _ in range(4):
                await anyio.sleep(500)
                await client.check(A, B)
                await ann.check(A, B)
            assert len(sessions) == 2
            for number in range(9_999):
                client.as_user((f"user{number}", "secret"))
                if number % 1000 == 0:
                    await ann.check(A, B)
            kept = [entry.session for entry in sessions.values()]
            assert ann._caller.session in kept
            assert client._caller.session not in kept  # it was used longest ago

    on_virtual_time(main)


def test_a_renewed_login_is_equal_to_one_that_begins_with_what_it_was_renewed_to() -> None:
    """And to what it was before for a moment, but not for good: that may have been revoked for a reason."""

    async def renew() -> str:
        return "new"

    def canary(request: httpx.Request) -> httpx.Response:
        return service_document() if request.headers["authorization"] == "Bearer new" else httpx.Response(401)

    async def main() -> None:
        script = Script(counting()._answer, canary)
        async with client_of(script, auth=None) as client:
            await client.as_user(Bearer("old", renew=renew)).check(A, B)
            await client.as_user(Bearer("new")).check(A, B)
            await anyio.sleep(59)
            await client.as_user(Bearer("old")).check(A, B)
            assert script.seen["/profiles/oauth/atom/profileService.do"] == 2
            await anyio.sleep(2)
            await client.as_user(Bearer("new")).check(A, B)
            for _ in range(2):
                with pytest.raises(AuthenticationError):
                    await client.as_user(Bearer("old")).check(A, B)
            assert script.seen["/profiles/oauth/atom/profileService.do"] == 3

    on_virtual_time(main)


def test_a_login_that_returns_to_what_it_was_before_stays_the_same() -> None:
    tokens = itertools.cycle(["b", "a"])

    async def renew() -> str:
        return next(tokens)

    async def main() -> None:
        refused: set[str] = set()

        async def answer(request: httpx.Request) -> httpx.Response:
            token = request.headers["authorization"]
            if token in refused:
                refused.clear()
                return await answered(httpx.Response(401))
            return await answered(status("accepted"))

        async with client_of(Script(answer), auth=None) as client:
            user = client.as_user(Bearer("a", renew=renew))
            await user.check(A, B)
            for token in "ab":
                refused.add(f"Bearer {token}")
                await user.check(A, B)
            await anyio.sleep(61)
            assert client.as_user(Bearer("a"))._caller.session is user._caller.session

    on_virtual_time(main)


async def test_it_ends_with_its_parent_and_not_the_other_way_round() -> None:
    client = client_of(counting(), auth=None)
    with pytest.raises(UsageError):
        client.as_user(("ann", "secret"))
    async with client:
        with pytest.raises(InvalidInputError):
            client.as_user("ann")  # type: ignore[arg-type] # a call that type checkers must refuse
        async with client.as_user(("ann", "secret")) as user:
            user.max_per_second = 500
            assert await user.check(A, B) is Status.ACCEPTED
        assert client.max_per_second == 500
        with pytest.raises(UsageError, match="closed"):
            await user.check(A, B)
        assert await client.check(A, B) is Status.ACCEPTED
        last = client.as_user(("ann", "secret"))
        assert "secret" not in repr(last)
    with pytest.raises(UsageError, match="closed"):
        await last.check(A, B)
