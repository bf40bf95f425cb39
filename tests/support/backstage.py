"""The reference server behind an application under test: it counts requests, and the connections they came by."""

from __future__ import annotations

import base64
import random
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import httpx

from aioconnections import Person
from aioconnections.reference import App, Directory, app
from aioconnections.reference.server import listening_in_thread

__all__ = ["Backstage", "backstage"]

_DIRECTORY = Directory.generate(people=300, seed=3)


class Backstage:
    """A running reference server.

    Attributes:
        url: its address.
        server: what it has seen.
        connections: the peers of all connections so far.
    """

    def __init__(self, server: App) -> None:
        self.server = server
        self.connections: set[tuple[str, int]] = set()
        self.url = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.connections.add(tuple(scope["client"]))
        await self.server(scope, receive, send)

    @property
    def requests(self) -> int:
        return self.server.requests.total

    def refusals(self) -> int:
        return self.server.requests.by_status[401]

    def questions(self, count: int, users: int) -> list[tuple[Person, Person, str]]:
        """Users, each with another person and the status that the user sees."""
        chance = random.Random(7)
        people = self.server.directory.people
        found = []
        for number in range(count):
            user = people[number % users]
            other = chance.choice([person for person in people if person.userid != user.userid])
            found.append((user, other, str(self.server.status(user, other) or "none")))
        return found

    def token_of(self, person: Person) -> str:
        """The access token of a person, where the server takes tokens."""
        return f"token-of-{person.userid}"

    def ltpa_of(self, person: Person) -> str:
        """The single sign-on cookie that the server sets after a login."""
        response = httpx.get(f"{self.url}/profiles/atom/profileService.do", headers=basic(person), trust_env=False)
        return response.cookies["LtpaToken2"]


def basic(person: Person, password: str = "secret") -> dict[str, str]:  # noqa: S107 # the password of all people
    return {"Authorization": "Basic " + base64.b64encode(f"{person.userid}:{password}".encode()).decode()}


@contextmanager
def backstage(kind: str = "basic") -> Generator[Backstage]:
    """A reference server that takes passwords (``basic``) or access tokens (``oauth``)."""
    tokens: Mapping[str, Person] = {f"token-of-{person.userid}": person for person in _DIRECTORY.people}
    server = app(_DIRECTORY, auth="oauth", tokens=tokens) if kind == "oauth" else app(_DIRECTORY)
    behind = Backstage(server)
    with listening_in_thread(cast("App", behind)) as behind.url:
        yield behind
