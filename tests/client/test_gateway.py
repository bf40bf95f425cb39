"""Links in responses are data of the server: whatever they say, requests go to the configured server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from server import Door, Place

from aioconnections import Accepted, Client, Email, Invited, Removed, Status, UnexpectedResponseError

pytestmark = pytest.mark.anyio

OURS = "https://connections.example.com"
HOSTILE = [
    "https://evil.example.com/x",
    "https://evil.example.com:8443/apps/profilesX/atom/",
    "//evil.example.com/x",
    "https://connections.example.com@evil.example.com/profiles/atom/",
    "https://evil.example.com\\@connections.example.com/profiles/atom/",
    "\\\\evil.example.com/profiles/atom/",
    "/\\evil.example.com/profiles/atom/",
    "https://connections.example.com/ctx/profiles/../../elsewhere/",
    "https://connections.example.com/ctx/profiles/%2e%2e/%2e%2e/elsewhere/",
    "https://connections.example.com/ctx/profiles%2f..%2f..%2felsewhere/",
    "https://connections.example.com/ctx/other/profiles/atom/",
    "https://connections.example.com/ctx/profilesX/",
    "ftp://connections.example.com/ctx/profiles/atom/",
    "javascript:alert(1)//",
    "https://[broken/",
]
RELATIVE = [("/profiles/atom/", ""), ("/profiles/atom/", "./"), ("/profiles/", "../"), ("/profiles/", "/profiles/")]


class Rewriting(Door):
    """Replaces the beginning of the links in documents, as `rewrite` says."""

    def __init__(self, place: Place, rewrite: Callable[[str], str]) -> None:
        super().__init__(place.server)
        self._rewrite = rewrite

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        body = self._rewrite((await response.aread()).decode())
        headers = [(name, value) for name, value in response.headers.multi_items() if name != "content-length"]
        return httpx.Response(response.status_code, headers=headers, content=body.encode())


async def all_links_are_used(place: Place, rewrite: Callable[[str], str]) -> None:
    """Use each kind of link that the client follows, with links that `rewrite` changes."""
    a, b = place.strangers()
    group = place.directory.communities[0]
    owner = next(n for n, person in enumerate(place.directory.people) if person.userid == group.owners[0].userid)
    doors = [Rewriting(place, rewrite) for _ in range(3)]

    def client(number: int, door: Door) -> Client:
        return place.client(number, transport=door)

    plain = Place().client(a)
    async with plain, client(a, doors[0]) as hers, client(b, doors[1]) as his, client(owner, doors[2]) as owners:
        assert isinstance(await hers.invite(place.person(b), discover=True), Invited)
        (pending,) = [it async for it in his.colleagues(place.person(b), status=Status.PENDING) if it.target.userid
                      == place.person(a).userid]  # fmt: skip
        assert isinstance(await his.accept(pending), Accepted)
        assert isinstance(await hers.remove(pending.id or ""), Removed)
        everybody = [it.person.userid async for it in hers.search(name="*")]
        assert everybody == [it.person.userid async for it in plain.search(name="*", page_size=250)]
        assert len(everybody) > 50
        waiting = [it async for it in owners.community(group.uuid).invitations()]
        assert {type(it) for it in await owners.community_invitations.revoke_many(waiting).collect()} == {Removed}
    assert {host for door in doors for host in door.hosts} == {OURS}
    assert all(path.startswith("/ctx/") for path in place.server.requests.by_path)
    assert place.server.requests.by_status[404] == 0


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_no_link_takes_a_request_elsewhere(hostile: str) -> None:
    place = Place(context="/ctx", max_ps=25)

    def rewrite(text: str) -> str:
        for root in ("/profiles/atom/", "/communities/service/atom/community/"):
            text = text.replace(f'href="{OURS}/ctx{root}', f'href="{hostile}')
        return text

    await all_links_are_used(place, rewrite)


@pytest.mark.parametrize(("root", "relative"), RELATIVE)
async def test_relative_links_are_followed(root: str, relative: str) -> None:
    place = Place(context="/ctx", max_ps=25)
    await all_links_are_used(place, lambda text: text.replace(f'href="{OURS}/ctx{root}', f'href="{relative}'))


@pytest.mark.parametrize("status", [301, 308])
@pytest.mark.parametrize(
    "base", ["https://inner.example.com:9443", OURS, f"{OURS}/ctx", "", "http://connections.example.com/ctx"]
)
async def test_redirects_within_a_gateway_are_followed(base: str, status: int) -> None:
    place = Place(context="/ctx")
    door = Door(place.server)

    async def redirected(request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode()
        if "moved" not in target:
            target = f"{target.removeprefix('/ctx')}{'&' if '?' in target else '?'}moved"
            return httpx.Response(status, headers={"location": f"{base}{target}"})
        return await door.handle_async_request(request)

    async with place.client(0, transport=httpx.MockTransport(redirected)) as client:
        one, other = place.person(0), place.person(1)
        assert await client.check(one, other) == place.status(one, other)
        assert [it async for it in client.search(name="*")] != []
    assert door.hosts == {OURS}
    assert {line.partition("?")[0].split()[0] for line, _ in door.asked} == {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("%", "%25"),
        ("%2B", "+"),
        ("%C3%A9", "%E9"),
        ("connectionType=colleague&", ""),
        ("targetEmail", "sourceEmail=other%40example.com&targetEmail"),
        ("?", "#"),
    ],
)
@pytest.mark.parametrize("moved", ["/ctx", "https://inner.example.com", OURS])
async def test_a_redirect_that_changes_whom_a_request_names_is_not_followed(moved: str, old: str, new: str) -> None:
    asked: list[str] = []

    def redirected(request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode().removeprefix("/ctx")
        asked.append(target)
        return httpx.Response(301, headers={"location": f"{moved}{target.replace(old, new)}"})

    place, one, other = Place(context="/ctx"), Email("zo\u00e9+x@example.com"), Email("b@example.com")
    async with place.client(0, transport=httpx.MockTransport(redirected), verify_login=False) as client:
        with pytest.raises(UnexpectedResponseError, match="with other parameters, which may name other people"):
            await client.check(one, other)
    assert len(asked) == 1


async def test_a_gateway_whose_server_redirects_to_itself_is_told_from_a_login() -> None:
    place = Place(context="/ctx")

    def redirected(request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode().removeprefix("/ctx")
        return httpx.Response(301, headers={"location": f"https://inner.example.com{target}"})

    async with place.client(0, transport=httpx.MockTransport(redirected), verify_login=False) as client:
        with pytest.raises(UnexpectedResponseError, match="check the URL"):
            await client.check(place.person(0), place.person(1))


@pytest.mark.parametrize("gone", ["id", "links"])
async def test_a_connection_has_the_id_of_its_entry_or_else_of_its_links(gone: str) -> None:
    place = Place()
    one, other = next((a, b) for a in range(60) for b in range(60) if place.status(place.person(a), place.person(b)))
    taken = "tag:profiles.ibm.com,2006:entry" if gone == "id" else "connectionId="
    door = Rewriting(place, lambda text: text.replace(taken, "urn:x:" if gone == "id" else "x="))
    async with place.client(one, transport=door) as client, place.client(one) as plain:
        found = await client.connection(place.person(one), place.person(other))
        expected: Any = await plain.connection(place.person(one), place.person(other))
    assert found is not None
    assert found.id == expected.id
