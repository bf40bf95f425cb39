"""The reference server as an httpx transport that records the requests, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
from doors import on_virtual_time

from aioconnections import Bearer, Client, Identity, Person
from aioconnections.reference import ADMINISTRATOR, App, Directory, app

__all__ = ["DIRECTORY", "URL", "Door", "Place", "in_time"]

URL = "https://connections.example.com"
DIRECTORY = Directory.generate(people=60, seed=11)


class Door(httpx.AsyncBaseTransport):
    """Sends requests to the server; if the server resets the connection, the response is lost.

    Attributes:
        asked: method and target of each request, and its body.
        hosts: the scheme, host and port of all requests.
    """

    def __init__(self, server: App) -> None:
        self._inner = httpx.ASGITransport(server)
        self.asked: list[tuple[str, bytes]] = []
        self.hosts: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        self.hosts.add(f"{request.url.scheme}://{request.url.netloc.decode()}")
        self.asked.append((f"{request.method} {request.url.raw_path.decode()}", body))
        return await self._inner.handle_async_request(request)

    def lines(self) -> list[str]:
        """Return and clear the recorded requests, without the canary, the request that proves the login."""
        lines = [line for line, _ in self.asked if not line.endswith("profileService.do")]
        self.asked.clear()
        return lines


class Place:
    """One server, and clients for its users."""

    def __init__(self, *, auth: str = "basic", directory: Directory = DIRECTORY, **switches: Any) -> None:
        self.directory = directory
        self.auth = auth
        self.url = URL + switches.get("context", "")
        if auth == "oauth":
            tokens = {f"token-{n}": person for n, person in enumerate(directory.people)}
            switches |= {"tokens": tokens | {"token-None": ADMINISTRATOR}}
        self.server = app(directory, auth=auth, **switches)  # type: ignore[arg-type] # a plain str
        self.doors: list[Door] = []

    def person(self, number: int, kind: str | None = None) -> Any:
        """Person `number`, or their identity of that kind."""
        person = self.directory.people[number]
        return person if kind is None else getattr(person, kind)

    def client(self, number: int | None, *, base_url: str | None = None, **options: Any) -> Client:
        """A client signed in as person `number`; None is the administrator."""
        door = Door(self.server)
        self.doors.append(door)
        name = "admin" if number is None else str(self.person(number).userid)
        auth: Any = Bearer(f"token-{number}") if self.auth == "oauth" else (name, "secret")
        return Client(base_url or self.url, **{"auth": auth, "max_per_second": None, "transport": door} | options)

    def status(self, one: Identity | Person, other: Identity | Person) -> str | None:
        return self.server.status(one, other)

    def strangers(self, count: int = 2) -> list[int]:
        """Numbers of people among the first twenty without connections to each other."""
        found: list[int] = []
        for number in range(20):
            one = self.person(number)
            if all(self.status(one, self.person(other)) is None for other in found):
                found.append(number)
            if len(found) == count:
                return found
        raise AssertionError(f"the first twenty people include only {len(found)} without connections, not {count}")

    def verbs(self) -> list[str]:
        return [commit.verb for commit in self.server.commits]


def in_time(main: Callable[[], object]) -> None:
    """Run `main` on virtual time: pauses take no real time."""
    on_virtual_time(main)
