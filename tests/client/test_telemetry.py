"""What a client tells of its own work: progress, statistics, hooks and the log, none of which names anybody."""

from __future__ import annotations

import base64
import logging
import pickle
import subprocess
import sys
import traceback
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio.lowlevel
import httpx
import pytest
import trio
from doors import (
    Script,
    Slow,
    answered,
    client_of,
    connected,
    no_connection,
    on_virtual_time,
    one_after_the_other,
    pairs,
    service_document,
    status,
)
from leaks import leaks

from aioconnections import (
    Attempt,
    AuthenticationError,
    ConnectionsError,
    DeadlineError,
    Email,
    Failed,
    Headers,
    Invited,
    Journal,
    Progress,
    Send,
    ServerError,
    Status,
    Tally,
    Timeouts,
    Unprocessed,
    UsageError,
    Userid,
    Wait,
)

A, B = Userid("a"), Userid("b")


def test_progress_is_told_twice_a_second_and_at_the_end() -> None:
    async def main() -> None:
        told: list[Progress] = []
        client = client_of(Script(connected), max_per_second=10)
        async with client, client.check_many(pairs(100), on_progress=told.append) as outcomes:
            began = trio.current_time()
            async for _ in outcomes:
                pass
            took = trio.current_time() - began
        assert len(told) == pytest.approx(2 * took, abs=3)
        assert [progress.done for progress in told] == [False] * (len(told) - 1) + [True]
        assert told[-1].tally == outcomes.tally
        assert all(earlier.tally.read <= later.tally.read for earlier, later in pairwise(told))
        middle = told[len(told) // 2]
        assert middle.rate == pytest.approx(10, rel=0.2)
        assert middle.max_per_second == 10
        left = middle.time_left(100)
        assert left is not None
        assert left == pytest.approx(took - middle.elapsed, rel=0.3)

    on_virtual_time(main)


def test_it_says_that_the_run_waits_for_the_server() -> None:
    async def main() -> None:
        told: list[Progress] = []
        wait = httpx.Response(503, headers={"retry-after": "20"})
        client = client_of(one_after_the_other(wait, status("accepted")))
        async with client, client.check_many([(A, B)], on_progress=told.append) as outcomes:
            async for _ in outcomes:
                pass
        assert any(progress.waiting_for_server for progress in told)
        assert not told[-1].waiting_for_server

    on_virtual_time(main)


def waits_of(script: Script, seconds: float, count: int = 1, **options: Any) -> list[Wait | None]:
    """What requests wait for, twice a second, while a run over `count` pairs gets these responses."""
    waits: list[Wait | None] = []

    async def main() -> None:
        client = client_of(script, **options)
        async with client, client.check_many(pairs(count), on_progress=lambda _: waits.append(client.stats().wait)):
            await trio.sleep(seconds)

    on_virtual_time(main)
    return waits


def test_statistics_say_how_long_a_pause_takes() -> None:
    pause = httpx.Response(503, headers={"retry-after": "20"})
    *waits, last = waits_of(one_after_the_other(pause, status("accepted")), 30)
    pauses = [wait for wait in waits if wait is not None]
    assert {(wait.reason, wait.pause, wait.lasted, wait.probe_in) for wait in pauses} == {("pause", 20.0, None, None)}
    assert [wait.left for wait in pauses] == sorted((wait.left for wait in pauses), key=lambda left: -(left or 0))
    assert pauses[0].left == pytest.approx(22, abs=2.5)  # a part is added, so that clients do not return at once
    assert last is None


def test_statistics_say_how_long_an_outage_lasts() -> None:
    async def away(_: httpx.Request) -> httpx.Response:
        return httpx.Response(503)

    def canary(_: httpx.Request) -> httpx.Response:
        return service_document() if len(script.asked) < 8 else httpx.Response(503)

    script = Script(away, canary)
    waits = [wait for wait in waits_of(script, 100, 100, timeouts=Timeouts(outage=300)) if wait is not None]
    script = Script(away, canary)
    unlimited = [wait for wait in waits_of(script, 20, 100, timeouts=Timeouts(outage=None)) if wait is not None]
    assert {wait.reason for wait in waits} == {"server"}
    assert waits[-1].lasted == pytest.approx(100, abs=5)
    assert all(wait.left == pytest.approx(300 - (wait.lasted or 0)) for wait in waits)
    assert max(wait.probe_in or 0 for wait in waits) == pytest.approx(33, abs=3.5)
    assert min(wait.probe_in or 0 for wait in waits) < 0.5
    assert {wait.left for wait in unlimited} == {None}


def test_statistics_say_that_the_login_is_under_way() -> None:
    class SlowAuth:
        async def headers(self, send: Send, refused: Headers | None) -> Headers:
            del send, refused
            await trio.sleep(2)
            return Headers([("authorization", "Bearer x")])

    for waits in (waits_of(Script(connected), 4, auth=SlowAuth()), waits_of(Slow(0, canary_latency=2), 4)):
        assert waits[1:3] == [Wait(reason="login")] * 2
        assert waits[-1] is None


def test_what_a_progress_hook_raises_is_raised_to_the_caller() -> None:
    async def main() -> None:
        def hook(progress: Progress) -> None:
            raise ZeroDivisionError(progress.elapsed)

        client = client_of(Script(connected), max_per_second=10)
        async with client, client.check_many(pairs(100), on_progress=hook) as outcomes:
            with pytest.raises(ZeroDivisionError):
                async for _ in outcomes:
                    pass

    on_virtual_time(main)


@pytest.mark.parametrize(
    ("finished", "rate", "most", "left"),
    [(50, 10.0, None, 5.0), (50, 100.0, 10.0, 5.0), (50, 5.0, 10.0, 10.0), (0, 0.0, 10.0, 10.0), (0, 0.0, None, None)],
)
def test_the_time_left_never_expects_more_than_the_limit_allows(
    finished: int, rate: float, most: float | None, left: float | None
) -> None:
    tally = Tally(read=finished + 7, in_flight=7, checked=finished)
    assert Progress(tally=tally, elapsed=1.0, rate=rate, max_per_second=most).time_left(100) == left


def test_statistics_count_what_was_sent_for_all_users() -> None:
    async def main() -> None:
        broken = httpx.ReadError("reset")
        script = one_after_the_other(httpx.Response(503), broken, status("accepted"), no_connection())
        client = client_of(script, max_connections=4, max_per_second=50)
        with pytest.raises(UsageError):
            client.stats()
        async with client:
            assert await client.check(A, B) is Status.ACCEPTED
            assert await client.as_user(("bob", "secret")).check(A, B) is None
            stats = client.stats()
        assert stats.responses == {200: 1 + 3, 503: 1, 404: 1}  # two canaries, and one more after the broken connection
        assert stats.failures == {"ProtocolError": 1}
        assert stats.attempts == 7
        assert (stats.retries, stats.probes, stats.retries_left) == (2, 0, 33)
        assert (stats.under_way, stats.bound, stats.max_connections, stats.max_per_second) == (0, 3, 4, 50)
        assert not stats.waiting_for_server
        assert pickle.loads(pickle.dumps(stats)) == stats  # noqa: S301 # our own

    on_virtual_time(main)


@pytest.mark.anyio
async def test_a_hook_is_told_of_each_attempt_and_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Attempt] = []

    def hook(attempt: Attempt) -> None:
        told.append(attempt)
        raise ZeroDivisionError

    script = Script(lambda _: answered(no_connection()))
    async with client_of(script, on_attempt=hook) as client:
        await client.check(Email("ann@example.com"), B)
        async with client.check_many([(A, B)]) as outcomes:
            assert [outcome.attempts async for outcome in outcomes] == [1]
    assert [(it.method, it.path, it.status, it.number) for it in told] == [
        ("GET", "/profiles/atom/profileService.do", 200, 1),
        ("HEAD", "/profiles/atom/connection.do", 404, 1),
        ("HEAD", "/profiles/atom/connection.do", 404, 1),
    ]
    assert [it.run is None for it in told] == [True, True, False]
    assert all(it.elapsed >= 0 and it.error is None for it in told)
    assert "on_attempt" in caplog.text


