"""A server that answers every request with the same nonsense: the command ends, says why, and can be run again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal
from transport.faulty import Connection, Script, answer, serving

Command = Callable[..., Any]
PairsFile = Callable[..., Path]

SERVICE = answer(b"", "Content-Type: application/atomsvc+xml;charset=UTF-8")
UNCLEAR = answer(b"", "X-Profiles-Connection-Status: accepted", "Set-Cookie: a=b; Path=/", "Content-Length: 7")
WHY = "the response head is not valid HTTP"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[[Script], str]]:
    """Runs a script in a thread of its own until the test is over, and gives its URL, which is that of the command."""
    threads: list[tuple[threading.Thread, Callable[[], object]]] = []

    def serve(script: Script) -> str:
        started = threading.Event()
        url = ""
        end: Callable[[], object] = lambda: None  # noqa: E731 # before it is known

        async def main() -> None:
            nonlocal url, end
            over = anyio.Event()
            async with BlockingPortal() as portal, serving(script) as listening:
                url = str(listening.origin)
                end = lambda: portal.call(over.set)  # noqa: E731
                started.set()
                await over.wait()

        thread = threading.Thread(target=anyio.run, args=(main,))
        thread.start()
        assert started.wait(10)
        threads.append((thread, end))
        monkeypatch.setenv("AIOCONNECTIONS_URL", url)
        return url

    monkeypatch.setenv("AIOCONNECTIONS_USER", "ajones")
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "secret")
    yield serve
    for thread, end in threads:
        end()
        thread.join(10)


@pytest.fixture
def checks(served: Callable[[Script], str]) -> list[bytes]:
    """A server whose canary is good, and whose other responses say two lengths; the checks that it was sent."""
    asked: list[bytes] = []

    async def script(connection: Connection) -> None:
        while True:
            head = await connection.request()
            if b"profileService.do" in head:
                await connection.say(SERVICE)
            else:
                asked.append(head)
                await connection.say(UNCLEAR)

    served(script)
    return asked


@pytest.mark.parametrize("recorded", [False, True])
def test_the_same_protocol_error_ends_a_check_with_its_reason(
    command: Command, pairs_file: PairsFile, checks: list[bytes], *, recorded: bool
) -> None:
    journal = ("--journal", "check.sqlite") if recorded else ()
    said = command("check", pairs_file(count=1000), *journal, "--max-connections", 1)
    assert said.code == (75 if recorded else 5)
    assert f"aioconnections: stopped: {WHY}\n" in said.err
    assert ("to resume: " in said.err) is recorded
    assert len(set(checks)) == 5
    errors = [row["error"] for row in said.rows]
    assert errors.count(f"ProtocolError: {WHY}") == 5
    assert errors.count(f"unprocessed: {WHY}") == 995


def test_a_few_rows_fail_each_for_itself(command: Command, pairs_file: PairsFile, checks: list[bytes]) -> None:
    said = command("check", pairs_file(count=4))
    assert said.code == 1
    assert "stopped" not in said.err
    assert [row["error"] for row in said.rows] == [f"ProtocolError: {WHY}"] * 4
    assert len(set(checks)) == 4


def test_https_at_a_plain_port_is_said_in_words(
    command: Command, pairs_file: PairsFile, served: Callable[[Script], str]
) -> None:
    async def script(connection: Connection) -> None:
        await connection.more()
        await connection.say(answer(b"", status="400 Bad Request"))

    url = served(script).replace("http", "https")
    said = command("check", pairs_file(count=100), "--url", url)
    assert said.code == 2
    assert "aioconnections: stopped: the server does not speak TLS at this port; check the scheme" in said.err
