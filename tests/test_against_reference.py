"""The client and the reference server over a real TCP connection: the answers are the truth, and nothing is left."""

from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from aioconnections import (
    AuthenticationError,
    BadRequestError,
    Bearer,
    Checked,
    Client,
    Email,
    Identity,
    Pair,
    Person,
    Rejected,
    ServerUnavailableError,
    Status,
    Userid,
)
from aioconnections.reference import Directory, app
from aioconnections.reference.server import listening

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def directory() -> Directory:
    return Directory.generate(people=5_000, seed=3)


def client_at(url: str, **options: object) -> Client:
    return Client(url, **{"auth": ("admin", "secret"), "max_per_second": None} | options)  # type: ignore[arg-type] # options of any kind


def identities(person: Person) -> tuple[Identity, Identity, Identity]:
    assert person.email is not None
    assert person.userid is not None
    assert person.key is not None
    return person.email, person.userid, person.key


def both_ways(directory: Directory, count: int) -> Iterator[tuple[Pair, Status | None]]:
    """Each pair in both directions, in all nine combinations of identity types in turn, and the truth."""
    kinds = itertools.cycle(itertools.product(range(3), repeat=2))
    for (one, other), (first, second) in zip(directory.sample_pairs(count, seed=4), kinds, strict=False):
        yield Pair(identities(one)[first], identities(other)[second]), directory.status(one, other)
        yield Pair(identities(other)[second], identities(one)[first]), directory.status(other, one)


async def agree(client: Client, directory: Directory, count: int) -> None:
    truth: list[Status | None] = []

    def source() -> Iterator[Pair]:
        for pair, status in both_ways(directory, count):
            truth.append(status)
            yield pair

    checked = 0
    async with client, client.check_many(source()) as outcomes:
        async for outcome in outcomes:
            assert isinstance(outcome, Checked), outcome
            assert outcome.status is truth[outcome.index], outcome
            checked += 1
    assert checked == len(truth) == 2 * count
    assert all(outcomes.tally.by_status[status] > count / 10 for status in (*Status, None))


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_ten_thousand_pairs_both_ways_in_all_identity_types(directory: Directory) -> None:
    async with listening(app(directory)) as url:
        await agree(client_at(url, max_connections=32), directory, 10_000)


@pytest.mark.parametrize("version", ["4.5", "5.0", "6.0"])
async def test_every_version_tells_the_truth(directory: Directory, version: str) -> None:
    async with listening(app(directory, version=version)) as url:  # type: ignore[arg-type] # a text
        await agree(client_at(url), directory, 100)


async def test_below_a_context_path(directory: Directory) -> None:
    async with listening(app(directory, context="/intranet/social")) as url:
        await agree(client_at(f"{url}/intranet/social/"), directory, 30)


async def test_on_the_paths_of_oauth(directory: Directory) -> None:
    server = app(directory, auth="oauth", tokens={"tok.en-1": Userid("admin")})
    async with listening(server) as url:
        await agree(client_at(url, auth=Bearer("tok.en-1")), directory, 30)
    assert set(server.requests.by_path) == {
        "/profiles/oauth/atom/profileService.do",
        "/profiles/oauth/atom/connection.do",
    }


async def test_in_process() -> None:
    directory = Directory.generate(people=50, seed=9)
    transport = httpx.ASGITransport(app(directory))
    await agree(client_at("http://localhost", transport=transport), directory, 100)


async def test_what_an_ordinary_person_sees(directory: Directory) -> None:
    me, *others = directory.people[:60]
    assert me.email is not None
    async with listening(app(directory)) as url, client_at(url, auth=(me.email.value, "secret")) as client:
        for other in others:
            assert await client.check(me, other) is directory.status(me, other)
        for one, other in itertools.pairwise(others):
            visible = directory.status(one, other)
            assert await client.check(one, other) is (visible if visible is Status.ACCEPTED else None)


async def test_people_who_do_not_exist_are_the_servers_verdict(directory: Directory) -> None:
    known = directory.people[0]
    nobody = Email("nobody@example.com")
    pairs = [Pair(known, nobody), Pair(nobody, known)]
    async with listening(app(directory)) as url, client_at(url) as client, client.check_many(pairs) as outcomes:
        found = [outcome async for outcome in outcomes]
    assert all(isinstance(outcome, Rejected) and isinstance(outcome.error, BadRequestError) for outcome in found)
    assert outcomes.tally.rejected == 2


async def test_a_wrong_password_with_ten_thousand_pairs_costs_exactly_one_refusal(directory: Directory) -> None:
    server = app(directory)
    pairs = [(Userid("a"), Userid(str(n))) for n in range(10_000)]
    async with listening(server) as url:
        client = client_at(url, auth=("admin", "wrong"), max_connections=64)
        async with client, client.check_many(pairs) as outcomes:
            assert [outcome async for outcome in outcomes] == []
    assert isinstance(outcomes.stopped, AuthenticationError)
    assert server.requests.by_status == {401: 1}