def test_a_run_ends_when_its_time_is_over() -> None:
    async def main() -> None:
        client = client_of(Script(connected), max_per_second=10, timeouts=Timeouts(run=5))
        began = trio.current_time()
        async with client, client.check_many(pairs(1000)) as outcomes:
            found = [outcome async for outcome in outcomes]
        assert isinstance(outcomes.stopped, DeadlineError)
        assert trio.current_time() - began == pytest.approx(5, abs=0.2)
        assert outcomes.tally.checked == pytest.approx(50, abs=2)
        assert outcomes.tally.read == len(found) == outcomes.tally.checked + outcomes.tally.unprocessed
        assert all(it.reason == "the run was not done within 5 s" for it in found if isinstance(it, Unprocessed))

    on_virtual_time(main)


SECRET, TEXT = "Tr0ub4dor&3", "Let us meet at the old bridge"
PERSON = "zoe.secretive@example.com"


@pytest.mark.anyio
async def test_the_log_holds_no_secret_no_text_and_nobody(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.DEBUG)
    hidden = [SECRET, base64.b64encode(f"ajones:{SECRET}".encode()).decode(), TEXT, PERSON, "LtpaToken2", "ajones"]
    seen: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        if request.method == "POST":
            return httpx.Response(201, headers={"Set-Cookie": "LtpaToken2=raw", "Location": "/x?connectionId=1"})
        return httpx.Response(500, text=f"{PERSON} {TEXT}")

    path = tmp_path / "run.sqlite"
    async with client_of(Script(answer), auth=("ajones", SECRET)) as client:
        assert isinstance((await client.invite(Email(PERSON), message=TEXT)), Invited)
        async with client.invite_many([Email(PERSON)], message=TEXT, journal=Journal(path)) as outcomes:
            assert [type(outcome) async for outcome in outcomes] == [Invited]
        async with client.check_many([(Email(PERSON), A)]) as checks:
            (failed,) = [outcome async for outcome in checks]
        with pytest.raises(ServerError) as caught:
            await client.check(Email(PERSON), A)
        shown = [repr(client), repr(client.stats()), repr(checks), repr(outcomes), str(failed.as_dict()["error"])]
    assert isinstance(failed, Failed)
    shown += [str(caught.value), repr(caught.value), *leaks(caught.value)]
    ours = [record for record in caplog.records if record.name.startswith("aioconnections")]
    assert len(ours) >= len(seen)
    shown += [record.getMessage() for record in ours] + [repr(vars(record)) for record in ours]
    for secret in hidden:
        assert not [text for text in shown if secret in text], secret
    stored = b"".join([await file.read_bytes() async for file in anyio.Path(tmp_path).iterdir()])
    for secret in (SECRET, hidden[1], TEXT, "LtpaToken2"):
        assert secret.encode() not in stored


