"""A directory, and fixtures that send requests to a server in process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from html import escape
from typing import Any, TypeAlias
from urllib.parse import quote
from xml.etree.ElementTree import Element, fromstring

import httpx
import pytest

from aioconnections.records import Email, Identity, Key, Person, Status, Userid
from aioconnections.reference import App, Directory

Ask: TypeAlias = Callable[..., Awaitable[httpx.Response]]
Query: TypeAlias = Callable[[Identity, Identity], str]
BASE = "https://connections.example.com"
Parse: TypeAlias = Callable[[bytes], Element]


@pytest.fixture(scope="session")
def directory() -> Directory:
    return Directory.generate(people=500, seed=7)


@pytest.fixture
def pair(directory: Directory) -> Callable[[Status | None], tuple[Person, Person]]:
    """Two people; the first sees the second with the given status."""

    def find(status: Status | None) -> tuple[Person, Person]:
        return next(pair for pair in directory.sample_pairs(1000) if directory.status(*pair) is status)

    return find


@pytest.fixture
def query() -> Query:
    """The query of a check, encoded without a library for forms."""
    names = {Email: "Email", Userid: "Userid", Key: "Key"}

    def write(source: Identity, target: Identity) -> str:
        return (
            f"connectionType=colleague&source{names[type(source)]}={quote(source.value, safe='')}"
            f"&target{names[type(target)]}={quote(target.value, safe='')}"
        )

    return write


@pytest.fixture
def ask() -> Ask:
    """`await ask(app, "HEAD", "/profiles/…?…", user=person)`; without a user the request is anonymous."""

    async def send(
        app: App, method: str, target: str, *, user: Person | str | None = None, **options: Any
    ) -> httpx.Response:
        name = str(user.userid) if isinstance(user, Person) else user
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=BASE, trust_env=False) as client:
            return await client.request(method, target, auth=None if name is None else (name, "secret"), **options)

    return send


@pytest.fixture
def parse() -> Parse:
    """Parses a document, with a parser that the server does not use."""
    return fromstring  # the server under test wrote it


@pytest.fixture
def invitation() -> Callable[..., bytes]:
    """The entry of a connection as clients post it, with the elements of the vendor's sample."""

    def write(message: str = "", *, status: str = "pending", kind: str = "text", more: str = "") -> bytes:
        scheme = "http://www.ibm.com/xmlns/prod/sn"
        return (
            '<entry xmlns="http://www.w3.org/2005/Atom">'
            f'<content type="{kind}">{escape(message)}</content>'
            f'<category scheme="{scheme}/type" term="connection"/>'
            f'<category scheme="{scheme}/connection/type" term="colleague"/>'
            f'<category scheme="{scheme}/status" term="{status}"/>{more}</entry>'
        ).encode()

    return write
