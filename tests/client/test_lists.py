"""The lists of many people: each is whole or reported, in every version and with every visibility of addresses."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from doors import Script, client_of
from server import Place, in_time

from aioconnections import (
    BadRequestError,
    DeadlineError,
    Duplicate,
    Email,
    Failed,
    ForbiddenError,
    IncompleteListError,
    InvalidInputError,
    Journal,
    JournalBoundError,
    JournalFinishedError,
    Key,
    Listed,
    ListOutcome,
    NotFoundError,
    Person,
    Rejected,
    Status,
    Timeouts,
    Unprocessed,
    Userid,
)
from aioconnections.journal import report
from aioconnections.reference import Directory

pytestmark = pytest.mark.anyio

VERSIONS = ("4.5", "5.0", "6.0")
SMALL = Directory.generate(people=16, seed=4)
SN = "http://www.ibm.com/xmlns/prod/sn"


def truth(place: Place, number: int, status: Status = Status.ACCEPTED) -> set[str]:
    """The userids of the people whose connections with person `number` have this status."""
    me = place.person(number)
    return {str(it.userid) for it in place.directory.people if it != me and place.status(me, it) == status}


def targets(outcome: ListOutcome) -> set[str]:
    assert isinstance(outcome, Listed), outcome
    found = [str(connection.target.userid) for connection in outcome.connections]
    assert len(found) == len(set(found))
    return set(found)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("emails", ["exposed", "hidden"])
@pytest.mark.parametrize("user", [None, 0])
async def test_each_list_is_whole_and_takes_one_request_per_page(version: str, emails: str, user: int | None) -> None:
    place = Place(version=version, emails=emails, max_ps=7)
    people = place.directory.people[:20]
    async with place.client(user) as client:
        outcomes = await client.colleagues_many(people, ordered=True).collect()
    assert [outcome.index for outcome in outcomes] == list(range(20))
    for number, outcome in enumerate(outcomes):
        assert targets(outcome) == truth(place, number)
        assert isinstance(outcome, Listed)
        assert outcome.person == people[number].userid
        assert outcome.attempts == max(1, math.ceil(len(outcome.connections) / 7))
        shown = {connection.target.email is not None for connection in outcome.connections}
        assert shown <= {emails == "exposed"}
    assert len(place.doors[-1].lines()) == sum(outcome.attempts for outcome in outcomes)


async def test_twenty_people_take_twenty_requests_of_the_largest_page() -> None:
    place = Place()
    async with place.client(None) as client:
        tally = await client.colleagues_many(place.directory.people[:20]).drain()
    assert (tally.read, tally.listed) == (20, 20)
    lines = place.doors[-1].lines()
    assert len(lines) == 20
    assert all("&ps=250" in line and "&status=accepted" in line for line in lines)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("unknown", [Email("nobody@example.com"), Userid("no-one"), Key("none")], ids=repr)
async def test_an_unknown_person_is_rejected_in_every_version(version: str, unknown: Any) -> None:
    place = Place(version=version)
    async with place.client(None) as client:
        known, outcome = await client.colleagues_many([place.person(0), unknown], ordered=True).collect()
    assert isinstance(known, Listed)
    assert isinstance(outcome, Rejected)
    assert isinstance(outcome.error, NotFoundError if version == "4.5" else BadRequestError)
    assert outcome.person == unknown


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_e_mail_address_on_a_server_that_hides_them_fails_with_the_reason(version: str) -> None:
    place = Place(version=version, emails="hidden")
    people = [place.person(0, "email"), Email("nobody@example.com"), place.person(1, "userid")]
    async with place.client(None) as client:
        *refused, known = await client.colleagues_many(people, ordered=True).collect()
    for outcome in refused:
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, InvalidInputError)
        assert "hides e-mail addresses" in str(outcome.error)
    assert targets(known) == truth(place, 1)


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_empty_list_of_a_known_person_is_a_list(version: str) -> None:
    place = Place(version=version, directory=SMALL)
    lonely = next(n for n in range(16) if not truth(place, n, Status.PENDING))
    async with place.client(lonely) as client:
        (outcome,) = await client.colleagues_many([place.person(lonely)], status=Status.PENDING).collect()
    assert isinstance(outcome, Listed)
    assert outcome.connections == ()
    assert outcome.attempts == (2 if version == "4.5" else 1), "only 4.5 gives an unknown person an empty list too"


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("version", VERSIONS)
async def test_lists_by_status_show_what_the_user_may_see(version: str, status: Status) -> None:
    place = Place(version=version)
    async with place.client(0) as client:
        mine, other = await client.colleagues_many(place.directory.people[:2], status=status, ordered=True).collect()
    assert targets(mine) == truth(place, 0, status)
    seen = (
        truth(place, 1, status)
        if status is Status.ACCEPTED
        else truth(place, 1, status) & {str(place.person(0).userid)}
    )
    assert targets(other) == seen


async def test_a_repeated_person_is_a_duplicate_and_a_bad_item_fails() -> None:
    place = Place()
    one = place.person(0, "email")
    people: list[Any] = [one, Email(str(one).upper()), InvalidInputError("line 3: no person"), ("a", "b"), Person()]
    async with place.client(None) as client:
        found = await client.colleagues_many(people, ordered=True).collect()
    assert [type(outcome) for outcome in found] == [Listed, Duplicate, Failed, Failed, Failed]
    assert isinstance(found[1], Duplicate)
    assert found[1].of == 0
    assert len(place.doors[-1].lines()) == 1


async def test_an_unknown_status_or_journal_is_refused_before_anything_is_sent() -> None:
    async with Place().client(None) as client:
        with pytest.raises(InvalidInputError, match="status must be one of"):
            client.colleagues_many([], status="friends")  # type: ignore[arg-type] # on purpose
        with pytest.raises(InvalidInputError, match="journal must be a Journal or None, got str"):
            client.colleagues_many([], journal="run.sqlite")  # type: ignore[arg-type] # on purpose


async def test_full_records_are_delivered() -> None:
    place = Place()
    async with place.client(0) as client:
        (outcome,) = await client.colleagues_many([place.person(0)]).collect()
        single = [connection async for connection in client.colleagues(place.person(0))]
    assert isinstance(outcome, Listed)
    assert list(outcome.connections) == single
    assert all(connection.updated and connection.target.name for connection in outcome.connections)


def page(numbers: list[int], total: int | None, version: str = "6.0.0.0") -> httpx.Response:
    entries = "".join(
        f'<entry><id>tag:profiles.ibm.com,2006:entry{n}</id><category term="connection" scheme="{SN}/type"/></entry>'
        for n in numbers
    )
    said = "" if total is None else f"<o:totalResults>{total}</o:totalResults>"
    content = (
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:o="http://a9.com/-/spec/opensearch/1.1/">'
        f'<generator version="{version}">Profiles</generator>{said}{entries}</feed>'
    )
    return httpx.Response(200, headers={"content-type": "application/atom+xml;charset=UTF-8"}, content=content.encode())


def scripted(answer: Callable[[int], httpx.Response]) -> Script:
    """Responds to request number n, from 0."""

    async def respond(_: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        return answer(len(script.asked) - 1)

    script = Script(respond)
    return script


async def listed(*pages: httpx.Response) -> tuple[ListOutcome, int]:
    """The outcome for one person whose requests get these responses, and the number of requests."""
    script = scripted(lambda number: pages[number])
    async with client_of(script) as client:
        (outcome,) = await client.colleagues_many([Userid("u1")]).collect()
    return outcome, len(script.asked)


def ids(outcome: ListOutcome) -> list[str | None]:
    assert isinstance(outcome, Listed), outcome
    return [connection.id for connection in outcome.connections]


async def test_a_list_that_never_has_its_total_fails_after_two_equal_readings() -> None:
    short = page([1, 2, 3], 5), page([], 5)
    outcome, asked = await listed(*short, *short)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, IncompleteListError)
    assert (outcome.error.found, outcome.error.total) == (3, 5)
    assert str(outcome.error) == "the list may be incomplete: it has 3 entries, and the server gives a total of 5"
    assert asked == 4


async def test_a_list_without_a_total_is_not_taken_for_whole() -> None:
    outcome, asked = await listed(page([1, 2], None), page([], None))
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, IncompleteListError)
    assert (outcome.error.found, outcome.error.total) == (2, None)
    assert "the server gives no total" in str(outcome.error)
    assert asked == 2


async def test_a_list_from_which_someone_disappears_is_read_again_without_them() -> None:
    outcome, asked = await listed(page([1, 2], 4), page([4], 3), page([2, 3], 3), page([4], 3))
    assert ids(outcome) == ["2", "3", "4"], "1 is gone, and 3 had moved to the page that was already read"
    assert asked == 4


async def test_a_list_to_which_someone_is_added_at_the_front_is_read_again() -> None:
    outcome, asked = await listed(page([1, 2], 3), page([2, 3], 4), page([0, 1], 4), page([2, 3], 4))
    assert ids(outcome) == ["0", "1", "2", "3"]
    assert asked == 4


async def test_a_list_that_always_changes_fails_after_five_readings() -> None:
    script = scripted(lambda number: page([number, number + 1], 3) if number % 2 == 0 else page([], 3))
    async with client_of(script) as client:
        (outcome,) = await client.colleagues_many([Userid("u1")]).collect()
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, IncompleteListError)
    assert len(script.asked) == 10


async def test_incomplete_lists_do_not_end_the_run() -> None:
    script = scripted(lambda _: page([1], 2))
    async with client_of(script, max_connections=1) as client:
        run = client.colleagues_many(Userid(f"u{n}") for n in range(30))
        tally = await run.drain()
    assert (run.stopped, tally.failed) == (None, 30)


@pytest.mark.parametrize("generator", ["", "4.5.0.0", "five", "3"])
async def test_a_server_of_another_or_no_version_is_asked_whether_the_person_exists(generator: str) -> None:
    outcome, asked = await listed(page([], 0, generator), page([], None))
    assert isinstance(outcome, Rejected)
    assert isinstance(outcome.error, NotFoundError)
    assert outcome.error.message == "the directory does not know this person"
    assert asked == 2


async def test_a_refused_list_is_rejected() -> None:
    forbidden = httpx.Response(403, headers={"content-type": "text/xml;charset=UTF-8"}, content=b"<error/>")
    outcome, _ = await listed(forbidden)
    assert isinstance(outcome, Rejected)
    assert isinstance(outcome.error, ForbiddenError)


async def test_a_wrong_password_ends_the_run_at_once() -> None:
    place = Place()
    async with place.client(0, auth=("ajones", "wrong")) as client:
        run = client.colleagues_many(place.directory.people)
        tally = await run.drain()
    assert run.stopped is not None
    assert tally.listed == 0


@pytest.mark.parametrize("ends", [3, 9])
async def test_a_run_goes_on_where_it_was_left_and_lists_finished_people_from_the_journal(
    tmp_path: Path, ends: int
) -> None:
    place = Place(max_ps=5)
    people = place.directory.people[:12]
    path = tmp_path / "lists.sqlite"
    async with place.client(None, max_connections=2) as client:
        async with client.colleagues_many(people, journal=Journal(path)) as run:
            early = [await anext(run) for _ in range(ends)]
        done = {outcome.index for outcome in (*early, *run.undelivered) if isinstance(outcome, Listed)}
        with report(path) as found:
            assert {row.index for row in found.rows() if row.outcome == "listed"} == done
        place.doors[-1].lines()
        second = await client.colleagues_many(people, journal=Journal(path), ordered=True).collect()
        asked = place.doors[-1].lines()
    assert {outcome.index for outcome in second if outcome.replayed} == done
    assert [targets(outcome) for outcome in second] == [truth(place, number) for number in range(12)]
    assert len(asked) == sum(outcome.attempts for outcome in second if not outcome.replayed)
    for outcome in second:
        assert isinstance(outcome, Listed)
        assert outcome.recorded_at is not None
        connection = outcome.connections[0]
        assert connection.id is not None
        assert (connection.target.name is None) == outcome.replayed, "names are not in the journal"
        assert connection.source.userid == people[outcome.index].userid
        assert connection.status is Status.ACCEPTED


async def test_a_journal_of_lists_is_bound_to_the_status_and_finished_lists_need_an_age(tmp_path: Path) -> None:
    place = Place()
    people = place.directory.people[:3]
    path = tmp_path / "lists.sqlite"
    async with place.client(0) as client:
        await client.colleagues_many(people, journal=Journal(path)).drain()
        other = client.colleagues_many(people, status=Status.PENDING, journal=Journal(path))
        assert not await other.collect()
        again = client.colleagues_many(people, journal=Journal(path))
        await again.drain()
        old = client.colleagues_many(people, journal=Journal(path, max_age=60))
        assert (await old.drain()).listed == 3
    assert isinstance(other.stopped, JournalBoundError)
    assert isinstance(again.stopped, JournalFinishedError)
    with report(path) as found:
        assert (found.verb, found.tally.listed) == ("list accepted connections", 3)
        assert [row.details for row in found.rows()] == [{"connections": len(truth(place, n))} for n in range(3)]
        assert [row.as_dict()["connections"] for row in found.rows()] == [len(truth(place, n)) for n in range(3)]


async def test_a_person_whose_list_failed_is_asked_again_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "lists.sqlite"
    script = scripted(lambda number: page([1], 2 if number < 3 else 1))
    people = [Userid("u1")]
    async with client_of(script) as client:
        (first,) = await client.colleagues_many(people, journal=Journal(path)).collect()
        (second,) = await client.colleagues_many(people, journal=Journal(path)).collect()
    assert isinstance(first, Failed)
    assert isinstance(second, Listed)
    assert not second.replayed


def listed_in_time(answer: Callable[[httpx.Request], Awaitable[httpx.Response]], timeouts: Timeouts) -> ListOutcome:
    """The outcome for one person, on virtual time."""
    outcomes: list[ListOutcome] = []

    async def main() -> None:
        async with client_of(Script(answer), timeouts=timeouts) as client:
            outcomes.extend(await client.colleagues_many([Userid("u1")]).collect())

    in_time(main)
    return outcomes[0]


def test_each_page_may_take_as_long_as_one_item() -> None:
    async def slow(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(8)
        return page([int(request.url.params["page"])], 10)

    outcome = listed_in_time(slow, Timeouts(attempt=10, item=20))
    assert len(ids(outcome)) == 10
    assert outcome.elapsed == pytest.approx(80)


def test_a_page_that_never_comes_fails_at_its_deadline() -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        if request.url.params["page"] == "1":
            await anyio.sleep(8)
            return page([1], 2)
        await anyio.sleep_forever()
        raise AssertionError

    outcome = listed_in_time(never, Timeouts(attempt=5, item=12))
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, DeadlineError)


async def test_a_run_that_is_over_leaves_the_rest_unprocessed_and_keeps_no_list() -> None:
    place = Place()
    async with place.client(None, max_connections=2) as client:
        async with client.colleagues_many(place.directory.people) as run:
            first = await anext(run)
            assert isinstance(first, Listed)
        assert {type(outcome) for outcome in run.undelivered} <= {Listed, Unprocessed}
        assert run.tally.read <= 6, "at most the window is read and kept"