@pytest.mark.anyio
async def test_a_traceback_with_the_locals_of_our_frames_shows_no_secret() -> None:
    """As error reporters make them: the locals of each frame, by repr."""

    async def answer(_: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        raise ZeroDivisionError

    async def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(401)

    for script, auth in (
        (Script(answer), ("ajones", SECRET)),
        (Script(refuse, canary=lambda _: httpx.Response(401)), ("ajones", SECRET)),
    ):
        async with client_of(script, auth=auth) as client:
            with pytest.raises((ZeroDivisionError, ConnectionsError)) as caught:
                await client.check(Email(PERSON), A)
        lines = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        ours = [frame for frame in lines.stack if frame.locals and "aioconnections/" in Path(frame.filename).as_posix()]
        assert ours
        shown = repr([(frame.name, frame.locals) for frame in ours if "via_httpx" not in frame.filename])
        assert SECRET not in shown
        assert base64.b64encode(f"ajones:{SECRET}".encode()).decode() not in shown


@pytest.mark.anyio
async def test_a_refused_login_and_an_outage_are_worth_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="aioconnections")
    script = Script(connected, canary=lambda _: httpx.Response(401))
    async with client_of(script) as client:
        with pytest.raises(AuthenticationError):
            await client.check(A, B)
    assert [record.levelname for record in caplog.records if record.name == "aioconnections"] == ["WARNING"]


def test_an_outage_is_told_when_it_begins_and_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="aioconnections")

    async def main() -> None:
        began = trio.current_time()

        async def answer(_: httpx.Request) -> httpx.Response:
            await trio.sleep(0.01)
            if 5 < trio.current_time() - began < 50:
                raise httpx.ConnectError("refused")
            return status("accepted")

        def canary(_: httpx.Request) -> httpx.Response:
            if 5 < trio.current_time() - began < 50:
                raise httpx.ConnectError("refused")
            return service_document()

        client = client_of(Script(answer, canary), max_per_second=20)
        async with client, client.check_many(pairs(200)) as outcomes:
            async for _ in outcomes:
                pass
        assert outcomes.tally.checked == 200

    on_virtual_time(main)
    said = [record.getMessage() for record in caplog.records if record.name == "aioconnections"]
    assert len([line for line in said if "does not respond" in line]) == 1
    assert len([line for line in said if "responds again" in line]) == 1
    assert any("begins" in line for line in said)
    assert any("ended: 200 read, 200 checked" in line for line in said)


def test_who_has_not_set_up_logging_sees_nothing_of_it() -> None:
    code = "import aioconnections.session.telemetry as t; t.LOG.warning('something')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    assert ended.stdout + ended.stderr == b""
