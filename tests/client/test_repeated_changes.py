"""Changes and documents that fail in the same way for every item, on virtual time: the run ends after a few."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import h11
import httpx
import pytest
import trio
from doors import Script, answered, client_of, everything, no_connection, on_virtual_time

from aioconnections import (
    AtomError,
    ConnectionsError,
    Failed,
    InDoubt,
    Journal,
    Outcome,
    Pair,
    ProtocolError,
    Rejected,
    UnexpectedResponseError,
    Unprocessed,
    Userid,
)

PAIRS = [Pair(Userid(f"a{number}"), Userid(f"b{number}")) for number in range(300)]
PEOPLE = [Userid(f"u{number}") for number in range(300)]


def malformed() -> httpx.RemoteProtocolError:
    error = httpx.RemoteProtocolError("illegal status line")
    error.__cause__ = h11.RemoteProtocolError("illegal status line")
    return error


@pytest.mark.parametrize("connections", [1, 16])
@pytest.mark.parametrize("recorded", [True, False])
def test_invitations_whose_responses_are_malformed_are_in_doubt_and_stop_the_run(
    tmp_path: Path, connections: int, *, recorded: bool
) -> None:
    """It does not wait half a minute for each of them to find out what became of it."""

    async def main() -> None:
        posted: list[httpx.Request] = []

        async def respond(request: httpx.Request) -> httpx.Response:
            if request.method == "POST":
                posted.append(request)
                raise malformed()
            return await answered(no_connection())

        journal = Journal(tmp_path / "j.sqlite") if recorded else None
        async with client_of(Script(respond), max_connections=connections) as ours:
            began = trio.current_time()
            run = ours.invite_many(itertools.cycle(PEOPLE), message="", journal=journal, settle=30.0)
            outcomes = await everything(run)
        assert isinstance(run.stopped, ProtocolError)
        assert len(posted) <= 4 + connections
        in_doubt = [outcome for outcome in outcomes if isinstance(outcome, InDoubt)]
        assert len(outcomes) == run.tally.read
        assert {type(outcome) for outcome in outcomes} <= {InDoubt, Unprocessed}
        assert len({request.url.params["userid"] for request in posted}) == len(in_doubt)
        assert trio.current_time() - began <= (60 + 60 + 1 if connections == 1 else 1)

    on_virtual_time(main)


def test_an_invitation_run_that_was_stopped_goes_on_and_asks_after_what_is_in_doubt(tmp_path: Path) -> None:
    async def main() -> None:
        made: list[str] = []
        broken = True

        async def respond(request: httpx.Request) -> httpx.Response:
            if request.method == "HEAD":
                known = request.url.params["targetUserid"] in made
                found = httpx.Response(200, headers={"X-Profiles-Connection-Status": "unconfirmed"})
                return await answered(found if known else no_connection())
            made.append(request.url.params["userid"])
            if broken:
                raise malformed()
            return await answered(httpx.Response(201, html=""))

        path = tmp_path / "j.sqlite"
        async with client_of(Script(respond, _whoami)) as ours:
            run = ours.invite_many(PEOPLE[:50], message="", journal=Journal(path), settle=1.0)
            await everything(run)
            assert isinstance(run.stopped, ProtocolError)
            broken = False
            again = ours.invite_many(PEOPLE[:50], message="", journal=Journal(path), settle=1.0)
            outcomes = await everything(again)
        assert again.stopped is None
        assert len(made) == len(set(made)) == 50
        assert {type(outcome).__name__ for outcome in outcomes} == {"Invited"}

    on_virtual_time(main)


def _whoami(_: httpx.Request) -> httpx.Response:
    body = (
        '<service xmlns="http://www.w3.org/2007/app" xmlns:snx="http://www.ibm.com/xmlns/prod/sn"><workspace>'
        "<collection><snx:userid>ajones</snx:userid></collection></workspace></service>"
    )
    return httpx.Response(200, headers={"content-type": "application/atomsvc+xml"}, text=body)


def test_a_recorded_check_is_stopped_as_well(tmp_path: Path) -> None:
    async def main() -> None:
        async def respond(_: httpx.Request) -> httpx.Response:
            raise malformed()

        async with client_of(Script(respond), max_connections=1) as ours:
            run = ours.check_many(itertools.cycle(PAIRS), journal=Journal(tmp_path / "j.sqlite"))
            outcomes = await everything(run)
        assert isinstance(run.stopped, ProtocolError)
        assert [type(outcome) for outcome in outcomes] == [Failed] * 5

    on_virtual_time(main)


ATOM = {"content-type": "application/atom+xml;charset=UTF-8"}
NOT_ATOM = "Service temporarily replaced by the portal team. <a href='/'>Home"
NO_ENTRY = '<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>no id</title></entry></feed>'


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (lambda: httpx.Response(200, headers=ATOM, text=NOT_ATOM), AtomError),
        (lambda: httpx.Response(405, headers={"allow": "OPTIONS"}), UnexpectedResponseError),
    ],
)
def test_the_same_page_for_every_person_stops_a_run(
    page: Callable[[], httpx.Response], kind: type[ConnectionsError]
) -> None:
    async def main() -> None:
        script = Script(lambda _: answered(page()))
        async with client_of(script, max_connections=1) as ours:
            run = ours.resolve_many(PEOPLE)
            outcomes = await everything(run)
        assert type(run.stopped) is kind
        assert [type(outcome) for outcome in outcomes] == [Failed] * 5

    on_virtual_time(main)


def _own_page(number: int) -> httpx.Response:
    return httpx.Response(200, headers=ATOM, text=f"<feed xmlns='http://www.w3.org/2005/Atom'>{'x' * number} &broken")


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (lambda _: httpx.Response(400, headers={"content-type": "text/xml"}), Rejected),
        (_own_page, Failed),
        (lambda _: httpx.Response(500, headers={"content-type": "text/xml"}), Failed),
        (lambda _: httpx.Response(409, headers={"content-type": "text/xml"}), Failed),
    ],
    ids=["400", "documents that are each broken in their own way", "500", "409"],
)
def test_what_people_fail_of_for_reasons_of_their_own_stops_nothing(
    page: Callable[[int], httpx.Response], kind: type[Outcome]
) -> None:
    async def main() -> None:
        numbers = itertools.count()
        script = Script(lambda _: answered(page(next(numbers))))
        async with client_of(script, max_connections=1) as ours:
            run = ours.resolve_many(PEOPLE[:50])
            outcomes = await everything(run)
        assert run.stopped is None
        assert [type(outcome) for outcome in outcomes] == [kind] * 50

    on_virtual_time(main)