async def test_a_password_that_is_changed_in_mid_run_costs_at_most_those_in_flight(directory: Directory) -> None:
    server = app(directory)
    async with listening(server) as url:
        client = client_at(url, max_connections=64)
        async with client, client.check_many(pair for pair, _ in both_ways(directory, 5_000)) as outcomes:
            async for outcome in outcomes:
                if outcome.index == 2_000:
                    server.password = "another"
    assert isinstance(outcomes.stopped, AuthenticationError)
    assert 1 <= server.requests.by_status[401] <= 64
    tally = outcomes.tally
    assert 2_000 <= tally.checked < 10_000
    assert tally.read == tally.checked + tally.failed + tally.unprocessed
    assert tally.failed == server.requests.by_status[401]


async def test_connections_are_kept_alive_and_closed_at_the_end(directory: Directory) -> None:
    peers: set[tuple[str, int]] = set()
    server = app(directory)

    async def noting(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            peers.add(scope["client"])
        await server(scope, receive, send)

    async with listening(noting) as url:  # type: ignore[arg-type] # an ASGI callable like any other
        before = open_sockets()
        async with client_at(url, max_connections=8) as client:  # runs leave one free
            async with client.check_many(pair for pair, _ in both_ways(directory, 200)) as outcomes:
                async for outcome in outcomes:
                    assert isinstance(outcome, Checked)
            assert len(peers) == 7
        await sockets_are_again(before)


async def sockets_are_again(count: int) -> None:
    """Wait until no more sockets are open than before; the server's ends close when it hears of ours."""
    while open_sockets() > count:  # noqa: ASYNC110 # nobody tells when a socket is closed
        await asyncio.sleep(0)


def open_sockets() -> int:
    """How many sockets this process has open."""
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            count += str(entry.readlink()).startswith("socket:")
    return count


@pytest.mark.parametrize("leave", ["break", "cancel"])
async def test_leaving_early_leaves_no_task_and_no_socket(directory: Directory, leave: str) -> None:
    tasks = asyncio.all_tasks()
    async with listening(app(directory)) as url:
        serving = asyncio.all_tasks()
        before = open_sockets()

        async def run() -> None:
            pairs = (pair for pair, _ in both_ways(directory, 5_000))
            async with client_at(url, max_connections=16) as client, client.check_many(pairs) as outcomes:
                async for outcome in outcomes:
                    if outcome.index > 40:
                        if leave == "break":
                            break
                        asyncio.current_task().cancel()  # type: ignore[union-attr] # inside of a task

        if leave == "break":
            await run()
        else:
            with pytest.raises(asyncio.CancelledError):
                await asyncio.create_task(run())
        clients = [task for task in asyncio.all_tasks() - serving if "uvicorn" not in repr(task)]
        assert clients == []
        await sockets_are_again(before)
    assert asyncio.all_tasks() <= tasks


async def test_a_dead_server_is_told_at_once(directory: Directory) -> None:
    async with listening(app(directory)) as url:
        pass
    client = client_at(url)
    async with client, client.check_many([(Userid("a"), Userid("b"))] * 1000) as outcomes:
        assert [outcome async for outcome in outcomes] == []
    assert isinstance(outcomes.stopped, ServerUnavailableError)
    assert "the server refused the connection" in str(outcomes.stopped)


MAIN = """
import asyncio, sys
from aioconnections import Client, Userid

async def main():
    async with Client(sys.argv[1], auth=("admin", "secret")) as client:
        pairs = ((Userid("a"), Userid(str(n))) for n in range(100_000))
        async with client.check_many(pairs) as outcomes:
            async for outcome in outcomes:
                if outcome.index == 5:
                    print("running", flush=True)

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
async def test_ctrl_c_ends_a_run_without_a_word_about_tasks_or_sockets(directory: Directory) -> None:
    async with listening(app(directory)) as url:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-c", MAIN, url), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"running\n"
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert (out, err, process.returncode) == (b"interrupted\n", b"", 0)


PEAK = Path(__file__).parent / "support" / "peak_memory.py"


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_memory_does_not_grow_with_the_number_of_pairs() -> None:
    assert await peak(40_000) - await peak(10_000) < 4 * 1024


@pytest.mark.full
async def test_a_million_pairs_need_no_more_memory_than_ten_thousand() -> None:
    assert await peak(1_000_000) - await peak(10_000) < 15 * 1024


async def peak(pairs: int) -> int:
    """Peak resident memory in KiB of a process that checks so many pairs through an in-process transport."""
    process = await asyncio.create_subprocess_exec(sys.executable, PEAK, str(pairs), stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return int(out)
