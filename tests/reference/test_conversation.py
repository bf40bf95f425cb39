"""A conversation of two people, in every version, by every kind of identity, with every kind of login."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from aioconnections.records import Status
from aioconnections.reference import App, Directory, app

if TYPE_CHECKING:
    import httpx

    from aioconnections.records import Person

pytestmark = pytest.mark.asyncio
ATOM, SN = "{http://www.w3.org/2005/Atom}", "http://www.ibm.com/xmlns/prod/sn"


class User:
    """A person who signs in by the method of the server."""

    def __init__(self, server: App, person: Person, ask: Any, auth: str) -> None:
        self._server, self._person, self._ask, self._auth = server, person, ask, auth
        self._path = "/profiles/oauth/atom/" if auth == "oauth" else "/profiles/atom/"

    async def __call__(self, method: str, rest: str, content: bytes = b"") -> httpx.Response:
        login: dict[str, Any] = {"user": self._person}
        if self._auth == "oauth":
            login = {"headers": {"Authorization": f"Bearer {self._person.key}"}}
        response: httpx.Response = await self._ask(self._server, method, self._path + rest, content=content, **login)
        return response

    async def sees(self, other: str) -> str | None:
        response = await self("HEAD", f"connection.do?connectionType=colleague&{other}")
        assert response.status_code in {200, 404}
        status: str | None = response.headers.get("x-profiles-connection-status")
        return status


@pytest.mark.parametrize("version", ["4.5", "5.0", "6.0"])
@pytest.mark.parametrize("auth", ["basic", "form", "oauth"])
@pytest.mark.parametrize("kind", ["email", "userid", "key"])
async def test_the_conversation(
    directory: Directory, ask: Any, parse: Any, invitation: Any, pair: Any, version: Any, auth: Any, kind: str
) -> None:
    alice, bob = pair(None)
    tokens = {str(person.key): person for person in (alice, bob)} if auth == "oauth" else None
    server = app(directory, version=version, auth=auth, tokens=tokens)
    by_alice, by_bob = (User(server, person, ask, auth) for person in (alice, bob))
    names = {person.key: quote(str(getattr(person, kind)), safe="") for person in (alice, bob)}
    suffix = kind.capitalize()
    ab, ba = (
        f"source{suffix}={names[one.key]}&target{suffix}={names[other.key]}"
        for one, other in ((alice, bob), (bob, alice))
    )
    for _ in range(2):
        assert (await by_alice.sees(ab), await by_bob.sees(ba)) == (None, None)
        invited = await by_alice(
            "POST",
            f"connections.do?connectionType=colleague&{kind}={names[bob.key]}",
            invitation("Hello <b>there</b>", kind="html"),
        )
        assert invited.status_code == 201
        assert (await by_alice.sees(ab), await by_bob.sees(ba)) == ("unconfirmed", "pending")

        listed = await by_bob(
            "GET", f"connections.do?connectionType=colleague&{kind}={names[bob.key]}&status=pending&ps=250"
        )
        waiting = [
            entry
            for entry in parse(listed.content).iter(f"{ATOM}entry")
            if entry.findtext(f"{ATOM}title") == alice.name
        ]
        (edit,) = {
            link.get("href")
            for entry in waiting
            for link in entry.iter(f"{ATOM}link")
            if link.get("rel") == "edit" and entry.findtext(f"{ATOM}author/{{{SN}}}userid") == str(alice.userid)
        }
        rest = edit.partition("/profiles/atom/")[2]
        entry = await by_bob("GET", rest)
        assert parse(entry.content).findtext(f"{ATOM}content") == "Hello <b>there</b>"
        accepted = await by_bob("PUT", rest, entry.content.replace(b'term="pending"', b'term="accepted"'))
        assert (accepted.status_code, accepted.content) == (200, b"")
        assert (await by_alice.sees(ab), await by_bob.sees(ba)) == ("accepted", "accepted")
        kept = await by_bob("GET", rest)
        assert parse(kept.content).findtext(f"{ATOM}content") == "Hello <b>there</b>"

        removed = await by_alice("DELETE", rest)
        assert (removed.status_code, removed.content) == (200, b"")
        assert (await by_bob("DELETE", rest)).status_code == 404
    assert [commit.verb for commit in server.commits] == ["invite", "accept", "remove"] * 2
    assert directory.status(alice, bob) is server.status(alice, bob) is None
    assert server.status(alice, directory.people[0]) in (*Status, None)
